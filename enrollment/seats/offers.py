"""Accept and decline offers, and expire unanswered offers.

An act on a child's seat locks the cycle, the child, and the program whose vacancies it changes, in this order
(docs/explanation/locks.md). The database's clock decides about deadlines.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.callers import Partner
from enrollment.applicants.models import Applicant, Child, Person
from enrollment.cycles.locks import (
    CycleNow,
    in_any_phase,
    in_zone,
    lock_cycle_between_rounds,
    lock_cycle_shared,
)
from enrollment.cycles.models import Cycle
from enrollment.database import transaction
from enrollment.dates import Value
from enrollment.directory.offerings import lock_programs
from enrollment.failures import for_each, not_waiting
from enrollment.notify.notices import NewNotice, notify
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.rankings.changes import drop_program
from enrollment.rankings.versions import Ranker, lock_ranker_of
from enrollment.seats.models import LIVE, Offer
from enrollment.seats.offer_notices import about_answer
from enrollment.seats.offer_stories import stories_of
from enrollment.seats.seat_log import Change, Seat, log_change
from enrollment.seats.vacancies import NewVacancy, open_vacancies

SERVICE = "service"
AT_ONCE = 500

EXPIRIES = "expiries"


class OfferAnswered(Conflict):
    """The offer is no longer open."""

    title = sentence("Offer already closed")
    detail = sentence(
        "The offer is closed, and nothing was changed. The errors say what happened. GET the applicant's offers to see "
        "which seat the child holds now."
    )


CLOSED: Mapping[str, str] = {
    "declined": sentence("The family declined the seat at {seat} on {at}."),
    "expired": sentence("No answer came by {at}, so the child lost the seat at {seat}."),
    "replaced": sentence("The child left the seat at {seat} for a seat at {next} on {at}."),
    "withdrawn": sentence("The application was withdrawn on {at}, so the child lost the seat at {seat}."),
}
"""What happened to an offer, by its status."""


class OfferRanOut(Conflict):
    """The deadline to answer has passed."""

    title = sentence("Offer expired")
    detail = sentence(
        "The deadline to answer was {answer_by}. GET the applicant's offers: if_silent says what happens to the seat."
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
        """Return the seat that is offered."""
        offer = self.offer
        return Seat(offer.cycle_id, offer.child_id, self.ranker.tag.hex(), offer.program_id, offer.seat_group)


def accept(session: Session, partner: Partner, offer_id: uuid.UUID) -> Offer:
    """Accept an offer for a family. The child stays on waitlists for higher choices. Accepting twice changes nothing.

    Raises:
        NotFound: if the partner has no such offer.
        OfferAnswered: if the seat was given up, or the child got a higher choice.
        OfferRanOut: if the deadline has passed.
    """
    cycle = lock_cycle_shared(session, _cycle_of(session, partner, offer_id))
    locked = _lock_offer(session, partner, offer_id, cycle)
    if locked.offer.status == "accepted":
        return locked.offer
    _refuse_closed(session, locked)
    _set_status(session, locked, "accepted", cause="offer.accept", code="family", actor=partner.actor)
    return locked.offer


def decline(session: Session, partner: Partner, offer_id: uuid.UUID) -> Offer:
    """Decline an offered or accepted seat for a family. The ranking loses the program, and the seat opens.

    Raises:
        NotFound: if the partner has no such offer.
        RoundRunning: if a round is frozen.
        OfferAnswered: if the seat was already given up.
        OfferRanOut: if the deadline has passed.
    """
    cycle = lock_cycle_between_rounds(session, _cycle_of(session, partner, offer_id))
    locked = _lock_offer(session, partner, offer_id, cycle)
    if locked.offer.status != "accepted":
        _refuse_closed(session, locked)
    give_up(session, locked, "declined", cause="offer.decline", code="family", actor=partner.actor)
    return locked.offer


def give_up(session: Session, locked: LockedOffer, status: str, *, cause: str, code: str, actor: str) -> None:
    """Take a seat from a child, open a vacancy for the seat, and remove its program from the child's ranking."""
    offer = locked.offer
    if status != "withdrawn":
        # Otherwise the next round would offer the same seat again.
        cycle = in_any_phase(CycleNow(locked.cycle, locked.now))
        drop_program(session, actor, cycle, locked.ranker, offer.program_id)
    _set_status(session, locked, status, cause=cause, code=code, actor=actor)
    _open_vacancy(session, offer, status, locked.now, actor=actor)


def _open_vacancy(session: Session, offer: Offer, opened_by: str, now: datetime, *, actor: str) -> None:
    lock_programs(session, offer.cycle_id, [offer.program_id])
    vacancy = NewVacancy(offer.program_id, offer.seat_group, opened_by)
    open_vacancies(session, offer.cycle_id, [vacancy], now, actor=actor)


def withdraw_seat(session: Session, cycle: CycleNow, ranker: Ranker, *, actor: str) -> None:
    """Give up the seat, if any, of a child whose application is withdrawn. The caller has locked the child."""
    offer = live_offer(session, ranker.child_id)
    if offer is not None:
        locked = LockedOffer(offer, ranker, cycle.cycle, cycle.now)
        give_up(session, locked, "withdrawn", cause="withdraw", code="application", actor=actor)


def live_offer(session: Session, child: uuid.UUID) -> Offer | None:
    """Return the offer for the seat that a child holds, if any."""
    return session.scalars(
        select(Offer).where(Offer.child_id == child, Offer.status.in_(LIVE)).execution_options(populate_existing=True)
    ).one_or_none()


