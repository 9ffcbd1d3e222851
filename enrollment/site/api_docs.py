"""The pages `/docs` (every operation) and `/docs/problems` (every problem code)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape

from enrollment.problems import Problem
from enrollment.rules.examples import condition_examples, neighborhood_examples
from lottery.market.canonical import Json

router = APIRouter(include_in_schema=False)

PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html"]))

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

MAX_DEPTH = 3
"""Levels of a body that the page shows. Deeper parts show only their type."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a body or one parameter."""

    name: str
    kind: str
    required: bool
    description: str
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on the page."""

    id: str
    method: str
    path: str
    title: str
    description: str
    access: str
    parameters: Sequence[Field]
    body: Sequence[Field]
    answer: Sequence[Field]


@router.get("/docs")
def show_operations(request: Request) -> HTMLResponse:
    """Show every operation, by feature."""
    document = cast("Mapping[str, Json]", request.app.openapi())
    return _page("docs.html", document=document["info"], features=_features(document))


@router.get("/docs/problems")
def show_problems() -> HTMLResponse:
    """Show every problem: its code, status and sentences."""
    return _page("problems.html", kinds=Problem.catalogue())


@router.get("/docs/rules")
def show_rules() -> HTMLResponse:
    """Show every neighborhood rule and every condition, each with an example and its sentences."""
    return _page("rules.html", neighborhoods=neighborhood_examples(), conditions=condition_examples())


def _page(name: str, **values: object) -> HTMLResponse:
    return HTMLResponse(PAGES.get_template(name).render(**values), headers=HEADERS)


def _features(document: Mapping[str, Json]) -> dict[str, list[Operation]]:
    features: dict[str, list[Operation]] = {}
    for path, methods in _object(document["paths"]).items():
        for method, described in _object(methods).items():
            operation = _object(described)
            tag = str(_list(operation.get("tags", ["service"]))[0])
            features.setdefault(tag, []).append(_operation(document, path, method, operation))
    return features


def _operation(document: Mapping[str, Json], path: str, method: str, described: Mapping[str, Json]) -> Operation:
    first, _, rest = str(described.get("description", "")).partition("\n")
    return Operation(
        id=str(described["operationId"]),
        method=method.upper(),
        path=path,
        title=first,
        description=rest.strip(),
        access=", ".join(_access(described)) or "anyone",
        parameters=[_parameter(document, _object(parameter)) for parameter in _list(described.get("parameters", []))],
        body=list(_content(document, _object(described.get("requestBody", {})))),
        answer=list(_answer(document, _object(described["responses"]))),
    )


def _access(described: Mapping[str, Json]) -> Iterator[str]:
    for way in _list(described.get("security", [])):
        for scheme, scopes in _object(way).items():
            yield " ".join([scheme, *(f"({scope})" for scope in _list(scopes))])


def _parameter(document: Mapping[str, Json], described: Mapping[str, Json]) -> Field:
    schema = _object(described.get("schema", {}))
    required = described.get("required") is True
    return Field(
        f"{described['name']} ({described['in']})",
        _kind(document, schema),
        required,
        str(described.get("description", "")),
    )


def _answer(document: Mapping[str, Json], responses: Mapping[str, Json]) -> Iterator[Field]:
    for status, response in responses.items():
        if status.startswith("2"):
            yield from _content(document, _object(response))
            return


def _content(document: Mapping[str, Json], described: Mapping[str, Json]) -> Iterator[Field]:
    for media in _object(described.get("content", {})).values():
        yield from _fields(document, _object(_object(media).get("schema", {})), depth=0)
        return


def _fields(document: Mapping[str, Json], schema: Mapping[str, Json], depth: int) -> Iterator[Field]:
    for shape in _shapes(document, schema):
        required = _list(shape.get("required", []))
        for name, part in _object(shape["properties"]).items():
            schema_of_part = _object(part)
            # The value that tells the alternatives apart has the description of its alternative.
            described = shape if "const" in schema_of_part else schema_of_part
            description = str(schema_of_part.get("description", described.get("description", "")))
            yield Field(name, _kind(document, schema_of_part), name in required, description, depth)
            if depth + 1 < MAX_DEPTH:
                yield from _fields(document, schema_of_part, depth + 1)


def _shapes(document: Mapping[str, Json], schema: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """Yield the object schemas behind references and lists: each alternative of a value."""
    if "$ref" in schema:
        yield from _shapes(document, _referred(document, schema))
    elif "items" in schema:
        yield from _shapes(document, _object(schema["items"]))
    elif "properties" in schema:
        yield schema
    else:
        for way in _list(schema.get("anyOf", schema.get("oneOf", []))):
            yield from _shapes(document, _object(way))


def _referred(document: Mapping[str, Json], schema: Mapping[str, Json]) -> Mapping[str, Json]:
    found = _object(_object(document["components"])["schemas"])
    return _object(found[str(schema["$ref"]).rsplit("/", 1)[1]])


def _kind(document: Mapping[str, Json], schema: Mapping[str, Json]) -> str:
    if "$ref" in schema:
        return _kind(document, _referred(document, schema))
    if "enum" in schema:
        return " or ".join(map(str, _list(schema["enum"])))
    if "const" in schema:
        return str(schema["const"])
    if "items" in schema:
        return f"list of {_kind(document, _object(schema['items']))}"
    ways = [_kind(document, _object(way)) for way in _list(schema.get("anyOf", schema.get("oneOf", [])))]
    return " or ".join(dict.fromkeys(ways)) or str(schema.get("format", schema.get("type", "any")))


def _object(value: Json) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", value)


def _list(value: Json) -> Sequence[Json]:
    return cast("Sequence[Json]", value)
