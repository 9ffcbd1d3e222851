"""Limits of attempts, kept in the database and so shared by all processes."""

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
"""Old counts that one attempt clears away."""


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """So many attempts in 15 minutes."""

    key: bytes
    most: int


@dataclass(frozen=True, slots=True)
class Passed:
    """A limit that was passed."""

    until: datetime
    first: bool
    """Whether this attempt is the first one that is refused."""


def count_attempt(session: Session, limit: AttemptLimit, now: datetime, *, forgiven: datetime | None) -> Passed | None:
    """Count an attempt before it is looked at, so that many at once are no more than the limit.

    An attempt that is refused does not make the wait longer. Whoever counts against several limits counts in one order.

    Args:
        session: the transaction.
        limit: what it counts against.
        now: the database's time.
        forgiven: when the account was unlocked; what was counted before counts no more.
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
    return Passed(since + WINDOW, first=number == limit.most + 1)


def uncount_attempt(session: Session, limit: AttemptLimit) -> None:
    """Take back the counting of an attempt that succeeded."""
    session.execute(
        update(Attempts).where(Attempts.key == limit.key, Attempts.number > 0).values(number=Attempts.number - 1)
    )


def clear_attempts(session: Session, limit: AttemptLimit) -> None:
    """Forget the attempts that count against a limit."""
    session.execute(delete(Attempts).where(Attempts.key == limit.key))


def forget_old_attempts(session: Session, now: datetime) -> None:
    """Clear away some counts that are long over; nobody waits for them."""
    old = select(Attempts.key).where(Attempts.since < now - KEPT).limit(MAX_FORGOTTEN).with_for_update(skip_locked=True)
    session.execute(delete(Attempts).where(Attempts.key.in_(old)))


def seconds_until(until: datetime, now: datetime) -> int:
    """Return how many seconds to wait."""
    return max(1, int((until - now).total_seconds()) + 1)


def keep_and_refuse(session: Session, problem: Problem) -> NoReturn:
    """Commit what was counted and recorded of an attempt, then refuse it. Nothing else may be in the transaction.

    Raises:
        Problem: the one given.
    """
    session.commit()
    raise problem
