"""Idempotency-Key: repeat the stored answer to a POST instead of doing it twice."""

import hashlib
import json
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from inspect import iscoroutinefunction
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from enrollment.access.callers import Partner
from enrollment.access.identification import Caller
from enrollment.access.models import GivenAnswer
from enrollment.database import InTransaction
from enrollment.openapi_marks import DEMANDED
from enrollment.problems import BadRequest, Conflict, Problem, sentence
from lottery.market.canonical import Json

KEPT_HEADERS = ("etag", "location")

HIDDEN = frozenset({"secret", "token", "transfer_code", "invitation_code", "recovery_codes", "device", "uri"})
"""Fields shown only once. They are not stored, so a repeated answer has null instead."""

MAX_KEY = 128


class IdempotencyKeyMissing(BadRequest):
    """The POST has no key."""

    title = sentence("Idempotency-Key missing")
    detail = sentence(
        "Send a new random Idempotency-Key with every new request. Send the same key when you retry a request."
    )


class IdempotencyKeyUnusable(BadRequest):
    """The key is too long or has invalid characters."""

    title = sentence("Invalid Idempotency-Key")
    detail = sentence("Use 1 to 128 printable ASCII characters, such as a UUID.")


class IdempotencyKeyReused(Problem):
    """The key belongs to another request."""

    status = 422
    title = sentence("Idempotency-Key already used")
    detail = sentence(
        "This key belongs to an earlier request, which stays in effect. Send a new key with a new request."
    )


class ActInFlight(Conflict):
    """The same request is still in progress."""

    title = sentence("Request already in progress")
    detail = sentence("Send the request again in a moment with the same Idempotency-Key to get its answer.")


class RolesChanged(Conflict):
    """The caller's roles have changed since the first request."""

    title = sentence("Roles changed since the first request")
    detail = sentence(
        "The first request stays in effect. Your roles have changed since then, so the service does not "
        "repeat its answer."
    )


class AnsweredBefore(Exception):
    """Carries the stored answer."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        super().__init__("answered before")


class Promise:
    """The promise to store the answer to this request."""

    def __init__(self, session: Session, *, caller: str, key: str, fingerprint: bytes, roles: str | None) -> None:
        self._session = session
        self._caller, self._key, self._fingerprint, self._roles = caller, key, fingerprint, roles

    def keep(self, answer: Response) -> None:
        """Store the answer in the request's own transaction."""
        self._session.execute(
            insert(GivenAnswer).values(
                caller=self._caller,
                key=self._key,
                fingerprint=self._fingerprint,
                roles=self._roles,
                status=answer.status_code,
                headers={name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers},
                body=_without_secrets(bytes(answer.body)),
            )
        )


def _without_secrets(body: bytes) -> str:
    """Return the body with null for fields that are shown only once."""
    if not body:
        return ""
    return json.dumps(_hidden(cast("Json", json.loads(body))), ensure_ascii=False, separators=(",", ":"))


def _hidden(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: None if key in HIDDEN else _hidden(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_hidden(part) for part in value]
    return value


def check_key(
    request: Request,
    session: InTransaction,
    caller: Caller,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="A new random text for every request; the same text for a retry.",
            json_schema_extra={DEMANDED: True},
        ),
    ] = None,
) -> None:
    """Find the stored answer of a repeated request, or promise to store the answer of a new one.

    Raises:
        IdempotencyKeyMissing, IdempotencyKeyUnusable: if the key is missing or invalid.
        IdempotencyKeyReused: if the key belongs to another request.
        ActInFlight: if the same request is still in progress.
    """
    if key is None or not key.strip():
        raise IdempotencyKeyMissing
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise IdempotencyKeyUnusable
    name = f"partner:{caller.id}" if isinstance(caller, Partner) else f"staff:{caller.id}"
    body: bytes = request.state.fingerprinted
    signature = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    fingerprint = hashlib.sha256(signature + body).digest()
    lock = func.hashtextextended(f"{name}\n{key}", 0)
    if not session.execute(select(func.pg_try_advisory_xact_lock(lock))).scalar_one():
        raise ActInFlight
    stored = session.execute(
        select(GivenAnswer).where(GivenAnswer.caller == name, GivenAnswer.key == key)
    ).scalar_one_or_none()
    roles = None if isinstance(caller, Partner) else " ".join(sorted(map(str, caller.roles)))
    if stored is None:
        request.state.promise = Promise(session, caller=name, key=key, fingerprint=fingerprint, roles=roles)
        return
    if stored.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    found: Found = request.state.found
    same = stored.roles is None or stored.roles == roles
    found.answer = _repeated(stored) if same else RolesChanged()


def _repeated(stored: GivenAnswer) -> Response:
    return Response(
        stored.body.encode(),
        status_code=stored.status,
        media_type="application/json",
        headers={**stored.headers, "Idempotency-Replayed": "true"},
    )


Idempotent = Depends(check_key)
"""A dependency of every POST."""


@dataclass(slots=True)
class Found:
    """The stored answer, if any, or the refusal to repeat it."""

    answer: Response | RolesChanged | None = None


FOUND: ContextVar[Found] = ContextVar("found")
"""The result of `check_key` for the current request."""


def unless_answered(act: Callable[..., object]) -> Callable[..., object]:
    """Skip a route whose answer is stored."""
    if iscoroutinefunction(act):
        raise TypeError("a route of IdempotentRoute must not be a coroutine")

    @wraps(act)
    def act_once(*args: object, **named: object) -> object:
        answer = FOUND.get().answer
        if isinstance(answer, RolesChanged):
            raise answer
        if answer is not None:
            raise AnsweredBefore(answer)
        return act(*args, **named)

    return act_once


Handler = Callable[[Request], Coroutine[None, None, Response]]


class IdempotentRoute(APIRoute):
    """A route that stores its answer if `check_key` promised so, and repeats a stored answer."""

    def __init__(self, path: str, endpoint: Callable[..., object], **options: Any) -> None:  # noqa: ANN401 - FastAPI's
        """Make the route. The route looks for a stored answer only where the verb would begin.

        By then the caller has passed every check, so only a caller who still has access gets a stored answer.
        """
        super().__init__(path, unless_answered(endpoint), **options)

    def get_route_handler(self) -> Handler:
        """Wrap FastAPI's handler. The request's transaction is still open when the answer is stored."""
        answer_request = super().get_route_handler()

        async def answer(request: Request) -> Response:
            request.state.fingerprinted = await request.body()
            return await answer_once(request, answer_request)

        return answer


async def answer_once(request: Request, answer_request: Handler) -> Response:
    """Carry a request out, and store its answer if `check_key` promised so."""
    found = request.state.found = Found()
    FOUND.set(found)
    try:
        answer = await answer_request(request)
    except AnsweredBefore as before:
        return before.answer
    promise = cast("Promise | None", getattr(request.state, "promise", None))
    if promise is not None:
        await run_in_threadpool(promise.keep, answer)
    return answer
