"""Applications: one child in one cycle, its tag fixed at the first contact, its settled facts told to the log."""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import cast

import rfc8785
from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.applicants.family_locks import TAG_BYTES, Bringing
from enrollment.applicants.models import Applicant, Child, Claim, Household, Person
from enrollment.applicants.schemas import ApplicantIn
from enrollment.applicants.sis_ids import sis_digest
from enrollment.audit.log import append
from enrollment.audit.salts import new_salt
from enrollment.cycles.models import Cycle
from enrollment.preconditions import VersionMissing
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.settings import Settings
from enrollment.zones.points import ZonesFound, zones_at
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed

OVERRIDE = "override"


class SameChildTwice(Conflict):
    """The child has a live application already."""

    title = sentence("This child has an application in this cycle already")
    detail = sentence(
        "One child has one application. To move it here, the family asks the partner that it used for a transfer code, "
        "and you send it to POST /v1/cycles/{cycle}/transfers."
    )


class GradeNotOffered(Conflict):
    """The cycle has no such grade."""

    title = sentence("The grade is not offered in this cycle")
    detail = sentence("{grade} is none of its grades; GET /v1/cycles/{cycle} lists them.")


class GradeHeldByRanking(Conflict):
    """The ranking in force is of the former grade."""

    title = sentence("The grade cannot change while a ranking is in force")
    detail = sentence("Withdraw the ranking first; its programs are of another grade.")


class GradeHeldBySeat(Conflict):
    """The child holds a seat of the former grade."""

    title = sentence("The grade cannot change while the child holds a seat")
    detail = sentence("Decline the seat first; it is of the grade {grade}.")


class OtherChild(Conflict):
    """The application is of a child with another SIS id."""

    title = sentence("An application keeps its child")
    detail = sentence(
        "What was approved and ranked here is of the child that it was made for. Bring this one under a reference of "
        "yours that is new; if its sis_id was wrong before, withdraw this application too."
    )


class UnknownHousehold(Conflict):
    """No household has that code."""

    title = sentence("No household has that code")
    detail = sentence("Ask the other guardian for the household_code that their partner shows.")


def find_applicant(session: Session, partner: Partner, *, cycle: str, reference: str) -> Applicant:
    """Return a partner's live application, to be read.

    Raises:
        NotFound: if the partner brought none of that reference, or it was withdrawn.
    """
    found = session.scalars(_application(partner, cycle=cycle, reference=reference)).one_or_none()
    if found is None or found.withdrawn_at is not None:
        raise NotFound
    return found


def _application(partner: Partner, *, cycle: str, reference: str) -> Select[Applicant]:
    return select(Applicant).where(
        Applicant.cycle_id == cycle, Applicant.partner_id == partner.id, Applicant.reference == reference
    )


def lock_applicant(session: Session, partner: Partner, *, cycle: str, reference: str) -> Applicant | None:
    """Return a partner's application, withdrawn or not, locked with its child; None if there is none."""
    return lock_application(session, _application(partner, cycle=cycle, reference=reference))


def lock_application(session: Session, asked: Select[Applicant]) -> Applicant | None:
    """Return the application that a query asks for, locked after its child; None if there is none.

    The child comes first, because whoever acts on anything of a child's holds the child (docs/explanation/locks.md).
    """
    return session.scalars(
        asked.join(Child, Child.id == Applicant.child_id)
        .with_for_update(key_share=True, of=[Child, Applicant])
        .execution_options(populate_existing=True)
    ).one_or_none()


