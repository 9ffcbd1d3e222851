"""Calendars of backfill rounds: two administrators, and the steps and proofs of every round."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from backfill_by_hand import first_at
from enrollment.database import clock, transaction
from enrollment.rounds.calendar import EVERY, next_time
from enrollment.rounds.models import RoundCalendar
from log_entries import entries
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, DICE, City, a_day_later, apply, make_city

CALENDAR = f"{CYCLE}/round-calendar"
FIRST = "/v1/rounds/2027-backfill-1"
NIGHTLY: Json = {"every": "day", "first_at": "2199-01-01T02:00:00Z", "dice_in_minutes": 0}


@pytest.fixture
def city(service: Service) -> City:
    made = make_city(service)
    made.run_main()
    a_day_later(service)
    return made


def have_nightly_rounds(city: City) -> None:
    assert city.ann.post(CALENDAR, NIGHTLY).status_code == 201
    approved = city.bea.post(f"{CALENDAR}/approve")
    assert approved.status_code == 200, approved.text


def pass_a_night(city: City) -> None:
    with transaction(city.service.sessions) as session:
        session.execute(update(RoundCalendar).values(next_at=clock(session) - timedelta(seconds=1)))


def continue_rounds(city: City) -> None:
    """Let the worker continue a few times, and run the match if it is asked for."""
    for _ in range(6):
        city.service.sequence()
        review = city.ann.get(f"{FIRST}/review")
        if review.status_code == 200 and review.json()["waiting"]:
            city.service.run_job("match", "2027-backfill-1")


def test_a_nightly_round_fills_free_seats_and_is_published_in_two_names(city: City) -> None:
    have_nightly_rounds(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    pass_a_night(city)
    continue_rounds(city)
    shown = city.service.stranger().get(FIRST).json()
    assert (shown["state"], shown["by_calendar"], shown["draws"]) == ("published", True, False)
    assert [one["status"] for one in city.vacancies("lincoln-kg")] == ["filled"]
    publish = entries(city.service, "round.publish")[-1]
    assert (publish["asked"], publish["approved"], publish["actor"]) == ("ann", "bea", "service:calendar")
    calendar = city.ann.get(CALENDAR).json()
    assert calendar["last_told"] == "2027-backfill-1"
    assert calendar["next_at"] > shown["made_at"]


def test_a_night_has_one_round_even_if_the_worker_looks_often(city: City) -> None:
    have_nightly_rounds(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    pass_a_night(city)
    continue_rounds(city)
    continue_rounds(city)
    rounds = city.ann.get(f"{CYCLE}/rounds").json()["data"]
    assert [one["id"] for one in rounds] == ["2027-backfill-1", "2027-main"]


def test_a_calendar_waits_for_a_second_administrator(city: City) -> None:
    city.ann.post(CALENDAR, NIGHTLY)
    assert city.ann.post(f"{CALENDAR}/approve").json()["code"] == "own-calendar"
    city.answer(first_at(city, "lincoln-kg"), "decline")
    pass_a_night(city)
    continue_rounds(city)
    assert city.ann.get(FIRST).status_code == 404
    assert city.bea.post(f"{CALENDAR}/approve").status_code == 200
    assert city.bea.post(f"{CALENDAR}/approve").json()["code"] == "calendar-approved"


def test_a_night_without_free_seats_has_no_round(city: City) -> None:
    have_nightly_rounds(city)
    pass_a_night(city)
    continue_rounds(city)
    assert city.ann.get(FIRST).status_code == 404
    assert city.ann.get(CALENDAR).json()["last_told"] == "nothing-free"


def test_a_nightly_round_with_a_new_child_waits_for_dice_and_then_continues(city: City) -> None:
    have_nightly_rounds(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    apply(city.portal, "newcomer", ["lincoln-kg"])
    pass_a_night(city)
    continue_rounds(city)
    assert city.ann.get(FIRST).json()["state"] == "frozen"
    assert city.ann.post(f"{FIRST}/draw", {"dice": DICE}).status_code == 200
    continue_rounds(city)
    assert city.ann.get(FIRST).json()["state"] == "published"


def test_a_round_that_an_administrator_asks_to_void_does_not_continue(city: City) -> None:
    have_nightly_rounds(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    apply(city.portal, "newcomer", ["lincoln-kg"])
    pass_a_night(city)
    continue_rounds(city)
    city.bea.post(f"{FIRST}/void", {"reason": "The wrong rules were put"})
    city.ann.post(f"{FIRST}/draw", {"dice": DICE})
    continue_rounds(city)
    assert city.ann.get(FIRST).json()["state"] == "drawn"


def test_a_calendar_can_be_stopped_and_replaced(city: City) -> None:
    have_nightly_rounds(city)
    assert city.ann.post(CALENDAR, NIGHTLY).json()["code"] == "calendar-there"
    assert city.bea.delete(CALENDAR).status_code == 204
    assert city.ann.get(CALENDAR).status_code == 404
    assert city.ann.post(CALENDAR, NIGHTLY).status_code == 201
    assert [entry["what"] for entry in entries(city.service, "round.calendar")] == [
        "asked",
        "approved",
        "stopped",
        "asked",
    ]


@pytest.mark.parametrize(
    ("first", "after", "following"),
    [
        ("2027-03-13T02:30-05:00", "2027-03-13T03:00-05:00", "2027-03-14T03:30-04:00"),
        ("2027-03-13T02:30-05:00", "2027-03-14T04:00-04:00", "2027-03-15T02:30-04:00"),
        ("2027-11-06T01:30-04:00", "2027-11-06T02:00-04:00", "2027-11-07T01:30-04:00"),
        ("2027-11-06T01:30-04:00", "2027-11-07T01:30-04:00", "2027-11-08T01:30-05:00"),
        ("2027-11-07T01:30-05:00", "2027-11-07T02:00-05:00", "2027-11-08T01:30-05:00"),
        ("2027-01-01T20:00-05:00", "2027-07-01T12:00-04:00", "2027-07-01T20:00-04:00"),
    ],
)
def test_a_round_keeps_its_time_of_day_when_the_clocks_change(first: str, after: str, following: str) -> None:
    first_at, now, wanted = (datetime.fromisoformat(time).astimezone(UTC) for time in (first, after, following))
    assert next_time(first_at, EVERY["day"], after=now, zone="America/New_York") == wanted


def test_a_weekly_round_stays_on_its_weekday_in_the_zone() -> None:
    sunday = datetime(2027, 3, 1, 3, tzinfo=UTC)  # Sunday evening in New York
    found = next_time(sunday, EVERY["week"], after=datetime(2027, 3, 20, tzinfo=UTC), zone="America/New_York")
    assert found == datetime(2027, 3, 22, 2, tzinfo=UTC)


def test_a_first_round_in_the_past_is_refused(city: City) -> None:
    refused = city.ann.post(CALENDAR, {"every": "week", "first_at": "2020-01-01T02:00:00Z", "dice_in_minutes": 0})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/first_at")
