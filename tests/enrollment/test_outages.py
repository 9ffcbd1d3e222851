"""Database outages: the service recovers by itself from every kind."""

import json
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psycopg
import pytest
from procrastinate.jobs import Job as QueuedJob

from database_proxy import Proxy
from databases import new_database
from enrollment.access.inputs import RoleIn
from enrollment.database import connect, sessions_of, transaction
from enrollment.jobs import BrokenOff, DatabaseLost, Retry
from enrollment.rounds.models import Round
from people import Service, add_session, add_staff, settings_for
from rounds_by_hand import CYCLE, apply, make_city
from rows import add_cycle
from servers import MAX_LOOKS, Running, start, starting

REHEARSALS = "/v1/rounds/2027-main/rehearsals"
TRACEBACK = "Traceback"
TOKEN = "the administrator's session"  # noqa: S105 - of tests only
IMPATIENT = {"ENROLLMENT_DATABASE_PATIENCE": "2"}

LONGEST = 120
"""Seconds after which a worker that says nothing is ended, so that a test fails instead of waiting."""


@pytest.fixture
def proxy(database: str) -> Iterator[Proxy]:
    with Proxy(database) as opened:
        yield opened


def put_round(database: str) -> None:
    """Put an open round and an administrator into a database."""
    engine = connect(database, connections=2)
    with transaction(sessions_of(engine)) as session:
        add_cycle(session)
        session.add(Round(id="2027-main", cycle_id="2027", kind="main", attempt=1))
        add_staff(session, "ann", [RoleIn(role="administrator")], settings=settings_for(database))
        add_session(session, "ann", TOKEN)
    engine.dispose()


def until(true: Callable[[], bool], what: str) -> None:
    """Look until something is so."""
    for _ in range(MAX_LOOKS * 10):
        if true():
            return
    pytest.fail(f"never: {what}")


class Asking:
    """A client of a service that may be away, and an administrator of it once it is there."""

    def __init__(self, up: Running) -> None:
        self._http = httpx.Client(base_url=up.address, timeout=60, transport=httpx.HTTPTransport(retries=9))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def status(self, path: str) -> int:
        try:
            return self._http.get(path).status_code
        except httpx.TransportError:
            return 0

    def broken(self) -> list[str]:
        """Return the parts that are not ready; none if all are."""
        answer = self._http.get("/readyz")
        return [] if answer.is_success else [fault["code"] for fault in answer.json()["errors"]]

    def until_ready(self) -> None:
        until(lambda: self.status("/readyz") == 200, "ready")

    def sign_in(self) -> None:
        self._http.headers["Authorization"] = f"Bearer {TOKEN}"

    def rehearse(self) -> str:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = self._http.post("/v1/rounds/2027-main/rehearse", headers=headers)
        assert answer.status_code == 202, answer.text
        return f"{REHEARSALS}/{answer.json()['id']}"

    def until_rehearsed(self, rehearsal: str) -> None:
        until(lambda: self._http.get(rehearsal).json()["state"] != "waiting", "rehearsed")

    def health(self) -> dict[str, object]:
        answer = self._http.get("/v1/health")
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found


def told(log: Path, event: str) -> int:
    """Count the lines of a log that are about an event."""
    return sum(1 for line in lines_of(log) if line.get("event") == event)


def lines_of(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def test_after_an_outage_jobs_and_loops_go_on_in_the_web_process(database: str, proxy: Proxy, tmp_path: Path) -> None:
    put_round(database)
    log = tmp_path / "log"
    with starting(proxy.database, settings=IMPATIENT, log=log) as up, Asking(up) as asking:
        asking.until_ready()
        asking.sign_in()
        asking.until_rehearsed(asking.rehearse())

        proxy.refuse()
        until(lambda: asking.broken() == ["database"], "not ready")
        assert asking.status("/v1/cycles") == 503
        until(lambda: told(log, "job runner stopped; it restarts soon") > 0 or not asking.broken(), "ended")

        proxy.pass_on()
        asking.until_ready()
        asking.until_rehearsed(asking.rehearse())
        until(lambda: asking.health()["works"] is True, "all works")
    assert TRACEBACK not in log.read_text()


def test_a_service_that_starts_before_its_database_waits_for_it(database: str, proxy: Proxy, tmp_path: Path) -> None:
    put_round(database)
    proxy.refuse()
    log = tmp_path / "log"
    with starting(proxy.database, settings=IMPATIENT, log=log) as up, Asking(up) as asking:
        until(lambda: asking.status("/healthz") == 200, "up")
        until(lambda: asking.broken() == ["database"], "not ready")

        proxy.pass_on()
        asking.until_ready()
        asking.sign_in()
        asking.until_rehearsed(asking.rehearse())
    assert TRACEBACK not in log.read_text()
    assert told(log, "waiting for the database") >= 1


def test_a_job_that_ended_worker_after_worker_is_given_up(database: str) -> None:
    put_round(database)
    rehearsal = uuid.uuid4()
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO rehearsal (id, round_id, asked_by) VALUES (%s, '2027-main', 'ann')", [rehearsal]
        )
        connection.execute(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, status, attempts) "
            "VALUES ('rounds', 'rehearse', %(id)s, 'rehearse ' || %(id)s, jsonb_build_object('subject', %(id)s::text), "
            "'doing', 20)",
            {"id": str(rehearsal)},
        )
    with starting(database) as up, Asking(up) as asking:
        asking.until_ready()
        asking.sign_in()
        asking.until_rehearsed(f"{REHEARSALS}/{rehearsal}")
        failures = asking.health()["failures"]
    assert isinstance(failures, dict)
    assert [(one["work"], one["subject"], one["error"]) for one in failures["latest"]] == [
        ("rehearse", str(rehearsal), "WorkerEnded")
    ]


