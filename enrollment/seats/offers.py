"""Answer an offer, give a seat up, and what happens when nobody answers; by the database's clock.

An act on a child's seat locks the cycle, the child, and the program whose vacancies it changes, in this order
(docs/explanation/locks.md).
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.callers import Partner
from enrollment.applicants.models import Applicant, Child
from enrollment.cycles.locks import CycleNow, in_any_phase, lock_cycle_between_rounds, lock_cycle_shared, rfc3339
from enrollment.cycles.models import Cycle
from enrollment.database import transaction
from enrollment.directory.offerings import lock_programs
from enrollment.failures import for_each, not_waiting
from enrollment.notify.notices import NewNotice, notify
from enrollment.problems import Conflict, NotFound, sentence
from enrollment.rankings.changes import drop_program
from enrollment.rankings.versions import Ranker, lock_ranker_of
from enrollment.seats.models import LIVE, Offer
from enrollment.seats.seat_log import Change, Seat, tell_change
from enrollment.seats.vacancies import Opened, open_seats

SERVICE = "service"
AT_ONCE = 500

EXPIRIES = "expiries"
REMINDERS = "reminders"


class OfferAnswered(Conflict):
    """An offer that is not to be answered any more."""

    title = sentence("The offer was answered already")
    detail = sentence("It is {status}. GET the applicant's offers to see which seat the child holds now.")


class OfferRanOut(Conflict):
    """An answer after its time."""

    title = sentence("The time to answer is over")
    detail = sentence(
        "The offer was to be answered before {answer_by}. The child stays on waitlists and may rank anew."
    )


@dataclass(frozen=True, slots=True)
class LockedOffer:
    """An offer whose child is locked until the transaction ends."""

    offer: Offer
    ranker: Ranker
    cycle: Cycle
    now: datetime

    @property
    def seat(self) -> Seat:
        """Return the seat that it is of."""
        offer = self.offer
        return Seat(offer.cycle_id, offer.child_id, self.ranker.tag.hex(), offer.program_id, offer.seat_group)


def accept(session: Session, partner: Partner, offer_id: uuid.UUID) -> Offer:
    """Accept an offer for a family; places higher on waitlists stay. Accepting again changes nothing.

    Raises:
        NotFound: if the partner has no such offer.
        OfferAnswered: if it was given up, or another seat took its place.
        OfferRanOut: if its time is over.
    """
    held = _hold(session, partner, offer_id, lock_cycle_shared(session, _cycle_of(session, partner, offer_id)))
    if held.offer.status == "accepted":
        return held.offer
    _refuse_closed(held)
    _become(session, held, "accepted", cause="offer.accept", code="family", actor=partner.actor)
    return held.offer


def decline(session: Session, partner: Partner, offer_id: uuid.UUID) -> Offer:
    """Give an offered or accepted seat up for a family; its program leaves the ranking, and the seat opens.

    Raises:
        NotFound: if the partner has no such offer.
        RoundRunning: if a round is frozen, which reads who holds what.
        OfferAnswered: if it was given up before.
        OfferRanOut: if it was not accepted in time.
    """
    held = _hold(session, partner, offer_id, lock_cycle_between_rounds(session, _cycle_of(session, partner, offer_id)))
    if held.offer.status != "accepted":
        _refuse_closed(held)
    give_up(session, held, "declined", cause="offer.decline", code="family", actor=partner.actor)
    return held.offer


def give_up(session: Session, held: LockedOffer, became: str, *, cause: str, code: str, actor: str) -> None:
    """Take a seat from its child, open a vacancy for it, and take its program out of the child's ranking."""
    offer = held.offer
    if became != "withdrawn":
        # Otherwise the next round would offer the same seat again.
        taking = in_any_phase(CycleNow(held.cycle, held.now))
        drop_program(session, actor, taking, held.ranker, offer.program_id)
    _become(session, held, became, cause=cause, code=code, actor=actor)
    open_vacancy(session, offer, became, held.now, actor=actor)


def open_vacancy(session: Session, offer: Offer, by: str, now: datetime, *, actor: str) -> None:
    """Open a vacancy for a seat that its child no longer holds."""
    lock_programs(session, offer.cycle_id, [offer.program_id])
    open_seats(session, offer.cycle_id, [Opened(offer.program_id, offer.seat_group, by)], now, actor=actor)


def withdraw_seat(session: Session, cycle: CycleNow, ranker: Ranker, *, actor: str) -> None:
    """Give up the seat of a child whose application is withdrawn, if it holds one; the child is locked."""
    offer = live_offer(session, ranker.child_id)
    if offer is not None:
        held = LockedOffer(offer, ranker, cycle.cycle, cycle.now)
        give_up(session, held, "withdrawn", cause="withdraw", code="application", actor=actor)


def live_offer(session: Session, child: uuid.UUID) -> Offer | None:
    """Return the offer by which a child holds a seat, if it holds one."""
    return session.scalars(
        select(Offer).where(Offer.child_id == child, Offer.status.in_(LIVE)).execution_options(populate_existing=True)
    ).one_or_none()


def expire_due(sessions: "sessionmaker[Session]") -> None:
    """Carry out what silence means for every offer whose time is over; each in a transaction of its own.

    While a round is frozen the offers of its cycle wait for it.
    """
    with transaction(sessions) as session:
        due = session.scalars(
            select(Offer.id)
            .join(Cycle, Cycle.id == Offer.cycle_id)
            .where(
                Offer.status == "open",
                Offer.answer_by <= func.clock_timestamp(),
                Cycle.running_round.is_(None),
                not_waiting(EXPIRIES, Offer.id),
            )
            .order_by(Offer.answer_by, Offer.id)
            .limit(AT_ONCE)
        ).all()
    for_each(sessions, EXPIRIES, map(str, due), _expire_one)


