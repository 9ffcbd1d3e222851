"""Refuse unknown hosts, and add security headers to every answer."""

from collections.abc import Collection, Iterator

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from enrollment.admission import AnswerError
from enrollment.lanes import OUTSIDE
from enrollment.problems import Problem, sentence

Headers = list[tuple[bytes, bytes]]

A_YEAR = 31_536_000

NOT_A_PAGE = (
    b"default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)
"""The content security policy for API answers: a browser loads nothing, runs nothing and shows no frame."""


class UnknownHost(Problem):
    """The request names a host that this service does not serve."""

    status = 421
    title = sentence("Unknown host")
    detail = sentence("Use a host name of the service. Its administrators set the names in ENROLLMENT_HOSTS.")


class Guarded:
    """Refuse requests for other hosts, and add security headers to answers.

    Args:
        app: the application.
        hosts: the names of this service, in lower case.
        secure: whether callers use TLS, so that browsers must use nothing else.
        answer_error: turns a problem into an answer.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], secure: bool, answer_error: AnswerError) -> None:
        self._app = app
        self._hosts = hosts
        self._secure = secure
        self._answer_error = answer_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse an unknown host."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    *self._added(scope["method"], headers, message.get("headers", [])),
                ]
            await send(message)

        if scope["path"] in OUTSIDE or _host(headers) in self._hosts:
            await self._app(scope, receive, send_guarded)
        else:
            await self._answer_error(Request(scope), UnknownHost())(scope, receive, send_guarded)

    def _added(self, method: str, requested: dict[bytes, bytes], answered: Headers) -> Iterator[tuple[bytes, bytes]]:
        """Yield the security headers that an answer lacks."""
        names = {name.lower() for name, _ in answered}
        if b"x-content-type-options" not in names:
            yield b"x-content-type-options", b"nosniff"
        if b"content-security-policy" not in names:
            yield b"content-security-policy", NOT_A_PAGE
        if b"referrer-policy" not in names:
            yield b"referrer-policy", b"no-referrer"
        # Answers to a token, or to a change, may be personal: caches must not store them.
        if b"cache-control" not in names and (b"authorization" in requested or method != "GET"):
            yield b"cache-control", b"no-store"
        if self._secure:
            yield b"strict-transport-security", b"max-age=%d; includeSubDomains" % A_YEAR


def _host(headers: dict[bytes, bytes]) -> str:
    """Return the host of a request, in lower case, without its port."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    return host if host.endswith("]") else host.rpartition(":")[0] or host
