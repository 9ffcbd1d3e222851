"""The directory over HTTP: anybody reads it, administrators write it."""

from typing import Annotated

from fastapi import APIRouter, Path, Response, status
from sqlalchemy import select

from enrollment.access.guards import Administers
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.database import InTransaction
from enrollment.directory import changes as directory
from enrollment.directory.models import Operator, Program, School
from enrollment.directory.schemas import (
    OperatorChangeIn,
    OperatorIn,
    OperatorOut,
    ProgramChangeIn,
    ProgramIn,
    ProgramOut,
    SchoolChangeIn,
    SchoolIn,
    SchoolOut,
)
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.preconditions import IfMatch, refuse_stale, show_version
from enrollment.problems import NotFound

router = APIRouter(route_class=IdempotentRoute, tags=["directory"])


@router.get("/v1/operators")
def list_operators(session: InTransaction, paging: Paging) -> Page[OperatorOut]:
    """List the operators."""
    return paging.read(session, select(Operator), by=[Operator.id]).show(_operator_shown)


@router.post("/v1/operators", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def add_operator(session: InTransaction, _: Administers, response: Response, body: OperatorIn) -> OperatorOut:
    """Make an operator; its schools inherit what it says of their rules."""
    operator = directory.make_operator(session, body)
    response.headers["Location"] = f"/v1/operators/{operator.id}"
    show_version(response, operator.version)
    return _operator_shown(operator)


@router.get("/v1/operators/{operator}")
def read_operator(session: InTransaction, response: Response, operator: Annotated[Id, Path()]) -> OperatorOut:
    """Read an operator."""
    found = session.get(Operator, operator)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _operator_shown(found)


@router.put("/v1/operators/{operator}")
def put_operator(
    session: InTransaction,
    _: Administers,
    response: Response,
    operator: Annotated[Id, Path()],
    body: OperatorChangeIn,
    if_match: IfMatch = None,
) -> OperatorOut:
    """Change an operator's name."""
    found = directory.lock_operator(session, operator)
    refuse_stale(if_match, found.version)
    directory.change_operator(session, found, body)
    show_version(response, found.version)
    return _operator_shown(found)


@router.get("/v1/schools")
def list_schools(session: InTransaction, paging: Paging) -> Page[SchoolOut]:
    """List the schools, whether they take part in a cycle or not."""
    return paging.read(session, select(School), by=[School.id]).show(_school_shown)


@router.post("/v1/schools", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def add_school(session: InTransaction, _: Administers, response: Response, body: SchoolIn) -> SchoolOut:
    """Make a school; it takes part in a cycle when it says so itself."""
    school = directory.make_school(session, body)
    response.headers["Location"] = f"/v1/schools/{school.id}"
    show_version(response, school.version)
    return _school_shown(school)


@router.get("/v1/schools/{school}")
def read_school(session: InTransaction, response: Response, school: Annotated[Id, Path()]) -> SchoolOut:
    """Read a school."""
    found = session.get(School, school)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _school_shown(found)


@router.put("/v1/schools/{school}")
def put_school(
    session: InTransaction,
    _: Administers,
    response: Response,
    school: Annotated[Id, Path()],
    body: SchoolChangeIn,
    if_match: IfMatch = None,
) -> SchoolOut:
    """Change a school; send all of it. Its operator stays while a cycle is under way in which it was offered."""
    found = directory.lock_school(session, school)
    refuse_stale(if_match, found.version)
    directory.change_school(session, found, body)
    show_version(response, found.version)
    return _school_shown(found)


@router.get("/v1/programs")
def list_programs(session: InTransaction, paging: Paging) -> Page[ProgramOut]:
    """List the programs, whether they are offered in a cycle or not."""
    return paging.read(session, select(Program), by=[Program.id]).show(_program_shown)


@router.post("/v1/programs", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def add_program(session: InTransaction, _: Administers, response: Response, body: ProgramIn) -> ProgramOut:
    """Make a program: one school's seats at one grade and track."""
    program = directory.make_program(session, body)
    response.headers["Location"] = f"/v1/programs/{program.id}"
    show_version(response, program.version)
    return _program_shown(program)


@router.get("/v1/programs/{program}")
def read_program(session: InTransaction, response: Response, program: Annotated[Id, Path()]) -> ProgramOut:
    """Read a program."""
    found = session.get(Program, program)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _program_shown(found)


@router.put("/v1/programs/{program}")
def put_program(
    session: InTransaction,
    _: Administers,
    response: Response,
    program: Annotated[Id, Path()],
    body: ProgramChangeIn,
    if_match: IfMatch = None,
) -> ProgramOut:
    """Change a program; send all of it. School, grade and track stay once it was offered."""
    found = directory.lock_program(session, program)
    refuse_stale(if_match, found.version)
    directory.change_program(session, found, body)
    show_version(response, found.version)
    return _program_shown(found)


def _operator_shown(operator: Operator) -> OperatorOut:
    return OperatorOut(id=operator.id, name=operator.name)


def _school_shown(school: School) -> SchoolOut:
    return SchoolOut(
        id=school.id,
        operator=school.operator_id,
        name=school.name,
        sector=school.sector,
        nces_id=school.nces_id,
        point=directory.point_of(school),
    )


def _program_shown(program: Program) -> ProgramOut:
    return ProgramOut(
        id=program.id, school=program.school_id, grade=program.grade, track=program.track, name=program.name
    )
