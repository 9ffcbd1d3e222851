"""Work that fails: one row, one transaction; a row that fails is noted, tried again later, and keeps no other waiting.

A note says what kind of error broke the work off and where, never what the error says: that may be a child's.
"""

import sysconfig
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath

import structlog
from sqlalchemy import ColumnElement, DateTime, Float, String, cast, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import InstrumentedAttribute, Mapped, Session, mapped_column, sessionmaker

from enrollment.database import Table, transaction

FIRST_WAIT_SECONDS = 1
LONGEST_WAIT_SECONDS = 3600
MAX_DOUBLINGS = 12

FORGOTTEN_AFTER = timedelta(hours=1)
"""How long after the time to try again a note goes whose row is no longer due, so that nobody tried it again."""

KEPT = timedelta(days=30)
"""How long a note stays of what is not tried again."""

Act = Callable[["sessionmaker[Session]", str], None]
"""What is done about one row, by its id; it opens its own transactions."""


class WorkFailure(Table):
    """One thing that a loop or a job could not do, until it is done."""

    __tablename__ = "work_failure"

    work: Mapped[str] = mapped_column(primary_key=True)
    """The loop or the kind of job."""
    subject: Mapped[str] = mapped_column(primary_key=True)
    """The id of the row that it is about."""
    kind: Mapped[str]
    """The class of the error."""
    place: Mapped[str]
    """The file and the line that raised it."""
    first_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    last_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    times: Mapped[int] = mapped_column(server_default="1")
    next_at: Mapped[datetime | None]
    """When it is tried again; None: it is not."""


LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
"""Where code is that is not of this project."""


@dataclass(frozen=True, slots=True)
class Breakage:
    """What broke a piece of work off, without anything that the error says."""

    kind: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.place}" if self.place else self.kind


def breakage_of(error: BaseException) -> Breakage:
    """Return what an error is: its class, or the driver's where it is the database's, and our last line on the way."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)] or frames
    place = f"{PurePath(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    told = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return Breakage(type(told).__name__, place)


def not_waiting(work: str, subject: "InstrumentedAttribute[object]") -> ColumnElement[bool]:
    """Return the condition that a row did not fail lately: so those that did take no place among those to be done."""
    waits = exists().where(
        WorkFailure.work == work,
        WorkFailure.subject == cast(subject, String),
        or_(WorkFailure.next_at.is_(None), WorkFailure.next_at > func.clock_timestamp()),
    )
    return ~waits


def for_each(sessions: "sessionmaker[Session]", work: str, subjects: Iterable[str], act: Act) -> None:
    """Act on each row; what one of them raises is noted, and the next one follows.

    Args:
        sessions: where notes are written, each in a transaction of its own.
        work: the loop that does it.
        subjects: the ids of the rows.
        act: what is done about one.
    """
    noted = _noted(sessions, work)
    for subject in subjects:
        try:
            act(sessions, subject)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a row must not keep the others waiting
            note(sessions, work, subject, breakage_of(error))
        else:
            if subject in noted:
                forget(sessions, work, subject)
    if noted:
        _forget_old(sessions, work)


def note(sessions: "sessionmaker[Session]", work: str, subject: str, breakage: Breakage, *, again: bool = True) -> None:
    """Note that work on a row failed, in a transaction of its own; it is tried again later and later."""
    first = timedelta(seconds=FIRST_WAIT_SECONDS) if again else None
    with transaction(sessions) as session:
        now = func.clock_timestamp(type_=DateTime(timezone=True))
        values = {"kind": breakage.kind, "place": breakage.place, "last_at": now}
        longer = func.least(
            LONGEST_WAIT_SECONDS,
            FIRST_WAIT_SECONDS * func.power(2, func.least(WorkFailure.times, MAX_DOUBLINGS), type_=Float()),
        )
        session.execute(
            insert(WorkFailure)
            .values(work=work, subject=subject, next_at=None if first is None else now + first, **values)
            .on_conflict_do_update(
                index_elements=[WorkFailure.work, WorkFailure.subject],
                set_={
                    **values,
                    "times": WorkFailure.times + 1,
                    "next_at": None if first is None else now + func.make_interval(0, 0, 0, 0, 0, 0, longer),
                },
            )
        )
    structlog.get_logger().warning(
        "work failed", work=work, subject=subject, error=breakage.kind, where=breakage.place, again=again
    )


def forget(sessions: "sessionmaker[Session]", work: str, subject: str) -> None:
    """Take a note away, because the work is done."""
    with transaction(sessions) as session:
        done = delete(WorkFailure).where(WorkFailure.work == work, WorkFailure.subject == subject).returning(
            WorkFailure.times
        )  # fmt: skip
        times = session.execute(done).scalar_one_or_none()
    if times is not None:
        structlog.get_logger().info("work done after all", work=work, subject=subject, failures=times)


def forget_finished(session: Session) -> None:
    """Take notes away that are about work which is not tried again and is long past."""
    now = func.clock_timestamp(type_=DateTime(timezone=True))
    session.execute(delete(WorkFailure).where(WorkFailure.next_at.is_(None), WorkFailure.last_at < now - KEPT))


def _noted(sessions: "sessionmaker[Session]", work: str) -> set[str]:
    with transaction(sessions) as session:
        return set(session.scalars(select(WorkFailure.subject).where(WorkFailure.work == work)))


def _forget_old(sessions: "sessionmaker[Session]", work: str) -> None:
    now = func.clock_timestamp(type_=DateTime(timezone=True))
    with transaction(sessions) as session:
        session.execute(
            delete(WorkFailure).where(WorkFailure.work == work, WorkFailure.next_at < now - FORGOTTEN_AFTER)
        )
