"""Pairs of acts that once deadlocked, each in the order of steps that did."""

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import event, text

from claims_by_hand import YES, claim
from deadlock_count import deadlocks
from enrollment.database import transaction
from enrollment.rounds.calendar import keep_calendars
from enrollment.rounds.frozen_market import frozen_market
from enrollment.rounds.gates import Matched
from enrollment.rounds.locks import lock_round
from enrollment.rounds.match_job import findings_of, store
from enrollment.seats.reminders import remind_due
from lottery.engines import match_market
from lottery.market.canonical import Json
from people import Service
from processes import MAX_SECONDS
from races import at_once, statuses, until_somebody_waits
from rounds_by_hand import CHILD, CYCLE, DICE, MAIN, City, make_city
from seat_races import decline, movers, open_seats_for_children_at_adams, publish, until_matched
from summer_city import REASON, Summer, placement_of

MISTAKE: Json = {"reason": "The dice were not seen"}


@pytest.fixture
def city(service: Service) -> City:
    return make_city(service, children=6)


@pytest.fixture
def drawn(city: City) -> City:
    """Return a city with a drawn main round."""
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    city.freeze()
    assert city.ann.post(f"{MAIN}/draw", {"dice": DICE}).status_code == 200
    return city


@contextmanager
def pausing(service: Service, statement: str) -> Iterator[threading.Event]:
    """Have the next statement that begins so wait until another connection waits for a lock; yield whether it does."""
    paused = threading.Event()

    def pause(*told: object) -> None:
        if str(told[2]).startswith(statement) and not paused.is_set():
            paused.set()
            until_somebody_waits(service)

    event.listen(service.app.state.engine, "before_cursor_execute", pause)
    try:
        yield paused
    finally:
        event.remove(service.app.state.engine, "before_cursor_execute", pause)
    assert paused.is_set(), statement


def store_while(service: Service, other: Callable[[], object], round_id: str = "2027-main") -> object:
    """Store a match while something else waits for its round; return what came of that."""
    with ThreadPoolExecutor(1) as pool:
        with transaction(service.sessions) as session:
            round_ = lock_round(session, round_id)
            market = frozen_market(session, round_)
            matched = Matched(round_, market, match_market(market, seed=round_.seed or b""), {})
            waiting = pool.submit(other)
            until_somebody_waits(service)
            store(session, matched, findings_of(session, matched))
        return waiting.result()


def test_a_round_is_voided_while_its_match_is_stored(drawn: City) -> None:
    told = store_while(drawn.service, lambda: drawn.bea.post(f"{MAIN}/void", MISTAKE).status_code)
    assert told == 202
    assert drawn.ann.get(MAIN).json()["state"] == "matched"
    assert deadlocks(drawn.service) == 0


def test_the_calendar_looks_at_a_round_while_its_match_is_stored(drawn: City) -> None:
    put_on_calendar(drawn)
    store_while(drawn.service, lambda: keep_calendars(drawn.service.sessions))
    assert drawn.ann.get(MAIN).json()["state"] in {"matched", "published"}
    assert deadlocks(drawn.service) == 0


def put_on_calendar(city: City) -> None:
    """Have the round be one that a calendar made."""
    with transaction(city.service.sessions) as session:
        calendar = uuid.uuid4()
        session.execute(
            text(
                "INSERT INTO round_calendar (id, cycle_id, every, first_at, next_at, dice_in_minutes, asked_by, "
                "approved_by) SELECT :id, '2027', 'day', tomorrow, tomorrow, 60, 'ann', 'bea' "
                "FROM (SELECT clock_timestamp() + interval '1 day' AS tomorrow) AS days"
            ),
            {"id": calendar},
        )
        session.execute(text("UPDATE round SET calendar_id = :id, asked_by = 'ann'"), {"id": calendar})


def test_a_round_is_published_while_families_are_reminded(summer: Summer) -> None:
    open_seats_for_children_at_adams(summer)
    path = until_matched(summer)
    moving = [offer.id for offer in movers(summer, path)]
    summer.write("UPDATE offer SET remind_at = clock_timestamp() WHERE id = ANY(:moving)", moving=moving)
    with ThreadPoolExecutor(1) as pool, pausing(summer.service, "INSERT INTO notice") as paused:
        reminded = pool.submit(remind_due, summer.service.sessions)
        assert paused.wait(MAX_SECONDS)
        told = publish(summer, path)
        reminded.result()
    assert told.status_code == 200, told.text
    assert deadlocks(summer.service) == 0


