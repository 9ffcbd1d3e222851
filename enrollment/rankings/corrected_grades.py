"""Correct the grade of one application for an administrator, and keep its ranking as a draft."""

from dataclasses import dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from enrollment.applicants.ages import refuse_impossible_age
from enrollment.applicants.applications import refuse_seat_of_other_grade, refuse_unknown_grade
from enrollment.applicants.models import Applicant, Child, Person
from enrollment.applicants.points import points_of
from enrollment.applicants.settled_facts import commit_facts
from enrollment.applicants.zone_overrides import OVERRIDE
from enrollment.applicants.zones_again import NO_ADDRESS
from enrollment.cycles.locks import OpenCycle
from enrollment.cycles.school_years import school_year_of
from enrollment.notify.notices import NewNotice, notify
from enrollment.problems import NotFound
from enrollment.rankings.changes import withdraw_ranking
from enrollment.rankings.models import RankingVersion
from enrollment.rankings.versions import Ranker, lock_ranker_of, versions_of
from enrollment.zones.points import zones_at


@dataclass(frozen=True, slots=True)
class CorrectedGrade:
    """An application with its corrected grade."""

    ticket: str
    grade: str
    draft: int | None
    """The version of the draft that has the former ranking. None: no ranking was in force."""
    programs: list[str]


def correct_grade(
    session: Session, open_cycle: OpenCycle, ticket: str, grade: str, *, actor: str, reason: str
) -> CorrectedGrade:
    """Correct the grade of an application.

    A ranking in force has programs of the former grade, so it is withdrawn. A draft keeps it, so that the family sees
    what it had ranked. The partner is notified.

    Raises:
        NotFound: if no active application in the cycle has this ticket.
        GradeNotOffered: if the cycle does not have the grade.
        GradeHeldBySeat: if the child holds a seat in another grade.
        BirthDateImpossible: if no child with this birth date can be in the grade.
    """
    cycle = open_cycle.cycle
    ranker = _lock_ranker(session, cycle.id, ticket)
    applicant, child = session.get_one(Applicant, ranker.id), session.get_one(Child, ranker.child_id)
    if applicant.grade == grade:
        return CorrectedGrade(ticket, grade, None, [])
    person = session.get_one(Person, ranker.id)
    refuse_unknown_grade(cycle, grade)
    refuse_seat_of_other_grade(child, grade)
    refuse_impossible_age(person.birth_date, grade, school_year_of(cycle.deadline, cycle.time_zone), at="/grade")
    draft = _withdraw_to_draft(session, actor, open_cycle, ranker)
    session.refresh(applicant)
    applicant.grade = grade
    applicant.version += 1
    _find_zones(session, applicant, person)
    commit_facts(session, applicant, child, actor=actor, basis="corrected", reason=reason)
    about = {"reference": applicant.reference, "grade": grade, "draft": draft.version if draft else None}
    subject = f"{ticket} {applicant.version}"
    notify(session, [NewNotice(cycle.id, applicant.partner_id, "grade.corrected", subject, about)])
    return CorrectedGrade(ticket, grade, draft.version if draft else None, draft.programs if draft else [])


@dataclass(frozen=True, slots=True)
class _Draft:
    version: int
    programs: list[str]


def _lock_ranker(session: Session, cycle: str, ticket: str) -> Ranker:
    child = session.scalar(select(Child.id).where(Child.cycle_id == cycle, func.encode(Child.tag, "hex") == ticket))
    ranker = lock_ranker_of(session, child) if child else None
    if ranker is None:
        raise NotFound
    return ranker


def _withdraw_to_draft(session: Session, actor: str, open_cycle: OpenCycle, ranker: Ranker) -> _Draft | None:
    """Withdraw the ranking in force and keep its programs as a draft. None: no ranking is in force."""
    if ranker.in_force is None:
        return None
    in_force = session.scalars(versions_of(ranker.id).where(RankingVersion.version == ranker.in_force)).one()
    programs = list(in_force.programs)
    version = withdraw_ranking(session, actor, open_cycle, ranker).version + 1
    session.execute(
        insert(RankingVersion).values(
            applicant_id=ranker.id, version=version, kind="draft", programs=programs, actor=actor, at=open_cycle.now
        )
    )
    return _Draft(version, programs)


def _find_zones(session: Session, applicant: Applicant, person: Person) -> None:
    """Find the zones again, since zones may be for some grades only. Zones that staff set stay."""
    points = points_of(person.addresses)
    if applicant.zone_method in (OVERRIDE, NO_ADDRESS) or not points:
        return
    found = zones_at(session, applicant.cycle_id, points, applicant.grade)
    applicant.zones = list(found.zones)
    applicant.zone_method = "no zone" if not found.zones else "border" if found.on_border else "point"
    applicant.zone_vintage = found.vintage
