"""Offers and waitlists over HTTP, for the partner that brought the child; and withdrawing an application."""

import uuid
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path, Request, status
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.guards import AnswersOffers, ReadsApplications, ReadsResults, WritesApplications
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.applicants.applications import find_applicant, lock_applicant
from enrollment.applicants.models import Applicant
from enrollment.cycles.locks import (
    CycleNow,
    OpenCycle,
    in_any_phase,
    lock_cycle_between_rounds,
    read_cycle,
    rfc3339,
    taking,
)
from enrollment.cycles.models import Cycle
from enrollment.database import InTransaction
from enrollment.directory.models import Program
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import in_language
from enrollment.notify.models import Notice
from enrollment.paging import FeedPage, Page, Paging
from enrollment.preconditions import IfMatch, refuse_stale
from enrollment.problems import NotFound
from enrollment.rankings.versions import lock_ranker, withdraw_applicant
from enrollment.seats import offers as answering
from enrollment.seats.models import Offer, WaitlistMove
from enrollment.seats.schemas import MoveOut, NoticeOut, OfferOut, OffersOut, ReasonOut
from enrollment.seats.sentences import move_in_words, offer_in_words, reason_in_words
from enrollment.stored_values import fields_of
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


@router.delete(APPLICANT, status_code=status.HTTP_204_NO_CONTENT)
def delete_applicant(
    session: InTransaction,
    partner: WritesApplications,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    if_match: IfMatch = None,
) -> None:
    """Withdraw an application, its ranking, and the seat that it holds, and erase the family's personal data.

    Names, birth date, guardians and addresses are gone at once. The ticket, claims and rankings stay, without names. To
    come back, send the whole application again under the same reference: the child keeps its ticket.
    """
    held = lock_cycle_between_rounds(session, cycle)
    found = lock_applicant(session, partner, cycle=cycle, reference=reference)
    if found is None or found.withdrawn_at is not None:
        raise NotFound
    refuse_stale(if_match, found.version)
    ranker = lock_ranker(session, partner, cycle=cycle, reference=reference)
    answering.withdraw_seat(session, held, ranker, actor=partner.actor)
    withdraw_applicant(session, partner.actor, _withdrawing(held), ranker)


def _withdrawing(held: CycleNow) -> OpenCycle:
    """Return a cycle in which an application may be withdrawn: after the main round at any time, before it when open.

    Raises:
        CycleNotOpenYet, CycleClosed: before the main round, if the cycle takes none now.
    """
    return taking(held) if held.cycle.main_round is None else in_any_phase(held)


@router.get("/v1/cycles/{cycle}/notices")
def list_notices(
    session: InTransaction,
    partner: ReadsApplications,
    paging: Paging,
    cycle: Annotated[Id, Path()],
) -> FeedPage[NoticeOut]:
    """List what you are to tell families, the oldest first.

    Read until `next_cursor` is null, and keep `resume_cursor`. Send it as `cursor` the next time to read exactly the
    notices that came since. A notice appears within a second or so; none ever appears before one that you have read.
    """
    read_cycle(session, cycle)
    asked = select(Notice).where(Notice.cycle_id == cycle, Notice.partner_id == partner.id, Notice.number.is_not(None))
    return paging.read_feed(session, asked, by=Notice.number, show=_notice_shown)


def _notice_shown(notice: Notice) -> NoticeOut:
    return NoticeOut.model_validate(
        {
            "id": notice.id,
            "number": notice.number,
            "event": notice.event,
            "at": notice.at,
            "about": fields_of(notice.about),
        }
    )


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
