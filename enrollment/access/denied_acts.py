"""Acts that were denied to somebody known are in the security log."""

import structlog
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import DBAPIError

from enrollment.access.callers import Partner, Staff
from enrollment.access.security_log import Event, record
from enrollment.database import transaction
from enrollment.error_handlers import answer_problem
from enrollment.problems import Forbidden, Problem


def record_denied_acts(app: FastAPI) -> None:
    """Have every act that is not the caller's recorded, when its own transaction is over."""

    def on_forbidden(request: Request, error: Exception) -> Response:
        caller: Partner | Staff | None = getattr(request.state, "caller", None)
        if caller is not None:
            route = getattr(request.scope.get("route"), "path", "")
            try:
                with transaction(request.app.state.sessions) as session:
                    record(session, Event.DENIED, caller, {"act": f"{request.method} {route}"})
            except DBAPIError as failed:
                structlog.get_logger().warning("denied act not recorded", error=type(failed).__name__)
        return answer_problem(request, error if isinstance(error, Problem) else Forbidden(needs=""))

    app.add_exception_handler(Forbidden, on_forbidden)