def bringing(settings: Settings, cycle: Cycle, reference: str, body: ApplicantIn) -> Bringing:
    """Return what an application needs locked.

    Raises:
        SisSecretMissing: if its SIS id cannot be looked up.
    """
    return Bringing(
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
    found: Applicant | None,
    settings: Settings,
) -> Applicant:
    """Make or change an application, and commit to its settled facts in the log.

    Args:
        session: a transaction that holds the cycle open, and the family (`lock_families`).
        partner: who brings it.
        cycle: where.
        reference: the partner's own.
        body: all of it.
        found: what `lock_applicant` found.
        settings: keys the digest of a SIS id.

    Raises:
        GradeNotOffered, GradeHeldByRanking, GradeHeldBySeat, UnknownHousehold, OtherChild, SameChildTwice: as they say.
        VersionMissing: if another request of the partner made the application a moment ago.
    """
    if body.grade not in cycle.grades:
        raise GradeNotOffered(
            faults=[Fault("/grade", "unknown-grade", sentence("is no grade of this cycle"))],
            grade=body.grade,
            cycle=cycle.id,
        )
    if found and found.ranking_version is not None and found.grade != body.grade:
        raise GradeHeldByRanking
    zones = _zones(session, cycle, body)
    household = _household(session, partner, cycle, body)
    digest = None if body.sis_id is None else sis_digest(settings, cycle, body.sis_id)
    try:
        with session.begin_nested():
            child = _child(session, cycle, found, digest)
            _refuse_same_child_twice(session, cycle, child, found)
            if child.seat_grade not in (None, body.grade):
                raise GradeHeldBySeat(grade=child.seat_grade or "")
            applicant = found or Applicant(
                id=uuid.uuid4(), cycle_id=cycle.id, partner_id=partner.id, reference=reference, version=0
            )
            _fill(applicant, body, child=child, zones=zones, household=household)
            session.add(applicant)
            session.flush()
            session.merge(_person(applicant.id, body))
    except IntegrityError:
        if found is None and _own_application(session, partner, cycle.id, reference) is not None:
            # Another request of this partner made this application a moment ago.
            raise VersionMissing from None
        # Another application of the same child was first, perhaps a moment ago, by another partner.
        raise SameChildTwice(cycle=cycle.id) from None
    commit_facts(session, applicant, child, actor=partner.actor, basis="imported", reason="application")
    return applicant


def _own_application(session: Session, partner: Partner, cycle: str, reference: str) -> uuid.UUID | None:
    """Return the id of a partner's application, also of one that was withdrawn."""
    return session.scalars(
        select(Applicant.id).where(
            Applicant.cycle_id == cycle, Applicant.partner_id == partner.id, Applicant.reference == reference
        )
    ).one_or_none()


def _child(session: Session, cycle: Cycle, found: Applicant | None, digest: bytes | None) -> Child:
    """Return the child: the one of this application, or of the SIS id, or a new one with a new tag."""
    if found is not None:
        own = session.get_one(Child, found.child_id)
        if digest is not None and own.sis_digest not in (None, digest):
            # Its ranking is in the log under this child's tag, and its claims were approved for this child.
            raise OtherChild(faults=[Fault("/sis_id", "other-child", sentence("is another child's than before"))])
        own.sis_digest = own.sis_digest or digest
        return own
    if digest is not None:
        return _locked_child(session, cycle, digest)
    child = Child(id=uuid.uuid4(), cycle_id=cycle.id, tag=secrets.token_bytes(TAG_BYTES), sis_digest=digest)
    session.add(child)
    session.flush()
    return child


def _refuse_same_child_twice(session: Session, cycle: Cycle, child: Child, found: Applicant | None) -> None:
    own = found.id if found else None
    live = select(Applicant.id).where(Applicant.child_id == child.id, Applicant.withdrawn_at.is_(None))
    if session.execute(live.where(Applicant.id.is_distinct_from(own))).first() is not None:
        raise SameChildTwice(cycle=cycle.id)


def _locked_child(session: Session, cycle: Cycle, digest: bytes) -> Child:
    """Return the child of a SIS id, which `lock_families` locked or made.

    Where another request made it a moment ago, it is not waited for: that request is about the same child.
    """
    child = session.scalars(
        select(Child)
        .where(Child.cycle_id == cycle.id, Child.sis_digest == digest)
        .with_for_update(key_share=True, skip_locked=True)
    ).one_or_none()
    if child is None:
        raise SameChildTwice(cycle=cycle.id)
    return child


def _fill(
    applicant: Applicant,
    body: ApplicantIn,
    *,
    child: Child,
    zones: tuple[list[str], str, str | None],
    household: Household | None,
) -> None:
    applicant.child_id = child.id
    applicant.grade, applicant.attends, applicant.together = body.grade, body.attends, body.together
    applicant.household_id = household.id if household else None
    applicant.zones, applicant.zone_method, applicant.zone_vintage = zones
    applicant.language = body.language
    applicant.facts_salt = applicant.facts_salt or b""
    applicant.withdrawn_at = None
    applicant.version += 1


