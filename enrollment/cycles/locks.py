"""Hold a cycle, for as long as an act on it lasts: lock, look, act.

Whoever acts on a cycle locks its row first and for sharing; the freeze locks it alone. So an act lands wholly before
the freeze, or is refused. The time is the database's, read once the lock is held.

The cycle comes first in the order of locks (docs/explanation/locks.md). No lock here is `FOR UPDATE`: that would make
every foreign key to the cycle wait, and the transaction that waits may hold what this one needs next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, defer

from enrollment.cycles.models import Cycle
from enrollment.problems import Conflict, NotFound, sentence


class Phase(StrEnum):
    """What a cycle is doing at a time."""

    PLANNED = "planned"
    OPEN = "open"
    LATE = "late"
    BACKFILL = "backfill"
    RUNNING = "running"
    CLOSED = "closed"


class CycleNotFound(NotFound):
    """There is no cycle of that id."""

    title = sentence("There is no such cycle")
    detail = sentence("GET /v1/cycles lists those that there are.")


class CycleNotOpenYet(Conflict):
    """The cycle takes no applications yet."""

    title = sentence("The cycle is not open yet")
    detail = sentence("{cycle} takes applications and rankings from {opens} on. Send it again then.")


class CycleClosed(Conflict):
    """The cycle takes no applications any more."""

    title = sentence("The cycle is closed")
    detail = sentence(
        "{cycle} took applications and rankings from {opens} until {until}. GET /v1/cycles/{cycle} shows whether a "
        "backfill window follows; send it again then, or ask the administrators."
    )


class RoundRunning(Conflict):
    """A round is frozen and not yet published or void."""

    title = sentence("A round is being run")
    detail = sentence(
        "The round {round} of {cycle} is frozen, and what it reads does not change until it is published or void. "
        "Send it again then."
    )


class MainRoundFrozen(Conflict):
    """The main round has been frozen, so who takes part with how many seats is fixed."""

    title = sentence("The main round is frozen")
    detail = sentence(
        "Who takes part in {cycle}, and with what, was fixed by the freeze of the round {round}. "
        "Ask the administrators about the rounds that follow."
    )


@dataclass(frozen=True, slots=True)
class CycleNow:
    """A cycle whose row is locked until the transaction ends, and the time."""

    cycle: Cycle
    now: datetime

    @property
    def phase(self) -> Phase:
        """Return what the cycle is doing."""
        return phase_at(self.cycle, self.now)

    @property
    def has_opened(self) -> bool:
        """Say whether families can have begun: from then on rules are fixed but by approved change."""
        return self.now >= self.cycle.opens_at


@dataclass(frozen=True, slots=True)
class OpenCycle:
    """A cycle that takes applications and rankings now, locked until the transaction ends."""

    cycle: Cycle
    now: datetime
    late: bool
    """Whether what is taken now missed the deadline."""


def phase_at(cycle: Cycle, now: datetime) -> Phase:
    """Return what a cycle is doing at a time.

    A window begins with its first moment and ends just before its last: what comes at the deadline is late.
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
    """Lock a cycle for sharing, if it takes applications and rankings now; one statement.

    Its agreement is not read along; it would be read when asked for.

    Raises:
        CycleNotFound: if there is none.
        RoundRunning: if a round is frozen.
        CycleNotOpenYet, CycleClosed: if it takes none now.
    """
    return taking(_held(session, _at(cycle_id).options(defer(Cycle.agreement)).with_for_update(read=True, of=Cycle)))


def taking(held: CycleNow) -> OpenCycle:
    """Return a held cycle as one that takes applications and rankings now.

    Raises:
        RoundRunning: if a round is frozen.
        CycleNotOpenYet, CycleClosed: if it takes none now.
    """
    cycle, phase = held.cycle, held.phase
    if phase is Phase.RUNNING:
        raise _running(cycle)
    if phase is Phase.PLANNED:
        raise CycleNotOpenYet(cycle=cycle.id, opens=rfc3339(cycle.opens_at))
    if phase is Phase.CLOSED:
        raise CycleClosed(cycle=cycle.id, opens=rfc3339(cycle.opens_at), until=rfc3339(_last_window(held)))
    return in_any_phase(held)


def in_any_phase(held: CycleNow) -> OpenCycle:
    """Return a held cycle for an act on rankings that is taken in any season: seats are given up in any."""
    return OpenCycle(held.cycle, held.now, late=held.now >= held.cycle.deadline)


def lock_cycle_between_rounds(session: Session, cycle_id: str) -> CycleNow:
    """Lock a cycle for sharing, for an act that changes what a match reads, open or not.

    Raises:
        CycleNotFound: if there is none.
        RoundRunning: if a round is frozen.
    """
    held = lock_cycle_shared(session, cycle_id)
    if held.cycle.running_round is not None:
        raise _running(held.cycle)
    return held


def lock_cycle_shared(session: Session, cycle_id: str) -> CycleNow:
    """Lock a cycle for sharing, whatever it is doing: for an act that a running round does not read.

    Raises:
        CycleNotFound: if there is none.
    """
    return _held(session, _at(cycle_id).with_for_update(read=True, of=Cycle))


def lock_cycle_before_freeze(session: Session, cycle_id: str) -> CycleNow:
    """Lock a cycle for sharing, for an act that the freeze of the main round ends: who takes part, with what seats.

    Raises:
        CycleNotFound: if there is none.
        RoundRunning: if a round is frozen.
        MainRoundFrozen: if the main round has been frozen, and is not void.
    """
    held = lock_cycle_between_rounds(session, cycle_id)
    if held.cycle.main_round is not None:
        raise MainRoundFrozen(cycle=held.cycle.id, round=held.cycle.main_round)
    return held


def lock_cycle(session: Session, cycle_id: str) -> CycleNow:
    """Lock a cycle alone: every act in flight has ended, and none begins before this transaction ends.

    Raises:
        CycleNotFound: if there is none.
    """
    return _held(session, _at(cycle_id).with_for_update(key_share=True, of=Cycle))


def read_cycle(session: Session, cycle_id: str) -> CycleNow:
    """Read a cycle, with the time, and no lock.

    Raises:
        CycleNotFound: if there is none.
    """
    return _held(session, _at(cycle_id))


def rfc3339(time: datetime) -> str:
    """Return a time in UTC, as the log and the sentences write it."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _at(cycle_id: str) -> Select[Cycle, datetime]:
    return select(Cycle, func.clock_timestamp()).where(Cycle.id == cycle_id)


def _held(session: Session, asked: Select[Cycle, datetime]) -> CycleNow:
    # What this session read before may be stale by the time that the lock is had.
    found = session.execute(asked.execution_options(populate_existing=True)).one_or_none()
    if found is None:
        raise CycleNotFound
    cycle, now = found
    return CycleNow(cycle, now)


def _running(cycle: Cycle) -> RoundRunning:
    return RoundRunning(cycle=cycle.id, round=cycle.running_round or "")


def _last_window(held: CycleNow) -> datetime:
    """Return when the last window that is over ended."""
    ends: Sequence[datetime | None] = (held.cycle.deadline, held.cycle.late_until, held.cycle.backfill_until)
    return max(end for end in ends if end is not None and end <= held.now)
