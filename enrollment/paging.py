"""Pages of lists, in a stable order, with an opaque cursor for the next page."""

import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar, TypeVarTuple
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from enrollment.field_types import WholeNumber
from enrollment.problems import BadRequest, sentence

Item = TypeVar("Item")
Shown = TypeVar("Shown")
Columns = TypeVarTuple("Columns")

MAX_LIMIT = 200
DEFAULT_LIMIT = 50

MAX_CURSOR = 1_000

TAG_BYTES = 6
"""Bytes of a cursor's tag: a digest of its list and its place in the list."""

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows per page."), WholeNumber]
Cursor = Annotated[
    str | None,
    Query(
        max_length=MAX_CURSOR,
        description="The `next_cursor` of the previous page, with the same filters. Omit it for the first page.",
    ),
]

Key = str | int | uuid.UUID | datetime
"""One part of a row's place in a list."""

Place = tuple[Key, ...]

Column = InstrumentedAttribute[Any]


class UnusableCursor(BadRequest):
    """The cursor does not belong to this list."""

    title = sentence("Invalid cursor")
    detail = sentence(
        "Send the cursor exactly as this list returned it, with the same filters. Omit cursor to read the first page."
    )


class Page(BaseModel, Generic[Shown]):
    """One page of a list."""

    model_config = ConfigDict(frozen=True)

    data: list[Shown]
    next_cursor: Annotated[str | None, Field(description="The cursor of the next page. Null: this page is the last.")]


class FeedPage(Page[Shown], Generic[Shown]):
    """One page of a list that only grows at its end."""

    resume_cursor: Annotated[
        str,
        Field(
            description="Send it as `cursor`, now or later, to read exactly what comes after this page. Every page has "
            "it, also the last one and an empty one."
        ),
    ]


@dataclass(frozen=True, slots=True)
class Found(Generic[*Columns]):
    """The rows of one page, before they are shown."""

    rows: Sequence[tuple[*Columns]]
    next_cursor: str | None
    last_cursor: str | None
    """The cursor after the last row, or the request's cursor if the page is empty."""

    def show(self, show: Callable[[*Columns], Shown]) -> Page[Shown]:
        """Return the page for the answer."""
        return Page(data=[show(*row) for row in self.rows], next_cursor=self.next_cursor)


@dataclass(frozen=True, slots=True)
class Pager:
    """The page that a request asks for: the number of rows, and the place to start after."""

    request: Request
    response: Response
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor = None

    def read(
        self, session: Session, query: Select[*Columns], *, by: Sequence[Column], newest_first: bool = False
    ) -> Found[*Columns]:
        """Read one page of a query, ordered by columns that together are unique and stable.

        Raises:
            UnusableCursor: if the cursor does not belong to this list.
        """
        after = self._after([column.type.python_type for column in by])
        if after is not None:
            query = query.where(tuple_(*by) < after if newest_first else tuple_(*by) > after)
        ordered = query.add_columns(*by).order_by(*(column.desc() if newest_first else column for column in by))
        found = session.execute(ordered.limit(self.limit + 1)).all()
        return self._found([row[: -len(by)] for row in found], [tuple(row[-len(by) :]) for row in found])

    def read_among(self, items: Sequence[Item], *, by: Callable[[Item], str]) -> Found[Item]:
        """Return one page of items in memory, ordered by id.

        Raises:
            UnusableCursor: if the cursor does not belong to this list.
        """
        after = self._after([str])
        rest = sorted((item for item in items if after is None or (by(item),) > after), key=by)
        return self._found([(item,) for item in rest], [(by(item),) for item in rest])

    def read_feed(
        self, session: Session, query: Select[*Columns], *, by: Column, show: Callable[[*Columns], Shown]
    ) -> FeedPage[Shown]:
        """Read one page of a feed whose rows are numbered from 1 in the order of publication.

        Raises:
            UnusableCursor: if the cursor does not belong to this list.
        """
        found = self.read(session, query, by=[by])
        return FeedPage(
            data=found.show(show).data,
            next_cursor=found.next_cursor,
            resume_cursor=found.last_cursor or self._cursor_at((0,)),
        )

    def _found(self, rows: Sequence[tuple[*Columns]], places: Sequence[Place]) -> Found[*Columns]:
        """Remove the extra row of a next page, and link that page."""
        shown = places[: self.limit]
        last = self._cursor_at(shown[-1]) if shown else self.cursor
        if len(places) <= self.limit:
            return Found(rows, None, last)
        address = self.request.url.include_query_params(cursor=last, limit=self.limit)
        self.response.headers["Link"] = f'<{address.path}?{address.query}>; rel="next"'
        return Found(rows[: self.limit], last, last)

    def _after(self, kinds: Sequence[type[Key]]) -> Place | None:
        """Return the place of the cursor, or None for the first page."""
        if self.cursor is None:
            return None
        try:
            keys = json.loads(base64.urlsafe_b64decode(self.cursor.encode("ascii") + b"==")[TAG_BYTES:])
            place = tuple(READ[kind](key) for kind, key in zip(kinds, keys, strict=True))
            written = self._cursor_at(place)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            raise UnusableCursor from None
        # This checks both tag and form, because only the list itself writes such cursors.
        if written != self.cursor:
            raise UnusableCursor
        return place

    def _cursor_at(self, place: Place) -> str:
        keys = json.dumps(place, separators=(",", ":"), default=str, ensure_ascii=False).encode()
        tag = hashlib.sha256(self._list().encode() + b"\0" + keys).digest()[:TAG_BYTES]
        return base64.urlsafe_b64encode(tag + keys).decode().rstrip("=")

    def _list(self) -> str:
        """Return the identity of a list: its path and its filters."""
        filters = [
            (name, value) for name, value in self.request.query_params.multi_items() if name not in ("cursor", "limit")
        ]
        return f"{self.request.url.path}?{urlencode(sorted(filters))}"


def _read_text(key: str) -> str:
    """Return a text that PostgreSQL can store."""
    if "\0" in key:
        raise ValueError
    return key


READ: Mapping[type[Key], Callable[[Any], Key]] = {
    str: _read_text,
    int: int,
    uuid.UUID: uuid.UUID,
    datetime: datetime.fromisoformat,
}

Paging = Annotated[Pager, Depends()]
"""The paging dependency of every list route."""
