"""Cycles: the calendar, the policy, the settings that become fixed, and the phases."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from enrollment.cycles.locks import (
    CycleClosed,
    CycleNotFound,
    CycleNotOpenYet,
    MainRoundFrozen,
    Phase,
    RoundRunning,
    lock_cycle_before_freeze,
    lock_cycle_between_rounds,
    lock_open_cycle,
    phase_at,
    rfc3339,
)
from enrollment.cycles.models import Cycle
from enrollment.database import clock, transaction
from enrollment.dates import ZonedTime
from log_entries import entries
from lottery.market.canonical import Json
from people import Service
from rows import add_cycle, add_school, offer

# Far in the future, so no test depends on today's date.
BODY: Mapping[str, Json] = {
    "id": "2027",
    "name": "School year 2027-28",
    "grades": ["PK4", "KG", "01"],
    "time_zone": "America/New_York",
    "opens_at": "2190-01-11T09:00:00-05:00",
    "deadline": "2190-03-01T23:59:00-05:00",
    "agreement_version": "2027-1",
    "agreement": "A school that takes part keeps its rules as published.\n\nIt may leave until the freeze.",
    "school_facts": ["sibling"],
    "child_facts": ["ell"],
}
DAY = timedelta(days=1)
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


def changed(shown: httpx2.Response, **changes: Json) -> dict[str, Json]:
    """Return the body that changes some settings of a cycle."""
    kept = {name: part for name, part in shown.json().items() if name not in READ_ONLY_FIELDS}
    return {**kept, **changes}


READ_ONLY_FIELDS = {"id", "phase", "main_round", "running_round", "zones_vintage"}


def faults(answer: httpx2.Response) -> set[tuple[str, str]]:
    """Return the places and codes of the faults in an answer."""
    return {(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]}


def add_open_cycle(service: Service, **changes: object) -> None:
    """Add an open cycle to the table."""
    with transaction(service.sessions) as session:
        add_cycle(session, "2027", **changes)


def test_an_administrator_creates_a_cycle_and_anybody_reads_it(service: Service) -> None:
    made = service.administrator().post("/v1/cycles", BODY)
    assert (made.status_code, made.headers["location"]) == (201, "/v1/cycles/2027")
    read = service.stranger().get("/v1/cycles/2027")
    assert read.json() == made.json()
    assert read.headers["ETag"] == '"1"'
    assert read.json()["phase"] == "planned"
    assert read.json()["agreement"] == BODY["agreement"]
    listed = service.stranger().get("/v1/cycles").json()["data"]
    assert [cycle["id"] for cycle in listed] == ["2027"]


def test_the_log_has_the_full_calendar_and_policy_in_utc(service: Service) -> None:
    service.administrator().post("/v1/cycles", BODY)
    (entry,) = entries(service, "cycle.put")
    assert entry["actor"] == "staff:administrator"
    assert entry["opens_at"] == "2190-01-11T14:00:00Z"
    assert entry["late_until"] is None
    assert entry["tie_break"] == "single"
    assert entry["grades"] == ["PK4", "KG", "01"]
    assert entry["agreement"] == BODY["agreement"]


def test_only_administrators_create_or_change_a_cycle(service: Service) -> None:
    add_open_cycle(service)
    with transaction(service.sessions) as session:
        add_school(session, "lincoln")
    callers = [
        service.partner(),
        service.school_staff("lincoln"),
        service.operator_staff("district"),
        service.auditor(),
    ]
    for caller in callers:
        assert caller.post("/v1/cycles", BODY).status_code == 403
        assert caller.put("/v1/cycles/2027", BODY, '"1"').status_code == 403
    assert service.stranger().post("/v1/cycles", BODY).status_code == 401
    assert service.stranger().put("/v1/cycles/2027", BODY, '"1"').status_code == 401


def test_two_cycles_cannot_have_the_same_id(service: Service) -> None:
    administrator = service.administrator()
    administrator.post("/v1/cycles", BODY)
    again = administrator.post("/v1/cycles", BODY)
    assert (again.status_code, again.json()["code"]) == (409, "cycle-id-taken")


def test_an_answer_lists_all_contradictions_of_a_body(service: Service) -> None:
    wrong = {
        **BODY,
        "grades": ["KG", "01", "KG"],
        "deadline": "2190-01-11T09:00:00-05:00",
        "late_until": "2190-01-01T00:00:00Z",
        "results_at": "2190-01-01T00:00:00Z",
        "answer_by": "2189-12-01T00:00:00Z",
        "backfill_until": "2190-08-01T00:00:00Z",
        "sibling_order": ["01"],
        "child_facts": ["ell", "sibling"],
    }
    answer = service.administrator().post("/v1/cycles", wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "cycle-contradicts-itself")
    assert faults(answer) == {
        ("/deadline", "deadline-before-opening"),
        ("/late_until", "late-before-deadline"),
        ("/results_at", "results-before-deadline"),
        ("/answer_by", "answer-before-results"),
        ("/backfill_opens", "half-a-window"),
        ("/grades/2", "repeated"),
        ("/sibling_order", "not-every-grade"),
        ("/child_facts/1", "fact-of-two-kinds"),
    }


def test_a_cycle_needs_the_name_of_a_place_in_the_zone_database(service: Service) -> None:
    administrator = service.administrator()
    for zone in ("EST", "localtime", "posixrules", "Etc/GMT+5", "america/new_york", "New York", "", "\0"):
        refused = administrator.post("/v1/cycles", {**BODY, "time_zone": zone})
        assert (refused.status_code, faults(refused)) == (422, {("/time_zone", "time-zone")})
        assert "such as America/New_York" in refused.json()["errors"][0]["detail"]


def test_a_cycle_without_a_time_zone_is_refused(service: Service) -> None:
    body = {name: value for name, value in BODY.items() if name != "time_zone"}
    refused = service.administrator().post("/v1/cycles", body)
    assert (refused.status_code, faults(refused)) == (422, {("/time_zone", "missing")})


def test_the_time_zone_can_change_and_the_log_has_it(service: Service) -> None:
    administrator = service.administrator()
    made = administrator.post("/v1/cycles", dict(BODY))
    assert made.json()["time_zone"] == "America/New_York"
    moved = administrator.change("/v1/cycles/2027", changed(made, time_zone="America/Chicago"))
    assert (moved.status_code, moved.json()["deadline"]) == (200, made.json()["deadline"])
    assert service.stranger().get("/v1/cycles").json()["data"][0]["time_zone"] == "America/Chicago"
    service.sequence()
    assert [entry["time_zone"] for entry in entries(service, "cycle.put")] == ["America/New_York", "America/Chicago"]


def test_once_the_cycle_has_opened_a_new_time_zone_needs_a_reason(service: Service) -> None:
    administrator = service.administrator()
    add_open_cycle(service)
    shown = service.stranger().get("/v1/cycles/2027")
    body = changed(shown, time_zone="America/Chicago")
    assert faults(administrator.change("/v1/cycles/2027", body)) == {("/reason", "reason-missing")}
    assert administrator.change("/v1/cycles/2027", {**body, "reason": "The schools are there"}).status_code == 200


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("opens_at", "2190-01-11T09:00:00"),
        ("opens_at", "0001-01-01T00:00:00+14:00"),
        ("deadline", "9999-12-31T23:59:59-12:00"),
        ("deadline", 7),
        ("grades", []),
        ("grades", ["KG\0"]),
        ("agreement", "a\0b"),
        ("agreement", ""),
        ("name", "two\nlines"),
        ("tie_break", "neither"),
        ("most_ranks", 0),
        ("most_ranks", 2**31),
        ("most_ranks", "3"),
        ("nickname", "x"),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused_at_its_place(service: Service, place: str, value: Json) -> None:
    answer = service.administrator().post("/v1/cycles", {**BODY, place: value})
    assert answer.status_code == 422
    assert {fault["pointer"].split("/")[1] for fault in answer.json()["errors"]} == {place}


def test_all_settings_can_change_without_a_reason_until_the_cycle_opens(service: Service) -> None:
    administrator = service.administrator()
    made = administrator.post("/v1/cycles", BODY)
    body = changed(made, grades=["KG"], tie_break="multiple", opens_at="2190-02-01T00:00:00Z", most_ranks=12)
    answer = administrator.put("/v1/cycles/2027", body, '"1"')
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == '"2"'
    assert answer.json()["grades"] == ["KG"]
    assert len(entries(service, "cycle.put")) == 2


def test_a_new_text_of_the_agreement_needs_a_new_version(service: Service) -> None:
    administrator = service.administrator()
    made = administrator.post("/v1/cycles", BODY)
    answer = administrator.put("/v1/cycles/2027", changed(made, agreement="Another text"), '"1"')
    assert (answer.status_code, faults(answer)) == (409, {("/agreement_version", "same-version")})
    body = changed(made, agreement="Another text", agreement_version="2027-2")
    assert administrator.put("/v1/cycles/2027", body, '"1"').status_code == 200


def test_a_change_of_a_cycle_names_its_version(service: Service) -> None:
    administrator = service.administrator()
    body = changed(administrator.post("/v1/cycles", BODY), name="Another name")
    assert administrator.put("/v1/cycles/2027", body).status_code == 428
    assert administrator.put("/v1/cycles/2027", body, '"7"').status_code == 412
    assert administrator.put("/v1/cycles/nowhere", body, '"1"').json()["code"] == "cycle-not-found"


def test_an_open_cycle_has_a_fixed_policy_and_needs_a_reason_for_changes(service: Service) -> None:
    add_open_cycle(service)
    administrator = service.administrator()
    body = changed(
        administrator.get("/v1/cycles/2027"),
        tie_break="multiple",
        late="equal",
        twins="share",
        most_ranks=3,
        opens_at="2020-01-01T00:00:00Z",
        child_facts=["frl"],
    )
    answer = administrator.change("/v1/cycles/2027", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "cycle-fixed")
    assert faults(answer) == {
        ("/reason", "reason-missing"),
        ("/tie_break", "opened"),
        ("/late", "opened"),
        ("/twins", "opened"),
        ("/most_ranks", "opened"),
        ("/opens_at", "opened"),
        ("/child_facts", "opened"),
    }


def test_grades_and_facts_can_be_added_to_an_open_cycle_with_a_reason(service: Service) -> None:
    add_open_cycle(service)
    administrator = service.administrator()
    body = changed(
        administrator.get("/v1/cycles/2027"), grades=["PK3", "PK4", "KG", "01", "02"], reason="A new grade is offered"
    )
    answer = administrator.change("/v1/cycles/2027", body)
    assert answer.status_code == 200, answer.text
    assert entries(service, "cycle.put")[-1]["reason"] == "A new grade is offered"
    assert entries(service, "deadline.move") == []


def test_a_grade_with_offered_programs_cannot_be_removed(service: Service) -> None:
    with transaction(service.sessions) as session:
        now = clock(session)
        add_cycle(session, opens_at=now + DAY, deadline=now + 2 * DAY)
        add_school(session, "lincoln", grades=["KG"])
        offer(session, "lincoln")
    administrator = service.administrator()
    body = changed(administrator.get("/v1/cycles/2027"), grades=["PK4"])
    answer = administrator.change("/v1/cycles/2027", body)
    assert (answer.status_code, faults(answer)) == (409, {("/grades", "grade-offered")})


def test_a_moved_deadline_has_a_separate_log_entry(service: Service) -> None:
    add_open_cycle(service, deadline=datetime(2190, 3, 1, tzinfo=UTC))
    administrator = service.administrator()
    body = changed(
        administrator.get("/v1/cycles/2027"), deadline="2190-03-08T00:00:00Z", reason="Snow closed the schools"
    )
    assert administrator.change("/v1/cycles/2027", body).status_code == 200
    (entry,) = entries(service, "deadline.move")
    assert (entry["from"], entry["to"]) == ("2190-03-01T00:00:00Z", "2190-03-08T00:00:00Z")
    assert entry["reason"] == "Snow closed the schools"


def test_a_deadline_cannot_move_into_the_past(service: Service) -> None:
    add_open_cycle(service)
    administrator = service.administrator()
    with transaction(service.sessions) as session:
        passed = rfc3339(clock(session) - timedelta(hours=1))
    body = changed(administrator.get("/v1/cycles/2027"), deadline=passed, reason="To be done with it")
    assert faults(administrator.change("/v1/cycles/2027", body)) == {("/deadline", "deadline-passed")}


def test_a_deadline_cannot_move_once_the_main_round_is_frozen(service: Service) -> None:
    add_open_cycle(service, main_round="2027-main")
    administrator = service.administrator()
    body = changed(administrator.get("/v1/cycles/2027"), deadline="2190-01-01T00:00:00Z", reason="To be kind")
    assert faults(administrator.change("/v1/cycles/2027", body)) == {("/deadline", "main-round-frozen")}


def test_each_phase_includes_its_first_moment_and_excludes_its_last(service: Service) -> None:
    with transaction(service.sessions) as session:
        cycle = add_cycle(
            session,
            opens_at=NOON - DAY,
            deadline=NOON,
            late_until=NOON + DAY,
            backfill_opens=NOON + 3 * DAY,
            backfill_until=NOON + 5 * DAY,
        )
        moment = timedelta(microseconds=1)
        assert phase_at(cycle, NOON - DAY - moment) is Phase.PLANNED
        assert phase_at(cycle, NOON - DAY) is Phase.OPEN
        assert phase_at(cycle, NOON - moment) is Phase.OPEN
        assert phase_at(cycle, NOON) is Phase.LATE
        assert phase_at(cycle, NOON + DAY) is Phase.CLOSED
        assert phase_at(cycle, NOON + 3 * DAY) is Phase.BACKFILL
        assert phase_at(cycle, NOON + 5 * DAY) is Phase.CLOSED
        cycle.running_round = "2027-main"
        assert phase_at(cycle, NOON) is Phase.RUNNING


def test_only_a_cycle_that_accepts_applications_can_be_locked_as_open(service: Service) -> None:
    with transaction(service.sessions) as session:
        now = clock(session)
        add_cycle(session, "now")
        add_cycle(session, "late", opens_at=now - 2 * DAY, deadline=now - DAY, late_until=now + DAY)
        add_cycle(session, "soon", opens_at=now + DAY, deadline=now + 2 * DAY)
        add_cycle(session, "over", opens_at=now - 3 * DAY, deadline=now - 2 * DAY, late_until=now - DAY)
        add_cycle(session, "run", running_round="run-main", main_round="run-main")
    with transaction(service.sessions) as session:
        assert [lock_open_cycle(session, name).cycle.id for name in ("now", "late")] == ["now", "late"]
        with pytest.raises(CycleNotOpenYet):
            lock_open_cycle(session, "soon")
        with pytest.raises(CycleClosed) as refused:
            lock_open_cycle(session, "over")
        assert refused.value.values["until"] == ZonedTime(now - DAY, "America/New_York")
        with pytest.raises(RoundRunning):
            lock_open_cycle(session, "run")
        with pytest.raises(CycleNotFound):
            lock_open_cycle(session, "nowhere")


def test_participation_is_fixed_by_the_freeze_and_other_data_between_rounds(service: Service) -> None:
    with transaction(service.sessions) as session:
        add_cycle(session, "before")
        add_cycle(session, "run", running_round="run-main", main_round="run-main")
        add_cycle(session, "after", main_round="after-main")
    with transaction(service.sessions) as session:
        assert lock_cycle_before_freeze(session, "before").has_opened
        assert lock_cycle_between_rounds(session, "after").phase is Phase.OPEN
        with pytest.raises(RoundRunning):
            lock_cycle_before_freeze(session, "run")
        with pytest.raises(RoundRunning):
            lock_cycle_between_rounds(session, "run")
        with pytest.raises(MainRoundFrozen):
            lock_cycle_before_freeze(session, "after")


def test_a_lock_reads_a_cycle_again_that_was_read_before(service: Service) -> None:
    add_open_cycle(service)
    with transaction(service.sessions) as session:
        before = session.get(Cycle, "2027")
        assert before is not None
        with transaction(service.sessions) as other:
            frozen = other.get(Cycle, "2027")
            assert frozen is not None
            frozen.running_round = "2027-main"
        with pytest.raises(RoundRunning):
            lock_open_cycle(session, "2027")


def test_cycles_are_listed_page_by_page(service: Service) -> None:
    with transaction(service.sessions) as session:
        for cycle in ("2025", "2026", "2027"):
            add_cycle(session, cycle)
    stranger = service.stranger()
    first = stranger.get("/v1/cycles?limit=2")
    assert [cycle["id"] for cycle in first.json()["data"]] == ["2025", "2026"]
    second = stranger.get(f"/v1/cycles?limit=2&cursor={first.json()['next_cursor']}")
    assert [cycle["id"] for cycle in second.json()["data"]] == ["2027"]
    assert second.json()["next_cursor"] is None
