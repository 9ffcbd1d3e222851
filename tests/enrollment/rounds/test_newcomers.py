"""Whoever is drawn after the main round stays behind everybody who was drawn before, in every later round."""

from collections.abc import Mapping
from datetime import timedelta
from typing import cast

import pytest

from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, MAIN, City, a_day_later, apply, make_city

LINCOLN = f"{CYCLE}/programs/lincoln-kg"
NEWCOMERS = {"new-1", "new-2", "new-3"}


@pytest.fixture
def city(service: Service) -> City:
    """One seat, two children on time, and one late, after the main round; then three newcomers apply."""
    city = make_city(service, children=0, lincoln=1, adams=1)
    for child in ("on-time-1", "on-time-2"):
        apply(city.portal, child, ["lincoln-kg"])
    city.close()
    with transaction(service.sessions) as session:
        cycle = lock_cycle(session, "2027").cycle
        cycle.late_until = clock(session) + timedelta(days=1)
    apply(city.portal, "late", ["lincoln-kg"])
    assert city.ann.post(f"{CYCLE}/rounds", {"kind": "main"}).status_code == 201
    assert city.freeze().status_code == 200
    city.match()
    assert city.bea.post(f"{MAIN}/publish").status_code == 200
    a_day_later(service)
    for child in sorted(NEWCOMERS):
        apply(city.portal, child, ["lincoln-kg"])
    return city


def waiting(city: City, round_: str | None = None) -> list[str]:
    city.service.sequence()
    names = {ticket: reference for reference, ticket in city.tickets().items()}
    listed = city.lincoln.get(f"{LINCOLN}/waitlist" + (f"?round={round_}" if round_ else "")).json()["waiting"]
    return [names[one["ticket"]] for one in listed]


def draws(city: City, round_: str | None = None) -> list[tuple[Json, Json]]:
    listed = city.lincoln.get(f"{LINCOLN}/waitlist" + (f"?round={round_}" if round_ else "")).json()["waiting"]
    return [(one["drawn_in"], one["late"]) for one in listed]


def the_seat_is_given_up_and_filled_again(city: City) -> str:
    """Have the child with the seat decline it and leave, and run a backfill round. Return who has the seat then."""
    ((child, _),) = city.seats().items()
    assert city.answer(child, "decline").status_code == 200
    path = f"{CYCLE}/applicants/{child}"
    assert city.portal.delete(path, city.portal.get(path).headers["ETag"]).status_code == 204
    city.run_backfill()
    ((placed, _),) = city.seats().items()
    return placed


def test_newcomers_stay_behind_a_late_child_in_every_round_and_on_every_live_waitlist(city: City) -> None:
    ((first, _),) = city.seats().items()
    (second,) = {"on-time-1", "on-time-2"} - {first}
    assert waiting(city)[:2] == [second, "late"]
    assert the_seat_is_given_up_and_filled_again(city) == second
    drawn = waiting(city, "2027-backfill-1")
    assert (drawn[0], set(drawn[1:])) == ("late", NEWCOMERS)
    assert waiting(city) == drawn
    apply(city.portal, "newest", ["lincoln-kg"])
    assert waiting(city) == [*drawn, "newest"]
    assert draws(city) == [("2027-main", True), *[("2027-backfill-1", True)] * 3, (None, True)]
    assert draws(city, "2027-main") == [("2027-main", False), ("2027-main", True)]
    assert the_seat_is_given_up_and_filled_again(city) == "late"
    assert waiting(city) == waiting(city, "2027-backfill-2") == [*drawn[1:], "newest"]
    assert the_seat_is_given_up_and_filled_again(city) == drawn[1]
    (row,) = city.lincoln.get(f"{LINCOLN}/applicants").json()["applicants"]
    assert (row["late"], row["drawn_in"]) == (True, "2027-backfill-1")
    for child, drawn_in in {drawn[2]: "2027-backfill-1", "newest": "2027-backfill-2"}.items():
        group = explained(city, child)
        mine = cast("Mapping[str, Json]", group["mine"])
        assert (mine["late"], mine["drawn_in"], group["last"]) == (True, drawn_in, None)
        assert group["decided"] == "others ahead"  # one seat: its child is described to no other family
        assert "Your child applied after the main round, so the application counts as late here." in lines(city, child)
        assert "The last child" not in lines(city, child)


def explained(city: City, reference: str) -> dict[str, Json]:
    facts = city.portal.get(f"{CYCLE}/applicants/{reference}/explanation").json()["facts"]
    group: dict[str, Json] = facts["programs"][0]["groups"][0]
    return group


def lines(city: City, reference: str) -> str:
    return "\n".join(city.portal.get(f"{CYCLE}/applicants/{reference}/explanation").json()["lines"])
