"""Lock a cycle while an act on it lasts: lock, look, act.

An act on a cycle first takes a shared lock on its row. The freeze takes the lock alone. So an act ends before the
freeze, or is refused. The database's clock gives the time, after the lock is taken.

The cycle comes first in the order of locks (docs/explanation/locks.md). No lock here is `FOR UPDATE`: every foreign key
to the cycle would wait for it, and the waiting transaction may hold a lock that this one needs next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, defer

from enrollment.cycles.models import Cycle
from enrollment.dates import ZonedTime
from enrollment.problems import Conflict, NotFound, sentence
from enrollment.time_zones import day_in


class Phase(StrEnum):
    """The phase of a cycle at a time."""

    PLANNED = "planned"
    OPEN = "open"
    LATE = "late"
    BACKFILL = "backfill"
    RUNNING = "running"
    CLOSED = "closed"


class CycleNotFound(NotFound):
    """No cycle has this id."""

    title = sentence("Cycle not found")
    detail = sentence("Check the id of the cycle. GET /v1/cycles lists all cycles.")


class CycleNotOpenYet(Conflict):
    """The cycle does not accept applications yet."""

    title = sentence("Cycle not open yet")
    detail = sentence("{cycle} accepts applications and rankings from {opens}. Send the request again then.")


class CycleClosed(Conflict):
    """The cycle no longer accepts applications."""

    title = sentence("Cycle closed")
    detail = sentence(
        "{cycle} accepted applications and rankings from {opens} until {until}. GET /v1/cycles/{cycle} shows whether a "
        "backfill window follows. Send the request again in that window, or ask the administrators."
    )


class RoundRunning(Conflict):
    """A round is frozen, and neither published nor void."""

    title = sentence("Round in progress")
    detail = sentence(
        "The round {round} of {cycle} is frozen. Its data cannot change until the round is published or void. "
        "Send the request again then."
    )


class MainRoundFrozen(Conflict):
    """The main round is frozen, so participation and seats are fixed."""

    title = sentence("Main round frozen")
    detail = sentence(
        "The freeze of the round {round} fixed the schools, programs and seats of {cycle}. "
        "Ask the administrators about later rounds."
    )


@dataclass(frozen=True, slots=True)
class CycleNow:
    """A cycle as it is now, with the time. Unless it was only read, its row is locked until the transaction ends."""

    cycle: Cycle
    now: datetime

    @property
    def phase(self) -> Phase:
        """Return the phase of the cycle now."""
        return phase_at(self.cycle, self.now)

    @property
    def today(self) -> date:
        """Return today in the cycle's time zone."""
        return day_in(self.cycle.time_zone, self.now)

    @property
    def has_opened(self) -> bool:
        """Tell whether the cycle has opened. From then on a change of rules needs approval."""
        return self.now >= self.cycle.opens_at


@dataclass(frozen=True, slots=True)
class OpenCycle:
    """A cycle that accepts applications and rankings now, locked until the transaction ends."""

    cycle: Cycle
    now: datetime


def phase_at(cycle: Cycle, now: datetime) -> Phase:
    """Return the phase of a cycle at a time.

    A window includes the time it opens, and excludes the time it ends. A ranking exactly at the deadline is late.
    """
    if cycle.running_round is not None:
        return Phase.RUNNING
    if now < cycle.opens_at:
        return Phase.PLANNED
    if now < cycle.deadline:
        return Phase.OPEN
    if cycle.late_until is not None and now < cycle.late_until:
        return Phase.LATE
    if cycle.backfill_opens is not None and cycle.backfill_until is not None:
        return Phase.BACKFILL if cycle.backfill_opens <= now < cycle.backfill_until else Phase.CLOSED
    return Phase.CLOSED


def lock_open_cycle(session: Session, cycle_id: str) -> OpenCycle:
    """Take a shared lock on a cycle that accepts applications and rankings now, in one statement.

    The long text of the agreement is left unread until something reads it.

    Raises:
        CycleNotFound: if no cycle has this id.
        RoundRunning: if a round is frozen.
        CycleNotOpenYet, CycleClosed: if the cycle does not accept applications now.
    """
    query = _query(cycle_id).options(defer(Cycle.agreement)).with_for_update(read=True, of=Cycle)
    return require_open(_cycle_now(session, query))


