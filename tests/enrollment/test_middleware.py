"""Rules for every answer: known hosts, security headers and metrics."""

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy import text

from enrollment.app import create_app
from enrollment.audit.log import append
from enrollment.database import transaction
from enrollment.settings import Settings
from lottery.market.canonical import Json
from people import METRICS_TOKEN, SECRET, Service
from servers import running

CYCLE: Json = {
    "name": "2027-28",
    "grades": ["KG"],
    "time_zone": "America/New_York",
    "opens_at": "2027-01-01T00:00:00Z",
    "deadline": "2027-02-01T00:00:00Z",
    "agreement_version": "1",
    "agreement": "Rules stay as published.",
}


def test_a_request_for_another_host_is_refused_and_no_answer_leads_there(service: Service) -> None:
    evil = service.send("GET", "/v1/cycles/", {"Host": "evil.example"}, None)
    assert (evil.status_code, evil.json()["code"]) == (421, "unknown-host")
    slash = service.send("GET", "/v1/cycles/", {}, None)
    assert (slash.status_code, "location" in slash.headers) == (404, False)
    assert service.send("GET", "/healthz", {"Host": "10.0.0.7:8000"}, None).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]", "testserver"])
def test_this_machine_and_the_names_that_were_set_are_known(service: Service, host: str) -> None:
    assert service.send("GET", "/v1/cycles", {"Host": host}, None).status_code == 200


def test_the_public_address_is_known_and_browsers_are_told_to_keep_to_tls(database: str) -> None:
    settings = Settings(database_url=database, secret=SecretStr(SECRET), public_url="https://lottery.example:8443/x")
    with TestClient(create_app(settings), base_url="https://lottery.example") as client:
        answer = client.get("/v1/cycles")
        assert (answer.status_code, answer.headers["strict-transport-security"]) == (
            200,
            "max-age=31536000; includeSubDomains",
        )


def test_answers_to_signed_in_callers_are_not_cached(service: Service) -> None:
    administrator = service.administrator()
    for answer in (administrator.get("/v1/partners"), administrator.get("/v1/partners/nobody")):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
    public = service.stranger().get("/v1/cycles")
    assert "cache-control" not in public.headers
    assert public.headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" not in public.headers


@pytest.mark.parametrize("path", ["/v1/cycles", "/v1/nothing", "/docs", "/healthz"])
def test_every_answer_keeps_browsers_from_running_framing_and_guessing(service: Service, path: str) -> None:
    headers = service.stranger().get(path).headers
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy)
    assert ("sandbox" in policy) is (path != "/docs")
    assert (headers["referrer-policy"], headers["x-content-type-options"]) == ("no-referrer", "nosniff")


@pytest.mark.parametrize("path", ["/v1/cycles", "/docs"])
def test_trace_is_answered_as_no_method_of_any_address(service: Service, path: str) -> None:
    answer = service.send("TRACE", path, {"X-Mark": "seen"}, None)
    assert (answer.status_code, "seen" in answer.text) == (405, False)


def test_metrics_need_their_token(service: Service) -> None:
    assert service.stranger().get("/metrics").status_code == 404
    assert service.with_token("another").get("/metrics").status_code == 404
    assert service.with_token(METRICS_TOKEN).get("/metrics").status_code == 200


def test_metrics_show_background_work(service: Service) -> None:
    with transaction(service.sessions) as session:
        session.execute(
            text("INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('q', 'match', '{}')")
        )
        append(session, "cycle.put", cycle=None, actor="staff:administrator", fields={})
    told = service.with_token(METRICS_TOKEN).get("/metrics").text
    assert 'enrollment_jobs{kind="match",state="todo"} 1.0' in told
    (unsealed,) = [line for line in told.splitlines() if line.startswith("enrollment_oldest_unsealed_seconds")]
    assert float(unsealed.split()[1]) > 0


def test_metrics_count_every_web_process_together(database: str) -> None:
    with running(database, processes=2) as up:
        for _ in range(40):
            assert httpx.get(f"{up.address}/v1/cycles").status_code == 200
        told = httpx.get(f"{up.address}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}).text
    assert 'enrollment_requests_total{method="GET",route="/v1/cycles",status="200"} 40.0' in told
    assert 'enrollment_requests_inside{lane="ordinary"} 0.0' in told


@pytest.mark.parametrize(("length", "status"), [(40, 201), (41, 422)])
def test_the_id_of_a_cycle_leaves_room_for_those_of_its_rounds(service: Service, length: int, status: int) -> None:
    made = service.administrator().post("/v1/cycles", {"id": "c" * length, **CYCLE})  # type: ignore[dict-item]
    assert made.status_code == status, made.text
