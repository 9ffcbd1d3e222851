"""Hostile JSON: nested without end, numbers without end, words that are no JSON. Each is refused."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence

import httpx2
import pytest

from enrollment.json_depth import MAX_DEPTH, BodyTooDeep, refuse_deep
from lottery.market.canonical import Json
from nested_json import nested
from people import Service
from permissions import Operation, Whole, make_whole, operations
from zone_files import IMPORT, WEST, a_cycle, collection


def with_a_body(service: Service) -> Iterator[Operation]:
    """Yield the operations that take JSON, but for files."""
    paths = service.app.openapi()["paths"]
    for operation in operations(service):
        content = paths[operation.path][operation.method.lower()].get("requestBody", {}).get("content", {})
        if "application/json" in content:
            yield operation


def send(whole: Whole, operation: Operation, raw: bytes, kind: str = "application/json") -> httpx2.Response:
    """Send bytes to an operation, as whoever may ask for it."""
    path = operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", whole.names[name])
    caller = whole.city.portal if "oauth-partner" in str(operation.security) else whole.city.ann
    headers = {**caller.headers, "Content-Type": kind, "Idempotency-Key": uuid.uuid4().hex, "If-Match": "*"}
    return whole.city.service.send(operation.method, path, headers, raw)


DEEP: Mapping[str, str] = {
    "lists": nested(MAX_DEPTH + 1),
    "objects": '{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1),
    "both": '{"rules":{"eligible":{"all":' + nested(MAX_DEPTH) + "}}}",
    "past Python's own limit": nested(200_000),
    "never closed": "[" * 200_000,
    "behind a string of brackets": '{"a\\"[":"\\\\","b":' + nested(MAX_DEPTH) + "}",
}


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
def test_a_body_nested_too_deeply_is_refused(body: str) -> None:
    with pytest.raises(BodyTooDeep):
        refuse_deep(body.encode())
    with pytest.raises(BodyTooDeep):
        refuse_deep(body.encode("utf-16"))


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH),
        "[" + ",".join(["[]"] * 1_000) + "]",
        json.dumps({"text": "[{" * 1_000}),
        json.dumps({"text": '"' + "\\" + "[" * 1_000}),
        json.dumps([{"text": "\\"}] * 100),
        "]" * 1_000,
        "",
    ],
)
def test_a_body_that_is_long_but_not_deep_passes(body: str) -> None:
    refuse_deep(body.encode())


def zones_with(place: str, value: str) -> bytes:
    """Return a file of zones with a value at a place."""
    named: dict[str, Json] = {"zone": "west", "vintage": "2027", "name": "West"}
    feature: dict[str, Json] = {"type": "Feature", "properties": named, "geometry": None}
    document: dict[str, Json] = {"type": "FeatureCollection", "features": [feature]}
    match place:
        case "properties" | "geometry":
            feature[place] = "HERE"
        case "coordinates":
            feature["geometry"] = {"type": "Polygon", "coordinates": "HERE"}
        case "name":
            named["name"] = "HERE"
        case _:
            document[place] = "HERE"
    return json.dumps(document).replace('"HERE"', value).encode()


def test_a_file_of_zones_nested_too_deeply_is_refused(service: Service) -> None:
    a_cycle(service)
    ann = service.administrator()
    for place in ("crs", "vintage", "features", "properties", "geometry", "coordinates", "name"):
        for path in (IMPORT, f"{IMPORT}?apply=true"):
            for levels in (MAX_DEPTH, 900, 100_000):
                answer = ann.post_raw(path, zones_with(place, nested(levels)), uuid.uuid4().hex)
                assert (answer.status_code, answer.json()["code"]) == (422, "body-too-deep"), (place, levels)


def test_a_file_of_zones_with_an_odd_reference_system_is_refused_with_its_place(service: Service) -> None:
    a_cycle(service)
    document = json.loads(collection(WEST)) | {"crs": json.loads(nested(MAX_DEPTH - 1))}
    answer = service.administrator().post_raw(f"{IMPORT}?apply=true", json.dumps(document).encode())
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/crs"]


NO_NUMBERS = ["1e999", "-1e999", "1" * 5_000, "1" * 400, "NaN", "Infinity", "-Infinity"]

RULES = "/v1/cycles/2027/programs/lincoln-kg/rules"
APPLICANT = "/v1/cycles/2027/applicants/child-00"
ADA = '"grade":"KG","child":{"given_name":"Ada","family_name":"Example","birth_date":"2022-03-01"}'

PLACES: Sequence[tuple[str, str, str]] = [
    ("PUT", RULES, '{"rules":{"seats":{"match":HERE}},"reason":"As it is"}'),
    ("PUT", RULES, '{"rules":{"eligible":{"has":HERE}},"reason":"As it is"}'),
    ("PUT", RULES, '{"rules":{"eligible":{"zone_in":[HERE]}},"reason":"As it is"}'),
    ("PUT", APPLICANT, f'{{{ADA},"sis_id":HERE}}'),
    ("PUT", APPLICANT, f'{{{ADA},"addresses":[{{"text":"Elm","point":{{"longitude":HERE,"latitude":1}}}}]}}'),
    ("PUT", f"{APPLICANT}/ranking", '{"programs":[HERE],"draft":HERE}'),
    ("POST", "/v1/applicants:batch", '{"rows":[{"cycle":"2027","reference":"a","ranking":{"programs":HERE}}]}'),
    ("POST", "/v1/tokens", '{"days":HERE,"name":"report","scopes":["records:read"]}'),
]


def test_every_operation_refuses_hostile_json(service: Service) -> None:
    whole = make_whole(service)
    asked = list(with_a_body(service))
    assert len(asked) > 30
    for operation in asked:
        deep = send(whole, operation, DEEP["both"].encode())
        assert (deep.status_code, deep.json()["code"]) == (422, "body-too-deep"), operation.name
        assert deep.json()["errors"][0]["code"] == "too-deep"
        for value in ("1" * 5_000, "1e999", "NaN"):
            answer = send(whole, operation, f'{{"a":{value}}}'.encode())
            assert 400 <= answer.status_code < 500, (operation.name, answer.text)
            assert answer.json()["code"]
    for method, path, body in PLACES:
        operation = Operation(method, path, {"oauth-partner": []} if "applicants" in path else {})
        for value in NO_NUMBERS:
            answer = send(whole, operation, body.replace("HERE", value).encode())
            # A batch answers row by row.
            rows = answer.json().get("rows") if answer.status_code == 200 else None
            statuses = [row["status"] for row in rows] if rows else [answer.status_code]
            assert all(400 <= status < 500 for status in statuses), (path, value[:10], answer.text)


def test_of_a_key_that_stands_twice_the_last_value_counts(service: Service) -> None:
    ann = service.administrator()
    answer = ann.post_raw("/v1/operators", b'{"id":"first","id":"second","name":"Network"}', uuid.uuid4().hex)
    assert answer.status_code == 201
    assert answer.json()["id"] == "second"


def test_a_file_of_zones_with_a_number_without_end_is_refused(service: Service) -> None:
    a_cycle(service)
    ann = service.administrator()
    for value in NO_NUMBERS:
        raw = collection(WEST).replace(b"[10, 0]", f"[{value}, 0]".encode())
        answer = ann.post_raw(f"{IMPORT}?apply=true", raw, uuid.uuid4().hex)
        assert (answer.status_code, answer.json()["code"]) == (422, "unusable-zones"), value
