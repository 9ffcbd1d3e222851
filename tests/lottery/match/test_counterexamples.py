"""What the specification does not promise, each in a market small enough to follow by hand.

Families of invented names tell the truth first, then something else, and somebody in the family gains. Within a round
and without siblings nobody can: that is a property in `test_match_properties`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import cast

import pytest

import lottery
from lottery.market.canonical import Json

Rankings = dict[str, Sequence[str]]
ANY_SEED = bytes(32)  # where lists decide everything


def match(market: Json, *, seed: bytes, seeds: Mapping[str, bytes]) -> dict[str, str]:
    """Return who is placed where."""
    outcome = lottery.match_market(lottery.read_market(market), seed=seed, seeds=seeds)
    placements = cast("list[dict[str, str]]", json.loads(outcome.to_bytes())["placements"])
    return {placement["applicant"]: placement["program"] for placement in placements}


# ---- siblings and `together`: elder children in grade 01, matched before the younger ones in KG


def program(name: str, ranked: Sequence[str], *, priorities: Sequence[Json] = ()) -> dict[str, Json]:
    """A program of one seat with its own list of applicants."""
    school, _, grade = name.partition("-")
    return {
        "id": name,
        "school": school,
        "grade": grade,
        "seats": 1,
        "tie_break": {"ranked": list(ranked)},
        "priorities": list(priorities),
    }


def child(ticket: str, grade: str, ranking: Sequence[str], **facts: Json) -> dict[str, Json]:
    return {"id": ticket, "grade": grade, "ranking": ranking, **facts}


def two_grades(programs: Sequence[Json], applicants: Sequence[Json]) -> dict[str, str]:
    market: Json = {
        "format": "lottery-market/1",
        "round": {"id": "main", "kind": "main"},
        "policy": {"grade_order": ["01", "KG"]},
        "programs": programs,
        "applicants": applicants,
    }
    return match(market, seed=ANY_SEED, seeds={})


SIBLING_FIRST: Json = {"name": "sibling", "when": {"sibling_placed": True}}


def ann_and_amy(ann: Sequence[str]) -> dict[str, str]:
    """Ann is the elder; Amy wants Elm, which takes siblings first and else would take Nat."""
    programs = [
        program("oak-01", ["ann"]),
        program("elm-01", ["ann"]),
        program("elm-KG", ["nat", "amy"], priorities=[SIBLING_FIRST]),
    ]
    applicants = [
        child("ann", "01", ann, household="a"),
        child("amy", "KG", ["elm-KG"], household="a"),
        child("nat", "KG", ["elm-KG"]),
    ]
    return two_grades(programs, applicants)


def test_an_elder_who_hides_a_first_choice_can_win_the_younger_a_seat() -> None:
    assert ann_and_amy(["oak-01", "elm-01"]) == {"ann": "oak-01", "nat": "elm-KG"}
    assert ann_and_amy(["elm-01", "oak-01"]) == {"ann": "elm-01", "amy": "elm-KG"}


def ann_and_amy_against_bea_and_ben(ann: Sequence[str]) -> dict[str, str]:
    """At Elm, Cal comes before Ann and Ann before Bea; at Oak, Bea comes before Cal. Amy and Ben both want Oak."""
    programs = [
        program("elm-01", ["cal", "ann", "bea"]),
        program("oak-01", ["bea", "cal"]),
        program("ash-01", ["ann"]),
        program("oak-KG", ["amy", "ben"], priorities=[SIBLING_FIRST]),
    ]
    applicants = [
        child("ann", "01", ann, household="a"),
        child("bea", "01", ["elm-01", "oak-01"], household="b"),
        child("cal", "01", ["oak-01", "elm-01"]),
        child("amy", "KG", ["oak-KG"], household="a"),
        child("ben", "KG", ["oak-KG"], household="b"),
    ]
    return two_grades(programs, applicants)


def test_a_family_can_gain_by_a_false_ranking_without_a_loss_to_any_of_its_children() -> None:
    honest = ann_and_amy_against_bea_and_ben(["elm-01", "ash-01"])
    gamed = ann_and_amy_against_bea_and_ben(["ash-01"])
    assert honest == {"ann": "ash-01", "bea": "oak-01", "cal": "elm-01", "ben": "oak-KG"}
    assert gamed == {"ann": "ash-01", "bea": "elm-01", "cal": "oak-01", "amy": "oak-KG"}


def ida_and_ivo(ida: Sequence[str], *, together: bool) -> dict[str, str]:
    """Ida is the elder. Above all, the family wants both at one school; Oak's only KG seat goes to Ned."""
    programs = [
        program("oak-01", ["ida"]),
        program("elm-01", ["ida"]),
        program("oak-KG", ["ned", "ivo"]),
        program("elm-KG", ["ivo"]),
        program("ash-KG", ["ivo"]),
    ]
    applicants = [
        child("ida", "01", ida, household="i"),
        child("ivo", "KG", ["ash-KG", "oak-KG", "elm-KG"], household="i", together=together),
        child("ned", "KG", ["oak-KG"]),
    ]
    return two_grades(programs, applicants)


