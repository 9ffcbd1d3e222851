"""Add and change operators, schools and programs."""

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
    """An id is taken or unknown."""

    title = sentence("Directory conflict")
    detail = sentence("Correct every listed fault and try again. Nothing was stored.")


class ProgramOffered(Conflict):
    """A cycle offers the program already, so its school, grade and track cannot change."""

    title = sentence("Program already offered")
    detail = sentence(
        "Families may have ranked {program}, so its school, grade and track cannot change. Add a new program instead."
    )


class OperatorFixed(Conflict):
    """A cycle uses the rules of the school's operator, so the operator cannot change."""

    title = sentence("Operator cannot change during a cycle")
    detail = sentence(
        "Cycle {cycle} uses the rules of the operator of {school}. Change the operator after the cycle ends."
    )


def make_operator(session: Session, body: OperatorIn) -> Operator:
    """Add an operator.

    Raises:
        DirectoryConflict: if the id is taken.
    """
    row = {"id": body.id, "name": body.name}
    made = session.scalars(insert(Operator).values(row).on_conflict_do_nothing().returning(Operator)).one_or_none()
    if made is None:
        raise DirectoryConflict(faults=[_taken(body.id)])
    return made


def lock_operator(session: Session, operator_id: str) -> Operator:
    """Lock an operator for a change and return it.

    Raises:
        NotFound: if the id does not exist.
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
    """Add a school.

    Raises:
        DirectoryConflict: if the id or the NCES id is taken, or the operator does not exist.
    """
    _refuse_unknown_operator(session, body.operator)
    row = {"id": body.id, **_school_columns(body)}
    made = session.scalars(insert(School).values(row).on_conflict_do_nothing().returning(School)).one_or_none()
    if made is None:
        raise DirectoryConflict(faults=[_taken(body.id) if session.get(School, body.id) else _nces_taken()])
    return made


def lock_school(session: Session, school_id: str) -> School:
    """Lock a school for a change and return it.

    Raises:
        NotFound: if the id does not exist.
    """
    school = session.get(School, school_id, with_for_update={"key_share": True})
    if school is None:
        raise NotFound
    return school


def change_school(session: Session, school: School, body: SchoolChangeIn) -> None:
    """Change a school. Its operator can change only while no current cycle offers the school.

    Raises:
        DirectoryConflict: if the NCES id is taken, or the operator does not exist.
        OperatorFixed: if a current cycle uses the operator's rules.
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
    """Add a program.

    Raises:
        DirectoryConflict: if the id is taken, or the school does not exist.
    """
    _refuse_unknown_school(session, body.school)
    row = {"id": body.id, **_program_columns(body)}
    made = session.scalars(insert(Program).values(row).on_conflict_do_nothing().returning(Program)).one_or_none()
    if made is None:
        raise DirectoryConflict(faults=[_taken(body.id)])
    return made


def lock_program(session: Session, program_id: str) -> Program:
    """Lock a program for a change and return it.

    Raises:
        NotFound: if the id does not exist.
    """
    program = session.get(Program, program_id, with_for_update={"key_share": True})
    if program is None:
        raise NotFound
    return program


def change_program(session: Session, program: Program, body: ProgramChangeIn) -> None:
    """Change a program. Only its name can change after a cycle offers the program.

    Raises:
        DirectoryConflict: if the school does not exist.
        ProgramOffered: if a cycle offers the program.
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
    """Refuse while a current cycle offers the school: its main round, or a later round, is still to come."""
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
    """Look before writing: two schools that swap their ids at once would wait for each other forever."""
    if nces_id is None or nces_id == school.nces_id:
        return
    if session.scalar(select(School.id).where(School.nces_id == nces_id)) is not None:
        raise DirectoryConflict(faults=[_nces_taken()])


def _refuse_unknown_operator(session: Session, operator: str) -> None:
    if session.get(Operator, operator) is None:
        detail = sentence("operator {id} does not exist; add it first, or correct the id")
        raise DirectoryConflict(faults=[Fault("/operator", "unknown-operator", detail, {"id": operator})])


def _refuse_unknown_school(session: Session, school: str) -> None:
    if session.get(School, school) is None:
        detail = sentence("school {id} does not exist; add it first, or correct the id")
        raise DirectoryConflict(faults=[Fault("/school", "unknown-school", detail, {"id": school})])


def _taken(taken: str) -> Fault:
    return Fault(
        "/id",
        "id-taken",
        sentence("the id {id} is taken; choose another id, or change the existing entry"),
        {"id": taken},
    )


def _nces_taken() -> Fault:
    return Fault(
        "/nces_id", "nces-id-taken", sentence("another school has this NCES id; correct the id of one of the schools")
    )
