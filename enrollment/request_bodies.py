"""Bodies of requests: read within a limit of bytes and of seconds, into memory or onto the disk."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import IO

from starlette.types import Message, Receive, Scope

from enrollment.lanes import CallerGone, Crowded
from enrollment.problems import Problem, TooLarge, sentence

MAX_BODY = 1 << 20
MAX_UPLOAD = 256 << 20
SMALL = 1 << 16
"""A body up to this size always finds room; larger ones share `MAX_WAITING`."""
MAX_WAITING = 64 << 20
"""Bytes of larger bodies that one process keeps in memory at once."""
BYTES_PER_SECOND = 1 << 18
"""Beside the seconds that every body has, a large one has the time that it takes at this rate."""


class BodyTooSlow(Problem):
    """The body did not arrive in time."""

    status = 408
    title = sentence("Request body too slow")
    detail = sentence("Nothing was stored. Send the body again. The whole body must arrive within {seconds} seconds.")


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that was put onto the disk; the file goes when the request ends."""

    file: IO[bytes]
    size: int
    sha256: bytes

    def read(self) -> bytes:
        """Return the whole of it."""
        self.file.seek(0)
        return self.file.read()


class Room:
    """Memory for the bodies that wait in one process."""

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def for_body(self, scope: Scope) -> Iterator[None]:
        """Keep room for a request's body until it ends.

        Raises:
            Crowded: if too many large bodies are in memory already.
        """
        announced = announced_length(scope)
        size = MAX_BODY if announced is None else min(announced, MAX_BODY)
        counted = size if size > SMALL else 0
        if counted and self._taken + counted > MAX_WAITING:
            raise Crowded
        self._taken += counted
        try:
            yield
        finally:
            self._taken -= counted


def announced_length(scope: Scope) -> int | None:
    """Return how many bytes the head announces: 0 without a body, None for a body of unknown length."""
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    if length.isdigit():
        return int(length)
    return None if b"transfer-encoding" in headers else 0


async def read_body(scope: Scope, receive: Receive, *, seconds: float) -> bytes:
    """Return a body that fits into memory.

    Raises:
        TooLarge: if it has more than `MAX_BODY` bytes; at once if its head says so.
        BodyTooSlow: if it takes too long.
        CallerGone: if the caller closes the connection.
    """
    if announced_length(scope) == 0:
        return b""
    return b"".join([part async for part in _parts(scope, receive, most=MAX_BODY, seconds=seconds)])


@asynccontextmanager
async def on_disk(scope: Scope, receive: Receive, *, seconds: float) -> AsyncIterator[Upload]:
    """Give a body that may be too large for memory as a file.

    Raises:
        TooLarge: if it has more than `MAX_UPLOAD` bytes; at once if its head says so.
        BodyTooSlow: if it takes too long.
        CallerGone: if the caller closes the connection.
    """
    digest, size = hashlib.sha256(), 0
    with tempfile.TemporaryFile() as file:
        async for part in _parts(scope, receive, most=MAX_UPLOAD, seconds=seconds):
            digest.update(part)
            size += len(part)
            file.write(part)
        file.flush()
        yield Upload(file, size, digest.digest())


async def _parts(scope: Scope, receive: Receive, *, most: int, seconds: float) -> AsyncIterator[bytes]:
    announced = announced_length(scope)
    if announced is not None and announced > most:
        raise TooLarge(most=most)
    allowed = seconds + (most if announced is None else announced) / BYTES_PER_SECOND
    until = asyncio.get_running_loop().time() + allowed
    received, more = 0, True
    while more:
        message = await _next(receive, until, allowed)
        part: bytes = message.get("body", b"")
        received += len(part)
        if received > most:
            raise TooLarge(most=most)
        more = message.get("more_body", False)
        yield part


async def _next(receive: Receive, until: float, allowed: float) -> Message:
    try:
        async with asyncio.timeout_at(until):
            message = await receive()
    except TimeoutError:
        raise BodyTooSlow(seconds=round(allowed)) from None
    if message["type"] == "http.disconnect":
        raise CallerGone
    return message
