"""Slow, endless or invalid connections cost the service little and block nobody."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from databases import TEMPLATE, new_database
from people import METRICS_TOKEN, Service
from servers import Running, running

IMPATIENT = {
    "ENROLLMENT_HEAD_SECONDS": "0.4",
    "ENROLLMENT_BODY_SECONDS": "0.4",
    "ENROLLMENT_SEND_SECONDS": "0.4",
    "ENROLLMENT_CONNECTIONS": "6",
}
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
MIB = 1 << 20
FEW_FILES = 260
MAX_LOOKS = 200


@dataclass(frozen=True, slots=True)
class Place:
    """A process that serves and waits for nobody long, and the service on its database in this one."""

    service: Service
    up: Running
    partner: str


@pytest.fixture(scope="module")
def place(server: str) -> Iterator[Place]:
    with new_database(server, TEMPLATE) as database, Service(database) as service:
        partner = service.partner().headers["Authorization"]
        with running(database, settings=IMPATIENT) as up:
            yield Place(service, up, partner)


@pytest.fixture
def up(place: Place) -> Running:
    return place.up


def connect(up: Running) -> socket.socket:
    address = urlsplit(up.address)
    made = socket.create_connection((address.hostname, address.port), timeout=60)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def until_closed(caller: socket.socket) -> bytes:
    """Return everything that the service sends until it closes the connection."""
    received = b""
    while True:
        try:
            part = caller.recv(1 << 16)
        except ConnectionResetError:
            return received
        if not part:
            return received
        received += part


def problem_in(received: bytes) -> tuple[int, str]:
    """Return the status and the code of a problem that came over the wire."""
    head, _, body = received.rpartition(b"\r\n\r\n")
    status = int(head.rpartition(b"HTTP/1.1 ")[2][:3])
    assert b"application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    return status, str(json.loads(body)["code"])


@pytest.mark.parametrize("sent", [b"G", b"GET /v1/cycles HTTP/1.1\r\nHost: localhost\r\n", GET + b"P"])
def test_unfinished_headers_are_not_waited_for(up: Running, sent: bytes) -> None:
    with closing(connect(up)) as caller:
        caller.sendall(sent)
        assert problem_in(until_closed(caller)) == (408, "head-too-slow")


def test_a_silent_connection_is_closed(up: Running) -> None:
    with closing(connect(up)) as caller:
        assert until_closed(caller) == b""


def test_an_unfinished_body_is_not_waited_for(up: Running) -> None:
    with closing(connect(up)) as caller:
        caller.sendall(b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
        assert problem_in(until_closed(caller)) == (408, "body-too-slow")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nX-Long: " + b"x" * (17 << 10) + b"\r\n\r\n",
        b"GET /" + b"x" * (17 << 10) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(101)) + b"\r\n",
        b"GET / HTTP/1.1\r\nX-Endless: " + b"x" * (17 << 10),
    ],
)
def test_long_headers_are_refused(up: Running, sent: bytes) -> None:
    with closing(connect(up)) as caller:
        caller.sendall(sent)
        assert problem_in(until_closed(caller)) == (431, "head-too-large")


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"GET\r\n\r\n"])
def test_what_is_not_http_is_refused_with_a_problem(up: Running, sent: bytes) -> None:
    with closing(connect(up)) as caller:
        caller.sendall(sent)
        told = until_closed(caller)
        assert problem_in(told) == (400, "request-unreadable")
        assert b"x-content-type-options: nosniff" in told.lower()


def test_an_upgrade_to_a_websocket_is_answered_as_the_request_that_it_is(up: Running) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert httpx.get(f"{up.address}/healthz", headers=upgrade).json() == {"status": "up"}


def test_a_client_that_does_not_read_the_answer_is_closed(up: Running) -> None:
    with closing(connect(up)) as caller:
        caller.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 60)
        until_no_connection_but_the_asking_one(up)


def until_no_connection_but_the_asking_one(up: Running) -> None:
    """Return once the service has closed every connection to its port but the one that asks."""
    files = Path(f"/proc/{up.process.pid}/net/tcp")
    port = urlsplit(up.address).port or 0
    for _ in range(100_000):
        rows = [line.split() for line in files.read_text(encoding="ascii").splitlines()[1:]]
        if not any(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows):
            return
    pytest.fail("the connection stays open")


def test_many_one_byte_connections_block_nobody(service: Service) -> None:
    patient = {"ENROLLMENT_CONNECTIONS": "6", "ENROLLMENT_HEAD_SECONDS": "300"}
    with running(service.database, settings=patient, open_files=FEW_FILES) as up, ExitStack() as opened:
        for _ in range(FEW_FILES * 2):
            caller = opened.enter_context(closing(connect(up)))
            caller.sendall(b"G")
        for _ in range(20):
            assert httpx.get(f"{up.address}/v1/cycles", timeout=60).status_code == 200


def test_many_half_bodies_block_nobody(service: Service) -> None:
    patient = {"ENROLLMENT_CONNECTIONS": "6", "ENROLLMENT_BODY_SECONDS": "300"}
    head = b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
    with running(service.database, settings=patient, open_files=FEW_FILES) as up, ExitStack() as opened:
        for _ in range(FEW_FILES * 2):
            opened.enter_context(closing(connect(up))).sendall(head)
        for _ in range(20):
            assert httpx.get(f"{up.address}/v1/cycles", timeout=60).status_code == 200


UPLOAD = "POST /v1/cycles/2027/imports/zones HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: k\r\n"


def memory(up: Running) -> int:
    """Return the most memory that the service has had, in bytes."""
    told = Path(f"/proc/{up.process.pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in told.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("who", ["stranger", "partner"])
@pytest.mark.parametrize("framing", ["Content-Length: 268435456", "Transfer-Encoding: chunked"])
def test_a_refused_upload_is_not_read(place: Place, who: str, framing: str) -> None:
    token = place.partner if who == "partner" else "Bearer nobody"
    head = f"{UPLOAD}Authorization: {token}\r\n{framing}\r\n\r\n".encode()
    with closing(connect(place.up)) as caller:
        before = memory(place.up)
        caller.sendall(head)
        sent = send_until_closed(caller, chunked="chunked" in framing)
        status, _ = problem_in(until_closed(caller))
        assert status == {"stranger": 401, "partner": 403}[who]
        assert sent < 64 * MIB
        assert memory(place.up) - before < 64 * MIB


def send_until_closed(caller: socket.socket, *, chunked: bool) -> int:
    """Send as much as the service takes; return how much that was."""
    part = b" " * MIB
    framed = b"%x\r\n%s\r\n" % (len(part), part) if chunked else part
    for number in range(256):
        try:
            caller.sendall(framed)
        except OSError:
            return number * MIB
    return 256 * MIB


def test_a_body_that_announces_too_much_is_refused_at_once(up: Running) -> None:
    with closing(connect(up)) as caller:
        caller.sendall(b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n")
        assert problem_in(until_closed(caller)) == (413, "too-large")


def test_a_body_without_an_announced_length_is_refused_where_it_becomes_too_long(up: Running) -> None:
    with closing(connect(up)) as caller:
        caller.sendall(b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert send_until_closed(caller, chunked=True) < 64 * MIB
        assert problem_in(until_closed(caller)) == (413, "too-large")


def until_counted(up: Running, line: str) -> None:
    """Return once the metrics have a line."""
    told = ""
    for _ in range(MAX_LOOKS):
        told = httpx.get(f"{up.address}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}).text
        if line in told:
            return
    pytest.fail(told)


def test_half_a_body_and_a_closed_connection_is_no_error_of_the_service(service: Service, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(service.database, settings={"ENROLLMENT_CONNECTIONS": "6"}, log=log) as up:
        for path in ("/v1/sessions", "/v1/oauth/token", "/v1/applicants:batch"):
            with closing(connect(up)) as caller:
                caller.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nhalf".encode())
        assert httpx.get(f"{up.address}/v1/cycles").status_code == 200
        until_counted(up, 'enrollment_requests_total{method="POST",route="none",status="499"} 3.0')
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if line["level"] != "info" or line.get("status") == 500] == []
    assert lines
