"""Read stored values leniently, so that no unexpected shape breaks an answer.

Rows may be older than today's input rules, or come from a backup or from manual SQL. A value with an unexpected shape
is read as absent, and the rest of the row is shown.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, ClassVar, TypeAlias

import psycopg
from psycopg.abc import AdaptContext, Buffer, Loader
from psycopg.pq import Format
from psycopg.types.json import set_json_loads
from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue

from enrollment.json_depth import BodyTooDeep, refuse_deep

Ends: TypeAlias = tuple[date | datetime, date | datetime]


def read_leniently(connection: "psycopg.Connection[object] | psycopg.AsyncConnection[object]") -> None:
    """Let a connection read every date, time and JSON document that PostgreSQL can store.

    Times are in UTC. PostgreSQL has dates before the year 1, after 9999 and infinite dates, which Python lacks.
    Python's first or last date replaces them. JSON that Python cannot read, such as a number of 5,000 digits, becomes
    null.
    """
    for name, kind in (("date", _Dates), ("timestamptz", _Times)):
        connection.adapters.register_loader(name, kind)
    set_json_loads(_read_json, connection)


def _read_json(raw: str | bytes) -> object:
    try:
        refuse_deep(raw if isinstance(raw, bytes) else raw.encode())
        return json.loads(raw)
    except (ValueError, BodyTooDeep):
        return None


class _Clamped(Loader):
    """Load as psycopg does, with the nearest value where Python has none."""

    kind: ClassVar[str]
    ends: ClassVar[Ends]
    format = Format.TEXT

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        loader = psycopg.adapters.get_loader(psycopg.adapters.types[self.kind].oid, self.format)
        if loader is None:
            raise ValueError(f"psycopg has no loader of {self.kind}")
        self._strict = loader(oid, context)

    def load(self, data: Buffer) -> object:
        """Return the value, or the nearest end of the range."""
        try:
            return self._strict.load(data)
        except psycopg.DataError:
            return self.ends[0 if bytes(data).startswith(b"-") or bytes(data).endswith(b"BC") else 1]


class _Dates(_Clamped):
    kind: ClassVar = "date"
    ends: ClassVar[Ends] = (date.min, date.max)


class _Times(_Clamped):
    kind: ClassVar = "timestamptz"
    ends: ClassVar[Ends] = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

    def load(self, data: Buffer) -> object:
        """Return the time in UTC, whatever zone the session has: in a zone with summer time, 72 hours may be 71."""
        time = super().load(data)
        if not isinstance(time, datetime):
            return time
        try:
            return time.astimezone(UTC)
        except OverflowError:
            return self.ends[0 if time.year == 1 else 1]


def fields_of(document: object) -> dict[str, JsonValue]:
    """Return the fields of a stored object, or none for anything else."""
    return dict(document) if isinstance(document, Mapping) else {}


def objects_of(documents: object) -> list[dict[str, JsonValue]]:
    """Return the objects of a stored list, without other entries."""
    return [fields_of(one) for one in documents if isinstance(one, Mapping)] if isinstance(documents, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _object(value: object) -> object:
    return value if isinstance(value, Mapping | BaseModel) else None


StoredText = Annotated[str | None, BeforeValidator(_text)]
"""Text of a stored document; null for a missing or other value."""

StoredTexts = Annotated[list[str], BeforeValidator(_texts)]
"""Texts of a stored list, without other entries."""

StoredFields = Annotated[Mapping[str, JsonValue], BeforeValidator(fields_of)]
"""A stored document, shown unchanged."""


class PointOut(BaseModel):
    """A point in WGS84 degrees."""

    model_config = ConfigDict(frozen=True)

    longitude: Annotated[float | None, BeforeValidator(_number)] = None
    latitude: Annotated[float | None, BeforeValidator(_number)] = None


StoredPoint = Annotated[PointOut | None, BeforeValidator(_object)]
"""A stored point; null for any other value."""
