"""Offers: for the partner that brought the child, and for the program's school."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind
from enrollment.access.guards import AnswersOffers, ReadsResults
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.access.security_log import record_names_read
from enrollment.api.schemas.offers import OfferOut, OffersOut, OfferStatus, ProgramOfferOut, SeatedChildOut
from enrollment.applicants.applications import find_applicant
from enrollment.applicants.models import Applicant, Person
from enrollment.audit.reads import record_read
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory.school_access import ReadsProgram
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import CATALOGUES
from enrollment.moments import moments_of
from enrollment.paging import Page, Paging
from enrollment.results.child_now import child_now
from enrollment.seats import offers
from enrollment.seats.models import Offer
from enrollment.seats.offer_sentences import offer_in_words
from enrollment.seats.offer_stories import OfferStory
from enrollment.seats.offers import application_with_seat
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
    return OffersOut(data=_show_offers(session, applicant, request))


@router.post("/v1/offers/{offer}/accept", dependencies=[Idempotent])
def accept_offer(session: InTransaction, partner: AnswersOffers, request: Request, offer_id: OfferId) -> OfferOut:
    """Accept a seat for a family. The child stays on the waitlists for higher choices."""
    return _show_answered(session, offers.accept(session, partner, offer_id), request)


@router.post("/v1/offers/{offer}/decline", dependencies=[Idempotent])
def decline_offer(session: InTransaction, partner: AnswersOffers, request: Request, offer_id: OfferId) -> OfferOut:
    """Decline an offered or accepted seat for a family. The ranking loses the program; other waitlists stay."""
    return _show_answered(session, offers.decline(session, partner, offer_id), request)


@router.get("/v1/cycles/{cycle}/programs/{program}/offers")
def list_program_offers(
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
        record_read(session, cycle=cycle, actor="staff:auditor", what="offers", program=program, reader=staff.id)
    else:
        record_names_read(session, staff, "offers", cycle=cycle, program=program)
    found = paging.read(session, offers.select_offers_at(cycle, program, only), by=[Offer.id])
    return found.show(
        lambda offer, tag, partner, person: _show_program_offer(offer, tag, partner, None if audits else person)
    )


def _show_answered(session: Session, offer: Offer, request: Request) -> OfferOut:
    applicant = application_with_seat(session, offer.child_id)
    return next(shown for shown in _show_offers(session, applicant, request) if shown.id == offer.id)


def _show_offers(session: Session, applicant: Applicant, request: Request) -> list[OfferOut]:
    cycle_now = read_cycle(session, applicant.cycle_id)
    language = Language(reader_language(request), CATALOGUES)
    moment = moments_of(cycle_now.cycle, language)
    now = child_now(session, cycle_now, applicant)
    return [_show_offer(story, applicant.reference, offer_in_words(story, moment, language)) for story in now.offers]


def _show_offer(story: OfferStory, reference: str, detail: str) -> OfferOut:
    offer = story.offer
    return OfferOut.model_validate(
        {
            "id": offer.id,
            "reference": reference,
            "program": offer.program_id,
            "program_name": story.seat.program_name,
            "school_name": story.seat.school_name,
            "group": offer.seat_group,
            "choice": offer.choice,
            "source": offer.source,
            "round": offer.round_id,
            "made_at": offer.made_at,
            "answer_by": offer.answer_by,
            "time_zone": story.time_zone,
            "status": offer.status,
            "closed_at": offer.closed_at,
            "needs_answer": story.needs_answer,
            "replaces": story.replaces and story.replaces.id,
            "replaced_by": story.replaced_by and story.replaced_by.id,
            "if_silent": story.silence,
            "detail": detail,
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
