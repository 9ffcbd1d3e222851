"""Publish the offers of a round, and bring the vacancy ledger up to date."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from enrollment.applicants.models import Child
from enrollment.database import copy_rows
from enrollment.directory.models import Program
from enrollment.seats.models import LIVE, Offer
from enrollment.seats.offer_notices import notify_of_offers, notify_partners
from enrollment.seats.published_round import MAIN, SERVICE, Arrival, Placement, PublishedRound
from enrollment.seats.reminders import remind_at
from enrollment.seats.round_vacancies import match_ledger_to_rules, settle_vacancies, vacate_seats
from enrollment.seats.seat_log import NONE, Change, Seat, log_change

REPLACED = "replaced"
A_MINUTE = timedelta(minutes=1)

OFFER_COLUMNS = (
    "id", "cycle_id", "child_id", "program_id", "seat_group", "priority_class", "choice", "source", "round_id",
    "made_at", "answer_by", "remind_at", "status", "closed_at",
)  # fmt: skip


def publish_offers(session: Session, published: PublishedRound, placements: Sequence[Placement]) -> None:
    """Make the offers of a round and update the ledger. The caller holds an exclusive lock on the cycle.

    A main round gives every placed child an offer. A backfill round moves children to higher choices and fills
    vacancies.
    """
    arrivals = _arrivals(session, published, placements)
    _close_former_offers(session, published, arrivals)
    if published.kind == MAIN:
        _make_offers(session, published, arrivals)
        match_ledger_to_rules(session, published)
    else:
        vacate_seats(session, published, arrivals)
        if published.only_seat is None:
            match_ledger_to_rules(session, published)
        settle_vacancies(session, published, arrivals)
        _make_offers(session, published, arrivals)


def _live_offers(session: Session, cycle: str) -> dict[uuid.UUID, Offer]:
    """Return the live offer of each child that holds a seat."""
    rows = session.scalars(
        select(Offer).where(Offer.cycle_id == cycle, Offer.status.in_(LIVE)).execution_options(populate_existing=True)
    )
    return {offer.child_id: offer for offer in rows}


def _arrivals(session: Session, published: PublishedRound, placements: Sequence[Placement]) -> list[Arrival]:
    """Return the children who get a new seat. A child placed at the program of the held seat keeps that seat."""
    children = {
        tag.hex(): child
        for child, tag in session.execute(select(Child.id, Child.tag).where(Child.cycle_id == published.cycle.id))
    }
    live = _live_offers(session, published.cycle.id)
    arrivals = []
    for placement in placements:
        child = children[placement.tag]
        offer = live.get(child)
        if offer and offer.program_id == placement.program:
            _keep_seat(session, published, offer, placement)
        else:
            arrivals.append(Arrival(child, placement, offer))
    session.flush()
    return arrivals


def _keep_seat(session: Session, published: PublishedRound, offer: Offer, placement: Placement) -> None:
    """Leave a child on a held seat. The group changes only if the rules no longer have the former group."""
    if offer.seat_group == placement.group:
        return
    offer.seat_group = placement.group
    seat = Seat(published.cycle.id, offer.child_id, placement.tag, placement.program, placement.group)
    code = "group-changed"
    log_change(
        session,
        seat,
        Change(offer.status, offer.status, "backfill", code, SERVICE, published.now, published.round),
    )


def _close_former_offers(session: Session, published: PublishedRound, arrivals: Sequence[Arrival]) -> None:
    """Close the offers for the seats that children leave, and log each change."""
    for arrival in arrivals:
        if arrival.former:
            seat = Seat(
                published.cycle.id,
                arrival.child,
                arrival.placement.tag,
                arrival.former.program_id,
                arrival.former.seat_group,
            )
            log_change(session, seat, _change(published, was=arrival.former.status, became=REPLACED))
    ids = [arrival.former.id for arrival in arrivals if arrival.former]
    session.execute(
        update(Offer)
        .where(Offer.id.in_(ids))
        .values(status=REPLACED, closed_at=published.now, version=Offer.version + 1)
        .execution_options(synchronize_session=False)
    )


def _change(published: PublishedRound, *, was: str, became: str) -> Change:
    return Change(was, became, "backfill", f"{published.kind}-round", SERVICE, published.now, published.round)


def _make_offers(session: Session, published: PublishedRound, arrivals: Sequence[Arrival]) -> None:
    """Offer each seat. A child who had accepted a lower choice keeps the acceptance, so that silence loses no seat."""
    copy_rows(session, Offer, list(OFFER_COLUMNS), [_offer_row(published, arrival) for arrival in arrivals])
    if published.kind != MAIN:
        for arrival in arrivals:
            placement = arrival.placement
            seat = Seat(published.cycle.id, arrival.child, placement.tag, placement.program, placement.group)
            log_change(session, seat, _change(published, was=NONE, became=_status(published, arrival)[0]))
    session.execute(
        update(Child)
        .where(Child.id == Offer.child_id, Offer.round_id == published.round, Offer.program_id == Program.id)
        .values(seat_grade=Program.grade)
        .execution_options(synchronize_session=False)
    )
    notify_partners(session, published.cycle.id, "results.published", published.round, {"round": published.round})
    notify_of_offers(session, published.cycle, Offer.round_id == published.round)


def _offer_row(published: PublishedRound, arrival: Arrival) -> tuple[object, ...]:
    placement, answer_by = arrival.placement, _answer_by(published, arrival)
    return (
        uuid.uuid4(), published.cycle.id, arrival.child, placement.program, placement.group, placement.priority_class,
        placement.choice, published.kind, published.round, published.now, answer_by,
        remind_at(published.now, answer_by), *_status(published, arrival),
    )  # fmt: skip


def _status(published: PublishedRound, arrival: Arrival) -> tuple[str, datetime | None]:
    accepted = arrival.former is not None and arrival.former.status == "accepted"
    return ("accepted", published.now) if accepted else ("open", None)


def _answer_by(published: PublishedRound, arrival: Arrival) -> datetime:
    """Return the deadline of an offer.

    A main round uses the cycle's deadline if that is still to come. Otherwise the school's hours count, up to a full
    minute. A family that already has an open offer never gets an earlier deadline.
    """
    hours = timedelta(hours=published.programs[arrival.placement.program].hours_to_answer)
    deadline = _full_minute(published.now) + hours
    cycle_deadline = published.cycle.answer_by
    if published.kind == MAIN and cycle_deadline is not None and cycle_deadline > published.now:
        return cycle_deadline
    return max(deadline, arrival.former.answer_by) if arrival.former else deadline


def _full_minute(time: datetime) -> datetime:
    """Return the next full minute."""
    return time.replace(second=0, microsecond=0) + A_MINUTE
