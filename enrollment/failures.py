"""Failed background work: note it, try it again later, and go on with the next row.

A note has the class and the place of the error, never its message, which may hold a child's data.
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
"""A note is deleted this long after its next try, if the row was no longer due."""

KEPT = timedelta(days=30)
"""How long the service keeps a note of work that it does not try again."""

Act = Callable[["sessionmaker[Session]", str], None]
"""The work on one row, by its id. It opens its own transactions."""


class WorkFailure(Table):
    """A piece of work that a loop or a job has not done yet."""

    __tablename__ = "work_failure"

    work: Mapped[str] = mapped_column(primary_key=True)
    """The loop or the kind of job."""
    subject: Mapped[str] = mapped_column(primary_key=True)
    """The id of the row."""
    kind: Mapped[str]
    """The class of the error."""
    place: Mapped[str]
    """The file and line that raised the error."""
    first_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    last_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    times: Mapped[int] = mapped_column(server_default="1")
    next_at: Mapped[datetime | None]
    """The time of the next try; None if there is no next try."""


LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
"""The folders of code outside this project."""


@dataclass(frozen=True, slots=True)
class Breakage:
    """The class and place of an error, without its message."""

    kind: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.place}" if self.place else self.kind


def breakage_of(error: BaseException) -> Breakage:
    """Return an error's class (the driver's for a database error) and the last line of our code in its traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)] or frames
    place = f"{PurePath(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return Breakage(type(cause).__name__, place)


def not_waiting(work: str, subject: "InstrumentedAttribute[object]") -> ColumnElement[bool]:
    """Return the condition that a row does not wait after a failure, so that waiting rows take no place in a batch."""
    waits = exists().where(
        WorkFailure.work == work,
        WorkFailure.subject == cast(subject, String),
        or_(WorkFailure.next_at.is_(None), WorkFailure.next_at > func.clock_timestamp()),
    )
    return ~waits


def for_each(sessions: "sessionmaker[Session]", work: str, subjects: Iterable[str], act: Act) -> None:
    """Act on each row. Note a row that fails, and go on with the next row.

    Args:
        sessions: opens a transaction for each note.
        work: the name of the loop.
        subjects: the ids of the rows.
        act: the work on one row.
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
    """Note in an own transaction that work on a row failed. The pauses before the next tries grow."""
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
    """Delete a note, because the work is done."""
    with transaction(sessions) as session:
        done = delete(WorkFailure).where(WorkFailure.work == work, WorkFailure.subject == subject).returning(
            WorkFailure.times
        )  # fmt: skip
        times = session.execute(done).scalar_one_or_none()
    if times is not None:
        structlog.get_logger().info("work done after all", work=work, subject=subject, failures=times)


def forget_finished(session: Session) -> None:
    """Delete old notes of work that is not tried again."""
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
