"""Crowds wait in order: nobody is locked out, and each kind of request has its own share."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from sqlalchemy import text

from crowds import Ask, ask_all
from enrollment.database import transaction
from enrollment.lanes import Lane, lane_of, shares_of
from lottery.market.canonical import Json
from people import METRICS_TOKEN, Service
from rounds_by_hand import CHILD, CYCLE, City, make_city
from servers import MAX_LOOKS, Running, running

FEW = {"ENROLLMENT_CONNECTIONS": "6"}
HASTY = {**FEW, "ENROLLMENT_QUEUE_SECONDS": "0.3"}
OPERATOR = "/v1/operators"


@pytest.fixture
def city(service: Service) -> City:
    return make_city(service, children=60)


def codes(answers: Sequence[httpx.Response]) -> Counter[int | str]:
    """Count the answers by status, refusals by their code."""
    return Counter(answer.status_code if answer.is_success else answer.json()["code"] for answer in answers)


def rankings(city: City, children: range) -> list[Ask]:
    """Return the requests by which children turn their lists round."""
    headers = {**city.portal.headers, "If-Match": "*"}
    body: Json = {"programs": ["adams-kg", "lincoln-kg"]}
    return [Ask("PUT", f"{CYCLE}/applicants/child-{number:02}/ranking", headers, body) for number in children]


def batches(city: City, number: int) -> list[Ask]:
    """Return batches, each of which brings ten children."""
    return [
        Ask("POST", "/v1/applicants:batch", city.portal.headers, {"rows": [_row(f"b{n}-{m}") for m in range(10)]})
        for n in range(number)
    ]


def _row(reference: str) -> Json:
    return {
        "cycle": "2027",
        "reference": reference,
        "applicant": {"grade": "KG", "child": dict(CHILD)},
        "ranking": {"programs": ["lincoln-kg"]},
    }


def operators(city: City, number: int) -> list[Ask]:
    """Return requests that make an operator each."""
    return [Ask("POST", OPERATOR, city.ann.headers, {"id": f"op{n}", "name": f"Op {n}"}) for n in range(number)]


def test_far_more_requests_than_threads_and_connections_are_all_answered(city: City) -> None:
    reads = [Ask("GET", "/v1/cycles")] * 200 + [Ask("GET", f"{CYCLE}/applicants", city.portal.headers)] * 50
    asked = [*reads, *operators(city, 40), *batches(city, 10), *rankings(city, range(60))]
    with running(city.service.database, settings=FEW) as up:
        answers = ask_all(up.address, asked)
    assert codes(answers) == {200: 320, 201: 40}
    assert all(row["done"] for answer in answers[290:300] for row in answer.json()["rows"])
    assert counted(city, "SELECT count(*) FROM operator WHERE id LIKE 'op%'") == 40
    assert counted(city, "SELECT count(*) FROM ranking_version WHERE version = 2") == 60
    assert counted(city, "SELECT count(*) FROM applicant WHERE reference LIKE 'b%'") == 100


def counted(city: City, query: str) -> int:
    with transaction(city.service.sessions) as session:
        return int(session.execute(text(query)).scalar_one())


@contextmanager
def nobody_gets_at(city: City, table: str) -> Iterator[psycopg.Connection]:
    """Lock a table, so that whoever needs it waits in the middle of the act until the lock is given back."""
    with psycopg.connect(city.service.database) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield connection


def until_waiting(city: City, number: int) -> None:
    """Return once so many connections wait for a lock."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(MAX_LOOKS * 10):
        if counted(city, asked) >= number:
            return
    pytest.fail("nobody waits for the lock")


def test_a_request_that_waits_too_long_is_refused_and_does_nothing(city: City) -> None:
    asked, share = operators(city, 12), shares_of(6)[Lane.ORDINARY]
    with running(city.service.database, settings=HASTY) as up, ThreadPoolExecutor(1) as pool:
        with nobody_gets_at(city, "operator") as lock:
            answering = pool.submit(ask_all, up.address, asked)
            until_waiting(city, share)
            until_shed(up, len(asked) - share)
            lock.commit()
        answers = answering.result()
        shed = [answer for answer in answers if answer.status_code == 503]
        assert codes(answers) == {201: share, "crowded": len(asked) - share}
        assert {answer.headers["Retry-After"] for answer in shed} == {"5"}
        assert counted(city, "SELECT count(*) FROM operator WHERE id LIKE 'op%'") == share
        again = [ask_all(up.address, [one])[0] for one in asked]
    assert codes(again) == {201: len(asked)}
    assert sum("Idempotency-Replayed" in answer.headers for answer in again) == share


def until_shed(up: Running, number: int) -> None:
    """Return once the service's own count says that so many were sent away; `/metrics` never waits."""
    for _ in range(MAX_LOOKS):
        told = httpx.get(f"{up.address}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}).text
        if f'enrollment_requests_shed_total{{lane="ordinary"}} {float(number)}' in told:
            return
    pytest.fail("nobody was sent away")


@pytest.mark.parametrize(("lane", "table"), [("long", "household"), ("ordinary", "operator"), ("sign-in", "attempts")])
def test_rankings_are_accepted_while_another_lane_is_stuck(city: City, lane: str, table: str) -> None:
    form = {"grant_type": "client_credentials", "client_id": "city-portal", "client_secret": "x"}
    stuck = {
        "long": [*batches(city, 8)],
        "ordinary": [*operators(city, 8)],
        "sign-in": [Ask("POST", "/v1/oauth/token", {}, dict(form))] * 8,
    }[lane]
    with running(city.service.database, settings=FEW) as up, ThreadPoolExecutor(1) as pool:
        with nobody_gets_at(city, table) as lock:
            answering = pool.submit(send_forms if lane == "sign-in" else ask_all, up.address, stuck)
            until_waiting(city, 1)
            assert codes(ask_all(up.address, rankings(city, range(30)))) == {200: 30}
            lock.commit()
        assert len(answering.result()) == len(stuck)


def send_forms(address: str, asked: Sequence[Ask]) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(asked)) as pool:
        return list(pool.map(lambda one: httpx.post(address + one.path, data=one.body, timeout=120), asked))


def test_every_lane_has_a_share_and_the_shares_add_up_to_the_connections() -> None:
    for connections in range(6, 200):
        shares = shares_of(connections)
        assert set(shares) == set(Lane)
        assert min(shares.values()) >= 1
        assert sum(shares.values()) == connections


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("PUT", "/v1/cycles/2027/applicants/a1/ranking", Lane.RANKINGS),
        ("GET", "/v1/cycles/2027/applicants/a1/ranking", Lane.ORDINARY),
        ("POST", "/v1/applicants:batch", Lane.LONG),
        ("POST", "/v1/cycles/2027/imports/zones", Lane.LONG),
        ("POST", "/v1/cycles/2027/rosters:reconcile", Lane.LONG),
        ("GET", "/v1/rounds/2027-main/market", Lane.LONG),
        ("POST", "/v1/sessions", Lane.SIGN_IN),
        ("POST", "/v1/oauth/token", Lane.SIGN_IN),
        ("GET", "/v1/cycles", Lane.ORDINARY),
        ("GET", "/nowhere", Lane.ORDINARY),
        ("GET", "/healthz", None),
    ],
)
def test_a_request_s_lane_is_known_from_its_method_and_path(method: str, path: str, lane: Lane | None) -> None:
    assert lane_of(method, path) is lane
