"""Background jobs, enqueued in a verb's own transaction, and the loops that a worker runs.

A rollback also removes the job. When a worker dies, another worker starts its job again, so every job continues from
the stored state and does nothing twice. Each part of a worker recovers by itself: it waits for a lost database, and it
restarts after any other error.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

import structlog
from procrastinate import App, JobContext, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job as QueuedJob
from procrastinate.jobs import Status
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from enrollment.connections import (
    PAUSE_SECONDS,
    Prober,
    ServerWatch,
    async_connection_class,
    is_lost,
    timeout_parameters,
)
from enrollment.database import transaction
from enrollment.failures import Breakage, breakage_of, forget, forget_finished, note
from enrollment.worker_status import JOBS as JOB_RUNNER
from enrollment.worker_status import REPORT_SECONDS, Part, WorkerStatus

Work = Callable[["sessionmaker[Session]", str], None]
"""The work of a job, by its subject id. It opens its own transactions."""

GiveUp = Callable[["sessionmaker[Session]", str, Breakage], None]
"""Leaves a message for people when a job is not tried again."""

Pass = Callable[["sessionmaker[Session]"], None]
"""One pass of a loop."""

QUEUE = "rounds"

HEARTBEAT_SECONDS = 2.0

MAX_TRIES = 6
"""Tries of a failing job, with growing pauses. Afterwards a person may request the job again."""

MAX_TAKEN_UP = 20
"""Restarts of a job whose worker ended. A job that ends every worker is given up."""

LOST_WAIT_SECONDS = 2
"""Seconds after which a job that lost the database starts again."""

logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
"""The service logs failed jobs and a lost database itself, without the values of an error."""

_ENQUEUING = App(connector=SyncPsycopgConnector())
"""Writes into a session's connection. It has no connection of its own."""


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of job: its work, and the act after its last failed try."""

    run: Work
    give_up: GiveUp


@dataclass(frozen=True, slots=True)
class Loop:
    """A pass to repeat every few seconds. A failed pass is noted, and the next pass follows."""

    name: str
    run: Pass
    seconds: float


class BrokenOff(Exception):
    """A job failed. It has the class and place of the error, without the message."""


class DatabaseLost(BrokenOff):
    """A job failed because the database was lost."""


class Retry(BaseRetryStrategy):
    """Retry a failed job: without limit after a lost database, otherwise a few times."""

    def get_retry_decision(self, *, exception: BaseException, job: QueuedJob) -> RetryDecision | None:
        """Return when to try the job again, or None."""
        if isinstance(exception, DatabaseLost):
            return RetryDecision(retry_in={"seconds": LOST_WAIT_SECONDS})
        if job.attempts >= MAX_TRIES:
            return None
        return RetryDecision(retry_in={"seconds": 2**job.attempts})


def enqueue(session: Session, name: str, subject: str) -> None:
    """Enqueue a job in the session's transaction, unless the same job waits already.

    Args:
        session: the transaction of the verb.
        name: the kind of job.
        subject: the id of the subject. Jobs with the same subject run one after another.
    """
    connection = session.connection().connection.driver_connection
    try:
        with session.begin_nested():
            _ENQUEUING.configure_task(
                name, queue=QUEUE, lock=subject, queueing_lock=f"{name} {subject}", connection=connection
            ).defer(subject=subject)
    except AlreadyEnqueued:
        return


def is_waiting(session: Session, name: str, subject: str) -> bool:
    """Say whether a job for a subject waits or runs."""
    query = text(
        "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE task_name = :name AND args ->> 'subject' = :subject "
        "AND status IN ('todo', 'doing'))"
    )
    return bool(session.execute(query, {"name": name, "subject": subject}).scalar_one())


async def run_worker(
    url: str,
    sessions: "sessionmaker[Session]",
    jobs: Mapping[str, Job],
    loops: tuple[Loop, ...],
    *,
    status: WorkerStatus,
    server: ServerWatch,
    stalled_after: float,
    patience: int,
) -> None:
    """Run jobs and loops until cancelled, through every outage of the database.

    Args:
        url: the database's address.
        sessions: opens the transactions of jobs and loops.
        jobs: each kind of job.
        loops: the loops to run beside the jobs.
        status: the status of each part.
        server: watches the database.
        stalled_after: seconds of silence after which another worker's job starts again.
        patience: seconds after which a silent database is probed, and a new connection is given up.
    """
    asyncio.get_running_loop().set_exception_handler(_log_failed_task)
    await server.until_up()
    runner = _Runner(url, sessions, jobs, stalled_after=stalled_after, patience=patience)
    report = Part("status")
    async with asyncio.TaskGroup() as parts:
        parts.create_task(_keep_running(runner, status.parts[JOB_RUNNER], server))
        for loop in loops:
            parts.create_task(_every(loop.seconds, status.parts[loop.name], _in_thread(loop.run, sessions), server))
        parts.create_task(_every(REPORT_SECONDS, report, _in_thread(_reporting(status), sessions), server))


def _log_failed_task(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Log a failed task that nobody waits for, without any values."""
    error = context.get("exception")
    breakage = breakage_of(error) if isinstance(error, BaseException) else Breakage("unknown", "")
    structlog.get_logger().warning("task failed", error=breakage.kind, where=breakage.place)


