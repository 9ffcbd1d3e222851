"""Applications: one child in one cycle, under a partner's own reference."""

import uuid
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.applicants.ages import refuse_impossible_age
from enrollment.applicants.children import SameChildTwice, child_of_application
from enrollment.applicants.family_locks import ApplicationKeys
from enrollment.applicants.inputs import OUTSIDE, ApplicantIn
from enrollment.applicants.models import Applicant, Child, Household, Person
from enrollment.applicants.settled_facts import commit_facts
from enrollment.applicants.sis_ids import sis_digest
from enrollment.cycles.models import Cycle
from enrollment.cycles.school_years import school_year_of
from enrollment.directory.models import School
from enrollment.preconditions import VersionMissing
from enrollment.problems import Conflict, Fault, NotFound, listed, sentence
from enrollment.settings import Settings
from enrollment.zones.points import zones_at


class GradeNotOffered(Conflict):
    """The cycle does not offer the grade."""

    title = sentence("Grade not offered in this cycle")
    detail = sentence("The cycle does not offer the grade {grade}. GET /v1/cycles/{cycle} lists its grades.")


class GradeHeldByRanking(Conflict):
    """The ranking in force is for another grade."""

    title = sentence("Grade cannot change while a ranking is in force")
    detail = sentence("The programs in the ranking are for another grade. Withdraw the ranking, then change the grade.")


class GradeHeldBySeat(Conflict):
    """The child holds a seat in another grade."""

    title = sentence("Grade cannot change while the child holds a seat")
    detail = sentence("The child holds a seat in grade {grade}. Decline the seat, then change the grade.")


class UnknownHousehold(Conflict):
    """No household in the cycle has the code."""

    title = sentence("Household code not found")
    detail = sentence("Ask the other guardian for the household_code that their partner shows, then send that code.")


class PresentSchoolUnknown(Conflict):
    """The directory does not have the child's present school."""

    title = sentence("Present school not in the directory")
    detail = sentence(
        "Correct the id. GET /v1/schools lists the schools. If the school is not in the directory, send "
        "outside: followed by an id of your own, such as outside:little-stars."
    )


def find_applicant(session: Session, partner: Partner, *, cycle: str, reference: str) -> Applicant:
    """Return a partner's active application, without a lock.

    Raises:
        NotFound: if the partner has no application with this reference, or the application was withdrawn.
    """
    query = _query_application(partner, cycle=cycle, reference=reference)
    return _active(session.scalars(query).one_or_none())


def lock_applicant(session: Session, partner: Partner, *, cycle: str, reference: str) -> Applicant | None:
    """Lock and return a partner's application and its child, also if it was withdrawn. None: it does not exist."""
    return lock_application(session, _query_application(partner, cycle=cycle, reference=reference))


def lock_active_applicant(session: Session, partner: Partner, *, cycle: str, reference: str) -> Applicant:
    """Lock and return a partner's active application and its child.

    Raises:
        NotFound: if the partner has no application with this reference, or the application was withdrawn.
    """
    return _active(lock_applicant(session, partner, cycle=cycle, reference=reference))


def lock_application(session: Session, query: Select[Applicant]) -> Applicant | None:
    """Lock and return the application that a query selects, after its child. None: it does not exist.

    The child comes first, because every act on a child's data locks the child (docs/explanation/locks.md).
    """
    return session.scalars(
        query.join(Child, Child.id == Applicant.child_id)
        .with_for_update(key_share=True, of=[Child, Applicant])
        .execution_options(populate_existing=True)
    ).one_or_none()


def applications_of(partner: Partner, cycle: str) -> Select[Applicant, bytes]:
    """Select a partner's applications in a cycle, each with the tag of its child."""
    return (
        select(Applicant, Child.tag)
        .join(Child, Child.id == Applicant.child_id)
        .where(Applicant.cycle_id == cycle, Applicant.partner_id == partner.id)
    )


def _query_application(partner: Partner, *, cycle: str, reference: str) -> Select[Applicant]:
    return select(Applicant).where(
        Applicant.cycle_id == cycle, Applicant.partner_id == partner.id, Applicant.reference == reference
    )


def _active(applicant: Applicant | None) -> Applicant:
    if applicant is None or applicant.withdrawn_at is not None:
        raise NotFound
    return applicant


def keys_of_application(settings: Settings, cycle: Cycle, reference: str, body: ApplicantIn) -> ApplicationKeys:
    """Return the keys of the rows that an application needs locked.

    Raises:
        SisSecretMissing: if the service cannot look up the SIS id.
    """
    return ApplicationKeys(
        cycle.id,
        reference,
        household=body.household if body.household_code is None else None,
        sis_digest=None if body.sis_id is None else sis_digest(settings, cycle, body.sis_id),
    )


