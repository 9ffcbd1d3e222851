"""Admission: read the body, then wait for a place in a lane, then carry the request out.

The body is read before the request queues, so a slow sender takes no place. Uploads are the exception: their route
identifies the caller first, see `enrollment.access.uploads`.
"""

import asyncio
from collections.abc import Callable

from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from enrollment.json_depth import refuse_deep
from enrollment.lanes import CallerGone, Lanes, Place, lane_of
from enrollment.request_bodies import MAX_UPLOAD, Room, announced_length, read_body, refuse_announced

LINGER_BYTES = 4 << 20
LINGER_SECONDS = 5.0
"""The service still reads this much of a refused body, so that the caller can read the refusal."""

AnswerError = Callable[[Request, Exception], Response]


class Admission:
    """Admit a request when its lane has a free place.

    Args:
        app: the application that carries requests out.
        lanes: the lanes of this process.
        body_seconds: seconds in which a small body must arrive.
        answer_error: turns an exception into an answer.
    """

    def __init__(self, app: ASGIApp, *, lanes: Lanes, body_seconds: float, answer_error: AnswerError) -> None:
        self._app = app
        self._lanes = lanes
        self._room = Room()
        self._body_seconds = body_seconds
        self._answer_error = answer_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry a request out, or answer with the refusal."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wire = _Wire(scope, receive, send)
        try:
            await self._carry_out(scope, wire)
        except CallerGone:
            return
        except Exception as error:
            if wire.answered:
                raise
            answer = self._answer_error(Request(scope, wire.receive), error)
            await answer(scope, wire.receive, wire.send)

    async def _carry_out(self, scope: Scope, wire: "_Wire") -> None:
        lane = lane_of(scope["method"], scope["path"])
        if is_upload(scope["method"], scope["path"]):
            refuse_announced(scope, most=MAX_UPLOAD)
            await self._inside(scope, wire.receive, wire)
            return
        if lane is None:
            body = await read_body(scope, wire.receive, seconds=self._body_seconds)
            await self._inside(scope, wire.again(body), wire)
            return
        with self._room.for_body(scope):
            body = await read_body(scope, wire.receive, seconds=self._body_seconds)
            refuse_deep(body)
            scope["state"][PLACE] = await self._lanes.enter(lane, gone=wire.until_closed)
            await self._inside(scope, wire.again(body), wire)

    async def _inside(self, scope: Scope, receive: Receive, wire: "_Wire") -> None:
        """Carry a request out. Free its place when the answer begins, because its transaction has ended by then."""

        async def send(message: Message) -> None:
            _leave(scope)
            await wire.send(message)

        try:
            await self._app(scope, receive, send)
        finally:
            _leave(scope)


PLACE = "place"
"""The name of the lane place in a request's state. An upload puts its own place there."""


def _leave(scope: Scope) -> None:
    place: Place | None = scope["state"].get(PLACE)
    if place is not None:
        place.leave()


def is_upload(method: str, path: str) -> bool:
    """Say whether a request is an upload, which is stored on disk."""
    return method == "POST" and ("/imports/" in path or path.endswith(":reconcile"))


class _Wire:
    """A request's connection. It closes the connection unless the whole body was read."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._unread = announced_length(scope) != 0
        self.answered = False

    async def receive(self) -> Message:
        """Receive the next part of the body."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer. Delay the last part until the caller can have stopped sending."""
        self.answered = True
        if not self._unread:
            await self._send(message)
        elif message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
            await self._send(message)
        elif message.get("more_body", False):
            await self._send(message)
        else:
            await self._send({**message, "more_body": True})
            await self._linger()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def again(self, body: bytes) -> Receive:
        """Return a receiver that repeats the body, then passes on the connection."""
        repeated = False

        async def receive() -> Message:
            nonlocal repeated
            if repeated:
                return await self.receive()
            repeated = True
            return {"type": "http.request", "body": body, "more_body": False}

        return receive

    async def until_closed(self) -> None:
        """Return when the caller closes the connection. Call it after the body was read."""
        while (await self.receive())["type"] != "http.disconnect":
            continue

    async def _linger(self) -> None:
        received = 0
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while self._unread and received < LINGER_BYTES:
                    received += len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