def test_a_family_that_asks_to_be_together_can_be_so_by_a_false_ranking_only() -> None:
    truth, false = ["oak-01", "elm-01"], ["elm-01", "oak-01"]
    assert ida_and_ivo(truth, together=True) == {"ida": "oak-01", "ivo": "ash-KG", "ned": "oak-KG"}
    assert ida_and_ivo(false, together=True) == {"ida": "elm-01", "ivo": "elm-KG", "ned": "oak-KG"}


def test_without_together_the_same_false_ranking_is_a_loss_and_nothing_else() -> None:
    truth, false = ["oak-01", "elm-01"], ["elm-01", "oak-01"]
    assert ida_and_ivo(truth, together=False) == {"ida": "oak-01", "ivo": "ash-KG", "ned": "oak-KG"}
    assert ida_and_ivo(false, together=False) == {"ida": "elm-01", "ivo": "ash-KG", "ned": "oak-KG"}


# ---- two rounds: Kim takes the one seat of Oak in the first and gives it up before the second

TRUTH: Rankings = {"kim": ["oak"], "ida": ["oak", "elm"], "jon": ["elm", "oak"], "lou": ["elm"]}
FIRST_SEED = bytes([9]) * 32  # draws Kim, Ida, Jon, Lou, in this order
SECOND_SEED = bytes([102]) * 32  # draws Lou before Jon before Ida


def one_seat(school: str, **rules: Json) -> dict[str, Json]:
    return {"id": school, "school": school, "grade": "KG", "seats": 1, **rules}


def first_round(rankings: Rankings) -> dict[str, str]:
    market: Json = {
        "format": "lottery-market/1",
        "round": {"id": "first", "kind": "main"},
        "programs": [one_seat("elm"), one_seat("oak")],
        "applicants": [child(ticket, "KG", ranking) for ticket, ranking in rankings.items()],
    }
    return match(market, seed=FIRST_SEED, seeds={})


def second_round(placed: Mapping[str, str], *, order: str) -> dict[str, str]:
    """The round after Kim has left, in which everybody tells the truth and keeps a seat unless placed higher."""
    rules: Json = {"order": order}
    market: Json = {
        "format": "lottery-market/1",
        "round": {"id": "second", "kind": "backfill"},
        "programs": [one_seat("elm", backfill=rules), one_seat("oak", backfill=rules)],
        "applicants": [
            child(ticket, "KG", ranking, drawn_in="first", holds=held(placed.get(ticket)))
            for ticket, ranking in TRUTH.items()
            if ticket != "kim"
        ],
    }
    return match(market, seed=SECOND_SEED, seeds={"first": FIRST_SEED})


def held(name: str | None) -> Json:
    return None if name is None else {"program": name}


def test_in_the_first_round_ida_only_loses_by_hiding_her_second_choice() -> None:
    assert first_round(TRUTH) == {"kim": "oak", "ida": "elm"}
    assert first_round({**TRUTH, "ida": ["oak"]}) == {"kim": "oak", "jon": "elm"}


@pytest.mark.parametrize("order", ["reverse", "fresh"])
def test_over_two_rounds_new_numbers_can_reward_a_false_first_ranking(order: str) -> None:
    honest, gamed = first_round(TRUTH), first_round({**TRUTH, "ida": ["oak"]})
    assert second_round(honest, order=order) == {"ida": "elm", "jon": "oak"}
    assert second_round(gamed, order=order) == {"ida": "oak", "jon": "elm"}


def test_over_the_same_two_rounds_the_waitlist_gives_ida_her_first_choice_for_the_truth() -> None:
    assert second_round(first_round(TRUTH), order="waitlist") == {"ida": "oak", "jon": "elm"}
