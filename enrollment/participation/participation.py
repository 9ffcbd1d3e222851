"""Take part, or leave: by grade, under the agreement in force, until the freeze of the main round."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.audit.log import append
from enrollment.cycles.locks import CycleNow
from enrollment.database import clock
from enrollment.directory.models import Offering, Participation, ParticipationVersion, Program
from enrollment.directory.offerings import lock_programs
from enrollment.problems import Conflict, Fault, sentence
from enrollment.rules.in_force import (
    Act,
    RulesCannotWork,
    count_participation,
    refuse_unworkable,
    settle,
)
from enrollment.rules.levels import Subject, part_of, read_levels, said_now
from enrollment.rules.model import RulesPart, Seats
from enrollment.rules.proposals import ReasonNeeded, save_rules
from enrollment.rules.schemas import GradeInput, ParticipationIn


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


def put_participation(session: Session, held: CycleNow, school: str, body: ParticipationIn, act: Act) -> None:
    """Store how a school takes part, its programs' seats and rules, and tell the log.

    Args:
        session: a transaction that holds the cycle and its rules (`lock_rules`).
        held: the cycle and the time.
        school: the school's id.
        body: what it says.
        act: who says it.

    Raises:
        AgreementStale, GradesRefused, ReasonNeeded, RulesCannotWork: as they say.
    """
    cycle = held.cycle
    if body.status == "in" and body.agreement != cycle.agreement_version:
        raise AgreementStale(version=cycle.agreement_version)
    if body.status == "out" and held.has_opened and body.reason is None:
        raise ReasonNeeded
    programs = session.scalars(select(Program).where(Program.school_id == school).order_by(Program.id)).all()
    grades = _grades(cycle.grades, programs, body)
    chosen = [program for program in programs if program.grade in {said.grade for said in grades}]
    _write(session, held, school, body, grades=grades, programs=chosen, actor=act.actor)
    _tell(session, held, school, body, grades=grades, actor=act.actor)
    if body.status == "in":
        _commit_seats(session, held, grades, chosen, act)
        refuse_unworkable(session, cycle, chosen, read_levels(session, cycle.id, chosen))
        settle(session, cycle, chosen, act)


def _tell(
    session: Session, held: CycleNow, school: str, body: ParticipationIn, *, grades: Sequence[GradeInput], actor: str
) -> None:
    append(
        session,
        "participation.set",
        cycle=held.cycle.id,
        actor=actor,
        reason=body.reason,
        fields={
            "school": school,
            "grades": [said.grade for said in grades],
            "status": body.status,
            "agreement": held.cycle.agreement_version,
        },
    )


def _grades(offered: Sequence[str], programs: Sequence[Program], body: ParticipationIn) -> list[GradeInput]:
    had = {program.grade for program in programs}
    if body.grades is None:
        said = [GradeInput(grade=grade) for grade in offered if grade in had]
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
        if one.seats is not None and body.status == "out":
            faults.append(Fault(f"/grades/{place}/seats", "seats-of-none", sentence("goes with status in only")))
        elif one.seats is not None and sum(program.grade == one.grade for program in programs) > 1:
            detail = sentence("{grade} has several programs; put the seats of each into its rules")
            faults.append(Fault(f"/grades/{place}/seats", "several-programs", detail, values))
    if faults:
        raise GradesRefused(faults=faults)
    return body.grades


def _write(
    session: Session,
    held: CycleNow,
    school: str,
    body: ParticipationIn,
    *,
    grades: Sequence[GradeInput],
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
    lock_programs(session, cycle.id, [program.id for program in programs])
    for program in programs:
        session.execute(
            insert(Offering)
            .values(cycle_id=cycle.id, program_id=program.id, school_id=school, grade=program.grade, **same)
            .on_conflict_do_update(index_elements=["cycle_id", "program_id"], set_=same)
        )
    count_participation(session, cycle.id, school)
    session.expire_all()


def _commit_seats(
    session: Session, held: CycleNow, grades: Sequence[GradeInput], programs: Sequence[Program], act: Act
) -> None:
    """Put the seats that came with a grade into its program's own rules, unless the rules have as many already."""
    levels = read_levels(session, held.cycle.id, programs)
    reason = act.reason or "Seats committed by taking part"
    for place, said in enumerate(grades):
        for program in programs:
            now = levels.resolved(program).rules.seats
            if program.grade != said.grade or said.seats is None or (now and now.match == said.seats):
                continue
            seats = now.model_copy(update={"match": said.seats}) if now else Seats(match=said.seats)
            try:
                _save_seats(session, held, program, seats, replace(act, reason=reason))
            except RulesCannotWork as refused:
                at = f"/grades/{place}/seats"
                raise RulesCannotWork(
                    faults=[Fault(at, one.code, one.detail, one.values) for one in refused.faults]
                ) from None


def _save_seats(session: Session, held: CycleNow, program: Program, seats: Seats, act: Act) -> None:
    subject = Subject(held.cycle.id, "program", program.id)
    former = said_now(session, subject)
    said = (part_of(former.said) if former else RulesPart()).model_copy(update={"seats": seats})
    save_rules(session, held, subject, said, act)
