"""A calendar day is the day in the cycle's zone, whatever zone the process and the database session have.

Two zones here never have the same day: it is always later in Kiritimati than in Pago Pago.
"""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from backfill_by_hand import first_at, say
from enrollment.cycles.models import Cycle
from enrollment.database import clock, transaction
from enrollment.directory.models import Program, School
from enrollment.rounds.snapshot import take_snapshot
from enrollment.rules.backfill import WhyNot
from enrollment.rules.presets import main_round_over
from enrollment.seats.acceptance import ProposedTargets, targets_of
from enrollment.time_zones import day_in
from lottery.market.canonical import Json
from lottery.market.model import Kind, Round
from people import Service
from roster_files import NCES, compared, packed, part, unpacked
from rounds_by_hand import City, a_day_later, make_city

HERE, ELSEWHERE = "Pacific/Pago_Pago", "Pacific/Kiritimati"


@pytest.fixture
def city(monkeypatch: pytest.MonkeyPatch, database: str) -> Iterator[City]:
    """Make a city while the process and its database sessions are in another zone than the cycle."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", ELSEWHERE)
        patch.setenv("PGTZ", ELSEWHERE)
        time.tzset()
        with Service(database) as service:
            made = make_city(service)
            with transaction(service.sessions) as session:
                assert session.execute(text("SHOW timezone")).scalar_one() == ELSEWHERE
                session.get_one(Cycle, "2027").time_zone = HERE
            yield made
    time.tzset()


def today(city: City) -> date:
    """Return today in the cycle's zone, which is yesterday elsewhere."""
    with transaction(city.service.sessions) as session:
        now = clock(session)
    assert now.astimezone(ZoneInfo(ELSEWHERE)).date() > now.astimezone(ZoneInfo(HERE)).date()
    return day_in(HERE, now)


def test_a_last_date_a_later_target_and_a_role_count_on_their_day_in_the_cycle_s_zone(city: City) -> None:
    day = today(city)
    say(city, "lincoln", backfill={"last_date": day.isoformat()})
    say(
        city,
        "adams",
        seats={"match": 4, "later": [{"name": "tomorrow", "begins": str(day + timedelta(1)), "seats": 9}]},
    )
    city.run_main()
    city.answer(first_at(city, "lincoln-kg"), "decline")
    a_day_later(city.service)
    with transaction(city.service.sessions) as session:
        cycle, adams = session.get_one(Cycle, "2027"), session.get_one(Program, "adams-kg")
        targets = targets_of(session, cycle, adams, ProposedTargets(), clock(session))
    assert targets is not None
    assert targets.today == 4
    city.run_backfill()
    assert [vacancy["status"] for vacancy in city.vacancies("lincoln-kg")] == ["filled"]
    assert ended_roles(city, day, day - timedelta(1)) == 1


def ended_roles(city: City, *ends: date) -> Json:
    """Return how many of a student's roles with these last days have ended."""
    with transaction(city.service.sessions) as session:
        session.get_one(School, "lincoln").nces_id = NCES
    files = unpacked("min12")
    head, student, *_ = str(files["roles.csv"]).splitlines()
    roles = [student.replace("2026-08-24,", f"2026-08-24,{end}").replace("r-1", f"r-{end}") for end in ends]
    raw = packed({**files, "roles.csv": "\n".join([head, *roles, ""])})
    told = compared(city, raw, kind="application/zip")
    assert told["rows"] == len(ends)
    return part(told, "not_compared", "ended")


def test_the_days_of_known_times_are_those_of_new_york(city: City) -> None:
    say(city, "lincoln", backfill={"last_date": "2026-11-29"})
    evening = datetime(2026, 11, 30, 1, 11, tzinfo=UTC)
    found = {}
    with transaction(city.service.sessions) as session:
        cycle = session.get_one(Cycle, "2027")
        cycle.time_zone = "America/New_York"
        for hours in (0, 3, 4):
            now = evening + timedelta(hours=hours)
            snapshot = take_snapshot(session, cycle, Round("2027-backfill-1", Kind.BACKFILL), now=now)
            found[hours] = snapshot.settled["lincoln-kg"].why_not
        cycle.deadline = datetime(2027, 2, 15, 1, tzinfo=UTC)
        assert main_round_over(cycle) == date(2027, 2, 14)
    assert found == {0: None, 3: None, 4: WhyNot.DATE}


def test_times_in_answers_and_deadlines_are_in_utc(city: City) -> None:
    with transaction(city.service.sessions) as session:
        assert clock(session).tzinfo is UTC
        assert session.get_one(Cycle, "2027").deadline.tzinfo is UTC
    assert city.service.stranger().get("/v1/cycles/2027").json()["deadline"].endswith("Z")
