"""Database connections that detect a lost or hanging server.

A stopped server closes its connections, and TCP notices a lost host. A hanging server does neither: its kernel still
confirms every packet. So when a statement stays silent, a probe opens a new connection. If the server does not answer
the probe either, it hangs, and the statement's connection is closed. A slow server answers the probe, and the statement
continues.
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
"""Seconds of silence after which a statement is probed, or a new connection is given up."""

PAUSE_SECONDS = 0.5
"""Seconds between two probes of a lost server."""

FRESH_SECONDS = 1.0
"""Seconds for which one probe answers every caller, so that many callers make one connection."""

RECENT_SECONDS = 30.0
"""Seconds after an outage in which work may still fail because of it."""

POLL_SECONDS = 0.1

KEPT_ALIVE = {"keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3", "tcp_user_timeout": "20000"}
"""TCP settings that detect a lost host. A Unix socket ignores them."""


def timeout_parameters(url: str, *, patience: int) -> dict[str, str]:
    """Return the parameters of a connection with timeouts. Parameters in the address itself win."""
    chosen = conninfo_to_dict(url)
    defaults = {"connect_timeout": str(patience), **KEPT_ALIVE}
    return {name: value for name, value in defaults.items() if name not in chosen}


def _address(url: str, patience: int) -> str:
    return make_conninfo(url, **timeout_parameters(url, patience=patience))


class ServerHangs(psycopg.OperationalError):
    """The server keeps the connection open but answers nothing, not even a new connection."""


@dataclass(slots=True)
class Prober:
    """Probe one server in a thread of its own, one probe at a time, and keep the result.

    Args:
        url: the server's address.
        patience: seconds that a new connection may take.
    """

    url: str
    patience: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _began: float = 0.0
    _hangs: bool = False
    _probing: bool = False

    def server_hangs(self, *, since: float) -> bool:
        """Say whether a probe after `since` found the server hanging. Start a new probe if none ran lately.

        Args:
            since: a monotonic time.
        """
        with self._lock:
            if self._probing:
                return False
            if self._hangs and self._began >= since:
                return True
            if time.monotonic() - self._began < self.patience and self._began >= since:
                return False
            self._probing = True
        threading.Thread(target=self._probe, name="prober", daemon=True).start()
        return False

    def _probe(self) -> None:
        began, hangs = time.monotonic(), False
        try:
            psycopg.connect(_address(self.url, self.patience)).close()
        except psycopg.errors.ConnectionTimeout:
            hangs = True
        except psycopg.Error:
            pass  # the server refused, or is down: either way the silent connection ends by itself
        finally:
            with self._lock:
                self._began, self._hangs, self._probing = began, hangs, False


def _watched(gen: PQGen[RV], pgconn: pq.abc.PGconn, prober: Prober) -> PQGen[RV]:
    """Pass on a statement's waits. Close its connection when the server hangs."""
    began = time.monotonic()
    try:
        event = next(gen)
        while True:
            ready = yield event
            if ready:
                began = time.monotonic()
            elif (
                time.monotonic() - began >= prober.patience
                and pgconn.transaction_status == pq.TransactionStatus.ACTIVE
                and prober.server_hangs(since=began)
            ):
                pgconn.finish()
                raise ServerHangs("the server does not answer")
            event = gen.send(ready)
    except StopIteration as done:
        result: RV = done.value
        return result


def connection_class(prober: Prober) -> "type[Connection[tuple[Any, ...]]]":
    """Return a connection class whose statements fail when the server hangs."""

    class Watched(Connection[tuple[Any, ...]]):
        def wait(self, gen: PQGen[RV], interval: float = POLL_SECONDS, timeout: float | None = None) -> RV:
            return super().wait(_watched(gen, self.pgconn, prober), interval, timeout)

    return Watched


def async_connection_class(prober: Prober) -> "type[AsyncConnection[tuple[Any, ...]]]":
    """Return the same class for the event loop."""

    class Watched(AsyncConnection[tuple[Any, ...]]):
        async def wait(
            self,
            gen: PQGen[RV],
            interval: float = POLL_SECONDS,
            timeout: float | None = None,  # noqa: ASYNC109 - the library's signature
        ) -> RV:
            return await super().wait(_watched(gen, self.pgconn, prober), interval, timeout)

    return Watched


SERVER_AWAY = frozenset({"57P01", "57P02", "57P03", "53300"})
"""PostgreSQL's codes for a server that shuts down, crashed, starts up, or has no free connection."""


def is_lost(error: BaseException | None) -> bool:
    """Say whether an error concerns the connection to the server, not the statement."""
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
    """Watch whether a server answers, and log when it is lost and when it is back.

    Args:
        url: the server's address.
        patience: seconds that a new connection may take.
    """

    def __init__(self, url: str, *, patience: int) -> None:
        self._url = url
        self._patience = patience
        self._looking = asyncio.Lock()
        self._seen = (-FRESH_SECONDS, False)
        self._away_since: float | None = None
        self._back_at: float | None = None

    async def answers(self) -> bool:
        """Say whether the server answers, or answered within the last second."""
        async with self._looking:
            at, there = self._seen
            return there if time.monotonic() - at < FRESH_SECONDS else await self._look()

    async def until_up(self) -> bool:
        """Wait until the server answers. Say whether it was lost a moment ago."""
        async with self._looking:
            there = await self._look()
        while not there:
            await asyncio.sleep(PAUSE_SECONDS)
            there = await self.answers()
        return self._back_at is not None and time.monotonic() - self._back_at < RECENT_SECONDS

    async def _look(self) -> bool:
        refused = await self._probe()
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

    async def _probe(self) -> str | None:
        """Return the reason why a connection fails, or None. The reason names the server and no values."""
        try:
            connection = await psycopg.AsyncConnection.connect(_address(self._url, self._patience))
            await connection.close()
        except psycopg.Error as error:
            return str(error).partition("\n")[0]
        return None
