"""Routes of the directory: everybody can read it, and administrators change it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response, status
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.guards import Administers
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.api.filters import refuse_unknown_filters
from enrollment.api.schemas.directory import (
    CheckedSchoolOut,
    OfferedGradeOut,
    OperatorOut,
    ParticipationStatus,
    ProgramInCycleOut,
    ProgramOut,
    SchoolInCycleOut,
    SchoolOut,
    SchoolWarningOut,
)
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory import changes as directory
from enrollment.directory.inputs import (
    OperatorChangeIn,
    OperatorIn,
    ProgramChangeIn,
    ProgramIn,
    SchoolChangeIn,
    SchoolIn,
    Sector,
)
from enrollment.directory.models import Offering, Operator, Program, School
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import in_language
from enrollment.paging import Page, Paging
from enrollment.participation.cycle_directory import (
    Filters,
    GradeOfSchool,
    grades_by_school,
    programs_in,
    schools_in,
    zones_by_school,
)
from enrollment.preconditions import SHOWS_ETAG, IfMatchAlways, refuse_stale, show_version
from enrollment.problems import NotFound
from enrollment.stored_values import PointOut

router = APIRouter(route_class=IdempotentRoute, tags=["directory"])


@router.get("/v1/operators")
def list_operators(session: InTransaction, paging: Paging) -> Page[OperatorOut]:
    """List the operators."""
    return paging.read(session, select(Operator), by=[Operator.id]).show(_operator_shown)


@router.post("/v1/operators", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent], openapi_extra=SHOWS_ETAG)
def create_operator(session: InTransaction, _: Administers, response: Response, body: OperatorIn) -> OperatorOut:
    """Add an operator. Its schools inherit its rules."""
    operator = directory.make_operator(session, body)
    response.headers["Location"] = f"/v1/operators/{operator.id}"
    show_version(response, operator.version)
    return _operator_shown(operator)


@router.get("/v1/operators/{operator}", openapi_extra=SHOWS_ETAG)
def read_operator(session: InTransaction, response: Response, operator: Annotated[Id, Path()]) -> OperatorOut:
    """Read an operator."""
    found = session.get(Operator, operator)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _operator_shown(found)


@router.put("/v1/operators/{operator}", openapi_extra=SHOWS_ETAG)
def put_operator(
    session: InTransaction,
    _: Administers,
    response: Response,
    operator: Annotated[Id, Path()],
    body: OperatorChangeIn,
    if_match: IfMatchAlways = None,
) -> OperatorOut:
    """Change an operator's name."""
    found = directory.lock_operator(session, operator)
    refuse_stale(if_match, found.version)
    directory.change_operator(session, found, body)
    show_version(response, found.version)
    return _operator_shown(found)


@router.get("/v1/schools")
def list_schools(session: InTransaction, paging: Paging) -> Page[SchoolOut]:
    """List all schools of the directory."""
    return paging.read(session, select(School), by=[School.id]).show(_school_shown)


@router.post("/v1/schools", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent], openapi_extra=SHOWS_ETAG)
def create_school(
    session: InTransaction, _: Administers, request: Request, response: Response, body: SchoolIn
) -> CheckedSchoolOut:
    """Add a school. The school decides later whether it takes part in a cycle."""
    school = directory.make_school(session, body)
    response.headers["Location"] = f"/v1/schools/{school.id}"
    show_version(response, school.version)
    return _checked_school_shown(session, request, school)


@router.get("/v1/schools/{school}", openapi_extra=SHOWS_ETAG)
def read_school(
    session: InTransaction, request: Request, response: Response, school: Annotated[Id, Path()]
) -> CheckedSchoolOut:
    """Read a school."""
    found = session.get(School, school)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _checked_school_shown(session, request, found)


@router.put("/v1/schools/{school}", openapi_extra=SHOWS_ETAG)
def put_school(
    session: InTransaction,
    _: Administers,
    request: Request,
    response: Response,
    *,
    school: Annotated[Id, Path()],
    body: SchoolChangeIn,
    if_match: IfMatchAlways = None,
) -> CheckedSchoolOut:
    """Change a school; send every field. The operator cannot change while a current cycle offers the school."""
    found = directory.lock_school(session, school)
    refuse_stale(if_match, found.version)
    directory.change_school(session, found, body)
    show_version(response, found.version)
    return _checked_school_shown(session, request, found)


@router.get("/v1/programs")
def list_programs(session: InTransaction, paging: Paging) -> Page[ProgramOut]:
    """List all programs of the directory."""
    return paging.read(session, select(Program), by=[Program.id]).show(_program_shown)


@router.post("/v1/programs", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent], openapi_extra=SHOWS_ETAG)
def create_program(session: InTransaction, _: Administers, response: Response, body: ProgramIn) -> ProgramOut:
    """Add a program: a school's seats at one grade and in one track."""
    program = directory.make_program(session, body)
    response.headers["Location"] = f"/v1/programs/{program.id}"
    show_version(response, program.version)
    return _program_shown(program)


