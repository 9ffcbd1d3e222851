"""Targets: separate match and enrollment targets, chosen over-offers, and reported overflow."""

from fractions import Fraction
from math import comb

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backfill_by_hand import first_at, say
from enrollment.seats.acceptance import chance_of_more
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, City, a_day_later, make_city

RULES = f"{CYCLE}/programs/lincoln-kg/rules"
TARGETS = f"{CYCLE}/programs/lincoln-kg/targets"


@pytest.fixture
def city(service: Service) -> City:
    return make_city(service, children=24, lincoln=12, adams=12)


@settings(max_examples=1_000)
@example(0, Fraction(0), -1)
@given(st.integers(0, 40), st.fractions(0, 1), st.integers(-1, 41))
def test_the_chance_of_more_is_binomial(offers: int, rate: Fraction, than: int) -> None:
    exact = sum(comb(offers, k) * rate**k * (1 - rate) ** (offers - k) for k in range(max(than + 1, 0), offers + 1))
    assert chance_of_more(offers, float(rate), than=than) == pytest.approx(float(exact), abs=1e-9)


def test_a_school_must_choose_to_over_offer(city: City) -> None:
    seats: Json = {"match": 12, "enrollment": 10}
    refused = city.lincoln.change(RULES, {"rules": {"seats": seats}, "reason": "More than we mean to have"})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "over-target")
    say(city, "lincoln", seats={"match": 12, "enrollment": 10, "over_offer": 2})
    sentences = city.lincoln.get(RULES).json()["sentences"]
    assert "The school plans to enroll 10 children." in sentences


@pytest.mark.parametrize(
    ("seats", "pointer", "code"),
    [
        ({"match": 3, "over_offer": 4}, "/rules/seats/over_offer", "over-offer-too-large"),
        (
            {"match": 3, "later": [{"name": "x", "begins": "2027-05-01", "seats": 4}] * 2},
            "/rules/seats/later/1/name",
            "named-twice",
        ),
    ],
)
def test_contradictory_targets_are_refused(city: City, seats: Json, pointer: str, code: str) -> None:
    refused = city.lincoln.change(RULES, {"rules": {"seats": seats}, "reason": "As our board decided"})
    assert refused.status_code == 409
    assert (pointer, code) in {(fault["pointer"], fault["code"]) for fault in refused.json()["errors"]}


def test_the_chance_of_overflow_comes_from_past_acceptance(city: City) -> None:
    say(city, "lincoln", seats={"match": 12, "enrollment": 10, "over_offer": 2})
    city.run_main()
    a_day_later(city.service)
    asked = city.lincoln.get(TARGETS).json()
    assert (asked["offered"], asked["acceptance"], asked["chance_of_overflow"]) == (12, None, None)
    for _ in range(3):
        city.answer(first_at(city, "lincoln-kg"), "decline")
    for child in [child for child, program in city.seats().items() if program == "lincoln-kg"]:
        city.answer(child, "accept")
    told = city.lincoln.get(TARGETS).json()
    assert told["acceptance"] == {"offered": 12, "accepted": 9, "of": "program", "cycle": "2027"}
    assert (told["accepted"], told["free"], told["overflow"], told["expected"]) == (9, 3, 0, 9.0)
    assert told["chance_of_overflow"] == round(chance_of_more(12, 9 / 12, than=10), 4)
    more = city.lincoln.get(f"{TARGETS}?match=20").json()
    assert more["over_offer"] == 10
    assert more["chance_of_overflow"] > told["chance_of_overflow"]


def test_overflow_is_reported_and_no_child_loses_a_seat(city: City) -> None:
    say(city, "lincoln", seats={"match": 12, "enrollment": 10, "over_offer": 2})
    city.run_main()
    a_day_later(city.service)
    children = [child for child, program in city.seats().items() if program == "lincoln-kg"]
    for child in children:
        city.answer(child, "accept")
    (overflow,) = city.otto.get(f"{CYCLE}/overflow").json()["data"]
    assert (overflow["program"], overflow["accepted"], overflow["overflow"]) == ("lincoln-kg", 12, 2)
    findings = city.ann.get(f"{CYCLE}/readiness?kind=backfill").json()["findings"]
    assert {one["code"]: one["number"] for one in findings}["overflow"] == 2
    city.run_backfill()
    assert [child for child, program in city.seats().items() if program == "lincoln-kg"] == children
    assert city.lincoln.get(f"{CYCLE}/overflow").status_code == 403


def test_another_school_cannot_read_targets_or_offers(city: City) -> None:
    city.run_main()
    assert city.adams.get(TARGETS).status_code == 404
    assert city.adams.get(f"{CYCLE}/programs/lincoln-kg/offers").status_code == 404


def test_a_school_sees_the_names_of_those_it_has_and_an_auditor_does_not(city: City) -> None:
    city.run_main()
    seen = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/offers?status=open").json()["data"]
    assert len(seen) == 12
    assert {one["child"]["given_name"] for one in seen} == {"Ada"}
    audited = city.otto.get(f"{CYCLE}/programs/lincoln-kg/offers").json()["data"]
    assert {one["child"] for one in audited} == {None}
