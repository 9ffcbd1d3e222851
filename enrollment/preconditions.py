"""Conditional requests (RFC 9110, section 13): a change names the version that it replaces."""

from typing import Annotated

from fastapi import Header, Response

from enrollment.openapi_marks import DEMANDED, SHOWS_VERSION
from enrollment.problems import Problem, sentence

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="The ETag of the version that you read. Required if the record exists."),
]
"""For a request that may also make a record, or that needs the version only sometimes."""

IfMatchAlways = Annotated[
    str | None,
    Header(alias="If-Match", description="The ETag of the version that you read.", json_schema_extra={DEMANDED: True}),
]
"""For a request that changes a record that exists. `refuse_stale` answers a missing header with 428."""

SHOWS_ETAG: dict[str, object] = {SHOWS_VERSION: True}
"""`openapi_extra` of an operation whose answer has an ETag."""


class VersionMissing(Problem):
    """The change does not name the version that it replaces."""

    status = 428
    title = sentence("If-Match missing")
    detail = sentence(
        "This record exists, so the change must name its version. Read the record, and send its ETag as If-Match."
    )


class VersionStale(Problem):
    """The change names an outdated version."""

    status = 412
    title = sentence("Version out of date")
    detail = sentence(
        "If-Match does not name the present version. Read the record again, review what changed, and send the new ETag."
        " If the record does not exist yet, send no If-Match."
    )


def etag(version: int) -> str:
    """Return the strong ETag of a version."""
    return f'"{version}"'


def show_version(response: Response, version: int) -> None:
    """Put a version's ETag on an answer."""
    response.headers["ETag"] = etag(version)


def refuse_stale(if_match: str | None, version: int | None) -> None:
    """Refuse a change that does not name the current version. A new record has the version None.

    Raises:
        VersionMissing: if the record exists and the change names no version.
        VersionStale: if the change names another version.
    """
    if version is None:
        if if_match is not None:
            raise VersionStale
        return
    if if_match is None:
        raise VersionMissing
    if if_match.strip() != "*" and etag(version) not in [tag.strip() for tag in if_match.split(",")]:
        raise VersionStale
