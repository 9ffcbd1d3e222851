"""Lanes: limit how many requests of each kind a web process carries out at once.

An admitted request needs a database connection and a thread until it ends. No lane admits more requests than its share
of both, so a request with a connection never waits for a thread, or the reverse. Waiting requests use neither. Each
kind has its own share, so a slow import never delays a ranking.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

from enrollment.problems import Problem, sentence


class Lane(StrEnum):
    """A kind of request with its own share of the process."""

    RANKINGS = "rankings"
    """Single rankings, which families submit on the last evening. This lane has its own connections."""
    ORDINARY = "ordinary"
    LONG = "long"
    """Imports, batches, whole files: each may take many seconds."""
    SIGN_IN = "sign-in"
    """Requests that hash a password. They need a core and memory, and strangers can send them."""


OUTSIDE = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths without a lane. They must answer even when everything else is stuck."""

_RANKING = re.compile(r"/v1/cycles/[^/]+/applicants/[^/]+/ranking")
_LONG = re.compile(
    r"/v1/applicants:batch|/v1/.+(/imports/.+|/exports/.+|:reconcile)|/v1/rounds/[^/]+/(market|outcome)|/v1/zones-changes/.+"
)
_SIGN_IN = re.compile(r"/v1/sessions|/v1/oauth/token|/v1/invitations/accept")


def lane_of(method: str, path: str) -> Lane | None:
    """Return the lane of a request, or None if it needs no lane."""
    if path in OUTSIDE:
        return None
    if method == "PUT" and _RANKING.fullmatch(path):
        return Lane.RANKINGS
    if _LONG.fullmatch(path):
        return Lane.LONG
    if method != "GET" and _SIGN_IN.fullmatch(path):
        return Lane.SIGN_IN
    return Lane.ORDINARY


class Crowded(Problem):
    """No place became free in time."""

    status = 503
    title = sentence("Service busy")
    detail = sentence("Nothing was done. Wait as many seconds as Retry-After says, then send the same request again.")

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": str(RETRY_SECONDS)})


RETRY_SECONDS = 5


class CallerGone(Exception):
    """The caller closed the connection before the request was carried out."""


def shares_of(connections: int) -> Mapping[Lane, int]:
    """Divide the database connections of a process among the lanes. Each lane gets at least one.

    Args:
        connections: at least 6.
    """
    shares = {
        Lane.RANKINGS: connections // 3,
        Lane.LONG: max(1, connections // 8),
        Lane.SIGN_IN: max(1, connections // 12),
    }
    return {**shares, Lane.ORDINARY: connections - sum(shares.values())}


def _gauge(name: str, says: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(name, says, ["lane"], registry=registry, multiprocess_mode="livesum")


@dataclass(slots=True)
class Place:
    """A place in a lane. Leaving twice does nothing."""

    lane: Lane
    _lanes: "Lanes"
    _held: bool = True

    def leave(self) -> None:
        """Give the place to the request that has waited longest."""
        if self._held:
            self._held = False
            self._lanes.free(self.lane)


class Lanes:
    """The lanes of one web process.

    Args:
        shares: the number of requests that each lane admits at once.
        wait_seconds: seconds that a request waits before it is refused.
        registry: the metrics registry for queue lengths and refusals.
    """

    def __init__(self, shares: Mapping[Lane, int], *, wait_seconds: float, registry: CollectorRegistry) -> None:
        self._free = {lane: asyncio.Semaphore(share) for lane, share in shares.items()}
        self._wait_seconds = wait_seconds
        self._waiting = Gauge(
            "enrollment_requests_waiting",
            "Requests that wait for a place.",
            ["lane"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._inside = Gauge(
            "enrollment_requests_inside",
            "Requests in progress.",
            ["lane"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._shed = Counter(
            "enrollment_requests_shed", "Requests refused after too long a wait.", ["lane"], registry=registry
        )
        for lane in shares:
            for metric in (self._waiting, self._inside, self._shed):
                metric.labels(lane)  # show the metrics from the start

    async def enter(self, lane: Lane, *, gone: Callable[[], Coroutine[None, None, None]] | None = None) -> Place:
        """Return a place in a lane, in order of arrival.

        Args:
            lane: the lane.
            gone: returns when the caller closes the connection.

        Raises:
            Crowded: if no place becomes free in time.
            CallerGone: if the caller closes the connection first.
        """
        free = self._free[lane]
        if free.locked():
            await self._wait(lane, gone)
        else:
            await free.acquire()
        self._inside.labels(lane).inc()
        return Place(lane, self)

    def free(self, lane: Lane) -> None:
        """Admit the next request."""
        self._inside.labels(lane).dec()
        self._free[lane].release()

    async def _wait(self, lane: Lane, gone: Callable[[], Coroutine[None, None, None]] | None) -> None:
        turn = asyncio.ensure_future(self._free[lane].acquire())
        leaving = [asyncio.ensure_future(gone())] if gone is not None else []
        self._waiting.labels(lane).inc()
        entered = left = False
        try:
            await asyncio.wait({turn, *leaving}, timeout=self._wait_seconds, return_when=asyncio.FIRST_COMPLETED)
            left = any(task.done() for task in leaving)
            entered = turn.done() and not left
        finally:
            self._waiting.labels(lane).dec()
            for task in leaving:
                task.cancel()
            if not entered:
                await self._give_up(lane, turn)
        if left:
            raise CallerGone
        if not entered:
            self._shed.labels(lane).inc()
            raise Crowded

    async def _give_up(self, lane: Lane, turn: "asyncio.Task[Literal[True]]") -> None:
        """Leave the queue. A place that came at the last moment goes to the next request."""
        turn.cancel()
        await asyncio.wait({turn})
        if not turn.cancelled():
            self._free[lane].release()
