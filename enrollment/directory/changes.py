"""Add and change operators, schools and programs."""

from sqlalchemy import exists, or_, select
from sqlalchemy.dialects.postgresql import insert
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

MAX_NAMED = 5
"""Schools that a warning names."""


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
    if operator.name == body.name:
        return
    operator.name = body.name
    operator.version += 1
    session.flush()


def make_school(session: Session, body: SchoolIn) -> School:
    """Add a school.

    Raises:
        DirectoryConflict: if the id is taken, or the operator does not exist.
    """
    _refuse_unknown_operator(session, body.operator)
    row = {"id": body.id, **_school_columns(body)}
    made = session.scalars(insert(School).values(row).on_conflict_do_nothing().returning(School)).one_or_none()
    if made is None:
        raise DirectoryConflict(faults=[_taken(body.id)])
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
        DirectoryConflict: if the operator does not exist.
        OperatorFixed: if a current cycle uses the operator's rules.
    """
    if body.operator != school.operator_id:
        _refuse_unknown_operator(session, body.operator)
        _refuse_operator_change(session, school)
    columns = _school_columns(body)
    if all(getattr(school, name) == value for name, value in columns.items()):
        return
    for name, value in columns.items():
        setattr(school, name, value)
    school.version += 1
    session.flush()


def school_warnings(session: Session, school: School) -> list[Fault]:
    """Return what is unusual about a school: other schools have its NCES id."""
    if school.nces_id is None:
        return []
    sharing = select(School.id).where(School.nces_id == school.nces_id, School.id != school.id)
    others = session.scalars(sharing.order_by(School.id)).all()
    if not others:
        return []
    detail = sentence(
        "is also the NCES id of {schools}; if this is right, use the schools' own ids in rosters, because "
        "each school needs a different id there"
    )
    named = ", ".join(others[:MAX_NAMED]) + (", …" if len(others) > MAX_NAMED else "")
    return [Fault("/nces_id", "nces-id-shared", detail, {"schools": named})]


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
    if all(getattr(program, name) == value for name, value in columns.items()):
        return
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
