"""Offers: for the partner that brought the child, and for the program's school; withdrawing an application."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, status
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.callers import AnswersOffers, ReadsApplications, ReadsResults, RoleKind, WritesApplications
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.access.security_log import record_names_read
from enrollment.api.schemas.offers import OfferOut, OffersOut, OfferStatus, ProgramOfferOut, SeatedChildOut
from enrollment.applicants.applications import find_applicant, lock_applicant
from enrollment.applicants.models import Person
from enrollment.audit.log import append
from enrollment.cycles.locks import (
    CycleNow,
    OpenCycle,
    in_any_phase,
    lock_cycle_between_rounds,
    read_cycle,
    taking,
)
from enrollment.database import InTransaction
from enrollment.directory.school_access import ReadsProgram
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import CATALOGUES
from enrollment.notify.models import Notice
from enrollment.paging import FeedPage, Page, Paging
from enrollment.preconditions import IfMatch, refuse_stale
from enrollment.problems import NotFound
from enrollment.rankings.versions import lock_ranker, withdraw_applicant
from enrollment.seats import offers
from enrollment.seats.models import Offer
from enrollment.seats.schemas import NoticeOut
from enrollment.seats.sentences import offer_in_words
from enrollment.stored_values import fields_of
from lottery.explain.language import Language

router = APIRouter(route_class=IdempotentRoute, tags=["offers"])

APPLICANT = "/v1/cycles/{cycle}/applicants/{reference}"

OfferId = Annotated[uuid.UUID, Path(alias="offer")]


@router.get(f"{APPLICANT}/offers")
def read_offers(
    session: InTransaction,
    partner: ReadsResults,
    request: Request,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> OffersOut:
    """Read your applicant's offers, the newest first, and what happened to each."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    made = offers.offers_to(session, applicant.child_id)
    return OffersOut(data=[_show_offer(session, offer, request) for offer in made])


@router.post("/v1/offers/{offer}/accept", dependencies=[Idempotent])
def accept_offer(session: InTransaction, partner: AnswersOffers, request: Request, offer_id: OfferId) -> OfferOut:
    """Accept a seat for a family. The child stays on the waitlists for higher choices."""
    return _show_offer(session, offers.accept(session, partner, offer_id), request)


@router.post("/v1/offers/{offer}/decline", dependencies=[Idempotent])
def decline_offer(session: InTransaction, partner: AnswersOffers, request: Request, offer_id: OfferId) -> OfferOut:
    """Decline an offered or accepted seat for a family. The ranking loses the program; other waitlists stay."""
    return _show_offer(session, offers.decline(session, partner, offer_id), request)


@router.get("/v1/cycles/{cycle}/programs/{program}/offers")
def list_seats(
    session: InTransaction,
    staff: ReadsProgram,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    only: Annotated[OfferStatus | None, Query(alias="status", description="Only this status.")] = None,
) -> Page[ProgramOfferOut]:
    """List the offers of your program, and what happened to each. Auditors see no names."""
    read_cycle(session, cycle)
    audits = staff.is_(RoleKind.AUDITOR)
    if audits:
        fields = {"what": "offers", "program": program, "reader": staff.id}
        append(session, "record.read", cycle=cycle, actor="staff:auditor", fields=fields)
    else:
        record_names_read(session, staff, "offers", cycle=cycle, program=program)
    found = paging.read(session, offers.select_offers_at(cycle, program, only), by=[Offer.id])
    return found.show(
        lambda offer, tag, partner, person: _show_program_offer(offer, tag, partner, None if audits else person)
    )


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
    offers.withdraw_seat(session, held, ranker, actor=partner.actor)
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


def _show_offer(session: Session, offer: Offer, request: Request) -> OfferOut:
    reference, program_name, silence = offers.application_of(session, offer)
    return OfferOut.model_validate(
        {
            "id": offer.id,
            "reference": reference,
            "program": offer.program_id,
            "program_name": program_name,
            "group": offer.seat_group,
            "choice": offer.choice,
            "source": offer.source,
            "round": offer.round_id,
            "made_at": offer.made_at,
            "answer_by": offer.answer_by,
            "status": offer.status,
            "closed_at": offer.closed_at,
            "if_silent": silence,
            "detail": offer_in_words(offer, Language(reader_language(request), CATALOGUES)),
        }
    )


def _show_program_offer(offer: Offer, tag: bytes, partner: str | None, person: Person | None) -> ProgramOfferOut:
    child = person and SeatedChildOut(
        given_name=person.given_name, family_name=person.family_name, birth_date=person.birth_date.isoformat()
    )
    return ProgramOfferOut.model_validate(
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
