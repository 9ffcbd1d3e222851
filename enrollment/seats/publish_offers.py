"""Give the seats of a published round: offers, and what becomes of every vacancy.

A main round gives everybody placed an offer, and opens a vacancy for each seat that it left. A backfill round moves
those who were placed higher, fills the vacancies that their seats leave and those that stood open, and says of each
that stays empty which part of its school's rule left it so.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import String, cast, func, insert, literal, select, update
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child
from enrollment.cycles.models import Cycle
from enrollment.database import copy_rows
from enrollment.directory.models import Program
from enrollment.notify.models import Notice
from enrollment.notify.notices import NewNotice, notify
from enrollment.rules.backfill import WhyNot
from enrollment.seats.models import LIVE, Offer, Vacancy
from enrollment.seats.seat_log import NONE, Change, Seat, tell_change
from enrollment.seats.vacancies import (
    FEWER_SEATS,
    LIMIT,
    NOBODY_WAITING,
    OVER_OFFERED,
    Decision,
    Opened,
    fill,
    free_seats,
    leave_empty,
    open_seats,
    remove,
    take_seat,
    tell,
)
from lottery.market.canonical import Json
from lottery.market.rules import OPEN

MAIN = "main"
SERVICE = "service"
REPLACED = "replaced"
OVER_TARGET = WhyNot.OVER_TARGET.value
A_DAY = timedelta(days=1)
A_MINUTE = timedelta(minutes=1)
RFC3339 = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
"""A time in UTC, as PostgreSQL writes it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A placement of the round."""

    tag: str
    program: str
    group: str
    choice: int | None
    priority_class: str


@dataclass(frozen=True, slots=True)
class ProgramInRound:
    """A program of the round, by the rules that were frozen for it."""

    rules_version: int
    groups: Mapping[str, int]
    """Seats as its rules have them, in precedence order."""
    target: int
    """How many seats it may have filled now; over-offers do not count after the main round."""
    over_offer: int
    releases: bool
    """Whether reserved seats that nobody holds are open to all."""
    waiting: Mapping[str, int]
    """How many the round left waiting at each group."""
    why_not: str | None
    hours_to_answer: int
    backfill_of: str
    """Whose the backfill rule is: `operator:district`, `school:lincoln`, `program:lincoln-kg`, or `default`."""
    seats_of: str
    """Whose the seats are, likewise."""


@dataclass(frozen=True, slots=True)
class Given:
    """A round that is published now."""

    round: str
    kind: str
    cycle: Cycle
    now: datetime
    programs: Mapping[str, ProgramInRound]
    one: tuple[str, int] | None
    """The program and the number of the vacancy that the round is for, where it is for one seat."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A child that comes to a seat, with the seat that it leaves, if it held one."""

    child: uuid.UUID
    placed: Placed
    left: Offer | None


def give_seats(session: Session, given: Given, placements: Sequence[Placed]) -> None:
    """Make the offers of a round that is published, and bring the ledger up to it; the cycle is held alone."""
    arrivals = _arrivals(session, given, placements)
    _close(session, given, arrivals)
    if given.kind == MAIN:
        _offer(session, given, arrivals)
        _bring_up_to_date(session, given)
    else:
        _vacate(session, given, arrivals)
        if given.one is None:
            _bring_up_to_date(session, given)
        _settle_vacancies(session, given, arrivals)
        _offer(session, given, arrivals)


def held_seats(session: Session, cycle: str) -> dict[uuid.UUID, Offer]:
    """Return who holds which seat, by child."""
    rows = session.scalars(
        select(Offer).where(Offer.cycle_id == cycle, Offer.status.in_(LIVE)).execution_options(populate_existing=True)
    )
    return {offer.child_id: offer for offer in rows}


def _held_by_group(session: Session, cycle: str) -> Counter[tuple[str, str]]:
    rows = session.execute(
        select(Offer.program_id, Offer.seat_group, func.count())
        .where(Offer.cycle_id == cycle, Offer.status.in_(LIVE))
        .group_by(Offer.program_id, Offer.seat_group)
    )
    return Counter({(program, group): number for program, group, number in rows})


def _arrivals(session: Session, given: Given, placements: Sequence[Placed]) -> list[Arrival]:
    """Return who comes to a seat that they did not hold; who holds it stays, in the group that it is in now."""
    children = {
        tag.hex(): child
        for child, tag in session.execute(select(Child.id, Child.tag).where(Child.cycle_id == given.cycle.id))
    }
    held = held_seats(session, given.cycle.id)
    arrivals = []
    for placed in placements:
        child = children[placed.tag]
        offer = held.get(child)
        if offer and offer.program_id == placed.program:
            _keep_seat(session, given, offer, placed)
        else:
            arrivals.append(Arrival(child, placed, offer))
    session.flush()
    return arrivals