def _reporting(status: WorkerStatus) -> Pass:
    def run(sessions: "sessionmaker[Session]") -> None:
        with transaction(sessions) as session:
            status.write(session)
            forget_finished(session)

    return run


def _in_thread(run: Pass, sessions: "sessionmaker[Session]") -> Callable[[], Coroutine[None, None, None]]:
    async def run_in_thread() -> None:
        await asyncio.to_thread(run, sessions)

    return run_in_thread


async def _every(
    seconds: float, part: Part, run: Callable[[], Coroutine[None, None, None]], server: ServerWatch
) -> None:
    while True:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - one failing loop must not end the others
            await _recover(part, error, server)
        else:
            part.succeeded()
        await asyncio.sleep(seconds)


async def _recover(part: Part, error: Exception, server: ServerWatch) -> None:
    """Note that a part failed. If the database is lost, wait until it is back instead."""
    if is_lost(error) and await server.until_up():
        return
    part.failed(breakage_of(error))


async def _keep_running(runner: "_Runner", part: Part, server: ServerWatch) -> None:
    """Run jobs, and restart the runner whenever it ends."""
    log = structlog.get_logger()
    while True:
        try:
            await runner.run(part, server)
            log.warning("job runner stopped; it restarts soon")
        except Exception as error:  # noqa: BLE001 - the runner must restart after any error
            if _is_cancelled():
                raise asyncio.CancelledError from None
            log.warning("job runner stopped; it restarts soon")
            await _recover(part, error, server)
        await asyncio.sleep(PAUSE_SECONDS)
        await server.until_up()


def _is_cancelled() -> bool:
    """Say whether this task was cancelled, even if another exception was raised on the way out."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Runner:
    """Run jobs, with new connections for each run."""

    def __init__(
        self,
        url: str,
        sessions: "sessionmaker[Session]",
        jobs: Mapping[str, Job],
        *,
        stalled_after: float,
        patience: int,
    ) -> None:
        self._url = url
        self._sessions = sessions
        self._jobs = jobs
        self._stalled_after = stalled_after
        self._patience = patience
        self._connection_class = async_connection_class(Prober(url, patience))

    async def run(self, part: Part, server: ServerWatch) -> None:
        """Run jobs until cancelled, or until the library ends because of a lost database."""
        app = self._app()
        async with app.open_async():
            stalled = asyncio.create_task(
                _every(self._stalled_after / 4, part, lambda: self._take_up_stalled(app), server)
            )
            try:
                await app.run_worker_async(
                    queues=[QUEUE],
                    install_signal_handlers=False,
                    fetch_job_polling_interval=1.0,
                    update_heartbeat_interval=HEARTBEAT_SECONDS,
                    stalled_worker_timeout=3600.0,
                )
            finally:
                stalled.cancel()
                await asyncio.gather(stalled, return_exceptions=True)

    def _app(self) -> App:
        connector = PsycopgConnector(
            conninfo=self._url,
            connection_class=self._connection_class,
            kwargs=timeout_parameters(self._url, patience=self._patience),
            min_size=1,
            max_size=4,
            timeout=self._patience,
            reconnect_timeout=self._patience,
        )
        app = App(connector=connector)
        for name, job in self._jobs.items():
            self._add(app, name, job)
        return app

    def _add(self, app: App, name: str, job: Job) -> None:
        @app.task(name=name, queue=QUEUE, pass_context=True, retry=Retry())
        def run(context: JobContext, subject: str) -> None:
            carry_out(self._sessions, name, job, subject, last=context.job.attempts >= MAX_TRIES)

    async def _take_up_stalled(self, app: App) -> None:
        """Restart jobs whose worker has ended. Each look also shows that the runner is connected."""
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._stalled_after):
            if job.attempts < MAX_TAKEN_UP:
                await app.job_manager.retry_job(job)
            else:
                await self._end(app, job)

    async def _end(self, app: App, job: QueuedJob) -> None:
        """Give up a job that ended worker after worker."""
        subject = str(job.task_kwargs["subject"])
        await asyncio.to_thread(
            give_up, self._sessions, job.task_name, self._jobs[job.task_name], subject, Breakage("WorkerEnded", "")
        )
        await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=False)


def carry_out(sessions: "sessionmaker[Session]", name: str, job: Job, subject: str, *, last: bool) -> None:
    """Carry a job out. Note a failure, and give the job up after its last try.

    Raises:
        BrokenOff: if the job failed. It hides the error's message, because the queue logs it.
    """
    try:
        job.run(sessions, subject)
    except Exception as error:  # noqa: BLE001 - the failure is noted, and the worker goes on
        breakage = breakage_of(error)
        if is_lost(error):
            raise DatabaseLost(str(breakage)) from None
        if last:
            give_up(sessions, name, job, subject, breakage)
        else:
            note(sessions, name, subject, breakage)
        raise BrokenOff(str(breakage)) from None
    forget(sessions, name, subject)


def give_up(sessions: "sessionmaker[Session]", name: str, job: Job, subject: str, breakage: Breakage) -> None:
    """Note that a job is not tried again, and leave a message for people."""
    note(sessions, name, subject, breakage, again=False)
    job.give_up(sessions, subject, breakage)
