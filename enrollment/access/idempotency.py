"""Idempotency-Key: what was answered to a POST is answered again, for the whole cycle, and nothing is done twice."""

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
from enrollment.problems import BadRequest, Conflict, Problem, sentence
from lottery.market.canonical import Json

KEPT_HEADERS = ("etag", "location")

HIDDEN = frozenset({"secret", "token", "transfer_code", "invitation_code", "recovery_codes", "device", "uri"})
"""Fields shown once; they are not kept, so an answer given again has null in their place."""

MAX_KEY = 128


class IdempotencyKeyMissing(BadRequest):
    """A POST without a key."""

    title = sentence("Idempotency-Key missing")
    detail = sentence(
        "Send a new random Idempotency-Key with every new request. Send the same key when you retry a request."
    )


class IdempotencyKeyUnusable(BadRequest):
    """A key that is too long or has other characters."""

    title = sentence("Invalid Idempotency-Key")
    detail = sentence("Use 1 to 128 printable ASCII characters, such as a UUID.")


class IdempotencyKeyReused(Problem):
    """The key came before with another request."""

    status = 422
    title = sentence("Idempotency-Key already used")
    detail = sentence(
        "This key belongs to an earlier request, which stays in effect. Send a new key with a new request."
    )


class ActInFlight(Conflict):
    """The same act is being carried out just now."""

    title = sentence("Request already in progress")
    detail = sentence("Send the request again in a moment with the same Idempotency-Key to get its answer.")


class RolesChanged(Conflict):
    """The caller has other roles than when the act was done."""

    title = sentence("Roles changed since the first request")
    detail = sentence(
        "The first request stays in effect. Your roles have changed since then, so the service does not "
        "repeat its answer."
    )


class AnsweredBefore(Exception):
    """Carries the answer that was given before."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        super().__init__("answered before")


class Promise:
    """Where the answer to this request is to be kept."""

    def __init__(self, session: Session, *, caller: str, key: str, fingerprint: bytes, roles: str | None) -> None:
        self._session = session
        self._caller, self._key, self._fingerprint, self._roles = caller, key, fingerprint, roles

    def keep(self, answer: Response) -> None:
        """Store the answer in the act's own transaction."""
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
    """Return the body with null in the place of what is shown once."""
    if not body:
        return ""
    return json.dumps(_hidden(cast("Json", json.loads(body))), ensure_ascii=False, separators=(",", ":"))


def _hidden(told: Json) -> Json:
    if isinstance(told, Mapping):
        return {key: None if key in HIDDEN else _hidden(part) for key, part in told.items()}
    if isinstance(told, list):
        return [_hidden(part) for part in told]
    return told


def once(
    request: Request,
    session: InTransaction,
    caller: Caller,
    key: Annotated[
        str | None,
        Header(alias="Idempotency-Key", description="A new random text for every act; required."),
    ] = None,
) -> None:
    """Find the former answer if this act was done before; otherwise see to it that its answer is kept.

    Raises:
        IdempotencyKeyMissing, IdempotencyKeyUnusable, IdempotencyKeyReused, ActInFlight: as they say.
    """
    if key is None:
        raise IdempotencyKeyMissing
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise IdempotencyKeyUnusable
    name = f"partner:{caller.id}" if isinstance(caller, Partner) else f"staff:{caller.id}"
    body: bytes = request.state.fingerprinted
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    fingerprint = hashlib.sha256(asked + body).digest()
    lock = func.hashtextextended(f"{name}\n{key}", 0)
    if not session.execute(select(func.pg_try_advisory_xact_lock(lock))).scalar_one():
        raise ActInFlight
    given = session.execute(
        select(GivenAnswer).where(GivenAnswer.caller == name, GivenAnswer.key == key)
    ).scalar_one_or_none()
    roles = None if isinstance(caller, Partner) else " ".join(sorted(map(str, caller.roles)))
    if given is None:
        request.state.promise = Promise(session, caller=name, key=key, fingerprint=fingerprint, roles=roles)
        return
    if given.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    found: Found = request.state.found
    same = given.roles is None or given.roles == roles
    found.answer = _again(given) if same else RolesChanged()


def _again(given: GivenAnswer) -> Response:
    return Response(
        given.body.encode(),
        status_code=given.status,
        media_type="application/json",
        headers={**given.headers, "Idempotency-Replayed": "true"},
    )


Idempotent = Depends(once)
"""Put into the `dependencies` of every POST."""


@dataclass(slots=True)
class Found:
    """The answer that was given before, if there is one; or why it is not given again."""

    answer: Response | RolesChanged | None = None


FOUND: ContextVar[Found] = ContextVar("found")
"""What `once` found for the request that is being answered."""


def unless_answered(act: Callable[..., object]) -> Callable[..., object]:
    """Have an act carried out unless it was answered before."""
    if iscoroutinefunction(act):
        raise TypeError("a route of IdempotentRoute is no coroutine")

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
    """A route that keeps its answer where `once` promised to, and gives a stored one in place of acting again."""

    def __init__(self, path: str, endpoint: Callable[..., object], **options: Any) -> None:  # noqa: ANN401 - FastAPI's
        """Make the route. A stored answer is looked at where the act would begin.

        By then the caller has passed every check of the route: an answer is given again only to who may act so now.
        """
        super().__init__(path, unless_answered(endpoint), **options)

    def get_route_handler(self) -> Handler:
        """Wrap FastAPI's handler; the request's transaction is still open when the answer is kept."""
        answer_request = super().get_route_handler()

        async def answer(request: Request) -> Response:
            request.state.fingerprinted = await request.body()
            return await answer_once(request, answer_request)

        return answer


async def answer_once(request: Request, answer_request: Handler) -> Response:
    """Carry a request out, and keep its answer where `once` promised to."""
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
