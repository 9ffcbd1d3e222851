"""The OpenAPI document: FastAPI's own, plus the problems that every operation may answer."""

from collections.abc import Mapping
from typing import cast

from fastapi import FastAPI

from enrollment.problems import MEDIA_TYPE
from lottery.market.canonical import Json

DESCRIPTION = """\
One enrollment lottery for the district and charter schools of a city that choose to take part. Families apply through
partners, schools set their own rules, administrators run rounds, and anyone can check the results.

Every POST that changes something needs an `Idempotency-Key`. Every change of a record needs `If-Match`. Errors are
`application/problem+json` (RFC 9457) and list every error of a body at once. `Accept-Language` may be en, es or ar.
"""

PROBLEM: Mapping[str, Json] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "in": {"type": "string"},
                },
            },
        },
    },
}

REFUSED: Mapping[str, Json] = {
    "description": "A problem (RFC 9457).",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}

ONLY_CALLER = frozenset({"HTTPValidationError", "ValidationError"})


def describe(app: FastAPI) -> None:
    """Have the app serve its document with problems instead of FastAPI's own errors."""
    app.description = DESCRIPTION
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, dict[str, dict[str, Json]]]:
        if app.openapi_schema is None:
            app.openapi_schema = _with_problems(cast("dict[str, dict[str, dict[str, Json]]]", made_by_fastapi()))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI's documentation shows


def _with_problems(document: dict[str, dict[str, dict[str, Json]]]) -> dict[str, dict[str, dict[str, Json]]]:
    for operations in document["paths"].values():
        for operation in operations.values():
            responses = cast("dict[str, dict[str, Json]]", operation)["responses"]
            responses.pop("422", None)
            responses["default"] = REFUSED
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ONLY_CALLER:
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    return document
