"""The directory: make and change operators, schools, programs."""

from sqlalchemy import Select, exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.database import clock
from enrollment.directory.inputs import (
    OperatorChangeIn,
    OperatorIn,
    ProgramChangeIn,
    ProgramIn,
    SchoolChangeIn,
    SchoolIn,
)
from enrollment.directory.models import Offering, Operator, Program, School
from enrollment.problems import Conflict, Fault, NotFound, sentence


class DirectoryConflict(Conflict):
    """An id or a number that is taken, or one that names nothing."""

    title = sentence("The directory does not allow this")
    detail = sentence("Correct what is listed and ask again; nothing was stored.")


class ProgramOffered(Conflict):
    """A program that was offered keeps its school, grade and track."""

    title = sentence("The program was offered already")
    detail = sentence(
        "Families may have ranked {program}, so its school, grade and track stay. Make another program in its place."
    )


class OperatorFixed(Conflict):
    """A school that is in a cycle keeps its operator, from which its rules come."""

    title = sentence("The school takes part under its operator's rules")
    detail = sentence("Leave the operator of {school} as it is until {cycle} is over.")


def make_operator(session: Session, body: OperatorIn) -> Operator:
    """Make an operator.

    Raises:
        DirectoryConflict: if there is one of that id.
    """
    row = {"id": body.id, "name": body.name}
    made = session.scalars(insert(Operator).values(row).on_conflict_do_nothing().returning(Operator)).one_or_none()
    if made is None:
        raise DirectoryConflict(faults=[_taken(body.id)])
    return made


def lock_operator(session: Session, operator_id: str) -> Operator:
    """Return an operator, locked for a change.

    Raises:
        NotFound: if there is none.
    """
    operator = session.get(Operator, operator_id, with_for_update={"key_share": True})
    if operator is None:
        raise NotFound
    return operator


def change_operator(session: Session, operator: Operator, body: OperatorChangeIn) -> None:
    """Change an operator's name."""
    operator.name = body.name
    operator.version += 1
    session.flush()


def make_school(session: Session, body: SchoolIn) -> School:
    """Make a school.

    Raises:
        DirectoryConflict: if its id or its NCES id is taken, or there is no such operator.
    """
    _refuse_unknown_operator(session, body.operator)
    row = {"id": body.id, **_school_columns(body)}
    made = session.scalars(insert(School).values(row).on_conflict_do_nothing().returning(School)).one_or_none()
    if made is None:
        raise DirectoryConflict(faults=[_taken(body.id) if session.get(School, body.id) else _nces_taken()])
    return made


def lock_school(session: Session, school_id: str) -> School:
    """Return a school, locked for a change.

    Raises:
        NotFound: if there is none.
    """
    school = session.get(School, school_id, with_for_update={"key_share": True})
    if school is None:
        raise NotFound
    return school


def change_school(session: Session, school: School, body: SchoolChangeIn) -> None:
    """Change a school; its operator only while no cycle is under way in which it was offered.

    Raises:
        DirectoryConflict: if its NCES id is taken, or there is no such operator.
        OperatorFixed: if its rules come from its operator just now.
    """
    _refuse_taken_nces_id(session, school, body.nces_id)
    if body.operator != school.operator_id:
        _refuse_unknown_operator(session, body.operator)
        _refuse_operator_change(session, school)
    if body.nces_id is not None and session.scalar(_with_nces(body.nces_id, but=school.id)) is not None:
        raise DirectoryConflict(faults=[_nces_taken()])
    for name, value in _school_columns(body).items():
        setattr(school, name, value)
    school.version += 1
    try:
        with session.begin_nested():
            session.flush()
    except IntegrityError:
        raise DirectoryConflict(faults=[_nces_taken()]) from None


def _with_nces(nces_id: str, *, but: str) -> Select[str]:
    return select(School.id).where(School.nces_id == nces_id, School.id != but)


def make_program(session: Session, body: ProgramIn) -> Program:
    """Make a program.

    Raises:
        DirectoryConflict: if its id is taken, or there is no such school.
    """
    _refuse_unknown_school(session, body.school)
    row = {"id": body.id, **_program_columns(body)}
    made = session.scalars(insert(Program).values(row).on_conflict_do_nothing().returning(Program)).one_or_none()
    if made is None:
        raise DirectoryConflict(faults=[_taken(body.id)])
    return made


def lock_program(session: Session, program_id: str) -> Program:
    """Return a program, locked for a change.

    Raises:
        NotFound: if there is none.
    """
    program = session.get(Program, program_id, with_for_update={"key_share": True})
    if program is None:
        raise NotFound
    return program


def change_program(session: Session, program: Program, body: ProgramChangeIn) -> None:
    """Change a program; all but its name only until it is offered.

    Raises:
        DirectoryConflict: if there is no such school.
        ProgramOffered: if it was offered in any cycle.
    """
    columns = _program_columns(body)
    if any(getattr(program, name) != columns[name] for name in ("school_id", "grade", "track")):
        _refuse_unknown_school(session, body.school)
        if session.execute(select(exists().where(Offering.program_id == program.id))).scalar_one():
            raise ProgramOffered(program=program.id)
    for name, value in columns.items():
        setattr(program, name, value)
    program.version += 1
    session.flush()


def _school_columns(body: SchoolChangeIn) -> dict[str, str | float | None]:
    return {
        "operator_id": body.operator,
        "name": body.name,
        "sector": body.sector,
        "nces_id": body.nces_id,
        "longitude": None if body.point is None else body.point.longitude,
        "latitude": None if body.point is None else body.point.latitude,
    }


def _program_columns(body: ProgramChangeIn) -> dict[str, str | None]:
    return {"school_id": body.school, "grade": body.grade, "track": body.track, "name": body.name}


def _refuse_operator_change(session: Session, school: School) -> None:
    """Refuse while a cycle is under way in which the school was offered: main round to come, or later ones."""
    under_way = or_(Cycle.main_round.is_(None), Cycle.running_round.is_not(None), Cycle.backfill_until > clock(session))
    cycle = session.scalars(
        select(Cycle.id)
        .join(Offering, Offering.cycle_id == Cycle.id)
        .where(Offering.school_id == school.id, under_way)
        .order_by(Cycle.id)
        .limit(1)
    ).one_or_none()
    if cycle is not None:
        raise OperatorFixed(school=school.id, cycle=cycle)


def _refuse_taken_nces_id(session: Session, school: School, nces_id: str | None) -> None:
    """Look before writing: two schools that exchange their ids at once would wait for each other for ever."""
    if nces_id is None or nces_id == school.nces_id:
        return
    if session.scalar(select(School.id).where(School.nces_id == nces_id)) is not None:
        raise DirectoryConflict(faults=[_nces_taken()])


def _refuse_unknown_operator(session: Session, operator: str) -> None:
    if session.get(Operator, operator) is None:
        detail = sentence("there is no operator {id}; make it first, or correct the id")
        raise DirectoryConflict(faults=[Fault("/operator", "unknown-operator", detail, {"id": operator})])


def _refuse_unknown_school(session: Session, school: str) -> None:
    if session.get(School, school) is None:
        detail = sentence("there is no school {id}; make it first, or correct the id")
        raise DirectoryConflict(faults=[Fault("/school", "unknown-school", detail, {"id": school})])


def _taken(taken: str) -> Fault:
    return Fault("/id", "id-taken", sentence("{id} is there already; choose another id, or change it"), {"id": taken})


def _nces_taken() -> Fault:
    return Fault("/nces_id", "nces-id-taken", sentence("another school has this NCES id; correct one of them"))
