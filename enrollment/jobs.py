"""Jobs: enqueued in the act's own transaction, run by a worker; and the loops that a worker runs beside them.

A job that was enqueued by an act which is rolled back was never there. A job whose worker died is begun again, so every
job takes up what it finds, and finds nothing to do where it was done. Every part of a worker recovers by itself: it
waits for a database that is away, and what breaks off for another reason is begun again.
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

from enrollment.connections import PAUSE_SECONDS, Prober, ServerWatch, async_connection_class, is_lost, lasting
from enrollment.database import transaction
from enrollment.failures import Breakage, breakage_of, forget, forget_finished, note
from enrollment.worker_status import JOBS as JOB_RUNNER
from enrollment.worker_status import REPORT_SECONDS, Part, WorkerStatus

Work = Callable[["sessionmaker[Session]", str], None]
"""What a job does with the id that it was enqueued with; it opens its own transactions."""

GiveUp = Callable[["sessionmaker[Session]", str, Breakage], None]
"""What is left for people to read when a job is not tried again."""

Pass = Callable[["sessionmaker[Session]"], None]
"""What a loop does again and again."""

QUEUE = "rounds"

HEARTBEAT_SECONDS = 2.0

MAX_TRIES = 6
"""Of a job that breaks off, at longer and longer intervals; whoever asked may ask again afterwards."""

MAX_TAKEN_UP = 20
"""How often a job is begun again whose worker ended: one that ends every worker is given up."""

LOST_WAIT_SECONDS = 2
"""After which a job is begun again that lost the database."""

logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
"""What it would say of a job that broke off, or of a lost database, is said here, without the values of an error."""

_ENQUEUING = App(connector=SyncPsycopgConnector())
"""Only ever writes into a session's own connection; it has no connection of its own."""


@dataclass(frozen=True, slots=True)
class Job:
    """A kind of job: what it does, and what it leaves when its last try broke off."""

    run: Work
    give_up: GiveUp


@dataclass(frozen=True, slots=True)
class Loop:
    """Something to do every so many seconds; a pass that breaks off is noted, and the next one follows."""

    name: str
    run: Pass
    seconds: float


class BrokenOff(Exception):
    """A job broke off; says what and where, and nothing that the error said."""


class DatabaseLost(BrokenOff):
    """A job broke off because the database went away, which is no fault of the job."""


class Retry(BaseRetryStrategy):
    """Try a job again that broke off: as often as it takes if the database went away, else a few times."""

    def get_retry_decision(self, *, exception: BaseException, job: QueuedJob) -> RetryDecision | None:
        """Say when the job is tried again, if it is."""
        if isinstance(exception, DatabaseLost):
            return RetryDecision(retry_in={"seconds": LOST_WAIT_SECONDS})
        if job.attempts >= MAX_TRIES:
            return None
        return RetryDecision(retry_in={"seconds": 2**job.attempts})


def enqueue(session: Session, name: str, subject: str) -> None:
    """Enqueue a job in the session's transaction; where the same one waits already, that one is enough.

    Args:
        session: the transaction of the act that asks for it.
        name: the kind of job.
        subject: the id that it is about; jobs about the same one run one after another.
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
    """Say whether a job about a subject waits or is being done."""
    asked = text(
        "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE task_name = :name AND args ->> 'subject' = :subject "
        "AND status IN ('todo', 'doing'))"
    )
    return bool(session.execute(asked, {"name": name, "subject": subject}).scalar_one())


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
        sessions: where jobs and loops open their transactions.
        jobs: each kind of job.
        loops: what is done beside them.
        status: where each part says how it fares.
        server: looks whether the database is there.
        stalled_after: seconds without a sign of life after which another worker's job is begun again.
        patience: seconds after which a silent database is looked at, and a new connection is given up.
    """
    asyncio.get_running_loop().set_exception_handler(_tell_of_task)
    await server.until_up()
    runner = _Runner(url, sessions, jobs, stalled_after=stalled_after, patience=patience)
    report = Part("status")
    async with asyncio.TaskGroup() as parts:
        parts.create_task(_keep_running(runner, status.parts[JOB_RUNNER], server))
        for loop in loops:
            parts.create_task(_every(loop.seconds, status.parts[loop.name], _in_thread(loop.run, sessions), server))
        parts.create_task(_every(REPORT_SECONDS, report, _in_thread(_reporting(status), sessions), server))


def _tell_of_task(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Tell the log of a task that nobody waits for and that broke off, such as the library's, without any values."""
    error = context.get("exception")
    breakage = breakage_of(error) if isinstance(error, BaseException) else Breakage("unknown", "")
    structlog.get_logger().warning("task broke off", error=breakage.kind, where=breakage.place)


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
        except Exception as error:  # noqa: BLE001 - a fault of one loop must not end the others, and the jobs
            await _recover(part, error, server)
        else:
            part.succeeded()
        await asyncio.sleep(seconds)


async def _recover(part: Part, error: Exception, server: ServerWatch) -> None:
    """Note that a part broke off, unless the database is away: then wait until it is back, which is told once."""
    if is_lost(error) and await server.until_up():
        return
    part.failed(breakage_of(error))


async def _keep_running(runner: "_Runner", part: Part, server: ServerWatch) -> None:
    """Run jobs, and begin anew from scratch whenever the runner ends, whatever ended it."""
    log = structlog.get_logger()
    while True:
        try:
            await runner.run(part, server)
            log.warning("no jobs are run until the runner is begun anew")
        except Exception as error:  # noqa: BLE001 - jobs must not stay undone, whatever the runner raises
            if _is_told_to_end():
                raise asyncio.CancelledError from None
            log.warning("no jobs are run until the runner is begun anew")
            await _recover(part, error, server)
        await asyncio.sleep(PAUSE_SECONDS)
        await server.until_up()


def _is_told_to_end() -> bool:
    """Say whether this task was cancelled, though something else was raised on the way out."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Runner:
    """Runs jobs, each time with connections of its own."""

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
        """Run jobs until cancelled, or until the library ends because it lost the database."""
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
            kwargs=lasting(self._url, patience=self._patience),
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
        """Begin jobs again whose worker has ended; each look also shows that the runner has its connections."""
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=self._stalled_after):
            if job.attempts < MAX_TAKEN_UP:
                await app.job_manager.retry_job(job)
            else:
                await self._end(app, job)

    async def _end(self, app: App, job: QueuedJob) -> None:
        """Give a job up that has ended worker after worker."""
        subject = str(job.task_kwargs["subject"])
        await asyncio.to_thread(
            give_up, self._sessions, job.task_name, self._jobs[job.task_name], subject, Breakage("WorkerEnded", "")
        )
        await app.job_manager.finish_job(job, status=Status.FAILED, delete_job=False)


def carry_out(sessions: "sessionmaker[Session]", name: str, job: Job, subject: str, *, last: bool) -> None:
    """Do a job; where it breaks off, note it, and at its last try leave what is to be read of it.

    Raises:
        BrokenOff: if it broke off: without the error's own words, for the queue writes them to the log.
    """
    try:
        job.run(sessions, subject)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is noted and the worker goes on
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
    """Note that a job is not tried again, and leave what is to be read of it."""
    note(sessions, name, subject, breakage, again=False)
    job.give_up(sessions, subject, breakage)
