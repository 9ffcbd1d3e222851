"""How many children move in a backfill round: counted right, and as docs/explanation/fairness.md shows.

Feigenbaum, Kanoria, Lo & Sethuraman 2020, "Dynamic Matching in School Choice": with one lottery for all, in large
markets, the reversed order moves the fewest. Nothing here asserts it; the counts are pinned, whatever they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lottery
from cities import FLAT, LARGE, document, large
from lottery.explain.moves import Moves, count_moves, with_order
from lottery.generate.dice import Dice, key_of
from lottery.generate.generate import MAIN_ROUND, SUMMER_ROUND, generate, generate_summer
from lottery.market.canonical import Json
from lottery.market.model import Applicant, HeldSeat, Kind, Market, Round
from lottery.market.outcome import Outcome
from lottery.market.rules import Order
from markets import EARLIER_SEEDS, backfill_markets, seeds
from worked_examples import Document

PAGE = (Path(__file__).parents[3] / "docs" / "explanation" / "fairness.md").read_text(encoding="utf-8")
ORDERS = tuple(Order)
FIRST_SEED = bytes([9]) * 32  # draws Ida before Jon
ANY_SEED = bytes(32)

Record = Callable[[str, object], None]


# ---- small markets: Oak, Elm and Fir have one seat each


def child(ticket: str, ranking: list[str], *, holds: str | None) -> Document:
    return {
        "id": ticket,
        "grade": "KG",
        "ranking": ranking,
        "holds": None if holds is None else {"program": holds},
        "drawn_in": "first",
    }


def small(*applicants: Document, fir: Mapping[str, Json]) -> Market:
    made: Document = {
        "format": "lottery-market/1",
        "round": {"id": "second", "kind": "backfill"},
        "programs": [
            {"id": school, "school": school, "grade": "KG", "seats": 1, "backfill": backfill}
            for school, backfill in {"oak": {}, "elm": {}, "fir": fir}.items()
        ],
        "applicants": list(applicants),
    }
    return lottery.read_market(made)


def moves_of(market: Market) -> Moves:
    return count_moves(market, lottery.match_market(market, seed=ANY_SEED, seeds={"first": FIRST_SEED}))


ADA = child("ada", ["oak", "elm"], holds="elm")
BEN = child("ben", ["elm", "fir"], holds="fir")
CEM = child("cem", ["fir"], holds=None)


@pytest.mark.parametrize("order", ORDERS)
def test_a_chain_moves_everybody_one_seat_up_and_places_the_one_behind_it(order: Order) -> None:
    chain = small(ADA, BEN, CEM, fir={})
    assert moves_of(with_order(chain, order)) == Moves(stayed=0, moved=2, newly_placed=1, unplaced=0, left_empty=0)


def test_a_chain_with_nobody_behind_it_leaves_its_last_seat_empty() -> None:
    chain = small(ADA, BEN, fir={})
    assert moves_of(chain) == Moves(stayed=0, moved=2, newly_placed=0, unplaced=0, left_empty=1)


def test_a_seat_that_is_left_at_a_program_that_does_not_fill_stays_empty() -> None:
    chain = small(ADA, BEN, CEM, fir={"fills": False})
    assert moves_of(chain) == Moves(stayed=0, moved=2, newly_placed=0, unplaced=1, left_empty=1)


def test_two_who_each_hold_what_the_other_wants_have_both_moved() -> None:
    swap = small(child("ada", ["elm"], holds="oak"), child("ben", ["oak"], holds="elm"), fir={})
    assert moves_of(swap) == Moves(stayed=0, moved=2, newly_placed=0, unplaced=0, left_empty=0)


def test_who_keeps_a_seat_that_is_not_ranked_has_stayed() -> None:
    alone = small(child("ada", [], holds="elm"), fir={})
    assert moves_of(alone) == Moves(stayed=1, moved=0, newly_placed=0, unplaced=0, left_empty=0)


def two_want_oak(order: Order, *, ida: str | None, jon: str | None) -> Moves:
    wanting = child("ida", ["oak", "elm"], holds=ida), child("jon", ["oak", "elm"], holds=jon)
    return moves_of(with_order(small(*wanting, fir={}), order))


ONE_MOVES = Moves(stayed=0, moved=1, newly_placed=1, unplaced=0, left_empty=0)
NOBODY_MOVES = Moves(stayed=1, moved=0, newly_placed=1, unplaced=0, left_empty=0)


def test_the_reversed_order_gives_a_free_seat_to_who_has_none_where_the_better_number_has_one() -> None:
    assert two_want_oak(Order.WAITLIST, ida="elm", jon=None) == ONE_MOVES
    assert two_want_oak(Order.REVERSE, ida="elm", jon=None) == NOBODY_MOVES


def test_the_reversed_order_moves_more_where_a_class_gave_the_worse_number_a_seat() -> None:
    assert two_want_oak(Order.WAITLIST, ida=None, jon="elm") == NOBODY_MOVES
    assert two_want_oak(Order.REVERSE, ida=None, jon="elm") == ONE_MOVES


# ---- any market


def not_lower(applicant: Applicant, outcome: Outcome) -> bool:
    """Say whether a holder is where the held seat is, or at a program ranked above it."""
    (now,) = [(each.program, each.group) for each in outcome.placements if each.applicant == applicant.id]
    assert applicant.holds
    held, ranking = applicant.holds, applicant.ranking
    above = ranking[: ranking.index(held.program)] if held.program in ranking else ranking
    return now == (held.program, held.group) or now[0] in above


def check_what_holds_whatever_the_order(market: Market, outcome: Outcome) -> None:
    moves = count_moves(market, outcome)
    holders = [applicant for applicant in market.applicants if applicant.holds]
    assert [holder.id for holder in holders if not not_lower(holder, outcome)] == []
    assert moves.stayed + moves.moved == len(holders)
    assert moves.placed == moves.newly_placed + moves.stayed + moves.moved == len(outcome.placements)
    assert moves.placed + moves.unplaced == len(market.applicants)
    assert 0 <= moves.left_empty <= moves.moved


@settings(max_examples=60, deadline=None, suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large))
@given(made=backfill_markets(), order=st.sampled_from(ORDERS), seed=seeds())
def test_everybody_is_counted_once_and_no_holder_ends_lower(made: Json, order: Order, seed: bytes) -> None:
    market = with_order(lottery.read_market(made), order)
    check_what_holds_whatever_the_order(market, lottery.match_market(market, seed=seed, seeds=EARLIER_SEEDS))


@given(made=backfill_markets(), order=st.sampled_from(ORDERS))
def test_another_order_changes_no_other_rule(made: Json, order: Order) -> None:
    market = lottery.read_market(made)
    changed = with_order(market, order)
    back = tuple(
        replace(after, backfill=replace(after.backfill, order=before.backfill.order))
        for before, after in zip(market.programs, changed.programs, strict=True)
    )
    assert {program.backfill.order for program in changed.programs} <= {order}
    assert replace(changed, programs=back) == market


# ---- three invented summers


DRAWS = 10
GONE = 5  # of a hundred who were placed; twice as many have no seat, so that seats stay scarce


def first_seed(turn: int) -> bytes:
    return bytes([ord("s") + turn]) * 32


def summer_of_a_city(turn: int) -> Market:
    main = lottery.match_market(lottery.read_market(cast("Json", large())), seed=first_seed(turn))
    return lottery.read_market(document(generate_summer(LARGE, main.document())))


def flat_main_round() -> Market:
    return lottery.read_market(document(generate(replace(FLAT, reserves=False, siblings=False))))


def summer_of_four_classes(turn: int) -> Market:
    return after_some_left(flat_main_round(), turn)


def summer_of_one_lottery(turn: int) -> Market:
    main = flat_main_round()
    no_classes = tuple(replace(program, priorities=()) for program in main.programs)
    return after_some_left(replace(main, programs=no_classes), turn)


def after_some_left(main: Market, turn: int) -> Market:
    """Return the summer in which some of the placed are gone, nobody has come and nobody ranks anew."""
    outcome = lottery.match_market(main, seed=first_seed(turn))
    placed = {each.applicant: HeldSeat(each.program, each.group) for each in outcome.placements}
    gone = {ticket for ticket in placed if Dice(key_of(FLAT.seed, "gone", ticket), turn).percent(GONE)}
    applicants = tuple(
        replace(applicant, holds=placed.get(applicant.id)) for applicant in main.applicants if applicant.id not in gone
    )
    return replace(main, round=Round(SUMMER_ROUND, Kind.BACKFILL), applicants=applicants)


SUMMERS = {"one lottery": summer_of_one_lottery, "four classes": summer_of_four_classes, "a city": summer_of_a_city}


@cache
def summer(name: str, turn: int) -> Market:
    return SUMMERS[name](turn)


def matched(name: str, turn: int, order: Order) -> tuple[Market, Outcome]:
    market = with_order(summer(name, turn), order)
    return market, lottery.match_market(market, seed=bytes([turn]) * 32, seeds={MAIN_ROUND: first_seed(turn)})


@pytest.mark.parametrize("name", SUMMERS)
@pytest.mark.parametrize("order", ORDERS)
def test_in_an_invented_summer_everybody_is_counted_once_and_no_holder_ends_lower(name: str, order: Order) -> None:
    check_what_holds_whatever_the_order(*matched(name, 0, order))


def rows(name: str) -> list[str]:
    """Return the page's rows: the first draw's counts, how many moved in ten draws, in how many draws fewer moved."""
    moves = {order: [count_moves(*matched(name, turn, order)) for turn in range(DRAWS)] for order in ORDERS}
    written = []
    for order, draws in moves.items():
        moved = sorted(each.moved for each in draws)
        pairs = zip(draws, moves[Order.WAITLIST], strict=True)
        fewer = sum(each.moved < by_waitlist.moved for each, by_waitlist in pairs)
        first = draws[0]
        counts = (first.stayed, first.moved, first.newly_placed, first.unplaced, first.left_empty)
        compared = "" if order is Order.WAITLIST else f"{fewer} of {DRAWS}"
        cells = (name, f"`{order}`", *counts, f"{moved[0]} to {moved[-1]}", compared)
        written.append("| " + " | ".join(map(str, cells)) + " |")
    return written


@pytest.mark.parametrize("name", SUMMERS)
def test_as_many_children_move_by_each_order_as_the_page_says(name: str, record_property: Record) -> None:
    counted = rows(name)
    for row in counted:
        record_property("moves", row)
    assert [line for line in PAGE.splitlines() if line.startswith(f"| {name} |")] == counted
