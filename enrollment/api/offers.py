"""Offers and waitlists over HTTP, for the partner that brought the child."""

import uuid
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path, Request, status
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.callers import AnswersOffers, ReadsResults
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.applicants.applications import find_applicant
from enrollment.applicants.models import Applicant
from enrollment.cycles.locks import lock_cycle_between_rounds, rfc3339
from enrollment.cycles.models import Cycle
from enrollment.database import InTransaction
from enrollment.directory.models import Program
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import in_language
from enrollment.paging import Page, Paging
from enrollment.rankings.versions import lock_ranker
from enrollment.seats import offers as answering
from enrollment.seats.models import Offer, WaitlistMove
from enrollment.seats.schemas import MoveOut, OfferOut, OffersOut, ReasonOut
from enrollment.seats.sentences import move_in_words, offer_in_words, reason_in_words
from enrollment.waitlists.waitlists import leave_waitlist

router = APIRouter(route_class=IdempotentRoute, tags=["offers"])

APPLICANT = "/v1/cycles/{cycle}/applicants/{reference}"


@router.get(f"{APPLICANT}/offers")
def read_offers(
    session: InTransaction,
    partner: ReadsResults,
    request: Request,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> OffersOut:
    """Read the seats that a child that you brought was offered, the newest first, and what became of each."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    made = session.scalars(
        select(Offer).where(Offer.child_id == applicant.child_id).order_by(Offer.made_at.desc(), Offer.id)
    ).all()
    return OffersOut(data=[_offer_shown(session, offer, request) for offer in made])


@router.post("/v1/offers/{offer}/accept", dependencies=[Idempotent])
def accept_offer(
    session: InTransaction, partner: AnswersOffers, request: Request, offer: Annotated[uuid.UUID, Path()]
) -> OfferOut:
    """Accept a seat for a family. The child keeps its places on the waitlists of what it ranks higher."""
    return _offer_shown(session, answering.accept(session, partner, offer), request)


@router.post("/v1/offers/{offer}/decline", dependencies=[Idempotent])
def decline_offer(
    session: InTransaction, partner: AnswersOffers, request: Request, offer: Annotated[uuid.UUID, Path()]
) -> OfferOut:
    """Give a seat up for a family, also an accepted one. Its program leaves the ranking; the other waitlists stay."""
    return _offer_shown(session, answering.decline(session, partner, offer), request)


@router.get(f"{APPLICANT}/waitlists/history")
def read_waitlist_history(
    session: InTransaction,
    partner: ReadsResults,
    request: Request,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> Page[MoveOut]:
    """Read how a child that you brought moved on waitlists and why, the newest first; those that it left too."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    language = reader_language(request)
    # One look at a time writes moves, under a lock, so that their ids are in the order of commits.
    asked = select(WaitlistMove).where(WaitlistMove.child_id == applicant.child_id)
    found = paging.read(session, asked, by=[WaitlistMove.id], newest_first=True)
    return found.show(lambda move: _move_shown(move, language))


@router.delete(f"{APPLICANT}/waitlists/{{program}}", status_code=status.HTTP_204_NO_CONTENT)
def leave_one_waitlist(
    session: InTransaction,
    partner: AnswersOffers,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
) -> None:
    """Leave a program's waitlists: a version of the ranking without it. The seat that the child holds stays."""
    held = lock_cycle_between_rounds(session, cycle)
    ranker = lock_ranker(session, partner, cycle=cycle, reference=reference)
    leave_waitlist(session, held, ranker, program, actor=partner.actor)


def _offer_shown(session: Session, offer: Offer, request: Request) -> OfferOut:
    reference = session.scalars(
        select(Applicant.reference).where(Applicant.child_id == offer.child_id, Applicant.withdrawn_at.is_(None))
    ).one()
    silence = session.scalars(select(Cycle.silence).where(Cycle.id == offer.cycle_id)).one()
    say = in_language(reader_language(request))
    return OfferOut.model_validate(
        {
            "id": offer.id,
            "reference": reference,
            "program": offer.program_id,
            "program_name": session.get_one(Program, offer.program_id).name,
            "group": offer.seat_group,
            "choice": offer.choice,
            "source": offer.source,
            "round": offer.round_id,
            "made_at": offer.made_at,
            "answer_by": offer.answer_by,
            "status": offer.status,
            "closed_at": offer.closed_at,
            "if_silent": silence,
            "detail": offer_in_words(offer, rfc3339(offer.answer_by), say),
        }
    )


def _move_shown(move: WaitlistMove, language: str) -> MoveOut:
    reasons = [
        ReasonOut(
            code=code, priority_class=class_, children=number, detail=reason_in_words(code, class_, number, language)
        )
        for code, class_, number in _reasons_of(move)
    ]
    return MoveOut(
        program=move.program_id,
        group=move.seat_group,
        at=move.at,
        was=move.was,
        became=move.became,
        detail=move_in_words(move.was, move.became, in_language(language)),
        reasons=reasons,
    )


def _reasons_of(move: WaitlistMove) -> Iterator[tuple[str, str | None, int]]:
    """Yield the stored reasons of a move that are of the form in which they are written."""
    for reason in move.reasons if isinstance(move.reasons, list) else []:
        match reason:
            case [str(code), str() | None as class_, int(number)]:
                yield code, class_, number
