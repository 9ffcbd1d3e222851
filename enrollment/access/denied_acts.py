"""Record denied requests of known callers in the security log."""

import structlog
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from enrollment.access.attempt_limits import AttemptLimit, count_attempt
from enrollment.access.callers import Partner, Staff
from enrollment.access.client_addresses import keyed
from enrollment.access.security_log import Event, record
from enrollment.database import clock, transaction
from enrollment.error_handlers import answer_problem
from enrollment.problems import Forbidden, Problem
from enrollment.settings import Settings

MAX_RECORDED = 20
"""Events per account and route in 15 minutes. More events would only fill the log."""


def record_denied_acts(app: FastAPI) -> None:
    """Record every denied request after its own transaction has ended."""

    def on_forbidden(request: Request, error: Exception) -> Response:
        caller: Partner | Staff | None = getattr(request.state, "caller", None)
        if caller is not None:
            route = getattr(request.scope.get("route"), "path", "")
            try:
                with transaction(request.app.state.sessions) as session:
                    _record(session, caller, f"{request.method} {route}", request.app.state.settings)
            except DBAPIError as failed:
                structlog.get_logger().warning("denied act not recorded", error=type(failed).__name__)
        return answer_problem(request, error if isinstance(error, Problem) else Forbidden(needs=""))

    app.add_exception_handler(Forbidden, on_forbidden)


def _record(session: Session, caller: Partner | Staff, act: str, settings: Settings) -> None:
    """Record the first denied requests in 15 minutes, and then once that more follow."""
    limit = AttemptLimit(keyed(settings, "attempts", f"denied\n{caller.account}\n{act}"), MAX_RECORDED)
    exceeded = count_attempt(session, limit, clock(session), forgiven=None)
    if exceeded is None:
        record(session, Event.DENIED, caller, {"act": act})
    elif exceeded.first:
        record(session, Event.DENIED, caller, {"act": act, "more_until": exceeded.until.isoformat()})
