"""Waitlists for families: a child's history, and leaving a waitlist."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, status

from enrollment.access.callers import AnswersOffers, ReadsResults
from enrollment.access.idempotency import IdempotentRoute
from enrollment.api.schemas.waitlists import MoveReasonOut, WaitlistMoveOut
from enrollment.applicants.applications import find_applicant
from enrollment.cycles.locks import lock_cycle_between_rounds
from enrollment.database import InTransaction
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import CATALOGUES
from enrollment.paging import Page, Paging
from enrollment.rankings.versions import lock_ranker
from enrollment.seats.models import WaitlistMove
from enrollment.waitlists.history import reasons_of, select_moves
from enrollment.waitlists.places import leave_waitlist
from enrollment.waitlists.sentences import move_in_words, reason_in_words
from lottery.explain.language import Language

router = APIRouter(route_class=IdempotentRoute, tags=["offers"])

WAITLISTS = "/v1/cycles/{cycle}/applicants/{reference}/waitlists"


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
    found = paging.read(session, select_moves(applicant.child_id), by=[WaitlistMove.id], newest_first=True)
    return found.show(lambda move: _show_move(move, language))


@router.delete(f"{WAITLISTS}/{{program}}", status_code=status.HTTP_204_NO_CONTENT)
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


def _show_move(move: WaitlistMove, language: Language) -> WaitlistMoveOut:
    return WaitlistMoveOut(
        program=move.program_id,
        group=move.seat_group,
        at=move.at,
        was=move.was,
        became=move.became,
        detail=move_in_words(move.was, move.became, language),
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
