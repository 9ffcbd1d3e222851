"""The OpenAPI says which headers and tokens an operation demands, exactly as the service demands them."""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import httpx2
import pytest

from people import Caller, Service
from permissions import NAMES, Operation, Whole, make_whole, operations
from rounds_by_hand import make_city

Headers: TypeAlias = dict[str, bool]
"""The headers that an operation takes, and whether each is demanded."""

KEY, VERSION = "Idempotency-Key", "If-Match"


@pytest.fixture
def whole(service: Service) -> Whole:
    return make_whole(service)


def headers_of(service: Service, operation: Operation) -> Headers:
    described: Mapping[str, Any] = service.app.openapi()["paths"][operation.path][operation.method.lower()]  # type: ignore[explicit-any]
    return {one["name"]: one["required"] for one in described.get("parameters", []) if one["in"] == "header"}


def shows_etag(service: Service, operation: Operation, status: int) -> bool:
    described = service.app.openapi()["paths"][operation.path][operation.method.lower()]["responses"]
    return "ETag" in described.get(str(status), {}).get("headers", {})


def caller_of(whole: Whole, operation: Operation) -> Caller:
    return whole.city.portal if "partner" in str(operation.security) else whole.city.ann


def send(whole: Whole, operation: Operation, headers: Mapping[str, str]) -> httpx2.Response:
    """Send an operation with these headers only; a PUT sends back what the GET shows."""
    caller, path = caller_of(whole, operation), operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", whole.names[name])
    read = caller.get(path) if operation.method == "PUT" else None
    body = read.content if read is not None and read.is_success else b"{}"
    sent = {**caller.headers, "Content-Type": "application/json", **headers}
    return whole.city.service.send(operation.method, path, sent, None if operation.method == "GET" else body)


def changes(service: Service) -> Iterator[Operation]:
    return (one for one in operations(service) if one.method != "GET")


def code_of(answer: httpx2.Response) -> str:
    """Return the code of a refusal; empty for an answer that is none."""
    return "" if answer.is_success else str(answer.json()["code"])


def test_every_demanded_key_is_in_the_openapi_and_no_other(whole: Whole) -> None:
    service = whole.city.service
    for operation in changes(service):
        described = headers_of(service, operation)
        assert set(described) <= {KEY, VERSION}, operation.name
        code = "" if operation.name in ENDS else code_of(send(whole, operation, {}))
        assert (code == "idempotency-key-missing") == described.get(KEY, False), (operation.name, code)
        assert code != "version-missing" or VERSION in described, operation.name


def test_every_demanded_version_is_in_the_openapi(service: Service) -> None:
    city = make_city(service, children=1)  # before the round, when everything may change
    names = {**NAMES, "staff": "lincoln.office"}
    open_city = Whole(city, names, city.portal, city.lincoln)
    demanded = [one for one in changes(service) if headers_of(service, one).get(VERSION)]
    assert len(demanded) >= 9
    for operation in demanded:
        assert code_of(send(open_city, operation, {})) == "version-missing", operation.name


ENDS = {"DELETE /v1/sessions", "DELETE /v1/tokens/{token}", "POST /v1/presence", "POST /v1/second-factors/totp/confirm"}
"""Operations after which their caller needs another token. They take no header."""


def test_every_post_with_a_key_says_so_and_no_put_or_delete_takes_one(service: Service) -> None:
    for operation in changes(service):
        described = headers_of(service, operation)
        if operation.method != "POST":
            assert KEY not in described, operation.name
        assert described.get(KEY, True), operation.name


def test_an_operation_demands_a_token_exactly_if_the_openapi_has_security(whole: Whole) -> None:
    service = whole.city.service
    stranger = service.stranger()
    for operation in operations(service):
        status = whole.ask(stranger, operation, factor=str(uuid.uuid4())).status_code
        signs_in = operation.name in {"POST /v1/oauth/token", "POST /v1/sessions", "POST /v1/invitations/accept"}
        assert signs_in or (status == 401) == bool(operation.security), (operation.name, status)


def test_an_answer_to_a_read_has_an_etag_exactly_if_the_openapi_says_so(whole: Whole) -> None:
    service = whole.city.service
    seen = set()
    for operation in operations(service):
        if operation.method == "GET":
            answer = whole.ask(caller_of(whole, operation), operation)
            if answer.is_success:
                has = "ETag" in answer.headers
                assert not has or shows_etag(service, operation, answer.status_code), operation.name
                seen |= {operation.name} if has else set()
    assert len(seen) >= 9


def test_the_openapi_document_itself_takes_no_query_parameter(service: Service) -> None:
    assert service.stranger().get("/v1/openapi.json").json()["openapi"].startswith("3.1")
    refused = service.stranger().get("/v1/openapi.json?version=2")
    assert (refused.status_code, [fault["pointer"] for fault in refused.json()["errors"]]) == (400, ["version"])