def test_a_job_that_lost_the_database_is_tried_again_as_often_as_it_takes() -> None:
    job = QueuedJob(
        id=1, lock=None, queueing_lock=None, task_name="match", queue="rounds", attempts=1_000, worker_id=None
    )
    assert Retry().get_retry_decision(exception=DatabaseLost("away"), job=job) is not None
    assert Retry().get_retry_decision(exception=BrokenOff("KeyError at x.py:1"), job=job) is None


def test_a_worker_that_starts_before_its_database_says_so_in_one_line_and_waits(
    database: str, proxy: Proxy, tmp_path: Path
) -> None:
    put_round(database)
    proxy.refuse()
    log = tmp_path / "log"
    os.mkfifo(log)
    # Both ends are opened, so that opening waits for nobody.
    with os.fdopen(os.open(log, os.O_RDWR), "rb", buffering=0) as reading:
        worker = start(proxy.database, "worker", settings=IMPATIENT, log=log)
        late = threading.Timer(LONGEST, worker.kill)
        late.start()
        try:
            assert json.loads(reading.readline())["event"] == "waiting for the database"
            proxy.pass_on()
            assert json.loads(reading.readline())["event"] == "the database is back"
            proxy.refuse()
            assert "waiting for the database" in [json.loads(reading.readline())["event"] for _ in range(2)]
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(LONGEST) == -signal.SIGTERM
        finally:
            late.cancel()
            worker.kill()
            worker.wait()


@pytest.mark.parametrize(
    "address", ["mysql://host/city", "postgresql://ann:pass@host:port/city", "postgresql://ann:pass@host/city?pass=1"]
)
def test_a_worker_with_wrong_settings_ends_and_names_them(address: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    worker = start(address, "worker", settings=IMPATIENT, log=log)
    assert worker.wait(LONGEST) == 2
    (line,) = log.read_text().splitlines()
    assert line.startswith("enrollment: the setting DATABASE_URL: ")
    assert "ann" not in line


@pytest.mark.postgresql_errors("does not exist")
def test_a_command_on_a_database_without_tables_fails_with_one_line(server: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with new_database(server, "template0") as empty:
        assert start(empty, "rotate-secret", log=log).wait(LONGEST) == 2
    (line,) = log.read_text().splitlines()
    assert line.endswith("Run enrollment migrate.")


def test_a_database_that_hangs_is_given_up_and_found_again(database: str, proxy: Proxy, tmp_path: Path) -> None:
    put_round(database)
    log = tmp_path / "log"
    with starting(proxy.database, settings=IMPATIENT, log=log) as up, Asking(up) as asking:
        asking.until_ready()
        asking.sign_in()

        proxy.hang()
        until(lambda: asking.broken() == ["database"], "not ready")
        assert asking.status("/v1/cycles") == 503
        assert asking.status("/healthz") == 200

        proxy.pass_on()
        asking.until_ready()
        assert asking.status("/v1/cycles") == 200
        asking.until_rehearsed(asking.rehearse())
    assert TRACEBACK not in log.read_text()


def test_cut_connections_are_not_reused(proxy: Proxy) -> None:
    with Service(proxy.database) as service:
        city = make_city(service, children=2)
        proxy.cut()
        apply(city.portal, "after-the-cut", ["lincoln-kg"])
        proxy.cut()
        assert city.ann.get("/v1/cycles").status_code == 200


def test_after_an_outage_rankings_are_taken_at_once(proxy: Proxy) -> None:
    with Service(proxy.database) as service:
        city = make_city(service, children=1)
        path = f"{CYCLE}/applicants/child-00"
        proxy.refuse()
        assert city.portal.get(path).status_code == 503
        proxy.pass_on()
        assert city.portal.change(f"{path}/ranking", {"programs": ["adams-kg"]}).status_code == 200


def test_a_slow_statement_of_a_live_database_is_not_cut_off(database: str) -> None:
    engine = connect(database, connections=2, patience=2)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT pg_sleep(4.5) IS NOT NULL").scalar_one()
    engine.dispose()
