"""Uploads: check the caller before reading the body, and store the body on disk.

A short transaction checks the caller. The body then arrives while the request holds no connection and no lock. Then the
request waits for a place in the lane of long requests, and runs like any other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from starlette.concurrency import run_in_threadpool

from enrollment.access.guards import GUARDS, Guard
from enrollment.access.idempotency import Handler, answer_once, unless_answered
from enrollment.access.identification import identify
from enrollment.database import transaction
from enrollment.lanes import Lane, Lanes
from enrollment.request_bodies import Upload, on_disk
from enrollment.settings import Settings


@dataclass(frozen=True, slots=True)
class _Check:
    """A guard of a route, with its scopes."""

    guard: Guard
    scopes: Sequence[str]


class UploadRoute(APIRoute):
    """Check the caller, read the body, wait for a place, and store the answer as `IdempotentRoute` does."""

    def __init__(self, path: str, endpoint: Callable[..., object], **options: Any) -> None:  # noqa: ANN401 - FastAPI's
        """Make the route, which repeats a stored answer."""
        super().__init__(path, unless_answered(endpoint), **options)

    def get_route_handler(self) -> Handler:
        """Wrap FastAPI's handler, which never reads the body itself."""
        answer_request = super().get_route_handler()
        checks = list(_checks(self.dependant))
        if not checks:
            raise TypeError(f"{self.path} takes an upload without a guard")

        async def take_in(request: Request) -> Response:
            lanes: Lanes = request.app.state.lanes
            settings: Settings = request.app.state.settings
            place = await lanes.enter(Lane.ORDINARY)
            try:
                await run_in_threadpool(_check, request, checks)
            finally:
                place.leave()
            async with on_disk(request.scope, request.receive, seconds=settings.body_seconds) as upload:
                request.state.upload, request.state.fingerprinted = upload, upload.sha256
                request.state.place = await lanes.enter(Lane.LONG)
                return await answer_once(request, answer_request)

        return take_in


def upload_of(request: Request) -> Upload:
    """Return the stored body of an upload."""
    upload: Upload = request.state.upload
    return upload


def _checks(dependant: Dependant) -> Sequence[_Check]:
    return [
        _Check(GUARDS[needed.call], needed.own_oauth_scopes or ())
        for needed in dependant.dependencies
        if needed.call in GUARDS
    ]


def _check(request: Request, checks: Sequence[_Check]) -> None:
    with transaction(request.app.state.sessions) as session:
        caller = identify(session, request)
        for check in checks:
            check.guard(SecurityScopes(list(check.scopes)), caller)
