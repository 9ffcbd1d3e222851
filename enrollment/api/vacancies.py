"""The ledger of vacancies for anybody, a program's seats for its school, placements outside for administrators."""

import uuid
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, status
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind
from enrollment.access.guards import Places, PresentToPlace, ReadsRecords
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.access.security_log import record_names_read
from enrollment.api.filters import refuse_unknown_values
from enrollment.applicants.models import Applicant, Child, Person
from enrollment.audit.reads import record_read
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory.models import Program
from enrollment.directory.school_access import ReadsProgram
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import Say, in_language
from enrollment.paging import Page, Pager, Paging
from enrollment.problems import NotFound
from enrollment.rules.schemas import Decision
from enrollment.seats import administrative_placements as placing
from enrollment.seats.acceptance import Tried, overflowing, targets_of
from enrollment.seats.models import Offer, OutsidePlacement, Vacancy
from enrollment.seats.schemas import (
    AdministrativePlacementOut,
    OfferStatus,
    OverflowOut,
    PlacementCounts,
    PlacementIn,
    SeatAt,
    SeatedChild,
    TargetsOut,
    VacancyCount,
    VacancyCounts,
    VacancyOut,
    VacancyStatus,
)
from enrollment.seats.sentences import vacancy_in_words

router = APIRouter(route_class=IdempotentRoute, tags=["seats"])

CYCLE = "/v1/cycles/{cycle}"

MAX_TRIED = 100_000

PlacementStatus = Literal["asked", "approved", "refused"]
Number = Annotated[int | None, Query(ge=0, le=MAX_TRIED)]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of vacancies may be cut down to."""

    school: str | None
    program: str | None
    status: str | None


def _filters(
    school: Annotated[Id | None, Query(description="Only this school.")] = None,
    program: Annotated[Id | None, Query(description="Only this program.")] = None,
    status: Annotated[VacancyStatus | None, Query(description="Only of this status.")] = None,
) -> Filters:
    return Filters(school, program, status)


def _filters_at(
    program: Annotated[Id, Path()],
    status: Annotated[VacancyStatus | None, Query(description="Only of this status.")] = None,
) -> Filters:
    return Filters(None, program, status)


@router.get(f"{CYCLE}/programs/{{program}}/vacancies")
def list_vacancies_at(
    session: InTransaction,
    request: Request,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    filters: Annotated[Filters, Depends(_filters_at)],
) -> Page[VacancyOut]:
    """Read one program's part of the public ledger."""
    read_cycle(session, cycle)
    if session.get(Program, filters.program) is None:
        raise NotFound
    return _vacancies(session, request, paging, cycle, filters)


@router.get(f"{CYCLE}/vacancies")
def list_vacancies(
    session: InTransaction,
    request: Request,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    filters: Annotated[Filters, Depends(_filters)],
) -> Page[VacancyOut]:
    """Read the public ledger: every seat that opened, why, and what its school's own rule made of it."""
    read_cycle(session, cycle)
    refuse_unknown_values(session, cycle, school=filters.school, program=filters.program)
    return _vacancies(session, request, paging, cycle, filters)


def _vacancies(session: Session, request: Request, paging: Pager, cycle: str, filters: Filters) -> Page[VacancyOut]:
    asked = (
        select(Vacancy, Program.school_id)
        .join(Program, Program.id == Vacancy.program_id)
        .where(Vacancy.cycle_id == cycle)
    )
    if filters.school is not None:
        asked = asked.where(Program.school_id == filters.school)
    if filters.program is not None:
        asked = asked.where(Vacancy.program_id == filters.program)
    if filters.status is not None:
        asked = asked.where(Vacancy.status == filters.status)
    say = in_language(reader_language(request))
    found = paging.read(session, asked, by=[Vacancy.program_id, Vacancy.number])
    return found.show(lambda vacancy, school: _vacancy_shown(vacancy, school, say))


@router.get(f"{CYCLE}/vacancies/counts")
def count_vacancies(session: InTransaction, cycle: Annotated[Id, Path()]) -> VacancyCounts:
    """Count each school's vacancies: opened, filled, left empty, and by what of its rule."""
    read_cycle(session, cycle)
    rows = session.execute(
        select(Program.school_id, Vacancy.status, Vacancy.why, func.count())
        .join(Program, Program.id == Vacancy.program_id)
        .where(Vacancy.cycle_id == cycle)
        .group_by(Program.school_id, Vacancy.status, Vacancy.why)
        .order_by(Program.school_id, Vacancy.status, Vacancy.why)
    ).all()
    counts: dict[str, dict[str, int]] = {}
    whys: dict[str, dict[str, int]] = {}
    for school, its_status, why, number in rows:
        of_school = counts.setdefault(school, {})
        of_school[its_status] = of_school.get(its_status, 0) + number
        if why is not None:
            by_why = whys.setdefault(school, {})
            by_why[why] = by_why.get(why, 0) + number
    return VacancyCounts(
        cycle=cycle,
        data=[
            VacancyCount(
                school=school,
                opened=sum(of_school.values()),
                open=of_school.get("open", 0),
                left_empty=of_school.get("left-empty", 0),
                filled=of_school.get("filled", 0),
                removed=of_school.get("removed", 0),
                by_why=whys.get(school, {}),
            )
            for school, of_school in counts.items()
        ],
    )


def _vacancy_shown(vacancy: Vacancy, school: str, say: Say) -> VacancyOut:
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
            "detail": vacancy_in_words(vacancy, say, outside=placing.CLASS),
        }
    )