def _keep_seat(session: Session, given: Given, offer: Offer, placed: Placed) -> None:
    """Leave a child on its seat; its group is another one only where the school's rules no longer have the former."""
    if offer.seat_group == placed.group:
        return
    offer.seat_group = placed.group
    seat = Seat(given.cycle.id, offer.child_id, placed.tag, placed.program, placed.group)
    kept = Change(offer.status, offer.status, "backfill", "group-changed", SERVICE, given.now, given.round)
    tell_change(session, seat, kept)


def _close(session: Session, given: Given, arrivals: Sequence[Arrival]) -> None:
    """Close the offers of those who go to a higher one, and tell the log of each."""
    for one in arrivals:
        if one.left:
            seat = Seat(given.cycle.id, one.child, one.placed.tag, one.left.program_id, one.left.seat_group)
            tell_change(session, seat, _change(given, was=one.left.status, became=REPLACED))
    ids = [one.left.id for one in arrivals if one.left]
    session.execute(
        update(Offer)
        .where(Offer.id.in_(ids))
        .values(status=REPLACED, closed_at=given.now, version=Offer.version + 1)
        .execution_options(synchronize_session=False)
    )


def _change(given: Given, *, was: str, became: str) -> Change:
    return Change(was, became, "backfill", f"{given.kind}-round", SERVICE, given.now, given.round)


def _vacate(session: Session, given: Given, arrivals: Sequence[Arrival]) -> None:
    opened = [Opened(one.left.program_id, one.left.seat_group, "moved") for one in arrivals if one.left]
    open_seats(session, given.cycle.id, opened, given.now, actor=SERVICE)


def _bring_up_to_date(session: Session, given: Given) -> None:
    """Bring the ledger to as many seats as each program's rules have now: open what is new, remove what is gone.

    What a main round did not fill is new; in a backfill round those who come are not on their seats yet.
    """
    cycle = given.cycle.id
    held = _held_by_group(session, cycle)
    free = free_seats(session, cycle)
    opened: list[Opened] = []
    told: list[Mapping[str, Json] | None] = []
    for program, its in given.programs.items():
        groups = Counter(vacancy.seat_group for vacancy in free.get(program, []))
        has = {group: held[program, group] + groups[group] for group in its.groups}
        known = sum(number for (of, _), number in held.items() if of == program) + len(free.get(program, []))
        capacity = sum(its.groups.values()) if given.kind == MAIN else its.target
        by = "not-filled" if given.kind == MAIN else "seats-added"
        opened += [Opened(program, group, by) for group in _new_seats(its, has, capacity - known)]
        why = OVER_OFFERED if its.over_offer else FEWER_SEATS
        gone = free.get(program, [])[::-1][: max(known - capacity, 0)]
        decision = Decision(given.now, given.round, its.rules_version, its.seats_of)
        told += [remove(vacancy, why, decision) for vacancy in gone]
    open_seats(session, cycle, opened, given.now, actor=SERVICE)
    tell(session, cycle, told, actor=SERVICE)


def _new_seats(its: ProgramInRound, has: Mapping[str, int], number: int) -> Iterator[str]:
    """Yield the group of each new seat: those that have fewer than their rules say, and then the open one."""
    left = max(number, 0)
    for group, seats in its.groups.items():
        added = min(max(seats - has[group], 0), left)
        left -= added
        yield from [group] * added
    yield from [OPEN] * left


def _settle_vacancies(session: Session, given: Given, arrivals: Sequence[Arrival]) -> None:
    """Fill the vacancies of those who come, and say of the others by what of its school's rule each stays empty."""
    free = free_seats(session, given.cycle.id)
    told: list[Mapping[str, Json] | None] = []
    for one in arrivals:
        placed = one.placed
        decision = Decision(given.now, given.round, given.programs[placed.program].rules_version)
        number = given.one[1] if given.one and given.one[0] == placed.program else None
        vacancy = take_seat(free.get(placed.program, []), placed.group, number=number)
        told.append(fill(vacancy, group=placed.group, priority_class=placed.priority_class, decision=decision))
    told += _left_empty(given, free)
    tell(session, given.cycle.id, told, actor=SERVICE)


