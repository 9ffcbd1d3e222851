"""The database connection: one request, one transaction, committed only here."""

import asyncio
import logging
import select as select_module
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeAlias, cast

import psycopg
from fastapi import Depends, Request
from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import DateTime, Engine, MetaData, String, create_engine, event, func, make_url, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from enrollment.connections import (
    PATIENCE_SECONDS,
    Prober,
    async_connection_class,
    connection_class,
    timeout_parameters,
)
from enrollment.problems import OutcomeUnknown
from enrollment.stored_values import read_leniently

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

WAIT_SECONDS = 30
"""Seconds that an admitted request waits for a connection. It waits only in an outage."""

PLANNED_ANEW = "-c plan_cache_mode=force_custom_plan"
"""Plan every query anew. A plan from the time when a cycle's tables were empty would scan whole tables for every child,
until PostgreSQL counts their rows again.
"""

BY_KEY = "-c enable_seqscan=off"
"""For statements that always look up by key. A plan from an empty table then uses the key too, and can be kept."""

LOCK_SECONDS = 30
"""Seconds that a statement waits for a lock. Then the statement fails, and the caller tries again."""

STATEMENT_SECONDS = 120
"""Seconds that one statement of a request may take."""

IDLE_SECONDS = 120
"""Seconds that a transaction may stay idle. Then the server ends it and frees its locks."""

BOUNDED = (
    f" -c lock_timeout={LOCK_SECONDS}s -c statement_timeout={STATEMENT_SECONDS}s"
    f" -c idle_in_transaction_session_timeout={IDLE_SECONDS}s"
)
"""Limits for connections that serve requests, so that a stuck request does not block others for ever."""

Document: TypeAlias = Mapping[str, object]
"""A JSON object in a column."""

Documents: TypeAlias = Sequence[object]
"""A JSON array in a column."""


class Table(DeclarativeBase):
    """A table of the service."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {
        datetime: DateTime(timezone=True),
        str: String,
        Document: JSONB(none_as_null=True),
        Documents: JSONB(none_as_null=True),
    }


def connect(url: str, *, connections: int, patience: int = PATIENCE_SECONDS, bounded: bool = False) -> Engine:
    """Return the engine for a PostgreSQL address, without connecting.

    Args:
        url: the address.
        connections: the maximum number of connections.
        patience: seconds after which a silent server is probed, and a new connection is given up.
        bounded: whether statements have the time limits of requests. Jobs have no limits.
    """
    address = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(
        address,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        connect_args={
            "options": PLANNED_ANEW + (BOUNDED if bounded else ""),
            **timeout_parameters(url, patience=patience),
        },
        hide_parameters=True,  # exceptions must not show parameters, which may be a child's
    )
    event.listen(engine, "connect", lambda connection, _: read_leniently(connection))
    made = connection_class(Prober(url, patience))

    @event.listens_for(engine, "do_connect")
    def do_connect(_: object, __: object, args: list[str], parameters: dict[str, Any]) -> psycopg.Connection[Any]:
        return made.connect(*args, **parameters)

    return engine


HotPool: TypeAlias = "AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]]"


logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
"""The pool would warn of every failed try in an outage. The service logs an outage once."""


def hot_pool(url: str, *, connections: int, patience: int = PATIENCE_SECONDS) -> HotPool:
    """Return the pool for the hottest requests, which all look up by key. The app opens it in its event loop.

    The pool gives up a failed connection soon, so that the next request tries a new one. By default the pool would wait
    longer and longer, even after the server is back.
    """
    sweeping: set[asyncio.Task[None]] = set()

    async def refuse_closed(connection: AsyncConnection[tuple[Any, ...]]) -> None:
        """Refuse a connection that the server closed, without a query, and check the other connections too."""
        if _was_closed(connection):
            if not sweeping:
                task = asyncio.create_task(pool.check())
                sweeping.add(task)
                task.add_done_callback(sweeping.discard)
            raise psycopg.OperationalError("the server closed the connection")

    async def try_again(failed: HotPool) -> None:
        """Grow the pool again for waiting requests. By default they would wait until another request comes."""
        if failed.get_stats().get("requests_waiting"):
            await failed.check()

    pool = AsyncConnectionPool(
        url,
        connection_class=async_connection_class(Prober(url, patience)),
        kwargs={"options": BY_KEY + BOUNDED, **timeout_parameters(url, patience=patience)},
        configure=_read_leniently,
        min_size=1,
        max_size=connections,
        open=False,
        timeout=WAIT_SECONDS,
        check=refuse_closed,
        reconnect_timeout=patience,
        reconnect_failed=try_again,
    )
    return pool


def _was_closed(connection: AsyncConnection[tuple[Any, ...]]) -> bool:
    """Say whether the server closed an idle connection."""
    poll = select_module.poll()
    poll.register(connection.fileno(), select_module.POLLIN)
    try:
        while poll.poll(0):
            connection.pgconn.consume_input()
    except psycopg.OperationalError:
        connection.pgconn.finish()
    return connection.closed


async def _read_leniently(connection: "AsyncConnection[tuple[Any, ...]]") -> None:
    read_leniently(connection)


def sessions_of(engine: Engine) -> "sessionmaker[Session]":
    """Return the session factory of an engine."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def transaction(sessions: "sessionmaker[Session]") -> Iterator[Session]:
    """Open a session. Commit at the end of the block, or roll back if the block raises.

    Raises:
        OutcomeUnknown: if the connection is lost during the commit. The changes may be stored or not.
    """
    with sessions() as session:
        yield session
        session.flush()
        try:
            session.commit()
        except DBAPIError as error:
            if refused_by_server(error.orig):
                raise
            raise OutcomeUnknown from error


def refused_by_server(error: BaseException | None) -> bool:
    """Say whether the server itself refused a statement, so that nothing was stored.

    Otherwise the connection was lost (SQLSTATE 08… or 57P…, or none), and the server may have committed.
    """
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return state is not None and not state.startswith(("08", "57P"))


def open_session(request: Request) -> Iterator[Session]:
    """Open the request's transaction. It commits before the answer is sent, so an answer is a promise."""
    sessions: sessionmaker[Session] = request.app.state.sessions
    with transaction(sessions) as session:
        request.state.session = session
        yield session


InTransaction = Annotated[Session, Depends(open_session, scope="function")]
"""A route's transaction. Scope `function` ends it before the answer; FastAPI's default would end it afterwards."""


def clock(session: Session) -> datetime:
    """Return the database's current time in UTC, the only clock for deadlines."""
    return session.execute(select(func.clock_timestamp(type_=DateTime(timezone=True)))).scalar_one()


def copy_rows(session: Session, table: type[Table], columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Insert many rows by COPY, the fastest way into PostgreSQL."""
    driver = session.connection().connection.driver_connection
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.__tablename__), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with cast("psycopg.Connection", driver).cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
