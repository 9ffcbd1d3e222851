"""The status of a worker's parts, the loops and the job runner: in memory, and in a table for all processes."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import DateTime, delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from enrollment.database import Table
from enrollment.failures import Breakage

JOBS = "jobs"
"""The part that runs jobs. All other parts are loops."""

REPORT_SECONDS = 2.0
"""Seconds between two reports of a process."""

GRACE_SECONDS = 10.0
"""Seconds that a part may fail before the process is not ready. One or two failed passes are no outage."""

GONE = timedelta(hours=1)
"""How long a silent process stays in the table."""


class WorkerPass(Table):
    """The last report of one part of one worker process."""

    __tablename__ = "worker_pass"

    worker: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    """The id of the process."""
    part: Mapped[str] = mapped_column(primary_key=True)
    """A loop's name, or `jobs`."""
    since: Mapped[datetime]
    """When the part began to work, or to fail."""
    works: Mapped[bool]
    last_pass: Mapped[datetime | None]
    last_success: Mapped[datetime | None]
    kind: Mapped[str | None]
    """The class of the last error; None while the part works."""
    place: Mapped[str | None]
    said_at: Mapped[datetime]


@dataclass(slots=True)
class Part:
    """The state of one loop or the job runner. All times are monotonic."""

    name: str
    since: float = field(default_factory=time.monotonic)
    last_pass: float | None = None
    last_success: float | None = None
    breakage: Breakage | None = None

    def succeeded(self) -> None:
        """Note a successful pass."""
        now = time.monotonic()
        if self.breakage is not None:
            structlog.get_logger().info("part works again", part=self.name, seconds=round(now - self.since))
            self.breakage, self.since = None, now
        self.last_pass = self.last_success = now

    def failed(self, breakage: Breakage) -> None:
        """Note a failed pass. Log the first failure, and each new kind of failure."""
        now = time.monotonic()
        if self.breakage is None:
            self.since = now
        if self.breakage != breakage:
            structlog.get_logger().warning("part fails", part=self.name, error=breakage.kind, where=breakage.place)
        self.breakage, self.last_pass = breakage, now

    @property
    def fails_for_long(self) -> bool:
        """Say whether the part has failed for a while, or never finished its first pass."""
        waits = self.breakage is not None or self.last_success is None
        return waits and time.monotonic() - self.since > GRACE_SECONDS


class WorkerStatus:
    """The status of this process's worker."""

    def __init__(self, loops: Iterable[str]) -> None:
        self.id = uuid.uuid4()
        self.parts = {name: Part(name) for name in (*loops, JOBS)}

    def failing_loops(self) -> list[str]:
        """Return the loops that have failed for a while."""
        return [part.name for part in self.parts.values() if part.name != JOBS and part.fails_for_long]

    @property
    def jobs_fail(self) -> bool:
        """Say whether the job runner has failed for a while."""
        return self.parts[JOBS].fails_for_long

    def write(self, session: Session) -> None:
        """Write the status to the table, and delete processes that are gone."""
        now = func.clock_timestamp(type_=DateTime(timezone=True))
        rows = [
            {
                "worker": self.id,
                "part": part.name,
                "since": _at(part.since),
                "works": part.breakage is None and part.last_success is not None,
                "last_pass": _at(part.last_pass),
                "last_success": _at(part.last_success),
                "kind": part.breakage.kind if part.breakage else None,
                "place": part.breakage.place if part.breakage else None,
                "said_at": now,
            }
            for part in self.parts.values()
        ]
        statement = insert(WorkerPass).values(rows)
        changed = {name: statement.excluded[name] for name in rows[0] if name not in ("worker", "part")}
        session.execute(
            statement.on_conflict_do_update(index_elements=[WorkerPass.worker, WorkerPass.part], set_=changed)
        )
        session.execute(delete(WorkerPass).where(WorkerPass.said_at < now - GONE))

    def remove(self, session: Session) -> None:
        """Delete this process, because it ends."""
        session.execute(delete(WorkerPass).where(WorkerPass.worker == self.id))


def _at(when: float | None) -> object:
    """Return a monotonic time on the database's clock, so that clocks of two machines are never compared."""
    if when is None:
        return None
    ago = timedelta(seconds=time.monotonic() - when)
    return func.clock_timestamp(type_=DateTime(timezone=True)) - ago
