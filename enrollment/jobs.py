"""Jobs: enqueued in the act's own transaction, run by a worker; and the loops that a worker runs beside them.

A job that was enqueued by an act which is rolled back was never there. A job whose worker died is begun again, so every
job takes up what it finds, and finds nothing to do where it was done.
"""

import asyncio
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass

import psycopg
import structlog
from procrastinate import App, PsycopgConnector, RetryStrategy, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

Work = Callable[["sessionmaker[Session]", str], None]
"""What a job does with the id that it was enqueued with; it opens its own transactions."""

Pass = Callable[["sessionmaker[Session]"], None]
"""What a loop does again and again."""

QUEUE = "rounds"

HEARTBEAT_SECONDS = 2.0

MOST_TRIES = 6
"""Of a job that breaks off, at longer and longer intervals; whoever asked may ask again afterwards."""

_ENQUEUING = App(connector=SyncPsycopgConnector())
"""Only ever writes into a session's own connection; it has no connection of its own."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Something to do every so many seconds; what it raises is logged, and it is tried again."""

    name: str
    run: Pass
    seconds: float


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
    kinds: Mapping[str, Work],
    loops: tuple[Loop, ...],
    *,
    stalled_after: float,
) -> None:
    """Run jobs and loops until cancelled.

    Args:
        url: the database's address.
        sessions: where jobs open their transactions.
        kinds: what each kind of job does.
        loops: what is done beside them.
        stalled_after: seconds without a sign of life after which another worker's job is begun again.
    """
    app = App(connector=PsycopgConnector(conninfo=url, min_size=1, max_size=4))
    for name, work in kinds.items():
        _add(app, name, work, sessions)
    async with app.open_async():
        await asyncio.gather(
            app.run_worker_async(
                queues=[QUEUE],
                install_signal_handlers=False,
                fetch_job_polling_interval=1.0,
                update_heartbeat_interval=HEARTBEAT_SECONDS,
                stalled_worker_timeout=3600.0,
            ),
            _every(stalled_after / 4, "stalled jobs", lambda: _begin_again(app, stalled_after)),
            *(_every(loop.seconds, loop.name, _in_thread(loop, sessions)) for loop in loops),
        )


def _add(app: App, name: str, work: Work, sessions: "sessionmaker[Session]") -> None:
    @app.task(name=name, queue=QUEUE, retry=RetryStrategy(max_attempts=MOST_TRIES, wait=1, exponential_wait=2))
    def run(subject: str) -> None:
        work(sessions, subject)


def _in_thread(loop: Loop, sessions: "sessionmaker[Session]") -> Callable[[], Coroutine[None, None, None]]:
    async def run() -> None:
        await asyncio.to_thread(loop.run, sessions)

    return run


async def _every(seconds: float, name: str, run: Callable[[], Coroutine[None, None, None]]) -> None:
    log = structlog.get_logger()
    while True:
        try:
            await run()
        except (DBAPIError, psycopg.Error) as error:
            log.warning("loop failed", loop=name, error=type(getattr(error, "orig", error)).__name__)
        except Exception as error:  # noqa: BLE001 - a fault of one loop must not end the others, and the jobs
            log.warning("loop broken", loop=name, error=type(error).__name__, where=_where(error))
        await asyncio.sleep(seconds)


def _where(error: Exception) -> str:
    """Return where it broke, without what the error says: that may be a child's."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename.rpartition('/')[2]}:{last.lineno}"


async def _begin_again(app: App, stalled_after: float) -> None:
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after):
        await app.job_manager.retry_job(job)
