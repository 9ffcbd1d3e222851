"""The OpenAPI document: FastAPI's own, plus problems, examples and short names for generators of clients."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeAlias, cast

from fastapi import FastAPI
from fastapi.routing import APIRoute

from enrollment.openapi_marks import DEMANDED, SHOWS_VERSION
from enrollment.problems import CATALOGUE, MEDIA_TYPE, NotFound
from lottery.market.canonical import Json

Document: TypeAlias = dict[str, Json]

EXAMPLES = Path(__file__).parent / "api" / "examples.json"
"""A request and an answer of each operation, by method and path, as tests sent and got them."""

DESCRIPTION = """\
One enrollment lottery for the district and charter schools of a city that choose to take part. Families apply through
partners, schools set their own rules, administrators run rounds, and anyone can check the results.

Every POST that changes something needs an `Idempotency-Key`. PUT and DELETE need none, because sending them twice does
the same as sending them once. Every change of a record needs `If-Match`. PUT takes the answer of GET. Errors are
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
    "content": {
        MEDIA_TYPE: {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": {
                "type": f"{CATALOGUE}{NotFound.code()}",
                "title": NotFound.title,
                "status": NotFound.status,
                "detail": NotFound.detail,
                "code": NotFound.code(),
                "request_id": "8c0a1e0c5d3f4a5e9b0d6f1a2b3c4d5e",
                "errors": [],
            },
        }
    },
}

GENERIC = {"Page": "Page", "FeedPage": "Feed", "ListOut": "List"}
"""What pages, feeds and lists of a model are called: `VacancyPage`, not `Page_VacancyOut_`."""

ONLY_CALLER = frozenset({"HTTPValidationError", "ValidationError"})


def operation_id(route: APIRoute) -> str:
    """Return a route's name as generators of clients like it: `submit_ranking` is `submitRanking`."""
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def describe(app: FastAPI) -> None:
    """Have the app serve its document with examples, and with problems instead of FastAPI's own errors."""
    app.description = DESCRIPTION
    made_by_fastapi = app.openapi

    def openapi() -> dict[str, Json]:
        if app.openapi_schema is None:
            app.openapi_schema = _finished(cast("Document", made_by_fastapi()))
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI's documentation shows


def _finished(document: Document) -> Document:
    paths = cast("dict[str, dict[str, Document]]", document["paths"])
    for path, operations in paths.items():
        for method, operation in operations.items():
            responses = cast("dict[str, Json]", operation["responses"])
            responses.pop("422", None)
            _say_headers(operation)
            _add_examples(operation, _examples().get(f"{method.upper()} {path}", {}))
            responses["default"] = dict(REFUSED)
    components = cast("dict[str, dict[str, Document]]", document.setdefault("components", {}))
    schemas = components.setdefault("schemas", {})
    for name in ONLY_CALLER:
        schemas.pop(name, None)
    every = [operation for each in paths.values() for operation in each.values()]
    answered = _reached(schemas, [operation.get("responses") for operation in every])
    sent = _reached(schemas, [operation.get("requestBody") for operation in every]) - answered
    for name, schema in schemas.items():
        _walk(schema, _optional if name in sent else _nullable)
    _walk(document["paths"], _optional)
    schemas["Problem"] = dict(PROBLEM)
    new_names = {f"#/components/schemas/{name}": f"#/components/schemas/{_schema_name(name)}" for name in schemas}
    components["schemas"] = {_schema_name(name): schema for name, schema in schemas.items()}
    _walk(document, lambda part: _rename_reference(part, new_names))
    return document


def _say_headers(operation: Document) -> None:
    """Say which headers the service demands, and which answers have an ETag."""
    for parameter in cast("list[Document]", operation.get("parameters", [])):
        if cast("Document", parameter["schema"]).pop(DEMANDED, False):
            parameter["required"] = True
            parameter["schema"] = {"type": "string"}
    if operation.pop(SHOWS_VERSION, False):
        described: Json = {"ETag": {"description": "The version. Send it as If-Match.", "schema": {"type": "string"}}}
        for status, response in cast("dict[str, Document]", operation["responses"]).items():
            if status.startswith("2"):
                response["headers"] = described


def _schema_name(name: str) -> str:
    kind, _, model = name.rstrip("_").partition("_")
    return f"{model.removesuffix('Out')}{GENERIC[kind]}" if model else name


def _rename_reference(part: Document, new_names: Mapping[str, str]) -> None:
    if isinstance(reference := part.get("$ref"), str):
        part["$ref"] = new_names.get(reference, reference)


@cache
def _examples() -> Mapping[str, Mapping[str, Json]]:
    found: Mapping[str, Mapping[str, Json]] = json.loads(EXAMPLES.read_text(encoding="utf-8"))
    return found


def _add_examples(operation: Document, example: Mapping[str, Json]) -> None:
    bodies = [("request", cast("Document", operation.get("requestBody", {})))]
    responses = cast("dict[str, Document]", operation["responses"])
    bodies += [("answer", response) for status, response in responses.items() if status.startswith("2")]
    for kind, body in bodies:
        for media in cast("dict[str, Document]", body.get("content", {})).values():
            if kind in example:
                media["example"] = example[kind]


def _reached(schemas: Mapping[str, Document], begin: Json) -> set[str]:
    """Return the names of the schemas that some parts of the document are made of."""
    found: set[str] = set()
    todo = [begin]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo += part
        elif isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                todo.append(schemas.get(name))
            todo += part.values()
    return found


def _walk(part: Json, change: Callable[[Document], None]) -> None:
    if isinstance(part, list):
        for one in part:
            _walk(one, change)
    elif isinstance(part, dict):
        change(part)
        for name, one in part.items():
            if name != "example":
                _walk(one, change)


def _optional(schema: Document) -> None:
    """Drop null from what a caller may leave out: leaving it out says the same."""
    for name, part in cast("dict[str, Document]", schema.get("properties", {})).items():
        if name not in cast("list[str]", schema.get("required", [])):
            _drop_null(part)
    if schema.get("in") in {"query", "header"} and not schema.get("required"):
        _drop_null(cast("Document", schema["schema"]))


def _drop_null(schema: Document) -> None:
    kinds = cast("list[Document]", schema.get("anyOf", []))
    if {"type": "null"} in kinds and schema.get("default") is None:
        rest = [kind for kind in kinds if kind != {"type": "null"}]
        schema.pop("default", None)
        if len(rest) == 1:
            del schema["anyOf"]
            schema.update({**rest[0], **schema})
        else:
            schema["anyOf"] = list(rest)


def _nullable(schema: Document) -> None:
    """Write a simple value that may be null as one type with two names, which every generator reads."""
    kinds = cast("list[Document]", schema.get("anyOf", []))
    values = [dict(kind) for kind in kinds if kind != {"type": "null"}]
    if len(values) == len(kinds) - 1 == 1 and isinstance(values[0].get("type"), str):
        (value,) = values
        if value.keys() & {"enum", "const", "items"}:
            return
        del schema["anyOf"]
        schema.update({**value, **schema, "type": [value["type"], "null"]})