def offers_to(session: Session, child: uuid.UUID) -> Sequence[Offer]:
    """Return every offer that a child was ever made, the newest first."""
    return session.scalars(select(Offer).where(Offer.child_id == child).order_by(Offer.made_at.desc(), Offer.id)).all()


def application_with_seat(session: Session, child: uuid.UUID) -> Applicant:
    """Return the active application of a child whose offer was just answered."""
    return session.scalars(select(Applicant).where(Applicant.child_id == child, Applicant.withdrawn_at.is_(None))).one()


def select_offers_at(cycle: str, program: str, status: str | None) -> Select[Offer, bytes, str | None, Person | None]:
    """Select a program's offers with each child's tag, partner, and personal data (null once withdrawn)."""
    query = (
        select(Offer, Child.tag, Applicant.partner_id, Person)
        .join(Child, Child.id == Offer.child_id)
        .outerjoin(Applicant, (Applicant.child_id == Child.id) & Applicant.withdrawn_at.is_(None))
        .outerjoin(Person, Person.applicant_id == Applicant.id)
        .where(Offer.cycle_id == cycle, Offer.program_id == program)
    )
    return query if status is None else query.where(Offer.status == status)


def expire_due(sessions: "sessionmaker[Session]") -> None:
    """Expire every unanswered offer whose deadline has passed, each in its own transaction.

    While a round is frozen, the offers of its cycle wait.
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


def _expire_one(sessions: "sessionmaker[Session]", offer_id: str) -> None:
    with transaction(sessions) as session:
        _expire(session, uuid.UUID(offer_id))


def _expire(session: Session, offer_id: uuid.UUID) -> None:
    found = session.execute(select(Offer.cycle_id, Offer.child_id).where(Offer.id == offer_id)).one()
    cycle = lock_cycle_shared(session, found.cycle_id)
    ranker = lock_ranker_of(session, found.child_id)
    offer = session.get_one(Offer, offer_id, populate_existing=True)
    # The offer may have been answered, or a round frozen, since the offer was found.
    if ranker is None or offer.status != "open" or cycle.cycle.running_round or cycle.now < offer.answer_by:
        return
    locked = LockedOffer(offer, ranker, cycle.cycle, cycle.now)
    if cycle.cycle.silence == "accept":
        _set_status(session, locked, "accepted", cause="offer.expire", code="silence-accepts", actor=SERVICE)
    else:
        give_up(session, locked, "expired", cause="offer.expire", code="silence-declines", actor=SERVICE)
    partner, reference = session.execute(
        select(Applicant.partner_id, Applicant.reference).where(Applicant.id == ranker.id)
    ).one()
    about = {**about_answer(offer_id, reference, offer.answer_by, cycle.cycle.time_zone), "status": offer.status}
    notify(session, [NewNotice(offer.cycle_id, partner, "offer.expired", str(offer_id), about)])


def _set_status(session: Session, locked: LockedOffer, status: str, *, cause: str, code: str, actor: str) -> None:
    """Change an offer's status, and log the change."""
    offer = locked.offer
    log_change(session, locked.seat, Change(offer.status, status, cause, code, actor, locked.now))
    offer.status, offer.closed_at = status, locked.now
    offer.version += 1
    if status not in LIVE:
        session.execute(update(Child).where(Child.id == offer.child_id).values(seat_grade=None))
    session.flush()


def _refuse_closed(session: Session, locked: LockedOffer) -> None:
    if locked.offer.status != "open":
        raise OfferAnswered(faults=[_what_happened(session, locked)])
    if locked.now >= locked.offer.answer_by:
        raise OfferRanOut(answer_by=in_zone(locked.cycle, locked.offer.answer_by))


def _what_happened(session: Session, locked: LockedOffer) -> Fault:
    """Return what happened to a closed offer."""
    offers = offers_to(session, locked.offer.child_id)
    stories = stories_of(session, locked.cycle, offers, locked.now, waits=False)
    story = next(story for story in stories if story.offer.id == locked.offer.id)
    offer = story.offer
    at = offer.answer_by if offer.status == "expired" else offer.closed_at or offer.made_at
    values: dict[str, Value] = {"seat": story.seat.for_families, "at": in_zone(locked.cycle, at)}
    if story.next:
        values["next"] = story.next.for_families
    return Fault("", offer.status, CLOSED[offer.status], values)


def _cycle_of(session: Session, partner: Partner, offer_id: uuid.UUID) -> str:
    """Return the cycle of an offer to a child whose application the partner holds.

    Raises:
        NotFound: if the partner has no such offer.
    """
    cycle = session.scalar(
        select(Offer.cycle_id)
        .join(Applicant, Applicant.child_id == Offer.child_id)
        .where(Offer.id == offer_id, Applicant.partner_id == partner.id, Applicant.withdrawn_at.is_(None))
    )
    if cycle is None:
        raise NotFound
    return cycle


def _lock_offer(session: Session, partner: Partner, offer_id: uuid.UUID, cycle: CycleNow) -> LockedOffer:
    """Lock the child of an offer.

    Raises:
        NotFound: if the application was withdrawn, or moved to another partner, before the lock was granted.
    """
    child = session.scalars(select(Offer.child_id).where(Offer.id == offer_id)).one()
    ranker = lock_ranker_of(session, child)
    if ranker is None or session.get_one(Applicant, ranker.id, populate_existing=True).partner_id != partner.id:
        raise NotFound
    return LockedOffer(session.get_one(Offer, offer_id, populate_existing=True), ranker, cycle.cycle, cycle.now)