def remind_due(sessions: "sessionmaker[Session]") -> None:
    """Notify partners of open offers whose time is nearly over, once each; each in a transaction of its own.

    Offers that somebody acts on now are left to the next pass: so reminders wait for nobody, and need no other lock.
    """
    with transaction(sessions) as session:
        due = session.scalars(
            select(Offer.id)
            .where(*_to_remind(), not_waiting(REMINDERS, Offer.id))
            .order_by(Offer.remind_at, Offer.id)
            .limit(AT_ONCE)
        ).all()
    for_each(sessions, REMINDERS, map(str, due), _remind_one)


def _to_remind() -> tuple[ColumnElement[bool], ...]:
    return (
        Offer.status == "open",
        Offer.reminded_at.is_(None),
        Offer.remind_at <= func.clock_timestamp(),
        Offer.answer_by > func.clock_timestamp(),
        Applicant.child_id == Offer.child_id,
        Applicant.withdrawn_at.is_(None),
    )


def _remind_one(sessions: "sessionmaker[Session]", offer_id: str) -> None:
    with transaction(sessions) as session:
        free = select(Offer.id).where(Offer.id == uuid.UUID(offer_id))
        if session.scalar(free.with_for_update(key_share=True, skip_locked=True)) is None:
            return
        reminded = session.execute(
            update(Offer)
            .where(Offer.id == uuid.UUID(offer_id), *_to_remind())
            .values(reminded_at=func.clock_timestamp())
            .returning(Offer.cycle_id, Offer.answer_by, Applicant.partner_id, Applicant.reference)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        if reminded is None:
            return  # somebody else did, or it was answered
        cycle, answer_by, partner, reference = reminded
        about = _about(uuid.UUID(offer_id), reference, answer_by)
        notify(session, [NewNotice(cycle, partner, "offer.expiring", offer_id, about)])


def _expire_one(sessions: "sessionmaker[Session]", offer_id: str) -> None:
    with transaction(sessions) as session:
        _expire(session, uuid.UUID(offer_id))


def _about(offer: uuid.UUID, reference: str, answer_by: datetime) -> dict[str, str | int | None]:
    return {"offer": str(offer), "reference": reference, "answer_by": rfc3339(answer_by)}


def _expire(session: Session, offer_id: uuid.UUID) -> None:
    found = session.execute(select(Offer.cycle_id, Offer.child_id).where(Offer.id == offer_id)).one()
    held = lock_cycle_shared(session, found.cycle_id)
    ranker = lock_ranker_of(session, found.child_id)
    offer = session.get_one(Offer, offer_id, populate_existing=True)
    # It may have been answered, or a round frozen, since it was found.
    if ranker is None or offer.status != "open" or held.cycle.running_round or held.now < offer.answer_by:
        return
    holding = LockedOffer(offer, ranker, held.cycle, held.now)
    if held.cycle.silence == "accept":
        _become(session, holding, "accepted", cause="offer.expire", code="silence-accepts", actor=SERVICE)
    else:
        give_up(session, holding, "expired", cause="offer.expire", code="silence-declines", actor=SERVICE)
    partner, reference = session.execute(
        select(Applicant.partner_id, Applicant.reference).where(Applicant.id == ranker.id)
    ).one()
    about = _about(offer_id, reference, offer.answer_by)
    notify(session, [NewNotice(offer.cycle_id, partner, "offer.expired", str(offer_id), about)])


def _become(session: Session, held: LockedOffer, status: str, *, cause: str, code: str, actor: str) -> None:
    offer = held.offer
    tell_change(session, held.seat, Change(offer.status, status, cause, code, actor, held.now))
    offer.status, offer.closed_at = status, held.now
    offer.version += 1
    if status not in LIVE:
        session.execute(update(Child).where(Child.id == offer.child_id).values(seat_grade=None))
    session.flush()


def _refuse_closed(held: LockedOffer) -> None:
    if held.offer.status != "open":
        raise OfferAnswered(status=held.offer.status)
    if held.now >= held.offer.answer_by:
        raise OfferRanOut(answer_by=rfc3339(held.offer.answer_by))


def _cycle_of(session: Session, partner: Partner, offer_id: uuid.UUID) -> str:
    """Return the cycle of an offer to a child that the partner has the application of.

    Raises:
        NotFound: if there is none.
    """
    cycle = session.scalar(
        select(Offer.cycle_id)
        .join(Applicant, Applicant.child_id == Offer.child_id)
        .where(Offer.id == offer_id, Applicant.partner_id == partner.id, Applicant.withdrawn_at.is_(None))
    )
    if cycle is None:
        raise NotFound
    return cycle


def _hold(session: Session, partner: Partner, offer_id: uuid.UUID, held: CycleNow) -> LockedOffer:
    child = session.scalars(select(Offer.child_id).where(Offer.id == offer_id)).one()
    ranker = lock_ranker_of(session, child)
    # It may have been moved to another partner, or withdrawn, while its lock was waited for.
    if ranker is None or session.get_one(Applicant, ranker.id, populate_existing=True).partner_id != partner.id:
        raise NotFound
    return LockedOffer(session.get_one(Offer, offer_id, populate_existing=True), ranker, held.cycle, held.now)
