"""Take part, or leave: by grade, under the agreement in force, until the freeze of the main round."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.audit.log import append
from enrollment.cycles.service import Held
from enrollment.database import clock
from enrollment.problems import Conflict, Fault, sentence
from enrollment.schools.models import Offering, Participation, ParticipationVersion, Program
from enrollment.schools.rules import RulesPart, Seats
from enrollment.schools.rules_store import (
    ReasonNeeded,
    Subject,
    hold_rules,
    part_of,
    said_now,
    save_rules,
    settle,
)
from enrollment.schools.school_schemas import GradeSaid, ParticipationBody


class AgreementStale(Conflict):
    """Another version of the agreement is in force."""

    title = sentence("Another version of the agreement is in force")
    detail = sentence("Read version {version}, and send it as agreement if the school accepts it.")


class GradesRefused(Conflict):
    """Grades that the school or the cycle does not have."""

    title = sentence("The school cannot take part with these grades")
    detail = sentence("Correct what is listed and send it again; nothing was stored.")


def version_of_participation(session: Session, cycle: str, school: str) -> int:
    """Return how often it was put; 0: never."""
    found = session.get(ParticipationVersion, (cycle, school))
    return found.version if found else 0


def put_participation(
    session: Session, held: Held, school: str, body: ParticipationBody, *, actor: str, staff: str
) -> None:
    """Store how a school takes part, its programs' seats and rules, and tell the log.

    Args:
        session: a transaction that holds the cycle.
        held: the cycle and the time.
        school: the school's id.
        body: what it says.
        actor: how the log names who says it.
        staff: the account.

    Raises:
        AgreementStale, GradesRefused, ReasonNeeded: as they say.
    """
    cycle = held.cycle
    hold_rules(session, cycle.id)
    if body.status == "in" and body.agreement != cycle.agreement_version:
        raise AgreementStale(version=cycle.agreement_version)
    if body.status == "out" and held.has_opened and body.reason is None:
        raise ReasonNeeded
    programs = session.scalars(select(Program).where(Program.school_id == school).order_by(Program.id)).all()
    grades = _grades(cycle.grades, programs, body)
    chosen = [program for program in programs if program.grade in {said.grade for said in grades}]
    _write(session, held, school, body, grades=grades, programs=chosen, actor=actor)
    append(
        session,
        "participation.set",
        cycle=cycle.id,
        actor=actor,
        reason=body.reason,
        fields={
            "school": school,
            "grades": [said.grade for said in grades],
            "status": body.status,
            "agreement": cycle.agreement_version,
        },
    )
    if body.status == "in":
        _commit_seats(session, held, grades, chosen, actor=actor, staff=staff)


def _grades(offered: Sequence[str], programs: Sequence[Program], body: ParticipationBody) -> list[GradeSaid]:
    had = {program.grade for program in programs}
    if body.grades is None:
        said = [GradeSaid(grade=grade) for grade in offered if grade in had]
        if not said:
            raise GradesRefused(
                faults=[Fault("/grades", "no-programs", sentence("the school has no program at a grade of the cycle"))]
            )
        return said
    faults = []
    for place, one in enumerate(body.grades):
        at, values = f"/grades/{place}/grade", {"grade": one.grade}
        if one.grade not in offered:
            faults.append(Fault(at, "unknown-grade", sentence("{grade} is no grade of this cycle"), values))
        elif one.grade not in had:
            faults.append(Fault(at, "no-program", sentence("the school has no program at {grade}"), values))
        if one.grade in [other.grade for other in body.grades[:place]]:
            faults.append(Fault(at, "named-twice", sentence("{grade} stands there already"), values))
        if one.seats is not None and sum(program.grade == one.grade for program in programs) > 1:
            detail = sentence("{grade} has several programs; put the seats of each into its rules")
            faults.append(Fault(f"/grades/{place}/seats", "several-programs", detail, values))
    if faults:
        raise GradesRefused(faults=faults)
    return body.grades


def _write(
    session: Session,
    held: Held,
    school: str,
    body: ParticipationBody,
    *,
    grades: Sequence[GradeSaid],
    programs: Sequence[Program],
    actor: str,
) -> None:
    cycle, now = held.cycle, clock(session)
    same = {"status": body.status, "reason": body.reason}
    for said in grades:
        told = {**same, "agreement_version": cycle.agreement_version, "actor": actor, "at": now}
        session.execute(
            insert(Participation)
            .values(cycle_id=cycle.id, school_id=school, grade=said.grade, **told)
            .on_conflict_do_update(index_elements=["cycle_id", "school_id", "grade"], set_=told)
        )
    for program in programs:
        session.execute(
            insert(Offering)
            .values(cycle_id=cycle.id, program_id=program.id, school_id=school, grade=program.grade, **same)
            .on_conflict_do_update(index_elements=["cycle_id", "program_id"], set_=same)
        )
    session.execute(
        insert(ParticipationVersion)
        .values(cycle_id=cycle.id, school_id=school, version=1)
        .on_conflict_do_update(
            index_elements=["cycle_id", "school_id"], set_={"version": ParticipationVersion.version + 1}
        )
    )
    session.expire_all()


def _commit_seats(
    session: Session, held: Held, grades: Sequence[GradeSaid], programs: Sequence[Program], *, actor: str, staff: str
) -> None:
    """Put the seats that came with a grade into the program's own rules, and every program's rules in force."""
    seats = {said.grade: said.seats for said in grades}
    for program in programs:
        wanted = seats[program.grade]
        if wanted is not None:
            subject = Subject(held.cycle.id, "program", program.id)
            former = said_now(session, subject)
            said = (part_of(former.said) if former else RulesPart()).model_copy(update={"seats": Seats(match=wanted)})
            reason = "seats committed by taking part"
            save_rules(session, held, subject, said, actor=actor, staff=staff, reason=reason)
    settle(session, held.cycle, programs, actor=actor, reason=None, approved_by=None)
