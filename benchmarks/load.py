"""Many requests over some connections that stay open, by a client that takes little of the machine."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

OK = b"HTTP/1.1 200"
SHED = b"HTTP/1.1 503"
CROWDED = b'"code":"crowded"'


@dataclass(frozen=True, slots=True)
class Load:
    """What a load came to."""

    requests: int
    seconds: float
    waits: Sequence[float]
    """Of each request, in seconds, shortest first."""
    shed: int
    """How many were told to come again: the service's own answer when too many wait."""

    @property
    def rate(self) -> float:
        """Return requests a second."""
        return self.requests / self.seconds

    def wait(self, percent: int) -> float:
        """Return the seconds within which so many of a hundred were answered."""
        return self.waits[min(len(self.waits) - 1, len(self.waits) * percent // 100)]


class Unanswered(RuntimeError):
    """An answer other than 200, or than a refusal that says that too many wait."""


def put(path: str, token: str, body: bytes) -> bytes:
    """Return a PUT as it goes over the wire."""
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str) -> bytes:
    """Return a GET as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def load(port: int, requests: Sequence[bytes], *, connections: int) -> Load:
    """Send requests, as many at a time as there are connections.

    Raises:
        Unanswered: if one is not answered with 200.
    """
    return asyncio.run(_load(port, requests, connections))


async def _load(port: int, requests: Sequence[bytes], connections: int) -> Load:
    waiting = iter(requests)
    waits: list[float] = []
    start = perf_counter()
    shed = await asyncio.gather(*(_send(port, waiting, waits) for _ in range(connections)))
    return Load(len(waits), perf_counter() - start, sorted(waits), sum(shed))


async def _send(port: int, waiting: Iterator[bytes], waits: list[float]) -> int:
    """Send requests one after another over a connection; return how many were told to come again."""
    shed = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in waiting:
        asked = perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        answer = await reader.readexactly(int(length.split(b":")[1]))
        if head.startswith(SHED) and CROWDED in answer:
            shed += 1
        elif not head.startswith(OK):
            raise Unanswered(f"{head.decode()}{answer.decode()}")
        waits.append(perf_counter() - asked)
    writer.close()
    await writer.wait_closed()
    return shed
