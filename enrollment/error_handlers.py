"""Problems become answers: RFC 9457, in the language that the reader asks for."""

import json
from collections.abc import Mapping, Sequence

import psycopg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from enrollment.json_depth import body_too_deep
from enrollment.lanes import CallerGone
from enrollment.languages import in_language, languages
from enrollment.plain_text import SAYS as TEXT_FAULTS
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

BODY_FAULTS = {
    "missing": sentence("is missing; add it"),
    "extra_forbidden": sentence("is not a known field; remove it"),
    "json_invalid": sentence("the body is not valid JSON; correct it"),
    "string_type": sentence("must be a string"),
    "string_pattern_mismatch": sentence("has characters that are not allowed; an id may have only A-Z a-z 0-9 . _ : -"),
    "string_too_short": sentence("is too short"),
    "string_too_long": sentence("is too long"),
    "string_unicode": sentence("must be well-formed Unicode"),
    "int_type": sentence("must be a whole number"),
    "int_parsing": sentence("must be a whole number"),
    "int_from_float": sentence("must be a whole number"),
    "bool_type": sentence("must be true or false"),
    "list_type": sentence("must be a list"),
    "dict_type": sentence("must be an object"),
    "model_type": sentence("must be an object"),
    "model_attributes_type": sentence("must be an object"),
    "float_type": sentence("must be a number"),
    "finite_number": sentence("must be a finite number"),
    "too_short": sentence("has too few entries"),
    "too_long": sentence("has too many entries"),
    "greater_than_equal": sentence("is too small"),
    "less_than_equal": sentence("is too large"),
    "greater_than": sentence("is too small"),
    "literal_error": sentence("is not one of the allowed values"),
    "enum": sentence("is not one of the allowed values"),
    "uuid_parsing": sentence("must be a UUID"),
    "uuid_type": sentence("must be a UUID"),
    "timezone_aware": sentence("must be a time with its offset from UTC, such as 2027-01-31T23:59:00-05:00"),
    "datetime_parsing": sentence("must be a time with its offset from UTC, such as 2027-01-31T23:59:00-05:00"),
    "datetime_from_date_parsing": sentence(
        "must be a time with its offset from UTC, such as 2027-01-31T23:59:00-05:00"
    ),
    "date_parsing": sentence("must be a date such as 2027-01-31"),
    "date_from_datetime_parsing": sentence("must be a date such as 2027-01-31"),
    "role": sentence(
        "must name an operator for the operator role, a school for the school role, and neither for other roles"
    ),
}
"""What is wrong with a body, by pydantic's type of error. The value itself is never quoted: it may be a child's."""

ELSE_WRONG = sentence("is not valid here; see /docs")


class ValueRefused(BadRequest):
    """A value that PostgreSQL cannot hold, such as one with a NUL in it."""

    title = sentence("Value cannot be stored")
    detail = sentence("Remove control characters, and use numbers and dates within a normal range.")


class InTheWay(Conflict):
    """Two acts were in each other's way, and the database ended one."""

    title = sentence("Conflict with another request")
    detail = sentence(
        "Another request changed the same records, so nothing was stored. Send the request again with the "
        "same Idempotency-Key."
    )


class MethodNotAllowed(Problem):
    """The address is there, but not for this method."""

    status = 405
    title = sentence("Method not allowed")
    detail = sentence("This address does not take this method. The Allow header lists the methods that it takes.")


def answer_problem(request: Request, problem: Problem) -> Response:
    """Write a problem as an answer in the reader's language."""
    language = reader_language(request)
    say = in_language(language)
    told: dict[str, Json] = {
        "type": f"{CATALOGUE}{problem.code()}",
        "title": say(problem.title),
        "status": problem.status,
        "detail": say(problem.detail, **problem.values),
        "instance": request.url.path if problem.status != NotFound.status else None,
        "code": problem.code(),
        "request_id": getattr(request.state, "request_id", ""),
        "errors": [fault_document(fault, say(fault.detail, **fault.values)) for fault in problem.faults],
    }
    if told["instance"] is None:
        del told["instance"]
    request.state.problem = problem.code()
    return Response(
        json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={**problem.headers, "Content-Language": language, "X-Content-Type-Options": "nosniff"},
    )