def put_applicant(
    session: Session,
    partner: Partner,
    cycle: Cycle,
    reference: str,
    body: ApplicantIn,
    *,
    former: Applicant | None,
    settings: Settings,
) -> Applicant:
    """Create or change an application, and append a commitment to its settled facts.

    Args:
        session: a transaction that locks the open cycle, and the family (`lock_families`).
        partner: the partner that sends the application.
        cycle: the cycle of the application.
        reference: the partner's own reference.
        body: the complete application.
        former: the application as stored, from `lock_applicant`.
        settings: the settings, with the secret for the digest of a SIS id.

    Raises:
        GradeNotOffered, GradeHeldByRanking, GradeHeldBySeat, PresentSchoolUnknown, BirthDateImpossible,
            UnknownHousehold, OtherChild, SameChildTwice: see each.
        VersionMissing: if another request of the partner created the application a moment ago.
    """
    refuse_unknown_grade(cycle, body.grade)
    _refuse_held_grade(former, body.grade)
    refuse_impossible_age(body.child.birth_date, body.grade, school_year_of(cycle.deadline, cycle.time_zone))
    _refuse_unknown_school(session, former, body.attends)
    zones = _find_zones(session, cycle, body)
    household = _find_household(session, partner, cycle, body)
    digest = None if body.sis_id is None else sis_digest(settings, cycle, body.sis_id)
    try:
        with session.begin_nested():
            child = child_of_application(session, cycle, former, digest)
            refuse_seat_of_other_grade(child, body.grade)
            applicant = former or _new_applicant(partner, cycle, reference)
            _fill(applicant, body, child=child, zones=zones, household=household)
            if former is None:
                session.add(applicant)
                session.flush()
            changed = former is None or session.is_modified(applicant) or session.is_modified(child)
            person = session.merge(_person(applicant.id, body))
            if not changed and not session.is_modified(person):
                return applicant  # a partner may send back what it read
            applicant.version += 0 if former is None else 1
            session.flush()
    except IntegrityError:
        raise _lost_race(session, partner, cycle, reference, former) from None
    commit_facts(session, applicant, child, actor=partner.actor, basis="imported", reason="application")
    return applicant


def refuse_unknown_grade(cycle: Cycle, grade: str) -> None:
    """Refuse a grade that the cycle does not have.

    Raises:
        GradeNotOffered: if the cycle does not have the grade.
    """
    if grade not in cycle.grades:
        detail = sentence("must be a grade of this cycle: {allowed}")
        fault = Fault("/grade", "unknown-grade", detail, {"allowed": listed(cycle.grades)})
        raise GradeNotOffered(faults=[fault], grade=grade, cycle=cycle.id)


def _refuse_held_grade(former: Applicant | None, grade: str) -> None:
    if former and former.ranking_version is not None and former.grade != grade:
        raise GradeHeldByRanking


def _refuse_unknown_school(session: Session, former: Applicant | None, attends: str | None) -> None:
    if attends is None or attends.startswith(OUTSIDE) or (former and former.attends == attends):
        return
    if session.get(School, attends) is None:
        detail = sentence("names {school}, which is not a school in the directory; correct the id, or write {outside}")
        values: dict[str, str | int] = {"school": attends, "outside": f"{OUTSIDE}{attends}"}
        raise PresentSchoolUnknown(faults=[Fault("/attends", "unknown-school", detail, values)])


def refuse_seat_of_other_grade(child: Child, grade: str) -> None:
    """Refuse a grade if the child holds a seat in another grade.

    Raises:
        GradeHeldBySeat: if the child holds a seat in another grade.
    """
    if child.seat_grade not in (None, grade):
        raise GradeHeldBySeat(grade=child.seat_grade or "")


def _lost_race(
    session: Session, partner: Partner, cycle: Cycle, reference: str, former: Applicant | None
) -> VersionMissing | SameChildTwice:
    """Return the refusal of a request after another request stored a conflicting application a moment ago."""
    query = _query_application(partner, cycle=cycle.id, reference=reference).with_only_columns(Applicant.id)
    if former is None and session.execute(query).one_or_none() is not None:
        return VersionMissing()
    return SameChildTwice(cycle=cycle.id)


@dataclass(frozen=True, slots=True)
class _Zones:
    """The zones of an application, and how they were found."""

    ids: list[str]
    method: str
    vintage: str | None


def _find_zones(session: Session, cycle: Cycle, body: ApplicantIn) -> _Zones:
    points = [
        (address.point.longitude, address.point.latitude) for address in body.addresses if address.point is not None
    ]
    if not points:
        return _Zones([], "no address", None)
    found = zones_at(session, cycle.id, points, body.grade)
    method = "no zone" if not found.zones else "border" if found.on_border else "point"
    return _Zones(list(found.zones), method, found.vintage)


def _find_household(session: Session, partner: Partner, cycle: Cycle, body: ApplicantIn) -> Household | None:
    if body.household_code is not None:
        return _household_with_code(session, cycle, body.household_code)
    if body.household is None:
        return None
    own = select(Household).where(
        Household.cycle_id == cycle.id, Household.partner_id == partner.id, Household.reference == body.household
    )
    return session.scalars(own).one()


def _household_with_code(session: Session, cycle: Cycle, code: str) -> Household:
    household = session.scalars(
        select(Household).where(Household.cycle_id == cycle.id, Household.code == code)
    ).one_or_none()
    if household is None:
        fault = Fault("/household_code", "unknown-code", sentence("does not match a household in this cycle"))
        raise UnknownHousehold(faults=[fault])
    return household


def _new_applicant(partner: Partner, cycle: Cycle, reference: str) -> Applicant:
    return Applicant(id=uuid.uuid4(), cycle_id=cycle.id, partner_id=partner.id, reference=reference, version=1)


def _fill(applicant: Applicant, body: ApplicantIn, *, child: Child, zones: _Zones, household: Household | None) -> None:
    applicant.child_id = child.id
    applicant.grade, applicant.attends, applicant.together = body.grade, body.attends, body.together
    applicant.household_id = household.id if household else None
    applicant.zones, applicant.zone_method, applicant.zone_vintage = zones.ids, zones.method, zones.vintage
    applicant.language = body.language
    applicant.facts_salt = applicant.facts_salt or b""
    applicant.withdrawn_at = None


def _person(applicant_id: uuid.UUID, body: ApplicantIn) -> Person:
    return Person(
        applicant_id=applicant_id,
        given_name=body.child.given_name,
        family_name=body.child.family_name,
        birth_date=body.child.birth_date,
        guardians=[guardian.model_dump(mode="json") for guardian in body.guardians],
        addresses=[address.model_dump(mode="json") for address in body.addresses],
    )
