"""Give every request an id, one log line and metrics.

They never contain an address, a body or a parameter, which may be a child's.
"""

import os
import time
import uuid
from http import HTTPStatus
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOWHERE = "none"
"""The route label of a request that matched no route."""

CALLER_GONE = 499
"""The logged status of a request whose caller closed the connection before the answer."""


class Metrics:
    """Prometheus counters of this process, or of all web processes that share a folder.

    `enrollment serve` sets that folder in PROMETHEUS_MULTIPROC_DIR for prometheus-client.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "enrollment_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "enrollment_request_seconds", "Time to answer.", ["method", "route"], registry=self.registry
        )

    def render(self) -> bytes:
        """Return the metrics in the Prometheus text format."""
        shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if shared is None:
            return generate_latest(self.registry)
        _forget_the_dead(Path(shared))
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)


def _forget_the_dead(folder: Path) -> None:
    """Remove the live gauges of ended processes. Their counters stay."""
    for file in folder.glob("gauge_live*.db"):
        pid = file.stem.rpartition("_")[2]
        if not Path("/proc", pid).exists():
            mark_process_dead(pid)  # type: ignore[no-untyped-call]


class Observed:
    """The outermost layer: give each request an id, a log line and metrics."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and record it when it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()
        status = CALLER_GONE

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            raise
        finally:
            self._record(scope, status=int(status), seconds=time.perf_counter() - began)

    def _record(self, scope: Scope, *, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", NOWHERE)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        self._log.info(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000),
            request_id=scope["state"]["request_id"],
            problem=scope["state"].get("problem"),
        )


_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"})
