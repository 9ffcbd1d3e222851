"""The directory of a cycle over HTTP, for anybody."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from enrollment.cycles.service import read_cycle
from enrollment.database import InTransaction
from enrollment.paging import Cursor, Limit, Page, page, place_of
from enrollment.schools.cycle_directory import Filters, programs_in, schools_in, show_program, show_schools
from enrollment.schools.directory_schemas import ProgramInCycle, SchoolInCycle, Sector
from enrollment.schools.models import Program, School
from enrollment.wire import Id

router = APIRouter(tags=["directory"])


def _filters(
    grade: Annotated[Id | None, Query(description="Only at this grade.")] = None,
    school: Annotated[Id | None, Query(description="Only this school.")] = None,
    sector: Annotated[Sector | None, Query(description="Only this sector.")] = None,
    zone: Annotated[Id | None, Query(description="Only schools whose own zone it is (at the grade, if given).")] = None,
) -> Filters:
    return Filters(grade=grade, school=school, sector=sector, zone=zone)


Filtered = Annotated[Filters, Depends(_filters)]


@router.get("/v1/cycles/{cycle}/schools")
def list_schools_of_cycle(
    session: InTransaction,
    filters: Filtered,
    *,
    cycle: Annotated[Id, Path()],
    request: Request,
    response: Response,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[SchoolInCycle]:
    """List the schools with programs at the cycle's grades; one that does not take part stays, and is marked so."""
    held = read_cycle(session, cycle)
    asked = schools_in(held.cycle, filters).limit(limit + 1)
    if after := place_of(cursor):
        asked = asked.where(School.id > after)
    schools = session.scalars(asked).all()
    shown = show_schools(session, held.cycle, schools)
    return page(
        schools,
        limit=limit,
        place=lambda school: school.id,
        show=lambda school: shown[school.id],
        request=request,
        response=response,
    )


@router.get("/v1/cycles/{cycle}/programs")
def list_programs_of_cycle(
    session: InTransaction,
    filters: Filtered,
    *,
    cycle: Annotated[Id, Path()],
    request: Request,
    response: Response,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[ProgramInCycle]:
    """List the programs at the cycle's grades, with seats; one that does not take part stays, and is marked so."""
    held = read_cycle(session, cycle)
    asked = programs_in(held.cycle, filters).limit(limit + 1)
    if after := place_of(cursor):
        asked = asked.where(Program.id > after)
    return page(
        session.execute(asked).all(),
        limit=limit,
        place=lambda row: row[0].id,
        show=lambda row: show_program(*row),
        request=request,
        response=response,
    )
