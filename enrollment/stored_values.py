"""Values from the database, shown as they are: no reading of them fails for their shape.

Rows may be older than today's rules for input, or come from a restored copy or from somebody's SQL. What such a row
has in an unexpected shape is read as absent, and the rest of the row is shown.
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
    """Have a connection read every date, time and JSON document that PostgreSQL can hold.

    PostgreSQL has dates before the year 1, after 9999 and without end, which Python has not: the first or the last
    that Python has stands in their place. JSON that Python cannot read, such as a number of 5,000 digits, is null.
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
    """Reads as psycopg does, and takes the nearest value where Python has none."""

    kind: ClassVar[str]
    ends: ClassVar[Ends]
    format = Format.TEXT

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        loader = psycopg.adapters.get_loader(psycopg.adapters.types[self.kind].oid, self.format)
        if loader is None:
            raise ValueError(f"psycopg has no loader of {self.kind}")
        self._strict = loader(oid, context)

    def load(self, data: Buffer) -> object:
        """Return the value, or the end that is nearest to it."""
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


def fields_of(document: object) -> dict[str, JsonValue]:
    """Return a stored object's fields; anything else has none."""
    return dict(document) if isinstance(document, Mapping) else {}


def objects_of(documents: object) -> list[dict[str, JsonValue]]:
    """Return the objects of a stored list; what is no object is left out."""
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
"""Text of a stored document; null where the document has none, or something else."""

StoredTexts = Annotated[list[str], BeforeValidator(_texts)]
"""Texts of a stored list; entries that are no text are left out."""

StoredFields = Annotated[Mapping[str, JsonValue], BeforeValidator(fields_of)]
"""A stored document that is shown as it is."""


class PointOut(BaseModel):
    """A point, WGS84, in degrees."""

    model_config = ConfigDict(frozen=True)

    longitude: Annotated[float | None, BeforeValidator(_number)] = None
    latitude: Annotated[float | None, BeforeValidator(_number)] = None


StoredPoint = Annotated[PointOut | None, BeforeValidator(_object)]
"""A stored point; null where there is something else."""
