"""Refusals as RFC 9457 problems, in the reader's language.

A problem class stands beside the verb that refuses. Its sentences are written in English and translated in
`enrollment/locale`. Values are filled in after the translation, so no sentence is built from pieces.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from enrollment.dates import Value
from lottery.market.canonical import Json

MEDIA_TYPE = "application/problem+json"

CATALOGUE = "/docs/problems#"
"""The page to which each problem's `type` points."""


def sentence(text: str) -> str:
    """Mark a sentence for translation, and return it unchanged."""
    return text


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence that lists what is allowed; a dash if nothing is."""
    return ", ".join(names) or "–"


@dataclass(frozen=True, slots=True)
class Fault:
    """One error of a request: a JSON pointer into the body (or a parameter name), and the reason."""

    pointer: str
    code: str
    detail: str
    values: Mapping[str, Value] = field(default_factory=dict)
    place: str = "body"


class Problem(Exception):
    """A refusal. Subclasses set the title, the detail with its `{values}`, and the HTTP status.

    Args:
        faults: the single errors, each with its place.
        headers: more headers for the answer.
        values: values for the sentences: ids, numbers and times, never a child's.
    """

    status: ClassVar[int] = 400
    oauth_error: ClassVar[str] = ""
    """The error code of RFC 6749, section 5.2; empty unless the problem answers a request for an access token."""
    title: ClassVar[str] = sentence("Request failed")
    detail: ClassVar[str] = sentence("Correct the listed errors, then send the request again.")

    def __init__(
        self, *, faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None, **values: Value
    ) -> None:
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.values = values
        super().__init__(self.detail.format_map(values))

    @classmethod
    def code(cls) -> str:
        """Return the stable code, derived from the class name: `CycleClosed` is `cycle-closed`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def catalogue(cls) -> list[type["Problem"]]:
        """Return every problem class, by code."""
        found: dict[str, type[Problem]] = {}
        waiting = [cls]
        while waiting:
            kind = waiting.pop()
            waiting += kind.__subclasses__()
            found[kind.code()] = kind
        return [found[code] for code in sorted(found)]


class BadRequest(Problem):
    """A header or a parameter is wrong."""

    status = 400
    title = sentence("Invalid request")


class MalformedBody(Problem):
    """The body is not JSON, or does not fit the operation."""

    status = 422
    title = sentence("Invalid request body")
    detail = sentence("Nothing was stored. Correct each listed error, then send the body again.")


class Unauthenticated(Problem):
    """The request has no valid credentials."""

    status = 401
    title = sentence("Missing or invalid access token")
    detail = sentence("Send a valid access token in the header Authorization: Bearer TOKEN.")

    def __init__(self, **values: Value) -> None:
        super().__init__(faults=(), headers={"WWW-Authenticate": "Bearer"}, **values)


class InvalidToken(Unauthenticated):
    """The request has an access token that is malformed, unknown, expired or revoked (RFC 6750, section 3.1)."""

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"WWW-Authenticate": bearer_challenge("invalid_token", self.detail)}

    @classmethod
    def code(cls) -> str:
        """Return the code of every 401, which callers already know."""
        return Unauthenticated.code()


def bearer_challenge(error: str, description: str, **more: str) -> str:
    """Return the challenge of a refused access token (RFC 6750, section 3)."""
    fields = {"error": error, "error_description": description, **more}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in fields.items())


class Forbidden(Problem):
    """The caller may not do this."""

    status = 403
    title = sentence("Permission denied")
    detail = sentence("This request needs {needs}. Ask an administrator for access.")


class NotFound(Problem):
    """The record does not exist, or the caller may not know of it."""

    status = 404
    title = sentence("Not found")
    detail = sentence("The record does not exist, or you may not see it. Check the ids in the address.")


class Conflict(Problem):
    """The current state does not allow the request."""

    status = 409
    title = sentence("Conflict with the current state")


class TooLarge(Problem):
    """The body is too large."""

    status = 413
    title = sentence("Request body too large")
    detail = sentence("Send at most {most} bytes. Split a larger body into several requests.")


class Unavailable(Problem):
    """The database did not answer in time."""

    status = 503
    title = sentence("Service temporarily unavailable")
    detail = sentence("Nothing was stored. Send the request again in a moment, with the same Idempotency-Key.")

    def __init__(self, **values: Value) -> None:
        super().__init__(faults=(), headers={"Retry-After": "1"}, **values)


class OutcomeUnknown(Problem):
    """The database connection was lost during the commit."""

    status = 503
    title = sentence("Outcome unknown")
    detail = sentence(
        "The service lost its database connection during this request, so the request may or may not be "
        "stored. Send the same request again, with the same Idempotency-Key if it had one. The service "
        "carries it out only once. If the second answer says that the version is out of date, read the record "
        "to see what is stored."
    )

    def __init__(self, **values: Value) -> None:
        super().__init__(faults=(), headers={"Retry-After": "1"}, **values)


class Broken(Problem):
    """An error of the service."""

    status = 500
    title = sentence("Internal error")
    detail = sentence("The service failed, and nothing was stored. Report the request_id to the administrators.")


def fault_document(fault: Fault, detail: str) -> dict[str, Json]:
    """Return a fault as a JSON object."""
    place: dict[str, Json] = {} if fault.place == "body" else {"in": fault.place}
    return {"pointer": fault.pointer, "code": fault.code, "detail": detail, **place}
