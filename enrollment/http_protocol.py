"""Client connections: uvicorn's protocol with limits on headers, time and the number of connections.

uvicorn waits for request headers for ever, and takes any length. So a few hundred connections that send one byte each
could use up all files that a process may open.
"""

import json
import resource
from asyncio import TimerHandle
from functools import cache
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from enrollment.problems import CATALOGUE, MEDIA_TYPE, Problem, sentence
from enrollment.settings import Settings, settings_of_environment

MAX_HEAD = 16 << 10
"""Bytes of the request line and the headers."""
MAX_HEADERS = 100
RESERVED_FILES = 128
"""Files reserved for the database, uploads and logs."""


class HeadTooLarge(Problem):
    """The request line and headers are too long."""

    status = 431
    title = sentence("Request headers too large")
    detail = sentence("Send at most 100 headers, with at most 16 KiB in total.")


class HeadTooSlow(Problem):
    """The request headers did not arrive in time."""

    status = 408
    title = sentence("Request too slow")
    detail = sentence("The request did not arrive in time, and nothing was done. Send the whole request at once.")


class RequestUnreadable(Problem):
    """The bytes are not HTTP/1.1."""

    status = 400
    title = sentence("Not an HTTP request")
    detail = sentence("Send a request as RFC 9112 describes it.")


class TooManyConnections(Problem):
    """The process has no free connection, and it answers a request on every open one."""

    status = 503
    title = sentence("Too many connections")
    detail = sentence("Nothing was done. Wait as many seconds as Retry-After says, then try again.")


def raise_file_limit() -> None:
    """Raise the open-file limit to the maximum that the operating system allows."""
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


@cache
def _settings() -> Settings:
    return settings_of_environment()


@cache
def max_connections() -> int:
    """Return the maximum number of client connections, by the settings and the open-file limit."""
    may_open, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    configured = _settings().http_connections
    return configured if may_open == resource.RLIM_INFINITY else max(1, min(configured, may_open - RESERVED_FILES))


class GuardedProtocol(HttpToolsProtocol):
    """A client connection with limits.

    Headers must arrive in time and be short enough, and the client must read the answer in time. When too many
    connections are open, the longest waiting one is closed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as uvicorn calls it
        super().__init__(*args, **kwargs)
        self._since = self.loop.time()
        self._head_bytes = 0
        self._in_head, self._head_begun = True, False
        self._head_timer: TimerHandle | None = None
        self._send_timer: TimerHandle | None = None

    @property
    def waits_since(self) -> float | None:
        """Return when this connection began to wait for a request, or None if it does not wait."""
        cycle = self._unanswered
        if cycle is not None and (not cycle.more_body or cycle.response_started):
            return None
        return self._since

    @property
    def _unanswered(self) -> RequestResponseCycle | None:
        """Return the request in progress."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return None if cycle is None or cycle.response_complete else cycle

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - likewise
        """Make room for the connection, and start the clock for its first request."""
        super().connection_made(transport)
        if len(self.connections) > max_connections() and not self._make_room():
            self.refuse(TooManyConnections(headers={"Retry-After": "5"}))
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._stop_clocks()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Receive bytes, and count the bytes of headers."""
        if self._in_head:
            self._head_bytes += len(data)
        if self._head_timer is None and self._in_head:
            self._expect_head()
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD and not self.transport.is_closing():
            self.refuse(HeadTooLarge())

    def on_message_begin(self) -> None:
        """Begin to count the headers of a request."""
        super().on_message_begin()
        self._in_head = self._head_begun = True
        if self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Start the request, unless its headers are too long."""
        self._in_head, self._head_begun, self._head_bytes = False, False, 0
        self._stop_head_clock()
        self._since = self.loop.time()
        length = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if length > MAX_HEAD or len(self.headers) > MAX_HEADERS:
            self.refuse(HeadTooLarge())
        elif not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Receive a part of a body, unless the request was refused."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect the headers of the next request."""
        self._in_head, self._head_bytes = True, 0
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Note that the connection now waits for a request."""
        self._since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Give the client some seconds to read the answer."""
        super().pause_writing()
        self._send_timer = self.loop.call_later(_settings().send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the clock of `pause_writing`."""
        self._stop(self._send_timer)
        self._send_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's message is not a problem document
        """Refuse bytes that are not HTTP."""
        self.refuse(RequestUnreadable())

    def refuse(self, problem: Problem) -> None:
        """Answer with a problem without starting a request, and close the connection."""
        self._stop_clocks()
        if self._unanswered is None and not self.transport.is_closing():
            self.transport.write(_document(problem))
        self.transport.close()

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(_settings().head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._unanswered is not None:
            self._expect_head()  # the client waits for the answer to its previous request
        elif self._head_begun:
            self.refuse(HeadTooSlow())
        else:
            self.transport.close()

    def _make_room(self) -> bool:
        """Close the connection that waits longest. Say whether one was found."""
        waiting = [(since, other) for other in self.connections - {self} if (since := _waits(other)) is not None]
        if not waiting:
            return False
        _, longest = min(waiting, key=lambda pair: pair[0])
        longest.transport.abort()
        return True

    def _stop_clocks(self) -> None:
        self._stop_head_clock()
        self._stop(self._send_timer)
        self._send_timer = None

    def _stop_head_clock(self) -> None:
        self._stop(self._head_timer)
        self._head_timer = None

    @staticmethod
    def _stop(timer: TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


def _waits(connection: Any) -> float | None:  # noqa: ANN401 - uvicorn's union of protocols
    return connection.waits_since if isinstance(connection, GuardedProtocol) else None


def _document(problem: Problem) -> bytes:
    """Return a problem as a whole HTTP response, in English, because no language is known."""
    document = {
        "type": f"{CATALOGUE}{problem.code()}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code(),
        "request_id": "",
        "errors": [],
    }
    body = json.dumps(document).encode()
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Content-Language": "en",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        **problem.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return b"".join([STATUS_LINE[problem.status], head.encode(), b"\r\n", body])
