"""Crashes: killing a process loses nothing and does nothing twice."""

import json
import secrets
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import httpx
import pytest
from sqlalchemy import select, text

from enrollment.audit.models import LogEntry
from enrollment.database import transaction
from enrollment.rankings.models import RankingVersion
from log_entries import entries, ledger_lines
from lottery.market.canonical import Json
from people import Service, add_session
from rounds_by_hand import CHILD, CYCLE, DICE, MAIN, City, make_city
from servers import MAX_LOOKS, Running, running

LOADERS = 4
ENOUGH = 60
"""Acknowledged rankings after which the service is killed."""


@pytest.fixture
def city(service: Service) -> City:
    return make_city(service)


class Staff:
    """An administrator who acts over HTTP, whatever process answers."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def post(self, path: str, body: Json = None) -> None:
        answer = self._http.post(path, headers={"Idempotency-Key": uuid.uuid4().hex}, json=body)
        assert answer.is_success, answer.text

    def state(self) -> str:
        return str(self._http.get(MAIN).json()["state"])


@contextmanager
def signed_in(service: Service, up: Running, name: str) -> Iterator[Staff]:
    """Act as somebody in a session of their own, in which they have proved to be there."""
    token = secrets.token_urlsafe(32)
    with transaction(service.sessions) as session:
        add_session(session, name, token)
    with httpx.Client(base_url=up.address, timeout=60) as http:
        http.headers["Authorization"] = f"Bearer {token}"
        yield Staff(http)


def until_matched(administrator: Staff) -> None:
    for _ in range(MAX_LOOKS):
        if administrator.state() == "matched":
            return
    pytest.fail("nobody took the match up again")


def test_a_round_reaches_the_same_end_after_a_kill_between_any_two_steps(city: City) -> None:
    city.close()
    steps: list[tuple[str, str, Json]] = [
        ("ann", f"{CYCLE}/rounds", {"kind": "main"}),
        ("ann", f"{MAIN}/freeze", {"dice_in_minutes": 0}),
        ("ann", f"{MAIN}/draw", {"dice": DICE}),
        ("ann", f"{MAIN}/match", None),
    ]
    for name, path, body in steps:
        with running(city.service.database) as up, signed_in(city.service, up, name) as administrator:
            administrator.post(path, body)
            up.kill()
    with running(city.service.database) as up, signed_in(city.service, up, "bea") as administrator:
        until_matched(administrator)
        up.kill()
    with running(city.service.database) as up, signed_in(city.service, up, "bea") as administrator:
        administrator.post(f"{MAIN}/publish")
        up.kill()

    told = Counter(entry["type"] for entry in round_entries(city))
    assert told == dict.fromkeys(("round.freeze", "round.draw", "round.result", "round.publish"), 1)
    raw = city.otto.get(f"{MAIN}/outcome").content
    outcome = json.loads(raw)
    with transaction(city.service.sessions) as session:
        assert session.execute(text("SELECT count(*) FROM placement")).scalar_one() == len(outcome["placements"]) == 7


def round_entries(city: City) -> list[dict[str, Json]]:
    with transaction(city.service.sessions) as session:
        bodies = session.scalars(select(LogEntry.body).where(LogEntry.type.like("round.%"))).all()
    return [json.loads(body) for body in bodies]


def test_another_process_takes_over_a_match_after_a_kill(city: City) -> None:
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    city.freeze()
    city.ann.post(f"{MAIN}/draw", {"dice": DICE})
    with transaction(city.service.sessions) as held:
        # Whoever works waits here for the round, in the middle of the job, and is killed there.
        held.execute(text("SELECT FROM round FOR SHARE"))
        with running(city.service.database) as up, transaction(city.service.sessions) as session:
            session.execute(
                text(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args) VALUES "
                    "('rounds', 'match', '2027-main', 'match 2027-main', '{\"subject\": \"2027-main\"}')"
                )
            )
            session.commit()
            until_somebody_waits(city)
            up.kill()
    with running(city.service.database) as up, signed_in(city.service, up, "bea") as administrator:
        until_matched(administrator)
    assert len(entries(city.service, "round.result")) == 1


def until_somebody_waits(city: City) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(MAX_LOOKS * 10):
        with transaction(city.service.sessions) as session:
            if session.execute(waiting).scalar_one():
                return
    pytest.fail("nobody works on the round")


def test_every_acknowledged_ranking_is_stored_and_logged_once_after_a_crash(city: City) -> None:
    acknowledged: list[tuple[str, str]] = []
    enough = Event()
    with running(city.service.database) as up, ThreadPoolExecutor(LOADERS) as pool:
        loads = [pool.submit(load, up, city, loader, acknowledged, enough) for loader in range(LOADERS)]
        enough.wait(timeout=120)
        up.kill()
        for done in loads:
            done.result()
    assert len(acknowledged) >= ENOUGH
    city.service.sequence()
    with transaction(city.service.sessions) as session:
        rows = session.execute(
            select(RankingVersion.confirmation, RankingVersion.leaf_hash).where(RankingVersion.kind == "submitted")
        )
        stored: dict[str | None, str] = {confirmation: (leaf or b"").hex() for confirmation, leaf in rows}
        logged = Counter(
            leaf.hex() for leaf in session.scalars(select(LogEntry.leaf_hash).where(LogEntry.type == "ranking.put"))
        )
        astray = session.execute(
            text("SELECT count(*) FROM log_entry e LEFT JOIN log_leaf l ON l.entry_id = e.id WHERE l.index IS NULL")
        ).scalar_one()
    for confirmation, leaf in acknowledged:
        assert stored[confirmation] == leaf
    assert logged == Counter(stored.values())
    assert set(logged.values()) == {1}
    assert astray == 0


def load(up: Running, city: City, loader: int, acknowledged: list[tuple[str, str]], enough: Event) -> None:
    """Bring children and submit their rankings until the service is gone; note what was acknowledged."""
    headers = dict(city.portal.headers)
    with httpx.Client(base_url=up.address, headers=headers, timeout=30) as client:
        number = 0
        while True:
            path = f"{CYCLE}/applicants/load-{loader}-{number}"
            try:
                client.put(path, json={"grade": "KG", "child": dict(CHILD)})
                answer = client.put(f"{path}/ranking", json={"programs": ["lincoln-kg", "adams-kg"]})
            except httpx.TransportError:
                return
            if answer.status_code == httpx.codes.OK:
                told = answer.json()
                acknowledged.append((told["confirmation"], told["receipt"]["leaf_hash"]))
            if len(acknowledged) >= ENOUGH:
                enough.set()
            number += 1


def test_each_offer_expires_once_despite_a_kill(city: City) -> None:
    city.run_main()
    with transaction(city.service.sessions) as session:
        session.execute(text("UPDATE offer SET answer_by = clock_timestamp(), remind_at = clock_timestamp()"))
    with transaction(city.service.sessions) as held:
        # Whoever lets an offer run out waits here for its child, in the middle of the act, and is killed there.
        held.execute(text("SELECT FROM child ORDER BY id FOR UPDATE"))
        with running(city.service.database) as up:
            until_somebody_waits(city)
            up.kill()
    assert expired(city) == 0
    with running(city.service.database) as up:
        until_expired(city, at_least=1)
        up.kill()
    with running(city.service.database):
        until_expired(city, at_least=7)
    city.service.sequence()
    changes = [entry["cause"] for entry in entries(city.service, "seat.change")]
    assert changes == ["offer.expire"] * 7
    opened = [line for line in ledger_lines(city.service) if line["state"] == "opened"]
    assert len(opened) == 7


def expired(city: City) -> int:
    with transaction(city.service.sessions) as session:
        return int(session.execute(text("SELECT count(*) FROM offer WHERE status = 'expired'")).scalar_one())


def until_expired(city: City, *, at_least: int) -> None:
    for _ in range(MAX_LOOKS * 10):
        if expired(city) >= at_least:
            return
    pytest.fail("nobody lets offers run out")
