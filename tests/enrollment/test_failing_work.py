"""Failing background work: it is noted, retried and shown, and it delays no other work."""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import InstrumentedAttribute, Session, sessionmaker

from enrollment.app import JOBS
from enrollment.cycles.models import Cycle
from enrollment.database import clock, transaction
from enrollment.failures import Breakage, WorkFailure, for_each, note
from enrollment.jobs import BrokenOff, carry_out
from enrollment.rounds.calendar import keep_calendars
from enrollment.rounds.models import Round, RoundCalendar
from enrollment.seats import offers, reminders
from enrollment.seats.models import Offer
from enrollment.waitlists.updates import update_waitlists
from enrollment.worker_status import WorkerStatus
from people import Service
from rounds_by_hand import DICE, MAIN, City, make_city
from rows import add_cycle

POISON = "words of an error that must be in no note"

pytestmark = pytest.mark.postgresql_errors(
    POISON, 'relation "claim" does not exist', 'relation "cutoff" does not exist'
)


@pytest.fixture
def city(service: Service) -> City:
    return make_city(service, children=6)


def poison(service: Service, table: str, column: str, value: str) -> None:
    """Have the database refuse every change of one row, with words that are nobody's business."""
    run(
        service,
        f"CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{POISON}'; END $$",
    )
    run(
        service,
        f"CREATE TRIGGER poison BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW "
        f"WHEN (NEW.{column} = '{value}') EXECUTE FUNCTION poison()",
    )


def run(service: Service, statement: str) -> None:
    with transaction(service.sessions) as session:
        session.execute(text(statement))


def heal(service: Service, table: str) -> None:
    """Take the poison out, and let the time to try again come."""
    run(service, f"DROP TRIGGER poison ON {table}")
    run(service, "UPDATE work_failure SET next_at = clock_timestamp()")


def notes(service: Service) -> list[tuple[str, str, int]]:
    with transaction(service.sessions) as session:
        found = session.query(WorkFailure).order_by(WorkFailure.work, WorkFailure.subject)
        return [(one.work, one.subject, one.times) for one in found]


def count(service: Service, statement: str) -> int:
    with transaction(service.sessions) as session:
        return int(session.execute(text(statement)).scalar_one())


def first_offer(service: Service, by: InstrumentedAttribute[datetime]) -> str:
    with transaction(service.sessions) as session:
        return str(session.scalars(select(Offer.id).order_by(by, Offer.id).limit(1)).one())


