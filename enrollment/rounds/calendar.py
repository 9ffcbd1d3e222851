"""Backfill rounds on the calendar: nightly or weekly, wanted by two administrators, with the steps and proofs of any.

A calendar's rounds are made and frozen when they are due, drawn without dice where no number hangs on the seed, matched
by the job that matches every round, and published if all gates are open: one administrator asked for the calendar, the
other approved it, and the log names both. A round that needs dice waits for somebody to type them in.
"""

import uuid
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.two_people import refuse_second_person
from enrollment.audit.log import append
from enrollment.cycles.locks import lock_cycle, read_cycle, rfc3339
from enrollment.database import clock, transaction
from enrollment.failures import for_each, not_waiting
from enrollment.jobs import enqueue, is_waiting
from enrollment.problems import Conflict, Fault, MalformedBody, NotFound, Problem, sentence
from enrollment.rounds.freeze import freeze
from enrollment.rounds.lifecycle import MATCH, GateClosed, draw, publish
from enrollment.rounds.locks import lock_round_and_cycle, make_round
from enrollment.rounds.models import Round, RoundCalendar
from enrollment.rounds.schemas import CalendarIn
from enrollment.seats.models import Vacancy
from enrollment.seats.vacancies import FREE
from lottery.market.model import Kind

EVERY = {"day": timedelta(days=1), "week": timedelta(weeks=1)}
ACTOR = "service:calendar"
CALENDAR = "calendar"
"""The loop that keeps calendars."""

NOTHING_FREE = "nothing-free"


class CalendarThere(Conflict):
    """Another calendar of the cycle's is live."""

    title = sentence("The cycle has a calendar of rounds already")
    detail = sentence("Stop that one first: DELETE /v1/cycles/{cycle}/round-calendar.")


class OwnCalendar(Conflict):
    """Somebody would approve their own calendar."""

    title = sentence("A calendar is approved by somebody else than who asked for it")
    detail = sentence("Ask another administrator; its rounds are published in both names.")


class CalendarApproved(Conflict):
    """A calendar that two administrators want already."""

    title = sentence("The calendar is approved already")
    detail = sentence("Its next round is at {next}.")


def live_calendar(session: Session, cycle: str) -> RoundCalendar:
    """Return a cycle's calendar of rounds.

    Raises:
        NotFound: if it has none.
    """
    found = session.scalars(
        select(RoundCalendar).where(RoundCalendar.cycle_id == cycle, RoundCalendar.stopped_at.is_(None))
    ).one_or_none()
    if found is None:
        raise NotFound
    return found


def ask_for_calendar(session: Session, cycle: str, body: CalendarIn, *, staff: Staff) -> RoundCalendar:
    """Ask for backfill rounds on the calendar; they begin once a second administrator approves.

    Raises:
        CycleNotFound: if there is no such cycle.
        CalendarThere: if it has a calendar.
        MalformedBody: if the first round is not to come.
    """
    held = read_cycle(session, cycle)
    if body.first_at <= held.now:
        raise MalformedBody(faults=[Fault("/first_at", "passed", sentence("must be still to come"))])
    made = insert(RoundCalendar).values(
        id=uuid.uuid4(),
        cycle_id=cycle,
        every=body.every,
        next_at=body.first_at,
        dice_in_minutes=body.dice_in_minutes,
        asked_by=staff.id,
        asked_at=held.now,
    )
    calendar = session.scalars(made.on_conflict_do_nothing().returning(RoundCalendar)).one_or_none()
    if calendar is None:
        raise CalendarThere(cycle=cycle)
    _tell(session, calendar, "asked", staff)
    return calendar


def approve_calendar(session: Session, cycle: str, *, staff: Staff) -> RoundCalendar:
    """Approve a calendar, as the second administrator: its rounds are published in both names.

    Raises:
        NotFound: if the cycle has none.
        OwnCalendar, CalendarApproved, AccountConfirmedLater, SponsorCannotApprove: as they say.
    """
    lock_cycle(session, cycle)
    calendar = live_calendar(session, cycle)
    if calendar.approved_by is not None:
        raise CalendarApproved(next=rfc3339(calendar.next_at))
    refuse_second_person(session, staff.id, asked_by=calendar.asked_by, begun_at=calendar.asked_at, same=OwnCalendar)
    calendar.approved_by = staff.id
    _tell(session, calendar, "approved", staff)
    return calendar


