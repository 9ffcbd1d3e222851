"""The summer after an invented main round: held seats, second thoughts, newcomers."""

from collections.abc import Mapping
from typing import cast

import pytest

import lottery
from cities import LARGE, SMALL, document, large, large_outcome, outcome_of, placements, sha256, summer
from lottery.generate.generate import ImpossiblePlan, generate, generate_summer
from lottery.market.canonical import Json
from oracle import Applicant, Market


def test_the_summer_is_the_same_every_time() -> None:
    assert sha256(generate_summer(LARGE, large_outcome())) == sha256(generate_summer(LARGE, large_outcome()))


def test_nobody_holds_a_seat_where_they_were_not_placed() -> None:
    for applicant in summer()["applicants"]:
        if held := applicant["holds"]:
            assert placements().get(applicant["id"]) == (held["program"], held["group"])


def test_no_seat_group_has_more_holders_than_seats() -> None:
    lottery.read_market(cast("Json", summer()))


def test_most_who_were_placed_hold_their_seat_still() -> None:
    holders = sum(applicant["holds"] is not None for applicant in summer()["applicants"])
    assert 0.89 <= holders / len(placements()) <= 0.95


def test_some_who_were_placed_stay_without_their_seat() -> None:
    assert any(each["holds"] is None for each in summer()["applicants"] if each["id"] in placements())


def test_some_who_were_not_placed_leave() -> None:
    here = {applicant["id"] for applicant in summer()["applicants"]}
    assert any(each["id"] not in here for each in large()["applicants"] if each["id"] not in placements())


def test_who_was_drawn_in_the_main_round_keeps_its_number() -> None:
    there = {applicant["id"] for applicant in large()["applicants"]}
    assert {each["drawn_in"] for each in summer()["applicants"] if each["id"] in there} == {large()["round"]["id"]}


def newcomers() -> list[Applicant]:
    there = {applicant["id"] for applicant in large()["applicants"]}
    return [applicant for applicant in summer()["applicants"] if applicant["id"] not in there]


def test_three_in_a_hundred_are_new() -> None:
    assert len(newcomers()) == 90


def test_newcomers_are_drawn_in_the_summer() -> None:
    assert {applicant["drawn_in"] for applicant in newcomers()} == {summer()["round"]["id"]}


def test_most_newcomers_are_late() -> None:
    assert 45 < sum(applicant["late"] for applicant in newcomers()) < 90


def test_newcomers_belong_to_no_household_of_the_main_round() -> None:
    known = {applicant["household"] for applicant in large()["applicants"]} - {None}
    assert known.isdisjoint(applicant["household"] for applicant in newcomers())


def test_some_families_rank_anew() -> None:
    before = {applicant["id"]: applicant["ranking"] for applicant in large()["applicants"]}
    changed = [each["ranking"] != before[each["id"]] for each in summer()["applicants"] if each["id"] in before]
    assert 0.1 < sum(changed) / len(changed) < 0.4


def test_schools_keep_their_seats_and_rules_over_the_summer() -> None:
    def lasting(made: Market) -> list[dict[str, Json]]:
        programs = cast("list[dict[str, Json]]", made["programs"])
        return [{key: value for key, value in each.items() if key != "tie_break"} for each in programs]

    assert lasting(summer()) == lasting(large())


def test_the_summer_is_a_backfill_round_of_the_name_it_is_given() -> None:
    generated = generate_summer(SMALL, outcome_of(document(generate(SMALL))), round_id="2027-08")
    assert generated.head["round"] == {"id": "2027-08", "kind": "backfill", "earlier": ["2027-main"]}


@pytest.mark.parametrize("round_id", ["2027-main", "", "the summer"])
def test_a_summer_needs_an_id_of_its_own(round_id: str) -> None:
    with pytest.raises(ImpossiblePlan, match=r"^the backfill round cannot have the id"):
        generate_summer(SMALL, {"placements": []}, round_id=round_id)


@pytest.mark.parametrize(
    "outcome", [{}, {"placements": 1}, {"placements": ["ana"]}, {"placements": [{"applicant": "a"}]}]
)
def test_a_summer_needs_the_placements_of_the_main_round(outcome: Mapping[str, Json]) -> None:
    with pytest.raises(ImpossiblePlan, match=r"^the outcome has no valid placements; give"):
        generate_summer(SMALL, outcome)