def test_an_offer_that_fails_to_expire_delays_no_other_offer(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    city.run_main()
    service = city.service
    run(service, "UPDATE offer SET answer_by = clock_timestamp(), remind_at = clock_timestamp()")
    bad = first_offer(service, Offer.answer_by)
    poison(service, "offer", "id", bad)
    monkeypatch.setattr(offers, "AT_ONCE", 1)
    for _ in range(6):
        offers.expire_due(service.sessions)
    assert count(service, "SELECT count(*) FROM offer WHERE status = 'open'") == 1
    assert notes(service) == [("expiries", bad, 1)]

    heal(service, "offer")
    offers.expire_due(service.sessions)
    assert count(service, "SELECT count(*) FROM offer WHERE status = 'open'") == 0
    assert notes(service) == []


def test_an_offer_whose_reminder_fails_delays_no_other_offer(city: City) -> None:
    city.run_main()
    service = city.service
    run(service, "UPDATE offer SET remind_at = clock_timestamp()")
    bad = first_offer(service, Offer.remind_at)
    poison(service, "offer", "id", bad)
    reminders.remind_due(service.sessions)
    assert count(service, "SELECT count(*) FROM offer WHERE reminded_at IS NULL") == 1
    assert notes(service) == [("reminders", bad, 1)]

    heal(service, "offer")
    reminders.remind_due(service.sessions)
    assert count(service, "SELECT count(*) FROM notice WHERE event = 'offer.expiring'") == 6
    assert notes(service) == []


def add_calendar(session: Session, cycle: str, *, minutes: int) -> uuid.UUID:
    """Add a calendar that two administrators want and that has been due for some minutes."""
    row = RoundCalendar(
        id=uuid.uuid4(),
        cycle_id=cycle,
        every="day",
        first_at=clock(session) - timedelta(minutes=minutes),
        next_at=clock(session) - timedelta(minutes=minutes),
        dice_in_minutes=1,
        asked_by="ann",
        approved_by="bea",
    )
    session.add(row)
    session.flush()
    return row.id


def test_a_calendar_that_cannot_start_delays_no_other_calendar(service: Service) -> None:
    with transaction(service.sessions) as session:
        add_cycle(session, "2027")
        add_cycle(session, "2028")
        bad = add_calendar(session, "2027", minutes=9)
        good = add_calendar(session, "2028", minutes=5)
    poison(service, "round_calendar", "id", str(bad))
    keep_calendars(service.sessions)
    with transaction(service.sessions) as session:
        assert session.get_one(RoundCalendar, good).last_told == "nothing-free"
    assert notes(service) == [("calendar", str(bad), 1)]

    heal(service, "round_calendar")
    keep_calendars(service.sessions)
    assert count(service, "SELECT count(*) FROM round_calendar WHERE last_told IS NOT NULL") == 2
    assert notes(service) == []


def add_published(session: Session, cycle: str) -> None:
    add_cycle(session, cycle)
    session.add(Round(id=f"{cycle}-main", cycle_id=cycle, kind="main", attempt=1, state="published"))
    session.flush()
    session.get_one(Cycle, cycle).main_round = f"{cycle}-main"


def test_a_cycle_whose_waitlists_fail_delays_no_other_cycle(service: Service) -> None:
    with transaction(service.sessions) as session:
        add_published(session, "2027")
        add_published(session, "2028")
    poison(service, "waitlist_look", "cycle_id", "2027")
    update_waitlists(service.sessions)
    assert count(service, "SELECT count(*) FROM waitlist_look WHERE cycle_id = '2028'") == 1
    assert notes(service) == [("waitlists", "2027", 1)]

    heal(service, "waitlist_look")
    update_waitlists(service.sessions)
    assert count(service, "SELECT count(*) FROM waitlist_look") == 2
    assert notes(service) == []


def test_repeated_failures_are_retried_with_growing_pauses(service: Service) -> None:
    waits = []
    for _ in range(15):
        note(service.sessions, "expiries", "offer", Breakage("KeyError", "offers.py:1"))
        with transaction(service.sessions) as session:
            found = session.query(WorkFailure).one()
            assert found.next_at is not None
            waits.append((found.next_at - found.last_at).total_seconds())
    assert waits[:4] == pytest.approx([1, 2, 4, 8], abs=0.01)
    assert waits[-1] == pytest.approx(3600, abs=0.01)


def test_a_note_of_work_that_is_no_longer_due_is_deleted(service: Service) -> None:
    note(service.sessions, "expiries", "gone", Breakage("KeyError", "offers.py:1"))
    run(service, "UPDATE work_failure SET next_at = clock_timestamp() - interval '2 hours'")
    offers.expire_due(service.sessions)
    assert notes(service) == []


def test_every_kind_of_error_is_noted_without_its_message(service: Service) -> None:
    def break_off(_: "sessionmaker[Session]", subject: str) -> None:
        raise {"a": ValueError(POISON), "b": RecursionError(POISON), "c": MemoryError(POISON)}[subject]

    for_each(service.sessions, "expiries", ["a", "b", "c"], break_off)
    assert [one[1] for one in notes(service)] == ["a", "b", "c"]
    found = service.administrator().get("/v1/health")
    assert POISON not in found.text
    told = {one["subject"]: one for one in found.json()["failures"]["latest"]}
    assert told["b"]["error"] == "RecursionError"
    assert str(told["b"]["place"]).startswith("test_failing_work.py:")


def open_round(city: City) -> str:
    assert city.ann.post("/v1/cycles/2027/rounds", {"kind": "main"}).status_code == 201
    asked = city.ann.post(f"{MAIN}/rehearse")
    assert asked.status_code == 202, asked.text
    return str(asked.json()["id"])


def shown(city: City, rehearsal: str, language: str = "en") -> Mapping[str, object]:
    answer = city.ann.get(f"{MAIN}/rehearsals/{rehearsal}", {"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


def test_a_rehearsal_of_a_refused_market_fails_at_once_with_the_reason(city: City) -> None:
    rehearsal = open_round(city)
    run(city.service, "UPDATE ranking_version SET programs = ARRAY['adams-kg', 'adams-kg']")
    city.service.run_job("rehearse", rehearsal)
    found = shown(city, rehearsal)
    assert found["state"] == "failed"
    assert str(found["reason"]).startswith("The lottery cannot use the market: ")
    assert "ranking" in str(found["reason"])
    assert not str(shown(city, rehearsal, "es")["reason"]).startswith("The")
    at_school = city.lincoln.get(f"{MAIN}/rehearsals/{rehearsal}").json()
    assert (at_school["state"], "adams" in at_school["reason"]) == ("failed", False)


def test_a_failing_rehearsal_is_noted_and_fails_after_its_last_try(city: City) -> None:
    rehearsal = open_round(city)
    sessions, job = city.service.sessions, JOBS["rehearse"]
    run(city.service, "ALTER TABLE claim RENAME TO claim_away")
    with pytest.raises(BrokenOff):
        carry_out(sessions, "rehearse", job, rehearsal, last=False)
    assert shown(city, rehearsal)["state"] == "waiting"
    assert notes(city.service) == [("rehearse", rehearsal, 1)]
    with pytest.raises(BrokenOff):
        carry_out(sessions, "rehearse", job, rehearsal, last=True)
    found = shown(city, rehearsal)
    assert found["state"] == "failed"
    assert "UndefinedTable at " in str(found["reason"])
    assert city.ann.get("/v1/health").json()["failures"]["latest"][0]["next_at"] is None

    run(city.service, "ALTER TABLE claim_away RENAME TO claim")
    again = str(city.ann.post(f"{MAIN}/rehearse").json()["id"])
    carry_out(sessions, "rehearse", job, again, last=False)
    assert shown(city, again)["state"] == "done"


def test_a_rehearsal_without_its_job_does_not_wait_for_ever(city: City) -> None:
    rehearsal = open_round(city)
    run(city.service, "DELETE FROM procrastinate_jobs")
    assert shown(city, rehearsal)["state"] == "failed"
    assert "was lost" in str(shown(city, rehearsal)["reason"])


def test_a_failing_match_leaves_a_complaint_after_its_last_try(city: City) -> None:
    city.close()
    city.ann.post("/v1/cycles/2027/rounds", {"kind": "main"})
    city.freeze()
    city.ann.post(f"{MAIN}/draw", {"dice": DICE})
    sessions, job = city.service.sessions, JOBS["match"]
    run(city.service, "ALTER TABLE cutoff RENAME TO cutoff_away")
    with pytest.raises(BrokenOff):
        carry_out(sessions, "match", job, "2027-main", last=True)
    assert "UndefinedTable at " in city.ann.get(f"{MAIN}/review").json()["complaint"]

    run(city.service, "ALTER TABLE cutoff_away RENAME TO cutoff")
    assert city.ann.post(f"{MAIN}/match").status_code == 202
    carry_out(sessions, "match", job, "2027-main", last=False)
    assert city.ann.get(f"{MAIN}/review").json()["round"]["state"] == "matched"
    assert notes(city.service) == []


def test_health_shows_every_worker_part_to_administrators_only(city: City) -> None:
    service = city.service
    one, other = WorkerStatus(["sequencer", "expiries"]), WorkerStatus(["sequencer", "expiries"])
    for status in (one, other):
        for part in status.parts.values():
            part.succeeded()
    other.parts["expiries"].failed(Breakage("KeyError", "offers.py:1"))
    with transaction(service.sessions) as session:
        one.write(session)
        other.write(session)
        session.execute(text("INSERT INTO procrastinate_workers DEFAULT VALUES"))
    open_round(city)
    found = city.ann.get("/v1/health").json()
    told = {part["name"]: part for part in found["parts"]}
    assert told["sequencer"]["works"] is True
    assert told["sequencer"]["processes"] == 2
    assert (told["expiries"]["works"], told["expiries"]["error"]) == (False, "KeyError")
    assert told["expiries"]["failing_since"] is not None
    assert found["works"] is False
    assert [(one["name"], one["state"], one["number"]) for one in found["jobs"]["queue"]] == [("rehearse", "todo", 1)]
    assert found["jobs"]["queue"][0]["oldest"] is not None
    assert found["jobs"]["runners"] == 1
    assert found["log"]["oldest_unsealed_seconds"] > 0
    for stranger in (city.otto, city.lincoln, city.portal):
        assert stranger.get("/v1/health").status_code == 403
    assert service.stranger().get("/v1/health").status_code == 401
