"""What is seen of every request: an id, one log line, metrics.

No address, no body, no parameter is in any of them: they may be a child's.
"""

import logging
import sys
import time
import uuid

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from enrollment.problems import TooLarge

MOST_BODY = 1 << 20
MOST_IMPORT = 256 << 20
LONG_BODIES = ("/imports/", "/rosters:reconcile")

NOWHERE = "none"
"""The route of a request that no route matched."""


class Metrics:
    """Counters of one process, for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "enrollment_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "enrollment_request_seconds", "Time to answer.", ["method", "route"], registry=self.registry
        )


def log_as_json() -> None:
    """Write the service's log as one JSON object a line, on standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(_frames_only),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


class _FramesOnly:
    """Renders where an exception came from, without its message or values: they may be a child's."""

    def __call__(self, exc_info: structlog.typing.ExcInfo) -> list[str]:
        frames = []
        trace = exc_info[2]
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        return [exc_info[0].__name__, *frames]


_frames_only = _FramesOnly()


class Observed:
    """The outermost layer: gives a request its id, refuses what is too large, tells log and metrics."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and tell of it when it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            self._tell(scope, status=status, seconds=time.perf_counter() - began)

    def _tell(self, scope: Scope, *, status: int, seconds: float) -> None:
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


class Bounded:
    """Refuses a body that is too large, by its announced length at once, otherwise where it gets too long."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on that is not too large."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = MOST_IMPORT if any(part in scope["path"] for part in LONG_BODIES) else MOST_BODY
        length = dict(scope["headers"]).get(b"content-length", b"0")
        announced = int(length) if length.isdigit() else 0
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if max(announced, received) > most:
                raise TooLarge(most=most)
            return message

        await self._app(scope, receive_bounded, send)
