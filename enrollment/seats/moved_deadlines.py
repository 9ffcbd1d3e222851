"""Follow a moved deadline: open offers get the later time to answer, and partners hear of it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from enrollment.cycles.locks import CycleNow, rfc3339
from enrollment.cycles.models import Cycle
from enrollment.seats.offer_notices import notify_partners
from enrollment.seats.reminders import extend_answers


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The deadlines of a cycle that families must keep."""

    deadline: datetime
    answer_by: datetime | None

    @classmethod
    def of(cls, cycle: Cycle) -> "Deadlines":
        """Return a cycle's deadlines."""
        return cls(cycle.deadline, cycle.answer_by)


def follow_moved_deadlines(session: Session, cycle_now: CycleNow, before: Deadlines) -> None:
    """Bring open offers up to date with a changed cycle, and notify partners of each deadline that moved.

    The caller holds an exclusive lock on the cycle.
    """
    cycle = cycle_now.cycle
    extend_answers(session, cycle_now, before.answer_by)
    if not cycle_now.has_opened:
        return
    for what, was, now in (
        ("deadline", before.deadline, cycle.deadline),
        ("answer_by", before.answer_by, cycle.answer_by),
    ):
        if was != now:
            about = {"what": what, "from": _in_utc(was), "to": _in_utc(now)}
            notify_partners(session, cycle.id, "deadline.moved", f"{cycle.id} {what} {cycle.version}", about)


def _in_utc(time: datetime | None) -> str | None:
    return None if time is None else rfc3339(time)
