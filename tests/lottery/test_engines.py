"""On whole cities, the fast engine gives the same bytes as the reference."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

import lottery
from cities import FLAT, SMALL, document
from lottery.explain.moves import with_order
from lottery.generate.generate import MAIN_ROUND, Shape, generate, generate_summer
from lottery.market.canonical import Json
from lottery.market.model import Market
from lottery.market.rules import Order, TieBreak

CITY = replace(SMALL, applicants=80_000, schools=300)
SEED, MAIN_SEED = b"s" * 32, b"m" * 32


def same_by_both(market: Market, seeds: Mapping[str, bytes]) -> lottery.Outcome:
    fast = lottery.match_market(market, seed=SEED, seeds=seeds, engine="fast")
    assert fast.to_bytes() == lottery.match_market(market, seed=SEED, seeds=seeds, engine="reference").to_bytes()
    assert len(fast.placements) + len(fast.unplaced) == len(market.applicants)
    return fast


def test_a_city_of_80_000_and_its_summer_are_matched_to_the_same_bytes_by_both() -> None:
    main = lottery.read_market(document(generate(CITY)))
    outcome = same_by_both(main, {})

    summer = lottery.read_market(document(generate_summer(CITY, outcome.document())))
    assert any(applicant.holds for applicant in summer.applicants)
    same_by_both(summer, {MAIN_ROUND: MAIN_SEED})


@pytest.mark.parametrize("shape", [Shape.UNIFORM, Shape.SKEWED])
def test_a_flat_market_of_80_000_is_matched_to_the_same_bytes_by_both(shape: Shape) -> None:
    plan = replace(FLAT, applicants=80_000, programs=800, choices=12, shape=shape, siblings=False)
    same_by_both(lottery.read_market(document(generate(plan))), {})


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("tie_break", list(TieBreak))
def test_a_summer_is_matched_to_the_same_bytes_whatever_numbers_count(order: Order, tie_break: TieBreak) -> None:
    plan = replace(SMALL, applicants=3_000, schools=40)
    made = document(generate(plan))
    outcome = same_by_both(lottery.read_market(made), {})
    summer = with_order(lottery.read_market(document(generate_summer(plan, outcome.document()))), order)
    summer = replace(summer, policy=replace(summer.policy, tie_break=tie_break))
    same_by_both(summer, {MAIN_ROUND: MAIN_SEED})


@pytest.mark.parametrize("together", [False, True])
def test_a_market_without_programs_leaves_everybody_without_a_seat(together: bool) -> None:  # noqa: FBT001
    child: dict[str, Json] = {"id": "ada", "grade": "KG", "ranking": [], "together": together}
    policy: dict[str, Json] = {"grade_order": ["KG"]}
    round_: dict[str, Json] = {"id": "main", "kind": "main"}
    made: dict[str, Json] = {"format": "lottery-market/1", "round": round_, "policy": policy, "programs": []}
    outcome = same_by_both(lottery.read_market({**made, "applicants": [child]}), {})
    assert outcome.unplaced == ("ada",)