def rows_of(references: Sequence[str]) -> list[Json]:
    return [
        {
            "cycle": "2027",
            "reference": reference,
            "applicant": {"grade": "KG", "child": dict(CHILD), "household": f"h-{reference[-1]}"},
            "ranking": {"programs": ["lincoln-kg"]},
        }
        for reference in references
    ]


def test_batches_in_opposite_orders_are_all_carried_out(city: City) -> None:
    for turn in range(3):
        there = [f"child-{number:02}" for number in range(6)]
        new = [f"new-{turn}-{number}" for number in range(12)]
        forth, back = rows_of([*there, *new]), rows_of([*reversed(new), *reversed(there)])
        send = partial(city.portal.post, "/v1/applicants:batch")
        answers = at_once(*[partial(send, {"rows": rows}) for rows in (forth, back, forth, back)])
        assert statuses(answers) == {200: 4}, [answer.text for answer in answers]
        for answer, rows in zip(answers, (forth, back, forth, back), strict=True):
            told = answer.json()["rows"]
            assert [row["reference"] for row in told] == [row["reference"] for row in rows]  # type: ignore[index,call-overload]
            assert all(row["done"] for row in told)
    assert deadlocks(city.service) == 0


@pytest.mark.postgresql_errors("duplicate key")
def test_a_batch_changes_an_application_that_another_request_makes_at_once(city: City) -> None:
    for turn in range(12):
        applicant: Json = {"grade": "KG", "child": dict(CHILD)}
        row: Json = {"cycle": "2027", "reference": f"lone-{turn}", "applicant": applicant}
        made, batch = at_once(
            partial(city.portal.put, f"{CYCLE}/applicants/lone-{turn}", applicant),
            partial(city.portal.post, "/v1/applicants:batch", {"rows": [row]}),
        )
        assert made.status_code in (201, 428), made.text
        assert [one["done"] for one in batch.json()["rows"]] == [True], batch.text


@pytest.mark.postgresql_errors("duplicate key")
def test_of_two_requests_that_make_one_application_at_once_the_second_has_to_look_at_it(city: City) -> None:
    for turn in range(6):
        send = partial(city.portal.put, f"{CYCLE}/applicants/twin-{turn}", {"grade": "KG", "child": dict(CHILD)})
        answers = at_once(send, send)
        assert statuses(answers) == {201: 1, 428: 1}
        (lost,) = [answer for answer in answers if answer.status_code == 428]
        assert lost.json()["code"] == "version-missing"


def test_of_an_approval_and_a_denial_of_one_claim_at_once_one_is_refused(city: City) -> None:
    for number in range(6):
        made = claim(city.portal, "sibling", "lincoln", f"child-{number:02}")
        answers = at_once(
            partial(city.lincoln.post, f"/v1/claims/{made}/approve", YES),
            partial(city.ann.post, f"/v1/claims/{made}/deny", YES),
        )
        assert statuses(answers) == {200: 1, 409: 1}
        (lost,) = [answer for answer in answers if answer.status_code == 409]
        assert lost.json()["code"] == "claim-decided"


def test_a_placement_is_asked_for_while_another_of_the_child_is_approved(summer: Summer) -> None:
    decline(summer, "adams-kg", 1)
    child = next(child for child in summer.children() if child.seat_grade is None)
    ann, bea = summer.caller("ann"), summer.caller("bea")
    asked = ann.post("/v1/placements", placement_of(child.ticket, "adams-kg")).json()["id"]
    with ThreadPoolExecutor(1) as pool, pausing(summer.service, "INSERT INTO outside_placement"):
        again = pool.submit(ann.post, "/v1/placements", placement_of(child.ticket, "adams-kg"))
        until_the_child_is_locked(summer, child.id)
        approved = bea.post(f"/v1/placements/{asked}/approve", {"reason": REASON})
    assert approved.status_code == 200, approved.text
    assert (again.result().status_code, again.result().json()["code"]) == (409, "placement-asked")
    assert deadlocks(summer.service) == 0


