"""A door between the service and its database, which a test shuts, cuts or freezes at a moment of its choice.

`Proxy` listens on a TCP port and passes bytes on. `refuse()` is a server that is not there, `cut()`
one that drops its connections, `hang()` one that keeps them and says nothing, and `pass_on()` makes it well again.
`cut_when(marker)` cuts a connection at the moment when it sends certain bytes, such as b"COMMIT", before or after the
server has got them.
"""

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict

CHUNK = 65_536

TURNS_TO_CLOSE = 3
"""Of the event loop, in which connections that were aborted are closed."""


@dataclass(slots=True)
class Cut:
    """Bytes at which one connection is cut: as they come, or once the server has got them and answered."""

    marker: bytes
    answered: bool
    done: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Passes connections on to a database, until a test says otherwise.

    Args:
        database: the address of the database behind it.
    """

    def __init__(self, database: str) -> None:
        self._to = conninfo_to_dict(database)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._cuts: list[Cut] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._loop.call_soon_threadsafe(self._flowing.set)
        self.pass_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def database(self) -> str:
        """Return the address at which the service finds the database, through the proxy."""
        user, name = self._to.get("user", "postgres"), self._to["dbname"]
        password = f":{self._to['password']}" if self._to.get("password") else ""
        return f"postgresql://{user}{password}@127.0.0.1:{self._port}/{name}"

    def pass_on(self) -> None:
        """Let everything through again, what was held back too."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._flowing.set)

    def hang(self) -> None:
        """Take connections and bytes, and let none of them through: nobody is told, and nobody answers."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def cut(self) -> None:
        """Close every connection that is open; new ones are let through."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def refuse(self) -> None:
        """Close every connection, and refuse new ones."""
        asyncio.run_coroutine_threadsafe(self._refuse(), self._loop).result(10)

    def cut_when(self, marker: bytes, *, answered: bool) -> threading.Event:
        """Cut the next connection that sends certain bytes.

        Args:
            marker: the bytes.
            answered: whether the server gets them and answers, so that only the answer is lost.

        Returns:
            An event that is set once it is cut.
        """
        cut = Cut(marker, answered)
        self._loop.call_soon_threadsafe(self._cuts.append, cut)
        return cut.done

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
            self._port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _end(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(TURNS_TO_CLOSE):
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        with suppress(OSError, asyncio.CancelledError):
            await self._flowing.wait()
            to_server = await self._connect()
            self._open.add(to_server[1])
            await self._pass_both(reader, writer, *to_server)
            self._open.discard(to_server[1])
        writer.transport.abort()
        self._open.discard(writer)
        self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = str(self._to.get("host", "127.0.0.1")), int(str(self._to.get("port", 5432)))
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _pass_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        """Pass bytes in both directions until one side ends, or a cut is due."""
        awaited: list[Cut] = []

        async def ask() -> None:
            while sent := await reader.read(CHUNK):
                await self._flowing.wait()
                due = next((cut for cut in self._cuts if cut.marker in sent), None)
                if due is not None:
                    self._cuts.remove(due)
                    if not due.answered:
                        due.done.set()
                        return
                    awaited.append(due)
                to_server.write(sent)
                await to_server.drain()

        async def answer() -> None:
            while sent := await from_server.read(CHUNK):
                await self._flowing.wait()
                if awaited:
                    awaited[0].done.set()
                    return
                writer.write(sent)
                await writer.drain()

        both = [asyncio.create_task(ask()), asyncio.create_task(answer())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            writer.transport.abort()
            to_server.transport.abort()
