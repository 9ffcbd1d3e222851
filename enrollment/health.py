"""Read the health of all processes from the database, for administrators and metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import DateTime, func, select, text
from sqlalchemy.orm import Session

from enrollment.audit.models import LogEntry, LogLeaf
from enrollment.failures import WorkFailure
from enrollment.worker_status import JOBS, WorkerPass

ALIVE = timedelta(seconds=30)
"""A process or a job runner that is silent for longer counts as gone."""

MAX_FAILURES = 100


@dataclass(frozen=True, slots=True)
class JobCount:
    """The number of jobs of one kind in one state, and the time of the oldest."""

    name: str
    state: str
    number: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class PartState:
    """One part of the workers, over all live processes."""

    name: str
    works: bool
    since: datetime
    processes: int
    last_pass: datetime | None
    last_success: datetime | None
    failing_since: datetime | None
    error: str | None
    place: str | None


@dataclass(frozen=True, slots=True)
class Runners:
    """The job runners with a recent sign of life."""

    alive: int
    last_heartbeat: datetime | None


def oldest_unsealed(session: Session) -> timedelta | None:
    """Return the age of the oldest log entry without an index, or None."""
    age: timedelta | None = session.execute(
        select(func.clock_timestamp() - func.min(LogEntry.written_at))
        .outerjoin(LogLeaf, LogLeaf.entry_id == LogEntry.id)
        .where(LogLeaf.entry_id.is_(None))
    ).scalar_one()
    return age


def job_counts(session: Session) -> list[JobCount]:
    """Return the number of jobs by kind and state, and the oldest unfinished job."""
    rows = session.execute(
        text(
            "SELECT j.task_name, j.status::text, count(*), "
            "min(e.at) FILTER (WHERE j.status IN ('todo', 'doing')) "
            "FROM procrastinate_jobs j "
            "LEFT JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred' "
            "GROUP BY j.task_name, j.status ORDER BY j.task_name, j.status"
        )
    )
    return [JobCount(*row) for row in rows]


def failure_count(session: Session) -> int:
    """Return the number of failed pieces of work."""
    return session.execute(select(func.count()).select_from(WorkFailure)).scalar_one()


def failures(session: Session) -> Sequence[WorkFailure]:
    """Return the failed pieces of work, latest first, up to `MAX_FAILURES`."""
    return session.scalars(
        select(WorkFailure)
        .order_by(WorkFailure.last_at.desc(), WorkFailure.work, WorkFailure.subject)
        .limit(MAX_FAILURES)
    ).all()


def failures_by_work(session: Session) -> dict[str, int]:
    """Return the number of failed pieces of work by loop and kind of job."""
    rows = session.execute(select(WorkFailure.work, func.count()).group_by(WorkFailure.work).order_by(WorkFailure.work))
    return dict(rows.all())


def parts(session: Session) -> list[PartState]:
    """Return every part of the live workers, the job runner first."""
    alive = WorkerPass.said_at > func.clock_timestamp(type_=DateTime(timezone=True)) - ALIVE
    by_name: dict[str, list[WorkerPass]] = {}
    for row in session.scalars(select(WorkerPass).where(alive).order_by(WorkerPass.part, WorkerPass.since)):
        by_name.setdefault(row.part, []).append(row)
    return [_state(name, by_name[name]) for name in sorted(by_name, key=lambda name: (name != JOBS, name))]


def _state(name: str, rows: Sequence[WorkerPass]) -> PartState:
    """Combine the reports of several processes. A part fails if it fails in one process."""
    failing = [row for row in rows if not row.works]
    return PartState(
        name=name,
        works=not failing,
        since=min(row.since for row in failing or rows),
        processes=len(rows),
        last_pass=max((row.last_pass for row in rows if row.last_pass), default=None),
        last_success=max((row.last_success for row in rows if row.last_success), default=None),
        failing_since=min((row.since for row in failing), default=None),
        error=failing[0].kind if failing else None,
        place=failing[0].place if failing else None,
    )


def runners(session: Session) -> Runners:
    """Return the number of live job runners, and the last sign of life."""
    alive, last = session.execute(
        text(
            "SELECT count(*) FILTER (WHERE last_heartbeat > clock_timestamp() - :alive), max(last_heartbeat) "
            "FROM procrastinate_workers"
        ),
        {"alive": ALIVE},
    ).one()
    return Runners(alive, last)


def database_since(session: Session) -> datetime:
    """Return when the database server started."""
    return session.execute(select(func.pg_postmaster_start_time(type_=DateTime(timezone=True)))).scalar_one()
