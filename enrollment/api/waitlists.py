"""Waitlists: a child's places, a child's history, leaving a waitlist, and a program's waitlists."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, status

from enrollment.access.callers import RoleKind
from enrollment.access.guards import AnswersOffers, ReadsResults
from enrollment.access.idempotency import IdempotentRoute
from enrollment.api.schemas.waitlists import (
    MoveReasonOut,
    ProgramWaitlistOut,
    WaitingChildOut,
    WaitlistMoveOut,
    WaitlistPlaceOut,
    WaitlistsOut,
)
from enrollment.applicants.applications import find_applicant
from enrollment.audit.reads import record_read
from enrollment.cycles.locks import lock_cycle_between_rounds, read_cycle
from enrollment.database import InTransaction, clock
from enrollment.directory.names import name_for_families
from enrollment.directory.school_access import ReadsProgram
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import CATALOGUES
from enrollment.moments import Moment, moments_of
from enrollment.paging import Page, Paging
from enrollment.rankings.versions import lock_ranker
from enrollment.results.child_results import places_after, ticket_of
from enrollment.results.program_waitlists import waiting_after, waiting_now
from enrollment.results.published_rounds import published, published_time, refuse_other_program
from enrollment.seats.models import WaitlistMove
from enrollment.waitlists.history import reasons_of, select_moves
from enrollment.waitlists.places import PlaceOnWaitlist, leave_waitlist, places_now
from enrollment.waitlists.sentences import move_in_words, place_in_words, reason_in_words
from lottery.explain.language import Language

router = APIRouter(route_class=IdempotentRoute, tags=["waitlists"])

WAITLISTS = "/v1/cycles/{cycle}/applicants/{reference}/waitlists"

OrNow = Annotated[Id | None, Query(alias="round", description="A published round. Leave it out for live waitlists.")]


@router.get(WAITLISTS)
def read_waitlists(
    session: InTransaction,
    partner: ReadsResults,
    request: Request,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    round_id: OrNow = None,
) -> WaitlistsOut:
    """Read your applicant's places on waitlists: at every program ranked above the child's seat."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    round_ = published(session, cycle, round_id)
    language = Language(reader_language(request), CATALOGUES)
    if round_id is None:
        at, places = clock(session), places_now(session, applicant)
    else:
        at, places = published_time(round_), places_after(session, round_, ticket_of(session, applicant))
    return WaitlistsOut(
        round=round_id, at=at, reference=reference, places=[_show_place(place, language) for place in places]
    )


def _show_place(place: PlaceOnWaitlist, language: Language) -> WaitlistPlaceOut:
    return WaitlistPlaceOut(
        program=place.program,
        program_name=place.program_name,
        school_name=place.school_name,
        group=place.group,
        place=place.place,
        waiting=place.waiting,
        drawn=place.drawn,
        detail=place_in_words(place, language),
    )


@router.get(f"{WAITLISTS}/history")
def read_waitlist_history(
    session: InTransaction,
    partner: ReadsResults,
    request: Request,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> Page[WaitlistMoveOut]:
    """Read how your applicant moved on waitlists and why, the newest move first. Former waitlists are included."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    language = Language(reader_language(request), CATALOGUES)
    moment = moments_of(read_cycle(session, cycle).cycle, language)
    found = paging.read(session, select_moves(applicant.child_id), by=[WaitlistMove.id], newest_first=True)
    return found.show(lambda move, program, school: _show_move(move, program, school, moment, language))


@router.delete(f"{WAITLISTS}/{{program}}", status_code=status.HTTP_204_NO_CONTENT, operation_id="leaveWaitlist")
def leave_one_waitlist(
    session: InTransaction,
    partner: AnswersOffers,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
) -> None:
    """Leave a program's waitlists: remove the program from the ranking. The child keeps the seat, if any."""
    cycle_now = lock_cycle_between_rounds(session, cycle)
    ranker = lock_ranker(session, partner, cycle=cycle, reference=reference)
    leave_waitlist(session, cycle_now, ranker, program, actor=partner.actor)


@router.get("/v1/cycles/{cycle}/programs/{program}/waitlist")
def read_program_waitlist(
    session: InTransaction,
    staff: ReadsProgram,
    request: Request,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    round_id: OrNow = None,
) -> ProgramWaitlistOut:
    """Read a program's waitlists in order, live or as a round left them, with each child's class and its reason."""
    read_cycle(session, cycle)
    round_ = published(session, cycle, round_id)
    refuse_other_program(session, round_, program)
    if staff.is_(RoleKind.AUDITOR):
        record_read(session, cycle=cycle, actor="staff:auditor", what="waitlist", program=program, reader=staff.id)
    language = reader_language(request)
    if round_id is None:
        waiting = waiting_now(session, cycle, program, language)
    else:
        waiting = waiting_after(session, round_, program, language)
    return ProgramWaitlistOut(
        program=program, round=round_id, waiting=[WaitingChildOut(**asdict(child)) for child in waiting]
    )


def _show_move(
    move: WaitlistMove, program_name: str, school_name: str, moment: Moment, language: Language
) -> WaitlistMoveOut:
    name = name_for_families(program_name, school_name)
    return WaitlistMoveOut(
        program=move.program_id,
        program_name=program_name,
        school_name=school_name,
        group=move.seat_group,
        at=move.at,
        was=move.was,
        became=move.became,
        detail=move_in_words(move.was, move.became, program=name, moment=moment(move.at), language=language),
        reasons=[
            MoveReasonOut(
                code=code,
                priority_class=priority_class,
                children=number,
                detail=reason_in_words(code, priority_class, number, language),
            )
            for code, priority_class, number in reasons_of(move)
        ],
    )
