"""Calendars of nightly or weekly backfill rounds.

The service makes and freezes a calendar's round when it is due, draws it if it needs no dice, matches it, and publishes
it if all checks pass. One administrator asks for the calendar and another approves it; the log names both. A round that
needs dice waits until an administrator enters them.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.two_people import refuse_second_person
from enrollment.audit.log import append
from enrollment.cycles.locks import in_zone, lock_cycle, read_cycle, rfc3339
from enrollment.database import clock, transaction
from enrollment.failures import for_each, not_waiting
from enrollment.field_types import Time, Wire
from enrollment.jobs import enqueue, is_waiting
from enrollment.problems import Conflict, Fault, MalformedBody, NotFound, Problem, sentence
from enrollment.rounds.creation import make_round
from enrollment.rounds.draw import draw
from enrollment.rounds.freeze import freeze
from enrollment.rounds.locks import RUNNING, lock_round_and_cycle
from enrollment.rounds.match_job import MATCH
from enrollment.rounds.models import Round, RoundCalendar
from enrollment.rounds.publication import GateClosed, publish
from enrollment.seats.models import Vacancy
from enrollment.seats.vacancies import FREE
from lottery.market.model import Kind

TWO_WEEKS_IN_MINUTES = 14 * 24 * 60

EVERY = {"day": timedelta(days=1), "week": timedelta(weeks=1)}
ACTOR = "service:calendar"
CALENDAR = "calendar"
"""The name of the loop that runs calendars."""

NOTHING_FREE = "nothing-free"


class CalendarIn(Wire):
    """A calendar of backfill rounds."""

    every: Literal["day", "week"]
    first_at: Annotated[
        Time,
        Field(
            description="The time at which the first round is made and frozen. Later rounds have the same time of day "
            "in the cycle's time zone, also after the clocks change."
        ),
    ]
    dice_in_minutes: Annotated[
        int,
        Field(
            ge=0,
            le=TWO_WEEKS_IN_MINUTES,
            description="The time from the freeze to the public roll of the dice, for rounds that need dice.",
        ),
    ]


class CalendarThere(Conflict):
    """The cycle already has a calendar."""

    title = sentence("Calendar already exists")
    detail = sentence(
        "The cycle already has a calendar of rounds. Stop it first: DELETE /v1/cycles/{cycle}/round-calendar."
    )


class OwnCalendar(Conflict):
    """The administrator who asked for the calendar tried to approve it."""

    title = sentence("Calendar needs a second administrator")
    detail = sentence("You asked for this calendar. Ask another administrator to approve it.")


class CalendarApproved(Conflict):
    """The calendar is already approved."""

    title = sentence("Calendar already approved")
    detail = sentence("The calendar needs no further approval. The next round is on {next}.")


def live_calendar(session: Session, cycle: str) -> RoundCalendar:
    """Return the cycle's calendar of rounds.

    Raises:
        NotFound: if the cycle has no calendar.
    """
    found = session.scalars(
        select(RoundCalendar).where(RoundCalendar.cycle_id == cycle, RoundCalendar.stopped_at.is_(None))
    ).one_or_none()
    if found is None:
        raise NotFound
    return found


def ask_for_calendar(session: Session, cycle: str, body: CalendarIn, *, staff: Staff) -> RoundCalendar:
    """Ask for a calendar of backfill rounds. The rounds begin after a second administrator approves.

    Raises:
        CycleNotFound: if the cycle does not exist.
        CalendarThere: if the cycle already has a calendar.
        MalformedBody: if the time of the first round has passed.
    """
    now = read_cycle(session, cycle).now
    if body.first_at <= now:
        raise MalformedBody(faults=[Fault("/first_at", "passed", sentence("must be in the future"))])
    made = insert(RoundCalendar).values(
        id=uuid.uuid4(),
        cycle_id=cycle,
        every=body.every,
        first_at=body.first_at,
        next_at=body.first_at,
        dice_in_minutes=body.dice_in_minutes,
        asked_by=staff.id,
        asked_at=now,
    )
    calendar = session.scalars(made.on_conflict_do_nothing().returning(RoundCalendar)).one_or_none()
    if calendar is None:
        raise CalendarThere(cycle=cycle)
    _log(session, calendar, "asked", staff)
    return calendar


def approve_calendar(session: Session, cycle: str, *, staff: Staff) -> RoundCalendar:
    """Approve a calendar as the second administrator. The log names both for every round of the calendar.

    Raises:
        NotFound: if the cycle has no calendar.
        OwnCalendar, AccountConfirmedLater, SponsorCannotApprove: if the account may belong to the first administrator.
        CalendarApproved: if the calendar is already approved.
    """
    cycle_now = lock_cycle(session, cycle)
    calendar = live_calendar(session, cycle)
    if calendar.approved_by is not None:
        raise CalendarApproved(next=in_zone(cycle_now.cycle, calendar.next_at))
    refuse_second_person(session, staff.id, asked_by=calendar.asked_by, begun_at=calendar.asked_at, same=OwnCalendar)
    calendar.approved_by = staff.id
    _log(session, calendar, "approved", staff)
    return calendar


def stop_calendar(session: Session, cycle: str, *, staff: Staff) -> None:
    """Stop a calendar. Administrators can finish a round that the calendar began.

    Raises:
        NotFound: if the cycle has no calendar.
    """
    lock_cycle(session, cycle)
    calendar = live_calendar(session, cycle)
    calendar.stopped_at = clock(session)
    _log(session, calendar, "stopped", staff)


def _log(session: Session, calendar: RoundCalendar, what: str, staff: Staff) -> None:
    session.flush()
    append(
        session,
        "round.calendar",
        cycle=calendar.cycle_id,
        actor=staff.actor_for(RoleKind.ADMINISTRATOR),
        fields={
            "what": what,
            "every": calendar.every,
            "next": rfc3339(calendar.next_at),
            "asked": calendar.asked_by,
            "approved": calendar.approved_by,
        },
    )


def keep_calendars(sessions: "sessionmaker[Session]") -> None:
    """Begin the rounds that are due, and carry running rounds one step further. Each step is a transaction."""
    with transaction(sessions) as session:
        due, running = _due_calendars(session), _running_rounds(session)
    for_each(sessions, CALENDAR, map(str, due), _begin_in_transaction)
    for_each(sessions, CALENDAR, running, _continue_in_transaction)


def _due_calendars(session: Session) -> Sequence[uuid.UUID]:
    return session.scalars(
        select(RoundCalendar.id)
        .where(
            RoundCalendar.approved_by.is_not(None),
            RoundCalendar.stopped_at.is_(None),
            RoundCalendar.next_at <= func.clock_timestamp(),
            not_waiting(CALENDAR, RoundCalendar.id),
        )
        .order_by(RoundCalendar.next_at, RoundCalendar.id)
    ).all()


def _running_rounds(session: Session) -> Sequence[str]:
    return session.scalars(
        select(Round.id)
        .where(Round.calendar_id.is_not(None), Round.state.in_(RUNNING), not_waiting(CALENDAR, Round.id))
        .order_by(Round.id)
    ).all()


def _begin_in_transaction(sessions: "sessionmaker[Session]", calendar_id: str) -> None:
    with transaction(sessions) as session:
        _begin(session, uuid.UUID(calendar_id))


def _continue_in_transaction(sessions: "sessionmaker[Session]", round_id: str) -> None:
    with transaction(sessions) as session:
        _continue(session, round_id)


def _begin(session: Session, calendar_id: uuid.UUID) -> None:
    """Make and freeze a calendar's round and set the next time, in one transaction, so that each round is made once."""
    calendar = session.get_one(RoundCalendar, calendar_id)
    cycle_now = lock_cycle(session, calendar.cycle_id)
    now, until = cycle_now.now, cycle_now.cycle.backfill_until
    session.refresh(calendar)
    if calendar.stopped_at is not None or calendar.approved_by is None or now < calendar.next_at:
        return
    zone = cycle_now.cycle.time_zone
    calendar.last_at = now
    calendar.next_at = next_time(calendar.first_at, EVERY[calendar.every], after=now, zone=zone)
    if until is not None and now >= until:
        calendar.stopped_at, calendar.last_told = now, "window-over"
        return
    calendar.last_told = _freeze_new(session, calendar)
    session.flush()


