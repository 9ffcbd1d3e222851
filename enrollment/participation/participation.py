"""Let a school take part in a cycle or leave it, by grade, until the freeze of the main round."""

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
from enrollment.participation.changed_grades import changed_grades, undecided_faults
from enrollment.participation.inputs import GradeInput, ParticipationIn
from enrollment.problems import Conflict, Fault, listed, sentence
from enrollment.rules.in_force import (
    Act,
    RulesCannotWork,
    count_participation,
    refuse_unworkable,
    settle,
)
from enrollment.rules.levels import Subject, current_rules, read_levels, read_stored_rules
from enrollment.rules.model import RulesInput, SeatsInput
from enrollment.rules.proposals import ReasonNeeded, save_rules


class AgreementStale(Conflict):
    """The request names an agreement that is not in force."""

    title = sentence("Agreement out of date")
    detail = sentence(
        "The agreement in force is version {version}. Read it, and send that version if the school accepts it."
    )


class GradesRefused(Conflict):
    """The request names grades that the school or the cycle does not have."""

    title = sentence("Invalid grades")
    detail = sentence("Correct every listed grade and send the request again. Nothing was stored.")


def version_of_participation(session: Session, cycle: str, school: str) -> int:
    """Return how often a school's participation changed; 0: never."""
    found = session.get(ParticipationVersion, (cycle, school))
    return found.version if found else 0


def put_participation(session: Session, cycle_now: CycleNow, school: str, body: ParticipationIn, act: Act) -> None:
    """Store a school's participation with its programs' seats and rules, and log it.

    Args:
        session: a transaction with the cycle and its rules locked (`lock_rules`).
        cycle_now: the cycle and the time.
        school: the school's id.
        body: the school's request.
        act: the person and the reason.

    Raises:
        AgreementStale: if the school accepts another version of the agreement.
        GradesRefused: if the school or the cycle does not have a grade.
        ReasonNeeded: if the school leaves an open cycle without a reason.
        RulesCannotWork: if the rules of a program have faults.
    """
    if body.status is None:
        _put_each_grade(session, cycle_now, school, body, act)
        return
    cycle = cycle_now.cycle
    if body.status == "in" and body.agreement != cycle.agreement_version:
        raise AgreementStale(version=cycle.agreement_version)
    if body.status == "out" and cycle_now.has_opened and body.reason is None:
        raise ReasonNeeded
    programs = session.scalars(select(Program).where(Program.school_id == school).order_by(Program.id)).all()
    grades = _grades(cycle.grades, programs, body)
    names = {grade.grade for grade in grades}
    chosen = [program for program in programs if program.grade in names]
    _write(session, cycle_now, school, body, grades=grades, programs=chosen, actor=act.actor)
    _log(session, cycle_now, school, body, grades=grades, actor=act.actor)
    if body.status == "in":
        _commit_seats(session, cycle_now, grades, chosen, act)
        refuse_unworkable(session, cycle, chosen, read_levels(session, cycle.id, chosen))
        settle(session, cycle, chosen, act)


def _put_each_grade(session: Session, cycle_now: CycleNow, school: str, body: ParticipationIn, act: Act) -> None:
    """Store the grades that change, each with its own status. So a caller can edit what GET shows, and send it back."""
    cycle, grades = cycle_now.cycle.id, body.grades or []
    faults = list(undecided_faults(session, cycle, school, body))
    if faults:
        raise GradesRefused(faults=faults)
    for group in changed_grades(session, cycle, school, body):
        chosen = [grades[place] for place in group.places]
        part = body.model_copy(update={"status": group.status, "reason": group.reason, "grades": chosen})
        try:
            put_participation(session, cycle_now, school, part, replace(act, reason=group.reason))
        except (GradesRefused, RulesCannotWork) as refused:
            refused.faults = tuple(_in_whole_body(fault, group.places) for fault in refused.faults)
            raise


def _in_whole_body(fault: Fault, places: Sequence[int]) -> Fault:
    """Return a fault with its place among all grades of the body, not only among those that change."""
    match fault.pointer.split("/"):
        case ["", "grades", place, *rest]:
            return replace(fault, pointer="/".join(["", "grades", str(places[int(place)]), *rest]))
        case _:
            return fault


def _log(
    session: Session,
    cycle_now: CycleNow,
    school: str,
    body: ParticipationIn,
    *,
    grades: Sequence[GradeInput],
    actor: str,
) -> None:
    append(
        session,
        "participation.set",
        cycle=cycle_now.cycle.id,
        actor=actor,
        reason=body.reason,
        fields={
            "school": school,
            "grades": [grade.grade for grade in grades],
            "status": body.status,
            "agreement": cycle_now.cycle.agreement_version,
        },
    )


