"""Two parallel acts on real connections: one wins, and the other is refused or lands before it."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.audit.log import read_entries
from enrollment.audit.models import LogEntry
from enrollment.cycles.locks import lock_open_cycle
from enrollment.database import transaction
from enrollment.directory.models import Offering
from enrollment.rankings.changes import submit_ranking
from enrollment.rankings.versions import lock_ranker
from enrollment.rounds.freeze import freeze
from enrollment.rounds.locks import lock_round_and_cycle
from enrollment.rounds.models import FrozenRow
from lottery.market.canonical import Json
from people import Service
from races import at_once, statuses, until_somebody_waits
from rounds_by_hand import CHILD, CYCLE, DICE, MAIN, City, make_city

PORTAL = Partner("city-portal", frozenset({"applications:write"}))
STEPS: Sequence[tuple[str, Json]] = (("freeze", {"dice_in_minutes": 0}), ("draw", {"dice": DICE}), ("match", None))


@pytest.fixture
def city(service: Service) -> City:
    """Return a city after its deadline, late rankings taken, with an open main round."""
    city = make_city(service, children=4)
    city.close()
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE cycle SET late_until = deadline + interval '1 day'"))
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    return city


def submit(session: Session, reference: str, programs: Sequence[str]) -> None:
    """Submit a ranking in a transaction of the test's own."""
    taking = lock_open_cycle(session, "2027")
    submit_ranking(session, PORTAL, taking, lock_ranker(session, PORTAL, cycle="2027", reference=reference), programs)


def test_a_ranking_in_flight_lands_wholly_before_the_freeze(city: City) -> None:
    with ThreadPoolExecutor(1) as pool:
        with transaction(city.service.sessions) as session:
            submit(session, "child-00", ["adams-kg"])
            frozen = pool.submit(city.freeze)
            until_somebody_waits(city.service)
        answer = frozen.result()
    assert answer.status_code == 200, answer.text
    with transaction(city.service.sessions) as session:
        line = session.get_one(FrozenRow, ("2027-main", city.tickets()["child-00"])).line
        entries = read_entries(session, start=0, end=answer.json()["log_size"])
    assert '"ranking":["adams-kg"]' in line
    assert '"late":true' in line
    assert sum('"type":"ranking.put"' in entry.body for entry in entries) == 5


def test_a_ranking_after_the_freeze_began_is_refused(city: City) -> None:
    ranking = f"{CYCLE}/applicants/child-00/ranking"
    etag = city.portal.get(ranking).headers["ETag"]
    with ThreadPoolExecutor(1) as pool:
        with transaction(city.service.sessions) as session:
            freeze(
                session,
                lock_round_and_cycle(session, "2027-main"),
                dice_after=timedelta(0),
                actor="staff:administrator",
            )
            refused = pool.submit(city.portal.put, ranking, {"programs": ["adams-kg"]}, etag)
            until_somebody_waits(city.service)
        answer = refused.result()
    assert (answer.status_code, answer.json()["code"]) == (409, "round-running")
    assert city.portal.get(ranking).json()["programs"] == ["lincoln-kg", "adams-kg"]


def test_of_two_parallel_steps_one_wins_and_the_other_is_refused(city: City) -> None:
    for step, body in STEPS:
        path = f"{MAIN}/{step}"
        answers = at_once(partial(city.ann.post, path, body), partial(city.bea.post, path, body))
        won = 202 if step == "match" else 200
        assert statuses(answers) == {won: 1, 409: 1}, step
        (lost,) = [answer for answer in answers if answer.status_code == 409]
        assert lost.json()["code"] in {"other-state", "match-under-way"}
    city.service.run_job("match", "2027-main")
    third = city.service.administrator("cleo")
    fourth = city.service.administrator("dan")
    answers = at_once(lambda: third.post(f"{MAIN}/publish"), lambda: fourth.post(f"{MAIN}/publish"))
    assert statuses(answers) == {200: 1, 409: 1}
    with transaction(city.service.sessions) as session:
        types = Counter(session.scalars(select(LogEntry.type)))
    assert [types[f"round.{step}"] for step in ("freeze", "draw", "result", "publish")] == [1, 1, 1, 1]


def test_two_workers_with_the_same_match_store_it_once(city: City) -> None:
    city.freeze()
    city.ann.post(f"{MAIN}/draw", {"dice": DICE})
    city.ann.post(f"{MAIN}/match")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: city.service.run_job("match", "2027-main"), range(2)))
    assert city.ann.get(MAIN).json()["state"] == "matched"
    with transaction(city.service.sessions) as session:
        assert session.execute(text("SELECT count(*) FROM placement")).scalar_one() == 4


def test_a_school_that_leaves_during_the_freeze_is_out_of_it_or_is_refused(city: City) -> None:
    participation = f"{CYCLE}/schools/adams/participation"
    etag = city.adams.get(participation).headers["ETag"]
    leaving: Json = {"status": "out", "reason": "The building is not ready"}
    frozen, left = at_once(city.freeze, lambda: city.adams.put(participation, leaving, etag))
    assert frozen.status_code == 200, frozen.text
    rules = city.service.stranger().get(f"{MAIN}/rules").json()["data"]
    with transaction(city.service.sessions) as session:
        status = session.get_one(Offering, ("2027", "adams-kg")).status
    assert (left.status_code, len(rules), status) in {(200, 1, "out"), (409, 2, "in")}


def test_one_child_from_two_partners_in_parallel_is_one_application(city: City) -> None:
    other = city.service.partner("network")
    for turn in range(5):
        child: Json = {"grade": "KG", "child": CHILD, "sis_id": f"s-{turn}"}
        path = f"{CYCLE}/applicants/twice-{turn}"
        answers = at_once(partial(city.portal.put, path, child), partial(other.put, path, child))
        assert statuses(answers) == {201: 1, 409: 1}
        (lost,) = [answer for answer in answers if answer.status_code == 409]
        assert lost.json()["code"] == "same-child-twice"
    with transaction(city.service.sessions) as session:
        assert session.execute(text("SELECT count(*) FROM child WHERE sis_digest IS NOT NULL")).scalar_one() == 5


def test_one_family_s_rankings_at_once_are_versions_without_gaps(city: City) -> None:
    ranking = f"{CYCLE}/applicants/child-00/ranking"
    lists = [["adams-kg"], ["lincoln-kg"], ["adams-kg", "lincoln-kg"]]
    answers = at_once(*[partial(city.portal.put, ranking, {"programs": programs}, "*") for programs in lists])
    assert sorted(answer.json()["version"] for answer in answers) == [2, 3, 4]