def reader_language(request: Request) -> str:
    """Return the first language of Accept-Language that there are sentences in, or English (RFC 9110, 12.5.4)."""
    asked = request.headers.get("Accept-Language", "")[:200]
    ranked: list[tuple[int, int, str]] = []
    for place, part in enumerate(asked.split(",")):
        tag, _, quality = part.strip().partition(";q=")
        ranked.append((-_thousandths(quality), place, tag.strip().replace("_", "-").split("-")[0].lower()))
    known = languages()
    return next((tag for quality, _, tag in sorted(ranked) if tag in known and quality < 0), "en")


def _thousandths(quality: str) -> int:
    whole, _, part = (quality.strip() or "1").partition(".")
    digits = whole + (part + "000")[:3]
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def pointer_of(parts: Sequence[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of a place in a body."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def problem_of(error: RequestValidationError) -> Problem:
    """Return what pydantic found wrong, every fault with its place; a parameter's is a bad request, no bad body."""
    faults = []
    for found in error.errors():
        place, *parts = found["loc"]
        kind = str(found["type"])
        shown = [part for part in parts if not str(part).startswith(("function-", "tagged-union"))]
        # The key of an unknown field is the caller's own text and may be a name: only well-formed ones are repeated.
        if kind == "json_invalid":
            shown = []
        pointer = pointer_of([part if str(part).isascii() and len(str(part)) <= 64 else "…" for part in shown])  # noqa: PLR2004
        faults.append(_fault_of(kind, found.get("ctx", {}), pointer=pointer, place=str(place)))
    if all(fault.place == "body" for fault in faults):
        return MalformedBody(faults=faults)
    return BadRequest(faults=faults)


def _fault_of(kind: str, values: Mapping[str, str | int], *, pointer: str, place: str) -> Fault:
    if kind == "plain_text":
        flaw = str(values["flaw"])
        return Fault(pointer, flaw, TEXT_FAULTS[flaw], {"number": values["number"]}, place=place)
    return Fault(pointer, kind.replace("_", "-"), BODY_FAULTS.get(kind, ELSE_WRONG), place=place)


def problem_of_http(error: HTTPException) -> Problem:
    """Return Starlette's own refusals as problems."""
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
"""PostgreSQL's codes of a serialization failure, a deadlock, a lock that was not to be had."""


def problem_of_database(error: DBAPIError) -> Problem:
    """Return what the database refused, kindly."""
    if error.connection_invalidated or not isinstance(error.orig, psycopg.Error):
        return Unavailable()
    return problem_of_postgresql(error.orig)


def problem_of_postgresql(error: psycopg.Error) -> Problem:
    """Return what PostgreSQL refused, kindly."""
    if error.sqlstate in SERIALIZATION or isinstance(error, psycopg.IntegrityError):
        return InTheWay()
    if isinstance(error, psycopg.OperationalError):
        return Unavailable()
    if isinstance(error, psycopg.DataError):
        return ValueRefused()
    return _broken(error)


def _broken(error: Exception) -> Problem:
    """Tell the log where it broke, without what the error says: that may be a child's."""
    structlog.get_logger().error("broken", exc_info=error)
    return Broken()


READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of requests that store nothing that the caller could ask for again."""


HANDLED = (Problem, RequestValidationError, HTTPException, DBAPIError, psycopg.Error, RecursionError, TimeoutError)
"""What is answered where it is raised; `Exception` besides is answered by the outermost layer."""


def answer_with_problems(app: FastAPI) -> None:
    """Have every refusal answered as a problem."""

    def on_caller_gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=BadRequest.status)  # nobody reads it

    for kind in (*HANDLED, Exception):
        app.add_exception_handler(kind, answer_error)
    app.add_exception_handler(CallerGone, on_caller_gone)


def answer_error(request: Request, error: Exception) -> Response:
    """Write what an exception means to the caller as an answer."""
    return answer_problem(request, problem_for(request, error))


def problem_for(request: Request, error: Exception) -> Problem:
    """Return what an exception means to the caller; one that nobody foresaw is a fault of ours."""
    match error:
        case OutcomeUnknown() if request.method in READING:
            return Unavailable()  # it had nothing to store
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
