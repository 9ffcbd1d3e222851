"""Connections that notice when the server is gone, however it went, and the wait until it is back.

A server that was stopped closes its connections, and a host that went away is noticed by TCP. A server that hangs does
neither: its kernel still confirms every packet. So a statement that stays silent has somebody knock: if the server does
not greet a new connection either, it hangs, and the statement's connection is given up. A server that is only slow
greets, and the statement goes on for as long as it takes.
"""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog
from procrastinate.exceptions import AppNotOpen
from psycopg import AsyncConnection, Connection, pq
from psycopg.abc import RV, PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.exc import DBAPIError

PATIENCE_SECONDS = 5
"""How long a server may leave a statement or a new connection without a word before it is looked at, or given up."""

PAUSE_SECONDS = 0.5
"""Between two looks at a server that is away."""

FRESH_SECONDS = 1.0
"""How long an answer is good for those who only ask, so that many who ask make one connection."""

RECENT_SECONDS = 30.0
"""How long after an outage work may still break off because of it."""

POLL_SECONDS = 0.1

KEPT_ALIVE = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000"}
"""For a host that went away without a word; nothing of it is used on a Unix socket."""


def lasting(url: str, *, patience: int) -> dict[str, str]:
    """Return the parameters of a connection that does not wait for ever; what the address itself sets stays."""
    given = conninfo_to_dict(url)
    wanted = {"connect_timeout": str(patience), **KEPT_ALIVE}
    return {name: value for name, value in wanted.items() if name not in given}


def _address(url: str, patience: int) -> str:
    return make_conninfo(url, **lasting(url, patience=patience))


class ServerHangs(psycopg.OperationalError):
    """The server keeps the connection and answers nothing, neither there nor to a new one."""


@dataclass(slots=True)
class Knocker:
    """Knocks at one server, in a thread of its own and never twice at once, and keeps what came of it.

    Args:
        url: the server's address.
        patience: how long a new connection may take.
    """

    url: str
    patience: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _began: float = 0.0
    _hangs: bool = False
    _knocking: bool = False

    def finds_it_hanging(self, *, since: float) -> bool:
        """Say whether a new connection was refused any answer after `since`; have somebody knock if nobody has lately.

        Args:
            since: a monotonic time.
        """
        with self._lock:
            if self._knocking:
                return False
            if self._hangs and self._began >= since:
                return True
            if time.monotonic() - self._began < self.patience and self._began >= since:
                return False
            self._knocking = True
        threading.Thread(target=self._knock, name="knocker", daemon=True).start()
        return False

    def _knock(self) -> None:
        began, hangs = time.monotonic(), False
        try:
            psycopg.connect(_address(self.url, self.patience)).close()
        except psycopg.errors.ConnectionTimeout:
            hangs = True
        except psycopg.Error:
            pass  # it said no, or there is nobody: either way the silent connection ends by itself
        finally:
            with self._lock:
                self._began, self._hangs, self._knocking = began, hangs, False


def _watched(gen: PQGen[RV], pgconn: pq.abc.PGconn, knocker: Knocker) -> PQGen[RV]:
    """Pass a statement's waits on, until its server is found hanging: then the connection is closed, and it fails."""
    began = time.monotonic()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if ready:
                began = time.monotonic()
            elif (
                time.monotonic() - began >= knocker.patience
                and pgconn.transaction_status == pq.TransactionStatus.ACTIVE
                and knocker.finds_it_hanging(since=began)
            ):
                pgconn.finish()
                raise ServerHangs("the server does not answer")
            wanted = gen.send(ready)
    except StopIteration as done:
        result: RV = done.value
        return result


def connection_class(knocker: Knocker) -> "type[Connection[tuple[Any, ...]]]":
    """Return the class of connections whose statements end when their server hangs."""

    class Watched(Connection[tuple[Any, ...]]):
        def wait(self, gen: PQGen[RV], interval: float = POLL_SECONDS, timeout: float | None = None) -> RV:
            return super().wait(_watched(gen, self.pgconn, knocker), interval, timeout)

    return Watched


def async_connection_class(knocker: Knocker) -> "type[AsyncConnection[tuple[Any, ...]]]":
    """Return the same for connections of an event loop."""

    class Watched(AsyncConnection[tuple[Any, ...]]):
        async def wait(
            self,
            gen: PQGen[RV],
            interval: float = POLL_SECONDS,
            timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        ) -> RV:
            return await super().wait(_watched(gen, self.pgconn, knocker), interval, timeout)

    return Watched


SERVER_AWAY = frozenset({"57P01", "57P02", "57P03", "53300"})
"""PostgreSQL's codes of a server that shuts down, crashed, starts up, or has no connection left."""


def is_lost(error: BaseException | None) -> bool:
    """Say whether an error is about the way to the server, and not about what was asked of it."""
    match error:
        case DBAPIError():
            return error.connection_invalidated or is_lost(error.orig)
        case psycopg.OperationalError():
            return error.sqlstate is None or error.sqlstate.startswith("08") or error.sqlstate in SERVER_AWAY
        case AppNotOpen():
            return True
        case None:
            return False
        case _:
            return is_lost(error.__cause__)


class ServerWatch:
    """Looks whether a server is there, for all that have to wait for it; tells the log when it goes and comes.

    Args:
        url: the server's address.
        patience: how long a new connection may take.
    """

    def __init__(self, url: str, *, patience: int) -> None:
        self._url = url
        self._patience = patience
        self._looking = asyncio.Lock()
        self._seen = (-FRESH_SECONDS, False)
        self._away_since: float | None = None
        self._back_at: float | None = None

    async def answers(self) -> bool:
        """Say whether the server answers, or did within the last second."""
        async with self._looking:
            at, there = self._seen
            return there if time.monotonic() - at < FRESH_SECONDS else await self._look()

    async def until_up(self) -> bool:
        """Return once the server answers; say whether it was away until then, or a moment ago."""
        async with self._looking:
            there = await self._look()
        while not there:
            await asyncio.sleep(PAUSE_SECONDS)
            there = await self.answers()
        return self._back_at is not None and time.monotonic() - self._back_at < RECENT_SECONDS

    async def _look(self) -> bool:
        refused = await self._knock()
        self._seen = (time.monotonic(), refused is None)
        log = structlog.get_logger()
        if refused is None:
            if self._away_since is not None:
                self._back_at = time.monotonic()
                log.info("the database is back", seconds=round(self._back_at - self._away_since))
            self._away_since = None
        elif self._away_since is None:
            self._away_since = time.monotonic()
            log.warning("waiting for the database", reason=refused)
        return refused is None

    async def _knock(self) -> str | None:
        """Return why no connection can be made, or None; the reason names the server and no values."""
        try:
            connection = await psycopg.AsyncConnection.connect(_address(self._url, self._patience))
            await connection.close()
        except psycopg.Error as error:
            return str(error).partition("\n")[0]
        return None