def _grades(offered: Sequence[str], programs: Sequence[Program], body: ParticipationIn) -> list[GradeInput]:
    if body.grades is None:
        own = {program.grade for program in programs}
        grades = [GradeInput(grade=grade) for grade in offered if grade in own]
        if not grades:
            detail = sentence("the school has no program at a grade of this cycle; add a program first")
            raise GradesRefused(faults=[Fault("/grades", "no-programs", detail)])
        return grades
    faults: list[Fault] = []
    for place, grade in enumerate(body.grades):
        repeated = grade.grade in [other.grade for other in body.grades[:place]]
        faults += _grade_faults(place, grade, offered, programs, repeated=repeated)
        faults += _seat_faults(place, grade, programs, body)
    if faults:
        raise GradesRefused(faults=faults)
    return body.grades


def _grade_faults(
    place: int, grade: GradeInput, offered: Sequence[str], programs: Sequence[Program], *, repeated: bool
) -> list[Fault]:
    faults = []
    at, values = f"/grades/{place}/grade", {"grade": grade.grade}
    if grade.grade not in offered:
        detail = sentence("names {grade}, but the grades of this cycle are: {allowed}")
        faults.append(Fault(at, "unknown-grade", detail, {**values, "allowed": listed(offered)}))
    elif grade.grade not in {program.grade for program in programs}:
        faults.append(Fault(at, "no-program", sentence("the school has no program at grade {grade}"), values))
    if repeated:
        detail = sentence("names grade {grade} again; name each grade once")
        faults.append(Fault(at, "named-twice", detail, values))
    return faults


def _seat_faults(place: int, grade: GradeInput, programs: Sequence[Program], body: ParticipationIn) -> list[Fault]:
    at = f"/grades/{place}/seats"
    if grade.seats is not None and body.status == "out":
        return [Fault(at, "seats-of-none", sentence("is allowed only with status in; leave the seats out"))]
    if grade.seats is not None and sum(program.grade == grade.grade for program in programs) > 1:
        detail = sentence("grade {grade} has more than one program; set the seats in the rules of each program")
        return [Fault(at, "several-programs", detail, {"grade": grade.grade})]
    return []


def _write(
    session: Session,
    cycle_now: CycleNow,
    school: str,
    body: ParticipationIn,
    *,
    grades: Sequence[GradeInput],
    programs: Sequence[Program],
    actor: str,
) -> None:
    cycle, now = cycle_now.cycle, clock(session)
    status = {"status": body.status, "reason": body.reason}
    for grade in grades:
        columns = {**status, "agreement_version": cycle.agreement_version, "actor": actor, "at": now}
        session.execute(
            insert(Participation)
            .values(cycle_id=cycle.id, school_id=school, grade=grade.grade, **columns)
            .on_conflict_do_update(index_elements=["cycle_id", "school_id", "grade"], set_=columns)
        )
    lock_programs(session, cycle.id, [program.id for program in programs])
    for program in programs:
        session.execute(
            insert(Offering)
            .values(cycle_id=cycle.id, program_id=program.id, school_id=school, grade=program.grade, **status)
            .on_conflict_do_update(index_elements=["cycle_id", "program_id"], set_=status)
        )
    count_participation(session, cycle.id, school)
    session.expire_all()


def _commit_seats(
    session: Session, cycle_now: CycleNow, grades: Sequence[GradeInput], programs: Sequence[Program], act: Act
) -> None:
    """Put the committed seats of each grade into its program's own rules, unless the rules have that number already."""
    levels = read_levels(session, cycle_now.cycle.id, programs)
    reason = act.reason or "Seats committed by taking part"
    for place, grade in enumerate(grades):
        for program in programs:
            current = levels.resolved(program).rules.seats
            if program.grade != grade.grade or grade.seats is None or (current and current.match == grade.seats):
                continue
            seats = current.model_copy(update={"match": grade.seats}) if current else SeatsInput(match=grade.seats)
            try:
                _save_seats(session, cycle_now, program, seats, replace(act, reason=reason))
            except RulesCannotWork as refused:
                at = f"/grades/{place}/seats"
                faults = [Fault(at, fault.code, fault.detail, fault.values) for fault in refused.faults]
                raise RulesCannotWork(faults=faults) from None


def _save_seats(session: Session, cycle_now: CycleNow, program: Program, seats: SeatsInput, act: Act) -> None:
    subject = Subject(cycle_now.cycle.id, "program", program.id)
    current = current_rules(session, subject)
    own = read_stored_rules(current.said) if current else RulesInput()
    save_rules(session, cycle_now, subject, own.model_copy(update={"seats": seats}), act)
