"""The vacancy ledger: every seat that opened, and how the school's rules decided about the seat.

Administrators and auditors read all of it, and a school's staff read their own programs. The public reads the city's
totals in the report of each round: line by line, seats that stay empty or change hands tell of single children.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy.orm import Session

from enrollment.access.callers import Staff
from enrollment.access.guards import AnyStaff
from enrollment.access.idempotency import IdempotentRoute
from enrollment.api.filters import refuse_unknown_values
from enrollment.api.schemas.vacancies import SchoolVacanciesOut, VacancyCountsOut, VacancyOut, VacancyStatus
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory.own_programs import programs_seen
from enrollment.directory.school_access import ReadsProgram
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import CATALOGUES
from enrollment.paging import Page, Pager, Paging
from enrollment.seats.models import Vacancy
from enrollment.seats.sentences import vacancy_in_words
from enrollment.seats.vacancies import SchoolVacancies, select_vacancies
from enrollment.seats.vacancies import count_vacancies as count_by_school
from lottery.explain.language import Language

router = APIRouter(route_class=IdempotentRoute, tags=["vacancies"])

CYCLE = "/v1/cycles/{cycle}"

OnlyStatus = Annotated[VacancyStatus | None, Query(description="Only this status.")]


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a list of vacancies; None: no filter."""

    school: str | None
    program: str | None
    status: str | None


def _filters(
    school: Annotated[Id | None, Query(description="Only this school.")] = None,
    program: Annotated[Id | None, Query(description="Only this program.")] = None,
    status: OnlyStatus = None,
) -> Filters:
    return Filters(school, program, status)


def _filters_at(program: Annotated[Id, Path()], status: OnlyStatus = None) -> Filters:
    return Filters(None, program, status)


@router.get(f"{CYCLE}/programs/{{program}}/vacancies")
def list_program_vacancies(
    session: InTransaction,
    _: ReadsProgram,
    request: Request,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    filters: Annotated[Filters, Depends(_filters_at)],
) -> Page[VacancyOut]:
    """Read one program's vacancies in the ledger."""
    read_cycle(session, cycle)
    return _read_vacancies(session, request, paging, cycle, filters)


@router.get(f"{CYCLE}/vacancies")
def list_vacancies(
    session: InTransaction,
    staff: AnyStaff,
    request: Request,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    filters: Annotated[Filters, Depends(_filters)],
) -> Page[VacancyOut]:
    """Read the ledger: every seat that opened, why, and how the school's rules decided. Schools see their own."""
    read_cycle(session, cycle)
    refuse_unknown_values(session, cycle, school=filters.school, program=filters.program)
    return _read_vacancies(session, request, paging, cycle, filters, within=_programs_seen(session, staff))


@router.get(f"{CYCLE}/vacancies/counts")
def count_vacancies(session: InTransaction, staff: AnyStaff, cycle: Annotated[Id, Path()]) -> VacancyCountsOut:
    """Count each school's vacancies by status, and by the reason why seats stay empty. Schools see their own."""
    read_cycle(session, cycle)
    schools = count_by_school(session, cycle, _programs_seen(session, staff))
    return VacancyCountsOut(cycle=cycle, data=[_show_counts(school, counts) for school, counts in schools.items()])


def _programs_seen(session: Session, staff: Staff) -> Collection[str] | None:
    """Return the programs whose vacancies staff may read; None: all."""
    return None if staff.sees_everything else programs_seen(session, staff)


def _read_vacancies(
    session: Session,
    request: Request,
    paging: Pager,
    cycle: str,
    filters: Filters,
    *,
    within: Collection[str] | None = None,
) -> Page[VacancyOut]:
    language = Language(reader_language(request), CATALOGUES)
    query = select_vacancies(
        cycle, within=within, school=filters.school, program=filters.program, status=filters.status
    )
    found = paging.read(session, query, by=[Vacancy.program_id, Vacancy.number])
    return found.show(lambda vacancy, school: _show_vacancy(vacancy, school, language))


def _show_vacancy(vacancy: Vacancy, school: str, language: Language) -> VacancyOut:
    return VacancyOut.model_validate(
        {
            "school": school,
            "program": vacancy.program_id,
            "number": vacancy.number,
            "group": vacancy.seat_group,
            "opened_at": vacancy.opened_at,
            "opened_by": vacancy.opened_by,
            "status": vacancy.status,
            "decided_at": vacancy.decided_at,
            "round": vacancy.round_id,
            "rules_version": vacancy.rules_version,
            "rule_of": vacancy.rule_of,
            "why": vacancy.why,
            "filled_class": vacancy.filled_class,
            "filled_group": vacancy.filled_group,
            "detail": vacancy_in_words(vacancy, language),
        }
    )


def _show_counts(school: str, counts: SchoolVacancies) -> SchoolVacanciesOut:
    return SchoolVacanciesOut(
        school=school,
        opened=sum(counts.by_status.values()),
        open=counts.by_status.get("open", 0),
        left_empty=counts.by_status.get("left-empty", 0),
        filled=counts.by_status.get("filled", 0),
        removed=counts.by_status.get("removed", 0),
        by_why=counts.by_why,
    )
