"""What holds for every answer: it was asked of a host that this service is, and nobody keeps what is personal in it."""

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
"""For answers of the API: a browser that opens one loads nothing, runs nothing, and shows it in no frame."""


class UnknownHost(Problem):
    """A request for a host that this service is not."""

    status = 421
    title = sentence("Unknown host")
    detail = sentence("Use the service's own host name. Whoever runs the service sets its names in ENROLLMENT_HOSTS.")


class Guarded:
    """Refuses requests for other hosts, and says of answers who may keep them.

    Args:
        app: what answers.
        hosts: the names of this service, in lower case.
        secure: whether it is reached by TLS, so that browsers are told to use nothing else.
        answer_error: writes a problem as an answer.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], secure: bool, answer_error: AnswerError) -> None:
        self._app = app
        self._hosts = hosts
        self._secure = secure
        self._answer_error = answer_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse a host that is none of ours."""
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

    def _added(self, method: str, asked: dict[bytes, bytes], answered: Headers) -> Iterator[tuple[bytes, bytes]]:
        """Yield the headers that an answer needs and does not have."""
        names = {name.lower() for name, _ in answered}
        if b"x-content-type-options" not in names:
            yield b"x-content-type-options", b"nosniff"
        if b"content-security-policy" not in names:
            yield b"content-security-policy", NOT_A_PAGE
        if b"referrer-policy" not in names:
            yield b"referrer-policy", b"no-referrer"
        # Callers who show a token read what is theirs; callers who send something may get a token.
        if b"cache-control" not in names and (b"authorization" in asked or method != "GET"):
            yield b"cache-control", b"no-store"
        if self._secure:
            yield b"strict-transport-security", b"max-age=%d; includeSubDomains" % A_YEAR


def _host(headers: dict[bytes, bytes]) -> str:
    """Return the host that a request is for, in lower case, without its port."""
    host = headers.get(b"host", b"").decode("latin-1").lower()
    return host if host.endswith("]") else host.rpartition(":")[0] or host
