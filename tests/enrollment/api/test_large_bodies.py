"""A body over the limit is 413 everywhere: announced or in chunks, from a stranger, and where no body is taken."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from enrollment.admission import is_upload
from enrollment.app import create_app
from enrollment.request_bodies import MAX_BODY, MAX_UPLOAD
from people import settings_for

NO_DATABASE = "postgresql://nobody@localhost/nothing"
"""A body over the limit is refused before anything asks the database."""


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(create_app(settings_for(NO_DATABASE)), raise_server_exceptions=False)  # without its lifespan


def requests_of(client: TestClient) -> Iterator[tuple[str, str]]:
    """Yield each operation with its path, and some addresses that the document does not have."""
    for path, methods in client.app.openapi()["paths"].items():  # type: ignore[attr-defined]
        for method in methods:
            yield method.upper(), path.replace("{", "").replace("}", "")
    yield from (("GET", "/docs"), ("GET", "/metrics"), ("GET", "/v1/openapi.json"), ("POST", "/nowhere"))
    yield from (("PATCH", "/v1/schools"), ("GET", "/v1/cycles/cycle/imports/zones"), ("PUT", "/v1/x/imports/y"))


def in_chunks() -> Iterator[bytes]:
    for _ in range(MAX_BODY // 2**18 + 1):
        yield b" " * 2**18


def test_a_body_over_the_limit_is_413_on_every_route_and_elsewhere(client: TestClient) -> None:
    walked = list(requests_of(client))
    assert len(walked) > 100
    for method, path in walked:
        announced = {"Content-Length": str((MAX_UPLOAD if is_upload(method, path) else MAX_BODY) + 1)}
        answer = client.request(method, path, content=b"x", headers=announced)
        assert (answer.status_code, answer.json()["code"]) == (413, "too-large"), (method, path)
        if not is_upload(method, path):
            chunked = client.request(method, path, content=in_chunks())
            assert (chunked.status_code, chunked.json()["code"]) == (413, "too-large"), (method, path)


def test_a_strangers_upload_in_chunks_is_refused_before_it_is_read(client: TestClient) -> None:
    uploads = [(method, path) for method, path in requests_of(client) if is_upload(method, path)]
    assert len(uploads) > 1
    for method, path in uploads:
        assert client.request(method, path, content=in_chunks()).status_code == 401, path
