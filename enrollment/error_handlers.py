"""Turn problems into RFC 9457 answers in the reader's language."""

import json

import psycopg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from enrollment.field_faults import faults_of
from enrollment.json_depth import body_too_deep
from enrollment.lanes import CallerGone
from enrollment.languages import in_language, languages
from enrollment.problems import (
    CATALOGUE,
    MEDIA_TYPE,
    BadRequest,
    Broken,
    Conflict,
    Fault,
    MalformedBody,
    NotFound,
    OutcomeUnknown,
    Problem,
    Unavailable,
    fault_document,
    sentence,
)
from lottery.market.canonical import Json


class ValueRefused(BadRequest):
    """PostgreSQL cannot store a value, for example one with a NUL."""

    title = sentence("Value cannot be stored")
    detail = sentence("Remove control characters, and use numbers and dates within a normal range.")


class InTheWay(Conflict):
    """Two requests conflicted, and the database ended one of them."""

    title = sentence("Conflict with another request")
    detail = sentence(
        "Another request changed the same records, so nothing was stored. Send the request again with the "
        "same Idempotency-Key."
    )


class MethodNotAllowed(Problem):
    """The address does not take this method."""

    status = 405
    title = sentence("Method not allowed")
    detail = sentence("This address does not take this method. The Allow header lists the methods that it takes.")


def answer_problem(request: Request, problem: Problem) -> Response:
    """Return a problem as an answer in the reader's language."""
    language = reader_language(request)
    say = in_language(language)
    document: dict[str, Json] = {
        "type": f"{CATALOGUE}{problem.code()}",
        "title": say(problem.title),
        "status": problem.status,
        "detail": say(problem.detail, **problem.values),
        "instance": request.url.path if problem.status != NotFound.status else None,
        "code": problem.code(),
        "request_id": getattr(request.state, "request_id", ""),
        "errors": [fault_document(fault, say(fault.detail, **fault.values)) for fault in problem.faults],
    }
    if document["instance"] is None:
        del document["instance"]
    if problem.oauth_error:
        document |= {"error": problem.oauth_error, "error_description": _for_oauth(problem)}
    request.state.problem = problem.code()
    return Response(
        json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"),
        status_code=problem.status,
        media_type="application/json" if problem.oauth_error else MEDIA_TYPE,  # RFC 6749, section 5.2
        headers={**problem.headers, "Content-Language": language, "X-Content-Type-Options": "nosniff"},
    )


def _for_oauth(problem: Problem) -> str:
    """Return a problem's detail in English, with its faults, in the characters that RFC 6749 allows."""
    faults = [f"{fault.pointer.lstrip('/')} {fault.detail.format_map(fault.values)}." for fault in problem.faults]
    text = " ".join([problem.detail.format_map(problem.values), *faults])
    return "".join(mark for mark in text if " " <= mark <= "~" and mark not in '"\\')


def reader_language(request: Request) -> str:
    """Return the first supported language of Accept-Language, or English (RFC 9110, section 12.5.4)."""
    accepted = request.headers.get("Accept-Language", "")[:200]
    ranked: list[tuple[int, int, str]] = []
    for place, part in enumerate(accepted.split(",")):
        tag, _, quality = part.strip().partition(";q=")
        ranked.append((-_thousandths(quality), place, tag.strip().replace("_", "-").split("-")[0].lower()))
    known = languages()
    return next((tag for quality, _, tag in sorted(ranked) if tag in known and quality < 0), "en")


def _thousandths(quality: str) -> int:
    whole, _, part = (quality.strip() or "1").partition(".")
    digits = whole + (part + "000")[:3]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def problem_of(error: RequestValidationError) -> Problem:
    """Return pydantic's errors as a problem. Parameter errors make a bad request, body errors a malformed body."""
    faults = list(faults_of(error.errors(), error.body))
    if all(fault.place == "body" for fault in faults):
        return MalformedBody(faults=faults)
    return BadRequest(faults=faults)


def problem_of_http(error: HTTPException) -> Problem:
    """Return a Starlette refusal as a problem."""
    if error.status_code == NotFound.status:
        return NotFound()
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed(headers=dict(error.headers or {}))
    if error.status_code == BadRequest.status:
        return MalformedBody(
            faults=[Fault("", "unreadable", sentence("the service could not read the body; send it as JSON"))]
        )
    return Broken()


SERIALIZATION = frozenset({"40001", "40P01", "55P03"})
"""PostgreSQL's codes for a serialization failure, a deadlock and a lock timeout."""


def problem_of_database(error: DBAPIError) -> Problem:
    """Return a database error as a problem."""
    if error.connection_invalidated or not isinstance(error.orig, psycopg.Error):
        return Unavailable()
    return problem_of_postgresql(error.orig)


def problem_of_postgresql(error: psycopg.Error) -> Problem:
    """Return a PostgreSQL error as a problem."""
    if error.sqlstate in SERIALIZATION or isinstance(error, psycopg.IntegrityError):
        return InTheWay()
    if isinstance(error, psycopg.OperationalError):
        return Unavailable()
    if isinstance(error, psycopg.DataError):
        return ValueRefused()
    return _broken(error)


def _broken(error: Exception) -> Problem:
    """Log the place of an error without its message, which may hold a child's data."""
    structlog.get_logger().error("broken", exc_info=error)
    return Broken()


READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that store nothing."""


HANDLED = (Problem, RequestValidationError, HTTPException, DBAPIError, psycopg.Error, RecursionError, TimeoutError)
"""Exceptions that are answered where they are raised. The outermost layer answers any other `Exception`."""


def answer_with_problems(app: FastAPI) -> None:
    """Answer every exception as a problem."""

    def on_caller_gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=BadRequest.status)  # nobody reads it

    for kind in (*HANDLED, Exception):
        app.add_exception_handler(kind, answer_error)
    app.add_exception_handler(CallerGone, on_caller_gone)


def answer_error(request: Request, error: Exception) -> Response:
    """Return the answer to an exception."""
    return answer_problem(request, problem_for(request, error))


def problem_for(request: Request, error: Exception) -> Problem:
    """Return an exception as a problem. An unforeseen exception becomes `Broken`."""
    match error:
        case OutcomeUnknown() if request.method in READING:
            return Unavailable()  # a read stores nothing
        case Problem():
            return error
        case RequestValidationError():
            return problem_of(error)
        case HTTPException():
            return problem_of_http(error)
        case DBAPIError():
            return problem_of_database(error)
        case psycopg.Error():
            return problem_of_postgresql(error)
        case RecursionError():
            return body_too_deep()
        case TimeoutError():
            return Unavailable()
        case _:
            return _broken(error)