def _freeze_new(session: Session, calendar: RoundCalendar) -> str:
    """Make and freeze a round. Return its id, or the reason why there is no round."""
    free = select(Vacancy.number).where(Vacancy.cycle_id == calendar.cycle_id, Vacancy.status.in_(FREE)).limit(1)
    if session.execute(free).first() is None:
        return NOTHING_FREE
    try:
        with session.begin_nested():
            round_ = make_round(session, calendar.cycle_id, Kind.BACKFILL, calendar=calendar.id)
            dice_after = timedelta(minutes=calendar.dice_in_minutes)
            freeze(session, lock_round_and_cycle(session, round_.id), dice_after=dice_after, actor=ACTOR)
    except Problem as refusal:
        return refusal.code()
    return round_.id


def next_time(first_at: datetime, every: timedelta, *, after: datetime, zone: str) -> datetime:
    """Return the next time of a calendar after a time. Missed rounds are not made up for.

    A round has the same time of day all year. A time that the clocks skip in spring is an hour later that day. A time
    that comes twice in fall is the first of the two.
    """
    first = first_at.astimezone(ZoneInfo(zone))
    day, later = first.date(), first_at
    while later <= after:
        day += every
        later = datetime.combine(day, first.time().replace(fold=0), tzinfo=first.tzinfo).astimezone(UTC)
    return later


def _continue(session: Session, round_id: str) -> None:
    """Carry a calendar's round one step further, if the step needs no person."""
    locked = lock_round_and_cycle(session, round_id)
    round_ = locked.round
    calendar = session.get_one(RoundCalendar, round_.calendar_id)
    if round_.void_asked_by is not None or calendar.approved_by is None:
        return  # an administrator asked to void the round, or the calendar is not approved
    if round_.state == "frozen" and round_.draws is False:
        draw(session, round_, None, actor=ACTOR)
    elif round_.state == "drawn" and round_.complaint is None and not is_waiting(session, MATCH, round_.id):
        round_.asked_by, round_.asked_at = calendar.asked_by, locked.now
        session.flush()
        enqueue(session, MATCH, round_.id)
    elif round_.state == "matched" and round_.asked_by == calendar.asked_by:
        try:
            publish(session, locked, staff=calendar.approved_by, actor=ACTOR)
        except GateClosed as closed:
            calendar.last_told = closed.code()
