"""Canonical JSON (RFC 8785) of the values that markets and outcomes are made of."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def canonical_line(value: Json) -> str:
    """Return the one RFC 8785 line of a value.

    Keys must be ASCII and integers below 2^53, as in every format of this project, and there are no floats: for such
    values the standard library writes what RFC 8785 asks.
    """
    return _ENCODER.encode(value)