@router.get(f"{CYCLE}/programs/{{program}}/offers")
def list_seats(
    session: InTransaction,
    staff: ReadsProgram,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    only: Annotated[OfferStatus | None, Query(alias="status", description="Only of this status.")] = None,
) -> Page[SeatAt]:
    """List who was offered a seat at a program of yours, and what became of it; names are not for auditors."""
    read_cycle(session, cycle)
    audits = staff.is_(RoleKind.AUDITOR)
    if audits:
        record_read(session, cycle=cycle, actor="staff:auditor", what="offers", program=program, reader=staff.id)
    else:
        record_names_read(session, staff, "offers", cycle=cycle, program=program)
    asked = (
        select(Offer, Child.tag, Applicant.partner_id, Person)
        .join(Child, Child.id == Offer.child_id)
        .outerjoin(Applicant, (Applicant.child_id == Child.id) & Applicant.withdrawn_at.is_(None))
        .outerjoin(Person, Person.applicant_id == Applicant.id)
        .where(Offer.cycle_id == cycle, Offer.program_id == program)
    )
    if only is not None:
        asked = asked.where(Offer.status == only)
    return paging.read(session, asked, by=[Offer.id]).show(
        lambda offer, tag, partner, person: _seat_shown(offer, tag, partner, None if audits else person)
    )


def _seat_shown(offer: Offer, tag: bytes, partner: str | None, person: Person | None) -> SeatAt:
    child = person and SeatedChild(
        given_name=person.given_name, family_name=person.family_name, birth_date=person.birth_date.isoformat()
    )
    return SeatAt.model_validate(
        {
            "ticket": tag.hex(),
            "group": offer.seat_group,
            "priority_class": offer.priority_class,
            "source": offer.source,
            "status": offer.status,
            "made_at": offer.made_at,
            "answer_by": offer.answer_by,
            "closed_at": offer.closed_at,
            "partner": partner,
            "child": child,
        }
    )


@router.get(f"{CYCLE}/programs/{{program}}/targets")
def read_targets(
    session: InTransaction,
    _: ReadsProgram,
    *,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    match: Number = None,
    enrollment: Number = None,
) -> TargetsOut:
    """Read a program's targets and how its seats stand; with `match` or `enrollment`, what other targets would do."""
    held = read_cycle(session, cycle)
    its = session.get(Program, program)
    found = targets_of(session, held.cycle, its, Tried(match, enrollment), held.now) if its else None
    if found is None:
        raise NotFound
    return found


@router.get(f"{CYCLE}/overflow")
def list_overflow(session: InTransaction, _: ReadsRecords, cycle: Annotated[Id, Path()]) -> OverflowOut:
    """List the programs at which more children have accepted than the school means to enroll; nobody is dropped."""
    held = read_cycle(session, cycle)
    return OverflowOut(cycle=cycle, data=overflowing(session, held.cycle, held.now))


@router.post("/v1/placements", status_code=status.HTTP_202_ACCEPTED, dependencies=[Idempotent])
def ask_for_placement(session: InTransaction, staff: PresentToPlace, body: PlacementIn) -> AdministrativePlacementOut:
    """Ask for a placement outside the lottery; it is made when a second administrator approves it."""
    return _placement_shown(session, placing.ask_for_placement(session, body, staff=staff))


@router.post("/v1/placements/{placement}/approve", dependencies=[Idempotent])
def approve_placement(
    session: InTransaction, staff: PresentToPlace, placement: Annotated[uuid.UUID, Path()], body: Decision
) -> AdministrativePlacementOut:
    """Approve a placement, as a second administrator: it is an entry in the log, and counted in public."""
    return _placement_shown(session, placing.approve_placement(session, placement, staff=staff, reason=body.reason))


@router.post("/v1/placements/{placement}/refuse", dependencies=[Idempotent])
def refuse_placement(
    session: InTransaction, staff: Places, placement: Annotated[uuid.UUID, Path()], body: Decision
) -> AdministrativePlacementOut:
    """Refuse a placement, or take back one that you asked for; nothing changes."""
    return _placement_shown(session, placing.refuse_placement(session, placement, staff=staff, reason=body.reason))


@router.get(f"{CYCLE}/placements")
def list_placements(
    session: InTransaction,
    _: ReadsRecords,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    only: Annotated[PlacementStatus | None, Query(alias="status", description="Only of this status.")] = None,
) -> Page[AdministrativePlacementOut]:
    """List placements outside the lottery: who asked, who approved, and where the paper is."""
    read_cycle(session, cycle)
    return paging.read(session, placing.placements_of(cycle, only), by=[OutsidePlacement.id]).show(_shown)


@router.get(f"{CYCLE}/placements/counts")
def count_placements(session: InTransaction, cycle: Annotated[Id, Path()]) -> PlacementCounts:
    """Count each school's placements outside the lottery, for anybody to see."""
    read_cycle(session, cycle)
    return placing.count_placements(session, cycle)


def _placement_shown(session: Session, placement: OutsidePlacement) -> AdministrativePlacementOut:
    return _shown(placement, session.get_one(Child, placement.child_id).tag)


def _shown(placement: OutsidePlacement, tag: bytes) -> AdministrativePlacementOut:
    return AdministrativePlacementOut.model_validate(
        {
            "id": placement.id,
            "cycle": placement.cycle_id,
            "ticket": tag.hex(),
            "program": placement.program_id,
            "school": placement.school_id,
            "group": placement.seat_group,
            "reason_code": placement.reason_code,
            "document": placement.document,
            "beyond_seats": placement.beyond_seats,
            "status": placement.status,
            "asked_by": placement.asked_by,
            "asked_at": placement.asked_at,
            "decided_by": placement.decided_by,
            "decided_at": placement.decided_at,
            "decision_reason": placement.decision_reason,
            "offer": placement.offer_id,
        }
    )
