"""Lists: an opaque cursor, at most 200 a page, and a Link to the next one."""

import base64
import binascii
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query, Request, Response
from pydantic import BaseModel, ConfigDict

from enrollment.problems import BadRequest, sentence

Row = TypeVar("Row")
Shown = TypeVar("Shown")

MOST = 200
MOST_DIGITS = 18

Limit = Annotated[int, Query(ge=1, le=MOST, description="Rows a page.")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]

_PLACE = re.compile(r"[A-Za-z0-9._:/-]{1,120}")


class UnusableCursor(BadRequest):
    """A cursor that no list gave."""

    title = sentence("The cursor is not one that was given")
    detail = sentence("Send next_cursor as it was given, or none for the first page.")


class Page(BaseModel, Generic[Shown]):
    """One page of a list."""

    model_config = ConfigDict(frozen=True)

    data: list[Shown]
    next_cursor: str | None


def place_of(cursor: str | None) -> str | None:
    """Return the place after which a page begins, or None for the first page.

    Raises:
        UnusableCursor: if the cursor is not one that was given.
    """
    if cursor is None:
        return None
    try:
        place = base64.urlsafe_b64decode(cursor.encode("ascii") + b"==").decode("ascii")
    except (ValueError, binascii.Error):
        raise UnusableCursor from None
    if not _PLACE.fullmatch(place):
        raise UnusableCursor
    return place


def uuid_of(cursor: str | None) -> uuid.UUID | None:
    """Return the id after which a page begins, where rows go by UUID, or None for the first page.

    Raises:
        UnusableCursor: if the cursor is not one that was given.
    """
    place = place_of(cursor)
    try:
        return None if place is None else uuid.UUID(place)
    except ValueError:
        raise UnusableCursor from None


def number_of(cursor: str | None) -> int | None:
    """Return the number after which a page begins, where rows are numbered, or None for the first page.

    Raises:
        UnusableCursor: if the cursor is not one that was given.
    """
    place = place_of(cursor)
    if place is None:
        return None
    if not (place.isdigit() and len(place) <= MOST_DIGITS):
        raise UnusableCursor
    return int(place)


def page(
    rows: Sequence[Row],
    *,
    limit: int,
    place: Callable[[Row], str],
    show: Callable[[Row], Shown],
    request: Request,
    response: Response,
) -> Page[Shown]:
    """Show a page of rows, of which one more than `limit` was asked for, so that a next page is known."""
    shown = rows[:limit]
    following = None
    if len(rows) > limit:
        following = base64.urlsafe_b64encode(place(shown[-1]).encode()).decode().rstrip("=")
        address = request.url.include_query_params(cursor=following, limit=limit)
        response.headers["Link"] = f'<{address.path}?{address.query}>; rel="next"'
    return Page(data=[show(row) for row in shown], next_cursor=following)
