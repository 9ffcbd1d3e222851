"""Attempt limits, stored in the database and so shared by all processes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.access.models import Attempts
from enrollment.problems import Problem

WINDOW = timedelta(minutes=15)
KEPT = timedelta(days=1)
MAX_FORGOTTEN = 100
"""Old counts that one attempt deletes."""


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """A maximum number of attempts in 15 minutes."""

    key: bytes
    most: int


@dataclass(frozen=True, slots=True)
class LimitExceeded:
    """An exceeded limit."""

    until: datetime
    first: bool
    """Whether this attempt is the first refused one."""


def count_attempt(
    session: Session, limit: AttemptLimit, now: datetime, *, forgiven: datetime | None
) -> LimitExceeded | None:
    """Count an attempt before it is checked, so that parallel attempts cannot exceed the limit.

    A refused attempt does not make the wait longer. Callers count against several limits always in the same order.

    Args:
        session: the transaction.
        limit: the limit.
        now: the database's time.
        forgiven: when the account was unlocked. Earlier attempts no longer count.
    """
    over = Attempts.since <= max(now - WINDOW, forgiven or now - WINDOW)
    row = insert(Attempts).values(key=limit.key, number=1, since=now)
    number, since = session.execute(
        row.on_conflict_do_update(
            index_elements=[Attempts.key],
            set_={
                "number": case((over, 1), else_=Attempts.number + 1),
                "since": case((over, now), else_=Attempts.since),
            },
        ).returning(Attempts.number, Attempts.since)
    ).one()
    if number <= limit.most:
        return None
    return LimitExceeded(since + WINDOW, first=number == limit.most + 1)


def uncount_attempt(session: Session, limit: AttemptLimit) -> None:
    """Undo the count of a successful attempt."""
    session.execute(
        update(Attempts).where(Attempts.key == limit.key, Attempts.number > 0).values(number=Attempts.number - 1)
    )


def clear_attempts(session: Session, limit: AttemptLimit) -> None:
    """Delete the attempts that count against a limit."""
    session.execute(delete(Attempts).where(Attempts.key == limit.key))


def forget_old_attempts(session: Session, now: datetime) -> None:
    """Delete some old counts, without waiting for locks."""
    old = select(Attempts.key).where(Attempts.since < now - KEPT).limit(MAX_FORGOTTEN).with_for_update(skip_locked=True)
    session.execute(delete(Attempts).where(Attempts.key.in_(old)))


def seconds_until(until: datetime, now: datetime) -> int:
    """Return the seconds to wait."""
    return max(1, int((until - now).total_seconds()) + 1)


def keep_and_refuse(session: Session, problem: Problem) -> NoReturn:
    """Commit the count and the record of an attempt, then refuse it. Nothing else may be in the transaction.

    Raises:
        Problem: the given refusal.
    """
    session.commit()
    raise problem