@router.get("/v1/programs/{program}", openapi_extra=SHOWS_ETAG)
def read_program(session: InTransaction, response: Response, program: Annotated[Id, Path()]) -> ProgramOut:
    """Read a program."""
    found = session.get(Program, program)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _program_shown(found)


@router.put("/v1/programs/{program}", openapi_extra=SHOWS_ETAG)
def put_program(
    session: InTransaction,
    _: Administers,
    response: Response,
    program: Annotated[Id, Path()],
    body: ProgramChangeIn,
    if_match: IfMatchAlways = None,
) -> ProgramOut:
    """Change a program; send every field. School, grade and track cannot change after a cycle offers the program."""
    found = directory.lock_program(session, program)
    refuse_stale(if_match, found.version)
    directory.change_program(session, found, body)
    show_version(response, found.version)
    return _program_shown(found)


def _filters(
    grade: Annotated[Id | None, Query(description="Only this grade.")] = None,
    school: Annotated[Id | None, Query(description="Only this school.")] = None,
    sector: Annotated[Sector | None, Query(description="Only this sector.")] = None,
    zone: Annotated[
        Id | None, Query(description="Only schools that own this zone (for the grade, if you name one).")
    ] = None,
) -> Filters:
    return Filters(grade=grade, school=school, sector=sector, zone=zone)


CycleFilters = Annotated[Filters, Depends(_filters)]


@router.get("/v1/cycles/{cycle}/schools")
def list_schools_of_cycle(
    session: InTransaction, filters: CycleFilters, paging: Paging, cycle: Annotated[Id, Path()]
) -> Page[SchoolInCycleOut]:
    """List the schools with programs at the cycle's grades. Schools that do not take part are listed and marked."""
    found = read_cycle(session, cycle).cycle
    refuse_unknown_filters(session, found, filters)
    page = paging.read(session, schools_in(found, filters), by=[School.id])
    ids = [school.id for (school,) in page.rows]
    grades, zones = grades_by_school(session, found, ids), zones_by_school(session, found, ids)
    return page.show(lambda school: _school_in_cycle_shown(school, grades.get(school.id, []), zones.get(school.id, [])))


@router.get("/v1/cycles/{cycle}/programs")
def list_programs_of_cycle(
    session: InTransaction, filters: CycleFilters, paging: Paging, cycle: Annotated[Id, Path()]
) -> Page[ProgramInCycleOut]:
    """List the programs at the cycle's grades, with seats. Programs that do not take part are listed and marked."""
    found = read_cycle(session, cycle).cycle
    refuse_unknown_filters(session, found, filters)
    return paging.read(session, programs_in(found, filters), by=[Program.id]).show(_program_in_cycle_shown)


def _operator_shown(operator: Operator) -> OperatorOut:
    return OperatorOut(id=operator.id, name=operator.name)


def _school_shown(school: School) -> SchoolOut:
    return SchoolOut(
        id=school.id,
        operator=school.operator_id,
        name=school.name,
        sector=school.sector,
        nces_id=school.nces_id,
        point=_point(school),
    )


def _checked_school_shown(session: Session, request: Request, school: School) -> CheckedSchoolOut:
    say = in_language(reader_language(request))
    warnings = [
        SchoolWarningOut(pointer=fault.pointer, code=fault.code, detail=say(fault.detail, **fault.values))
        for fault in directory.school_warnings(session, school)
    ]
    return CheckedSchoolOut(**_school_shown(school).model_dump(), warnings=warnings)


def _program_shown(program: Program) -> ProgramOut:
    return ProgramOut(
        id=program.id, school=program.school_id, grade=program.grade, track=program.track, name=program.name
    )


def _school_in_cycle_shown(school: School, grades: list[GradeOfSchool], zones: list[str]) -> SchoolInCycleOut:
    return SchoolInCycleOut(
        id=school.id,
        operator=school.operator_id,
        name=school.name,
        sector=school.sector,
        nces_id=school.nces_id,
        point=_point(school),
        takes_part=any(grade.status == "in" for grade in grades),
        grades=[
            OfferedGradeOut(grade=grade.grade, status=_participation(grade.status), reason=grade.reason)
            for grade in grades
        ],
        zones=zones,
    )


def _program_in_cycle_shown(program: Program, school: School, offering: Offering | None) -> ProgramInCycleOut:
    return ProgramInCycleOut(
        id=program.id,
        school=program.school_id,
        grade=program.grade,
        track=program.track,
        name=program.name,
        school_name=school.name,
        sector=school.sector,
        takes_part=offering is not None and offering.status == "in",
        status=_participation(None if offering is None else offering.status),
        reason=None if offering is None else offering.reason,
        seats=None if offering is None else offering.seats,
        rules_version=None if offering is None else offering.rules_version,
    )


def _point(school: School) -> PointOut | None:
    if school.longitude is None or school.latitude is None:
        return None
    return PointOut(longitude=school.longitude, latitude=school.latitude)


def _participation(status: str | None) -> ParticipationStatus:
    return "undecided" if status is None else "in" if status == "in" else "out"
