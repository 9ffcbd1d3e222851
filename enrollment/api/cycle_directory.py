"""The directory of a cycle over HTTP, for anybody."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from enrollment.api.filters import refuse_unknown_filters
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory.models import Program, School
from enrollment.directory.schemas import ProgramInCycle, SchoolInCycle, Sector
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.participation.cycle_directory import Filters, programs_in, schools_in, show_program, show_schools

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
    session: InTransaction, filters: Filtered, paging: Paging, cycle: Annotated[Id, Path()]
) -> Page[SchoolInCycle]:
    """List the schools with programs at the cycle's grades; one that does not take part stays, and is marked so."""
    held = read_cycle(session, cycle)
    refuse_unknown_filters(session, held.cycle, filters)
    found = paging.read(session, schools_in(held.cycle, filters), by=[School.id])
    shown = show_schools(session, held.cycle, [school for (school,) in found.rows])
    return found.show(lambda school: shown[school.id])


@router.get("/v1/cycles/{cycle}/programs")
def list_programs_of_cycle(
    session: InTransaction, filters: Filtered, paging: Paging, cycle: Annotated[Id, Path()]
) -> Page[ProgramInCycle]:
    """List the programs at the cycle's grades, with seats; one that does not take part stays, and is marked so."""
    held = read_cycle(session, cycle)
    refuse_unknown_filters(session, held.cycle, filters)
    return paging.read(session, programs_in(held.cycle, filters), by=[Program.id]).show(show_program)
