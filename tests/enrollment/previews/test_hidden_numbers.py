"""A preview gives away no child's facts, neither alone nor together with other previews."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrollment.previews import job
from enrollment.previews.groups import SMALLEST, Grouping, singles_out
from enrollment.previews.hiding import Number, suppressed
from lottery.market.canonical import Json
from previews_by_hand import CHILDREN, SEATS, Shown, Town, have, live_in

OPERATOR = "/v1/cycles/2027/operators/district/rules"


def classes(**conditions: Json) -> dict[str, Json]:
    priorities: list[Json] = [{"name": name, "when": condition} for name, condition in conditions.items()]
    return {"rules": {"seats": {"match": SEATS}, "classes": priorities}}


def zone(name: str) -> Json:
    return {"zone_in": [name]}


def has(name: str) -> Json:
    return {"has": name}


def outcomes(shown: Shown) -> Sequence[Json]:
    found: Sequence[Json] = shown.result["outcomes"]
    return found


def test_a_condition_that_few_children_meet_shows_nothing(town: Town) -> None:
    have(town.service, "frl", range(9))
    shown = town.preview(classes(poor=has("frl")))
    assert shown.why_hidden() == [("lincoln-kg", "small-group")]
    assert outcomes(shown) == []


def test_a_condition_that_nobody_meets_looks_like_one_that_a_few_meet(town: Town) -> None:
    nobody = town.preview(classes(learner=has("ell")))
    have(town.service, "ell", [3])
    assert town.preview(classes(learner=has("ell"))) == nobody


def test_a_condition_without_one_child_cannot_be_compared_with_the_condition(town: Town) -> None:
    have(town.service, "frl", range(20))
    have(town.service, "ell", [3])
    whole = classes(poor=has("frl"))
    without: Json = {"all": [has("frl"), {"not": has("ell")}]}
    assert outcomes(town.preview(whole)) != []
    assert town.preview(classes(poor=without)).why_hidden() == [("lincoln-kg", "few-differences")]
    # Neither in two classes, nor beside a reserve without seats, nor for a seat at all.
    halves = classes(near={"all": [without, zone("near")]}, far={"all": [without, zone("far")]})
    assert town.preview(halves).why_hidden() != []
    padded = classes(poor=without)
    rules = padded["rules"]
    assert isinstance(rules, Mapping)
    more: Json = {**rules, "reserves": [{"name": "near", "seats": 0, "when": zone("near")}]}
    assert town.preview({"rules": more}).why_hidden() == [("lincoln-kg", "few-differences")]
    eligible: Json = {"seats": {"match": SEATS}, "eligible": {"not": has("ell")}}
    assert town.preview({"rules": eligible}).why_hidden() == [("lincoln-kg", "few-differences")]
    # The earlier preview can be repeated.
    assert outcomes(town.preview(whole)) != []


def test_a_few_children_of_a_zone_are_counted_with_other_zones(town: Town) -> None:
    live_in(town.service, "lake", range(0, 18, 2))
    shown = town.preview(classes(near=zone("near")))
    names = [one["name"] for one in shown.program()["zones"]]
    assert names == ["far", "near", None]


def test_a_small_number_and_another_that_reveals_it_are_hidden(town: Town) -> None:
    have(town.service, "frl", range(20, 36))
    program = town.preview(classes(near=zone("near"))).program()
    assert program["filled"] is not None
    # Near children take all seats: 8 of the 16 children with this fact live near, and fewer get a seat.
    # No child has the other fact, which looks the same.
    assert program["flags"] == [{"name": "ell", "children": None}, {"name": "frl", "children": None}]


def test_the_total_of_an_operator_does_not_reveal_the_program_that_is_hidden(town: Town) -> None:
    have(town.service, "frl", range(0, 40, 2))
    shown = town.preview({"rules": {"classes": [{"name": "poor", "when": has("frl")}]}}, OPERATOR, town.dora)
    # All children with the fact rank Lincoln and Hill; nobody of them ranks Adams.
    hidden = dict(shown.why_hidden())
    assert hidden["adams-kg"] == "small-group"
    assert shown.result["outcomes"] == [] or shown.result["outcomes"][0]["together"] is None


def test_a_program_has_a_limited_number_of_different_previews(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "MAX_GROUPINGS", 1)
    first = classes(near=zone("near"))
    assert outcomes(town.preview(first)) != []
    have(town.service, "frl", range(20))
    assert town.preview(classes(poor=has("frl"))).why_hidden() == [("lincoln-kg", "limit")]
    assert outcomes(town.preview(first)) != []


@st.composite
def tables(draw: st.DrawFn) -> dict[str, Number]:
    values = draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=8))
    return {f"class-{place}": Number(before, after, 0) for place, (before, after) in enumerate(values)}


@given(tables())
def test_no_hidden_number_follows_from_the_total_and_the_numbers_that_are_shown(table: Mapping[str, Number]) -> None:
    hidden = suppressed(table, ())
    assert not [name for name, number in table.items() if number.is_small and name not in hidden]
    for side in ("before", "after"):
        rest = sum(getattr(table[name], side) for name in hidden)
        # An attacker knows only the sum of what is hidden. If it is small, everything is hidden and nothing is left.
        assert not hidden or hidden == table.keys() or (len(hidden) > 1 and rest >= SMALLEST)


@given(st.sets(st.integers(0, CHILDREN - 1)), st.sets(st.integers(0, CHILDREN - 1)))
def test_groups_that_differ_by_a_few_children_are_found_and_others_are_not(one: set[int], other: set[int]) -> None:
    def grouping(members: set[int]) -> Grouping:
        mask = np.zeros(CHILDREN, np.bool_)
        mask[sorted(members)] = True
        return Grouping.from_bytes(Grouping(np.arange(CHILDREN, dtype=np.uint64), [mask, ~mask], []).to_bytes())

    if one == other:
        assert not singles_out(grouping(one), grouping(other))
    elif len(one ^ other) < SMALLEST:
        assert singles_out(grouping(one), grouping(other))
