"""Write canonical JSON (RFC 8785)."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def canonical_line(value: Json) -> str:
    """Return the RFC 8785 line of a value.

    Keys must be ASCII, integers must be below 2^53, and floats are not allowed. The standard library follows RFC 8785
    for such values.
    """
    return _ENCODER.encode(value)
