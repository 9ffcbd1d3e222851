"""Read request bodies into memory or onto disk, within limits of size and time."""

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
"""A body up to this size always finds room. Larger bodies share `MAX_WAITING`."""
MAX_WAITING = 64 << 20
"""Bytes of large bodies that one process keeps in memory at once."""
BYTES_PER_SECOND = 1 << 18
"""Every body gets some seconds. A large body also gets the time that it needs at this rate."""


class BodyTooSlow(Problem):
    """The body did not arrive in time."""

    status = 408
    title = sentence("Request body too slow")
    detail = sentence("Nothing was stored. Send the body again. The whole body must arrive within {seconds} seconds.")


@dataclass(frozen=True, slots=True)
class Upload:
    """A body on disk. The file is deleted when the request ends."""

    file: IO[bytes]
    size: int
    sha256: bytes

    def read(self) -> bytes:
        """Return the whole body."""
        self.file.seek(0)
        return self.file.read()


class Room:
    """The memory for waiting bodies in one process."""

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def for_body(self, scope: Scope) -> Iterator[None]:
        """Reserve room for a request's body until the request ends.

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
    """Return the announced body length: 0 without a body, None if it is unknown."""
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    if length.isdigit():
        return int(length)
    return None if b"transfer-encoding" in headers else 0


def refuse_announced(scope: Scope, *, most: int) -> None:
    """Refuse a body whose announced length is over the limit, before anything else is done for the request.

    Raises:
        TooLarge: if the announced length is over the limit.
    """
    announced = announced_length(scope)
    if announced is not None and announced > most:
        raise TooLarge(most=most)


async def read_body(scope: Scope, receive: Receive, *, seconds: float) -> bytes:
    """Read a body into memory.

    Raises:
        TooLarge: if the body has more than `MAX_BODY` bytes. An announced length is refused at once.
        BodyTooSlow: if the body does not arrive in time.
        CallerGone: if the caller closes the connection.
    """
    if announced_length(scope) == 0:
        return b""
    return b"".join([part async for part in _parts(scope, receive, most=MAX_BODY, seconds=seconds)])


@asynccontextmanager
async def on_disk(scope: Scope, receive: Receive, *, seconds: float) -> AsyncIterator[Upload]:
    """Read a large body into a file.

    Raises:
        TooLarge: if the body has more than `MAX_UPLOAD` bytes. An announced length is refused at once.
        BodyTooSlow: if the body does not arrive in time.
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
    refuse_announced(scope, most=most)
    announced = announced_length(scope)
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