def _left_empty(given: Given, free: Mapping[str, Sequence[Vacancy]]) -> Iterator[Mapping[str, Json] | None]:
    """Leave every seat that is still free empty, each with the reason.

    Where somebody waits for such a seat, and its school fills, only the limit of a round can have kept it.
    """
    for program, vacancies in sorted(free.items()):
        its = given.programs.get(program)
        if its is None:
            continue
        for vacancy in vacancies:
            group = OPEN if its.releases else vacancy.seat_group
            why = its.why_not or (LIMIT if its.waiting.get(group) else NOBODY_WAITING)
            # A round for one seat says nothing of the others.
            if given.one in (None, (program, vacancy.number)):
                yield leave_empty(vacancy, why, Decision(given.now, given.round, its.rules_version, _whose(its, why)))


def _whose(its: ProgramInRound, why: str) -> str | None:
    """Return whose rule leaves a seat empty: nobody's, where only nobody waits for it."""
    return None if why == NOBODY_WAITING else its.seats_of if why == OVER_TARGET else its.backfill_of


def _offer(session: Session, given: Given, arrivals: Sequence[Arrival]) -> None:
    """Offer each seat. Who had accepted a lower one has this one accepted: silence must not cost them both."""
    offers = [(uuid.uuid4(), one, _answer_by(given, one)) for one in arrivals]
    copy_rows(
        session,
        Offer,
        [
            "id", "cycle_id", "child_id", "program_id", "seat_group", "priority_class", "choice", "source", "round_id",
            "made_at", "answer_by", "remind_at", "status", "closed_at",
        ],
        [
            (
                offer, given.cycle.id, one.child, one.placed.program, one.placed.group, one.placed.priority_class,
                one.placed.choice, given.kind, given.round, given.now, answer_by, remind_at(given.now, answer_by),
                *_status(given, one),
            )
            for offer, one, answer_by in offers
        ],
    )  # fmt: skip
    if given.kind != MAIN:
        for _, one, _ in offers:
            seat = Seat(given.cycle.id, one.child, one.placed.tag, one.placed.program, one.placed.group)
            tell_change(session, seat, _change(given, was=NONE, became=_status(given, one)[0]))
    session.execute(
        update(Child)
        .where(Child.id == Offer.child_id, Offer.round_id == given.round, Offer.program_id == Program.id)
        .values(seat_grade=Program.grade)
        .execution_options(synchronize_session=False)
    )
    _notify(session, given)


def _status(given: Given, one: Arrival) -> tuple[str, datetime | None]:
    accepted = one.left is not None and one.left.status == "accepted"
    return ("accepted", given.now) if accepted else ("open", None)


def _answer_by(given: Given, one: Arrival) -> datetime:
    """Return until when to answer: the cycle's time, if it is to come; after a backfill round the school's hours.

    They end with a full minute, to be said to people. A family that was asked before has no less time than it had.
    """
    hours = _full_minute(given.now) + timedelta(hours=given.programs[one.placed.program].hours_to_answer)
    its = given.cycle.answer_by
    if given.kind == MAIN and its is not None and its > given.now:
        return its
    return max(hours, one.left.answer_by) if one.left else hours


def _full_minute(time: datetime) -> datetime:
    """Return the next full minute."""
    return time.replace(second=0, microsecond=0) + A_MINUTE


def remind_at(made: datetime, answer_by: datetime) -> datetime:
    """Return when a family is reminded: a day before the end, or half way to it where that is less."""
    return answer_by - min(A_DAY, (answer_by - made) / 2)


def _notify(session: Session, given: Given) -> None:
    """Notify the partners that results are published, and of each offer that is made; in the database, as it is many.

    Nothing else has offers of this round, or knows of it, so there is nothing to be noticed twice.
    """
    brought = (Applicant.cycle_id == given.cycle.id, Applicant.withdrawn_at.is_(None))
    partners = session.scalars(select(Applicant.partner_id).where(*brought).distinct().order_by(Applicant.partner_id))
    notify(
        session,
        [
            NewNotice(given.cycle.id, partner, "results.published", f"{given.round} {partner}", {"round": given.round})
            for partner in partners
        ],
    )
    answer_by = func.to_char(func.timezone("UTC", Offer.answer_by), RFC3339)
    made = (
        select(
            Offer.cycle_id,
            Applicant.partner_id,
            literal("offer.made"),
            cast(Offer.id, String),
            func.jsonb_build_object("offer", Offer.id, "reference", Applicant.reference, "answer_by", answer_by),
        )
        .join(Applicant, Applicant.child_id == Offer.child_id)
        .where(Offer.round_id == given.round, *brought)
        .order_by(Applicant.partner_id, Applicant.reference)
    )
    session.execute(insert(Notice).from_select(["cycle_id", "partner_id", "event", "subject", "about"], made))
