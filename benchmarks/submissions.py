"""Submissions over HTTP, each a whole durable transaction with its log entry, against a route that only validates."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median

import httpx

from benchmarks.load import Load, load, put
from enrollment.access.inputs import PartnerIn
from enrollment.access.partners import lock_partner, make_partner, make_secret
from enrollment.applicants.models import Applicant, Child
from enrollment.cycles.models import Cycle
from enrollment.database import clock, connect, copy_rows, sessions_of, transaction
from enrollment.demo.servers import new_database
from enrollment.directory.models import Offering, Operator, Program, School
from enrollment.migrate import upgrade

CHILDREN = 2_000
"""Of a turn."""

PROGRAMS = 40
RANKED = 5
CONNECTIONS = 32
PROCESSES = 2
ROUNDS = 3


def measure() -> list[tuple[str, str, str]]:
    """Return the rows of the table."""
    with tempfile.TemporaryDirectory() as folder, new_database(Path(folder)) as database:
        upgrade(database)
        secret = make_city(database)
        service = serving(SERVICE, environment(database))
        against = serving(VALIDATING, os.environ)
        submitted, validated = [], []
        with service as port, against as other:
            token = token_of(port, secret)
            for turn in range(ROUNDS + 1):
                requests = requests_of(token, turn)
                submitted.append(load(port, requests, connections=CONNECTIONS))
                validated.append(load(other, requests, connections=CONNECTIONS))
    return [row(submitted[1:], validated[1:])]  # the first of each warms up


def row(submitted: Sequence[Load], validated: Sequence[Load]) -> tuple[str, str, str]:
    """Return the line of the table."""
    rate, against = (median(one.rate for one in loads) for loads in (submitted, validated))
    p99 = max(one.wait(99) for one in submitted)
    work = f"rankings over HTTP at {CONNECTIONS} connections, {PROCESSES} web processes, each stored and in the log"
    return (
        f"{work}, to a route that only validates the body",
        f"{rate / against:.2f} × ({rate:,.0f} a second to {against:,.0f}), 99 in 100 within {1000 * p99:.0f} ms",
        "at least 0.1 ×, within 250 ms",
    )


def make_city(database: str) -> str:
    """Put a city into the tables: an open cycle, programs that take part, children; return the partner's secret."""
    engine = connect(database, connections=2)
    with transaction(sessions_of(engine)) as session:
        now = clock(session)
        session.add(
            Cycle(
                id="2027",
                name="2027-28",
                grades=["KG"],
                time_zone="America/New_York",
                opens_at=now - timedelta(days=1),
                deadline=now + timedelta(days=1),
                sibling_order=[],
                school_facts=[],
                child_facts=[],
                agreement_version="1",
                agreement="As published.",
            )
        )
        session.add(Operator(id="district", name="District"))
        make_partner(session, PartnerIn.model_validate({"id": "portal", "name": "Portal", "scopes": SCOPES}))
        session.flush()
        session.add_all(School(id=f"s{n}", operator_id="district", name=f"s{n}", sector="district") for n in programs())
        session.flush()
        session.add_all(Program(id=f"p{n}", school_id=f"s{n}", grade="KG", name=f"p{n}") for n in programs())
        session.flush()
        session.add_all(
            Offering(cycle_id="2027", program_id=f"p{n}", school_id=f"s{n}", grade="KG", status="in")
            for n in programs()
        )
        session.flush()
        children = [(uuid.uuid4(), secrets.token_bytes(16)) for _ in range(CHILDREN * (ROUNDS + 1))]
        copy_rows(session, Child, ["id", "cycle_id", "tag"], [(one, "2027", tag) for one, tag in children])
        columns = ["id", "cycle_id", "partner_id", "reference", "child_id", "grade", "together"]
        columns += ["zones", "zone_method", "language", "facts_salt"]
        rows: list[tuple[object, ...]] = [
            (uuid.uuid4(), "2027", "portal", f"c{n}", child, "KG", False, [], "no address", "en", b"")
            for n, (child, _) in enumerate(children)
        ]
        copy_rows(session, Applicant, columns, rows)
    with transaction(sessions_of(engine)) as session:
        _, secret = make_secret(session, lock_partner(session, "portal"))
    engine.dispose()
    return secret


SCOPES = ["applications:read", "applications:write"]


def programs() -> range:
    """Return the numbers of the programs."""
    return range(PROGRAMS)


def requests_of(token: str, turn: int) -> list[bytes]:
    """Return the requests that submit the first rankings of a turn's children."""
    return [submission(token, number) for number in range(turn * CHILDREN, (turn + 1) * CHILDREN)]


def submission(token: str, number: int) -> bytes:
    """Return the request that submits a child's ranking."""
    chosen = [f"p{(number + place * 7) % PROGRAMS}" for place in range(RANKED)]
    body = json.dumps({"programs": chosen}).encode()
    return put(f"/v1/cycles/2027/applicants/c{number}/ranking", token, body)


def environment(database: str) -> dict[str, str]:
    """Return the service's settings."""
    return {
        **os.environ,
        "DATABASE_URL": database,
        "ENROLLMENT_SECRET": secrets.token_hex(32),
        "ENROLLMENT_TOKEN_MINUTES": "60",
    }


def token_of(port: int, secret: str) -> str:
    """Return the partner's access token."""
    form = {"grant_type": "client_credentials"}
    answer = httpx.post(f"http://127.0.0.1:{port}/v1/oauth/token", data=form, auth=("portal", secret))
    return str(answer.raise_for_status().json()["access_token"])


SERVICE = ("-m", "enrollment", "serve", "--processes", str(PROCESSES))
VALIDATING = (
    "-m", "uvicorn", "--factory", "benchmarks.validating:create_app", "--workers", str(PROCESSES), "--no-access-log",
    "--log-level", "warning",
)  # fmt: skip


@contextmanager
def serving(command: Sequence[str], settings: Mapping[str, str]) -> Iterator[int]:
    """Serve something at a free port, which the command takes as `--port`; yield the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, *command, "--port", str(port)],
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until_up(port)
        yield port
    finally:
        process.terminate()
        process.wait()


def until_up(port: int) -> None:
    """Wait until something answers at a port."""
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/openapi.json", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            time.sleep(1)  # the other process too
            return


if __name__ == "__main__":
    for line in measure():
        print("| " + " | ".join(line) + " |")