def stop_calendar(session: Session, cycle: str, *, staff: Staff) -> None:
    """Stop a calendar; a round that it made goes on as any other.

    Raises:
        NotFound: if the cycle has none.
    """
    lock_cycle(session, cycle)
    calendar = live_calendar(session, cycle)
    calendar.stopped_at = clock(session)
    _tell(session, calendar, "stopped", staff)


def _tell(session: Session, calendar: RoundCalendar, what: str, staff: Staff) -> None:
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
    """Begin the rounds that are due, and take those of calendars one step on; each step is a transaction."""
    with transaction(sessions) as session:
        due = session.scalars(
            select(RoundCalendar.id)
            .where(
                RoundCalendar.approved_by.is_not(None),
                RoundCalendar.stopped_at.is_(None),
                RoundCalendar.next_at <= func.clock_timestamp(),
                not_waiting(CALENDAR, RoundCalendar.id),
            )
            .order_by(RoundCalendar.next_at, RoundCalendar.id)
        ).all()
        going = session.scalars(
            select(Round.id)
            .where(
                Round.calendar_id.is_not(None),
                Round.state.in_(["frozen", "drawn", "matched"]),
                not_waiting(CALENDAR, Round.id),
            )
            .order_by(Round.id)
        ).all()
    for_each(sessions, CALENDAR, map(str, due), _begin_one)
    for_each(sessions, CALENDAR, going, _go_on_one)


def _begin_one(sessions: "sessionmaker[Session]", calendar_id: str) -> None:
    with transaction(sessions) as session:
        _begin(session, uuid.UUID(calendar_id))


def _go_on_one(sessions: "sessionmaker[Session]", round_id: str) -> None:
    with transaction(sessions) as session:
        _go_on(session, round_id)


def _begin(session: Session, calendar_id: uuid.UUID) -> None:
    """Make and freeze a calendar's round in the transaction in which its next time is set: it is made once."""
    calendar = session.get_one(RoundCalendar, calendar_id)
    held = lock_cycle(session, calendar.cycle_id)
    session.refresh(calendar)
    if calendar.stopped_at is not None or calendar.approved_by is None or held.now < calendar.next_at:
        return
    calendar.last_at, calendar.next_at = held.now, _next(calendar, held.now)
    until = held.cycle.backfill_until
    if until is not None and held.now >= until:
        calendar.stopped_at, calendar.last_told = held.now, "window-over"
        return
    calendar.last_told = _freeze_new(session, calendar)
    session.flush()


def _freeze_new(session: Session, calendar: RoundCalendar) -> str:
    """Make and freeze a round, and return its id; or why there is none."""
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


def _next(calendar: RoundCalendar, now: datetime) -> datetime:
    """Return the calendar's first time that is still to come; what was missed is not made up for."""
    later = calendar.next_at
    while later <= now:
        later += EVERY[calendar.every]
    return later


def _go_on(session: Session, round_id: str) -> None:
    """Take a calendar's round one step on, if the step needs nobody."""
    held = lock_round_and_cycle(session, round_id)
    round_ = held.round
    calendar = session.get_one(RoundCalendar, round_.calendar_id)
    if round_.void_asked_by is not None or calendar.approved_by is None:
        return  # somebody has something against it
    if round_.state == "frozen" and round_.draws is False:
        draw(session, round_, None, actor=ACTOR)
    elif round_.state == "drawn" and round_.complaint is None and not is_waiting(session, MATCH, round_.id):
        round_.asked_by, round_.asked_at = calendar.asked_by, held.now
        session.flush()
        enqueue(session, MATCH, round_.id)
    elif round_.state == "matched" and round_.asked_by == calendar.asked_by:
        try:
            publish(session, held, staff=calendar.approved_by, actor=ACTOR)
        except GateClosed as closed:
            calendar.last_told = closed.code()