def until_the_child_is_locked(summer: Summer, child: uuid.UUID) -> None:
    for _ in range(100_000):
        if not summer.rows("SELECT id FROM child WHERE id = :id FOR UPDATE SKIP LOCKED", id=child):
            return
    pytest.fail("nobody locks the child")


def test_of_two_parallel_decisions_the_second_learns_who_was_first(summer: Summer) -> None:
    counted: Counter[str] = Counter()
    child = next(child for child in summer.children() if child.seat_grade is None)
    ann, bea, cleo = (summer.caller(name) for name in ("ann", "bea", "cleo"))
    for _ in range(3):
        body = placement_of(child.ticket, "adams-kg", beyond=True)
        asked = ann.post("/v1/placements", body).json()["id"]
        answers = at_once(
            partial(bea.post, f"/v1/placements/{asked}/approve", {"reason": REASON}),
            partial(cleo.post, f"/v1/placements/{asked}/refuse", {"reason": REASON}),
        )
        assert statuses(answers) == {200: 1, 409: 1}
        counted.update(answer.json()["code"] for answer in answers if answer.status_code == 409)
        if answers[0].status_code == 200:
            break
    assert counted.keys() == {"placement-decided"}


@pytest.mark.postgresql_errors("duplicate key value violates unique constraint")  # which tells that a child came twice
def test_what_a_batch_made_for_a_row_that_is_refused_is_taken_back(city: City) -> None:
    refused: dict[str, Json] = {"grade": "99", "child": dict(CHILD), "household": "h-1", "sis_id": "s-1"}
    known: Json = {"grade": "KG", "child": dict(CHILD), "household": "h-2", "sis_id": "s-2"}
    rows: list[Json] = [
        {"cycle": "2027", "reference": "new-1", "applicant": refused},
        {"cycle": "2027", "reference": "child-00", "applicant": {**refused, "sis_id": "s-3", "grade": "01"}},
        {"cycle": "2027", "reference": "child-01", "applicant": known},
        {"cycle": "2027", "reference": "child-02", "applicant": known},
        {"cycle": "nowhere", "reference": "new-2", "applicant": known},
    ]
    told = city.portal.post("/v1/applicants:batch", {"rows": rows}).json()["rows"]
    codes = ["grade-not-offered", "grade-held-by-ranking", None, "same-child-twice", "cycle-not-found"]
    assert [row["code"] for row in told] == codes
    with transaction(city.service.sessions) as session:
        assert session.execute(text("SELECT count(*) FROM child")).scalar_one() == 6
        named = session.execute(text("SELECT count(*) FROM child WHERE sis_digest IS NOT NULL")).scalar_one()
        assert session.execute(text("SELECT array_agg(reference) FROM household")).scalar_one() == ["h-2"]
    assert named == 1


def test_of_two_who_approve_at_once_one_is_told_that_it_was_done(summer: Summer) -> None:
    ann, bea, cleo = (summer.caller(name) for name in ("ann", "bea", "cleo"))
    said: Json = {"rules": {"seats": {"match": 6}}, "reason": REASON}
    assert summer.caller("lincoln").change(f"{CYCLE}/programs/lincoln-kg/rules", said).status_code == 202
    (change,) = ann.get(f"{CYCLE}/rules-changes").json()["data"]
    in_ten_days = (datetime.now(UTC) + timedelta(days=10)).isoformat()
    calendar: Json = {"every": "week", "first_at": in_ten_days, "dice_in_minutes": 0}
    assert ann.post(f"{CYCLE}/round-calendar", calendar).status_code == 201
    decline(summer, "lincoln-kg", 1)
    path = until_matched(summer)
    assert ann.post(f"{path}/void", MISTAKE).status_code == 202
    for code, done, act, body in (
        ("other-state", 202, f"{path}/void", MISTAKE),
        ("calendar-approved", 200, f"{CYCLE}/round-calendar/approve", None),
        ("change-decided", 200, f"/v1/rules-changes/{change['id']}/approve", {"reason": REASON}),
    ):
        answers = at_once(partial(bea.post, act, body), partial(cleo.post, act, body))
        assert statuses(answers) == {done: 1, 409: 1}, code
        assert [answer.json()["code"] for answer in answers if answer.status_code == 409] == [code]