def require_open(cycle_now: CycleNow) -> OpenCycle:
    """Return a cycle as one that accepts applications and rankings now.

    Raises:
        RoundRunning: if a round is frozen.
        CycleNotOpenYet, CycleClosed: if the cycle does not accept applications now.
    """
    cycle, phase = cycle_now.cycle, cycle_now.phase
    if phase is Phase.RUNNING:
        raise _running(cycle)
    if phase is Phase.PLANNED:
        raise CycleNotOpenYet(cycle=cycle.id, opens=in_zone(cycle, cycle.opens_at))
    if phase is Phase.CLOSED:
        opens, until = in_zone(cycle, cycle.opens_at), in_zone(cycle, _last_end(cycle_now))
        raise CycleClosed(cycle=cycle.id, opens=opens, until=until)
    return in_any_phase(cycle_now)


def in_any_phase(cycle_now: CycleNow) -> OpenCycle:
    """Return a cycle for an act on rankings that every phase allows: families may give up seats in any phase."""
    return OpenCycle(cycle_now.cycle, cycle_now.now)


def lock_cycle_between_rounds(session: Session, cycle_id: str) -> CycleNow:
    """Take a shared lock on a cycle, in any phase, for an act that changes data that a match reads.

    Raises:
        CycleNotFound: if no cycle has this id.
        RoundRunning: if a round is frozen.
    """
    cycle_now = lock_cycle_shared(session, cycle_id)
    if cycle_now.cycle.running_round is not None:
        raise _running(cycle_now.cycle)
    return cycle_now


def lock_cycle_shared(session: Session, cycle_id: str) -> CycleNow:
    """Take a shared lock on a cycle, also while a round runs, for an act on data that a match does not read.

    Raises:
        CycleNotFound: if no cycle has this id.
    """
    return _cycle_now(session, _query(cycle_id).with_for_update(read=True, of=Cycle))


def lock_cycle_before_freeze(session: Session, cycle_id: str) -> CycleNow:
    """Take a shared lock on a cycle, for an act on participation or seats before the main round is frozen.

    Raises:
        CycleNotFound: if no cycle has this id.
        RoundRunning: if a round is frozen.
        MainRoundFrozen: if the main round is frozen, and not void.
    """
    cycle_now = lock_cycle_between_rounds(session, cycle_id)
    cycle = cycle_now.cycle
    if cycle.main_round is not None:
        raise MainRoundFrozen(cycle=cycle.id, round=cycle.main_round)
    return cycle_now


def lock_cycle(session: Session, cycle_id: str) -> CycleNow:
    """Lock a cycle alone. All earlier acts on it have ended, and the next begin when this transaction ends.

    Raises:
        CycleNotFound: if no cycle has this id.
    """
    return _cycle_now(session, _query(cycle_id).with_for_update(key_share=True, of=Cycle))


def read_cycle(session: Session, cycle_id: str) -> CycleNow:
    """Read a cycle with the time, without a lock.

    Raises:
        CycleNotFound: if no cycle has this id.
    """
    return _cycle_now(session, _query(cycle_id))


def rfc3339(time: datetime) -> str:
    """Write a time in UTC, as the log has it."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def in_zone(cycle: Cycle, time: datetime) -> ZonedTime:
    """Return a time in the cycle's time zone, as sentences have it."""
    return ZonedTime(time, cycle.time_zone)


def _query(cycle_id: str) -> Select[Cycle, datetime]:
    return select(Cycle, func.clock_timestamp()).where(Cycle.id == cycle_id)


def _cycle_now(session: Session, query: Select[Cycle, datetime]) -> CycleNow:
    # An earlier read in this session may be stale by the time the lock is taken.
    row = session.execute(query.execution_options(populate_existing=True)).one_or_none()
    if row is None:
        raise CycleNotFound
    cycle, now = row
    return CycleNow(cycle, now)


def _running(cycle: Cycle) -> RoundRunning:
    return RoundRunning(cycle=cycle.id, round=cycle.running_round or "")


def _last_end(cycle_now: CycleNow) -> datetime:
    """Return the latest time at which a window has ended."""
    cycle = cycle_now.cycle
    ends: Sequence[datetime | None] = (cycle.deadline, cycle.late_until, cycle.backfill_until)
    return max(end for end in ends if end is not None and end <= cycle_now.now)