def _person(applicant_id: uuid.UUID, body: ApplicantIn) -> Person:
    return Person(
        applicant_id=applicant_id,
        given_name=body.child.given_name,
        family_name=body.child.family_name,
        birth_date=body.child.birth_date,
        guardians=[guardian.model_dump(mode="json") for guardian in body.guardians],
        addresses=[address.model_dump(mode="json") for address in body.addresses],
    )


def _zones(session: Session, cycle: Cycle, body: ApplicantIn) -> tuple[list[str], str, str | None]:
    points = [
        (address.point.longitude, address.point.latitude) for address in body.addresses if address.point is not None
    ]
    if not points:
        return [], "no address", None
    found: ZonesFound = zones_at(session, cycle.id, points, body.grade)
    method = "no zone" if not found.zones else "border" if found.on_border else "point"
    return list(found.zones), method, found.vintage


def _household(session: Session, partner: Partner, cycle: Cycle, body: ApplicantIn) -> Household | None:
    if body.household_code is not None:
        found = session.scalars(
            select(Household).where(Household.cycle_id == cycle.id, Household.code == body.household_code)
        ).one_or_none()
        if found is None:
            raise UnknownHousehold(
                faults=[Fault("/household_code", "unknown-code", sentence("is no household's code"))]
            )
        return found
    if body.household is None:
        return None
    own = select(Household).where(
        Household.cycle_id == cycle.id, Household.partner_id == partner.id, Household.reference == body.household
    )
    return session.scalars(own).one()


def settled_facts(session: Session, applicant: Applicant) -> dict[str, Json]:
    """Return what a match may read of an applicant, in market form: only approved claims count."""
    flags: list[str] = []
    at: dict[str, list[str]] = {}
    claims = session.execute(
        select(Claim.fact, Claim.school_id)
        .where(Claim.applicant_id == applicant.id, Claim.status == "approved")
        .order_by(Claim.fact, Claim.school_id)
    )
    for fact, school in claims:
        (flags if school is None else at.setdefault(school, [])).append(fact)
    household = session.get(Household, applicant.household_id) if applicant.household_id else None
    return {
        "at": at,
        "attends": applicant.attends,
        "flags": flags,
        "grade": applicant.grade,
        "household": household.ticket if household else None,
        "together": applicant.together,
        "zones": sorted(applicant.zones),
    }


def commit_facts(session: Session, applicant: Applicant, child: Child, *, actor: str, basis: str, reason: str) -> None:
    """Append a commitment to an applicant's settled facts, under a fresh salt."""
    salt = new_salt()
    applicant.facts_salt = salt
    session.flush()
    facts = rfc8785.dumps(cast("dict[str, object]", settled_facts(session, applicant)))  # type: ignore[arg-type]
    append(
        session,
        "facts.set",
        cycle=applicant.cycle_id,
        actor=actor,
        reason=reason,
        fields={"tag": child.tag.hex(), "commit": keyed(salt, "facts", facts).hex(), "basis": basis},
    )


def override_zones(
    session: Session,
    cycle: str,
    ticket: str,
    zones: Sequence[str],
    *,
    known: Mapping[str, bool],
    actor: str,
    reason: str,
) -> Applicant:
    """Set a child's zones against its point's, with a reason.

    Raises:
        NotFound: if the cycle has no live application of that ticket.
        UnknownZones: naming those that the cycle does not have.
    """
    found = session.execute(
        select(Applicant, Child)
        .join(Child, Child.id == Applicant.child_id)
        .where(
            Applicant.cycle_id == cycle,
            func.encode(Child.tag, "hex") == ticket,
            Applicant.withdrawn_at.is_(None),
        )
        .with_for_update(key_share=True, of=[Child, Applicant])
    ).one_or_none()
    if found is None:
        raise NotFound
    faults = [
        Fault(f"/zones/{place}", "unknown-zone", sentence("{zone} is no zone of this cycle"), {"zone": zone})
        for place, zone in enumerate(zones)
        if zone not in known
    ]
    if faults:
        raise UnknownZones(faults=faults, cycle=cycle)
    applicant, child = found
    applicant.zones, applicant.zone_method = sorted(set(zones)), OVERRIDE
    applicant.version += 1
    commit_facts(session, applicant, child, actor=actor, basis="override", reason=reason)
    return applicant


class UnknownZones(Conflict):
    """Zones that the cycle does not have."""

    title = sentence("The cycle has no such zones")
    detail = sentence("GET /v1/cycles/{cycle}/zones lists those that it has.")
