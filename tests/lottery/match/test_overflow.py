"""`overflow` says who can have the seats that a reserve's own applicants leave."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lottery
from lottery.market.canonical import Json
from markets import seeds
from match_examples import examples

SEED = bytes(32)
STAFF: Json = {"has": "staff"}
NOT_STAFF: Json = {"not": STAFF}
SIBLING: Json = {"has": "sibling"}
NEAR: Json = {"has": "near"}
GENERAL: Json = {"not": {"any": [SIBLING, STAFF, NEAR]}}
LETTERS = {"b": "sibling", "s": "staff", "n": "near"}

AT_MOST_TWO_STAFF: Sequence[Json] = [
    {"name": "staff", "seats": 2, "when": STAFF},
    {"name": "near", "seats": 3, "when": {"all": [NEAR, NOT_STAFF]}, "overflow": {"to": NOT_STAFF}},
    {"name": "others", "seats": 5, "when": NOT_STAFF, "overflow": "closed"},
]
"""All ten seats of a program are in reserves; no group but `staff` considers staff children."""

HIGHEST_CLASS_ONLY: Sequence[Json] = [
    {"name": "sibling", "seats": 3, "when": SIBLING, "overflow": {"to": GENERAL}},
    {"name": "staff", "seats": 2, "when": {"all": [STAFF, {"not": SIBLING}]}, "overflow": {"to": GENERAL}},
    {
        "name": "near",
        "seats": 3,
        "when": {"all": [NEAR, {"not": {"any": [SIBLING, STAFF]}}]},
        "overflow": {"to": GENERAL},
    },
    {"name": "general", "seats": 2, "when": GENERAL, "overflow": "closed"},
]
"""A child counts in the highest class that the child meets, and in no other."""


def market(reserves: Sequence[Json], children: Sequence[str]) -> Json:
    """Return a market in which each child has the flags whose letters the child's word has."""
    return {
        "format": "lottery-market/1",
        "round": {"id": "main", "kind": "main"},
        "programs": [{"id": "oak", "school": "oak", "grade": "KG", "seats": 10, "reserves": list(reserves)}],
        "applicants": [
            {
                "id": f"{number:02}-{letters}",
                "grade": "KG",
                "ranking": ["oak"],
                "flags": [LETTERS[letter] for letter in letters],
            }
            for number, letters in enumerate(children)
        ],
    }


def placed(reserves: Sequence[Json], children: Sequence[str], seed: bytes = SEED) -> Mapping[str, str]:
    """Return the seat group of each child who has a seat; both engines and the verifier agree."""
    read = lottery.read_market(market(reserves, children))
    outcome = lottery.match_market(read, seed=seed, engine="reference")
    assert lottery.match_market(read, seed=seed, engine="fast").to_bytes() == outcome.to_bytes()
    assert lottery.verify(read, outcome) == ()
    return {placement.applicant: placement.group for placement in outcome.placements}


def of_staff(seats: Mapping[str, str]) -> int:
    return sum("s" in child for child in seats)


def test_of_ten_staff_children_two_are_placed_while_other_children_fill_the_rest() -> None:
    seats = placed(AT_MOST_TWO_STAFF, [*["s"] * 10, *[""] * 12])
    assert (of_staff(seats), len(seats)) == (2, 10)


def test_two_staff_children_are_placed_also_where_few_others_apply() -> None:
    seats = placed(AT_MOST_TWO_STAFF, [*["s"] * 5, *["ns"] * 5, "n", "", ""])
    assert (of_staff(seats), len(seats)) == (2, 5)


def test_with_an_open_overflow_more_staff_children_are_placed() -> None:
    opened = [{**reserve, "overflow": "open"} for reserve in AT_MOST_TWO_STAFF if isinstance(reserve, dict)]
    assert of_staff(placed(opened, ["s"] * 10)) == 10


SOME_CHILDREN = st.lists(st.sampled_from(["", "s", "s", "n", "b", "ns", "bs", "bns"]), max_size=16)


@examples(150)
@given(SOME_CHILDREN, seeds())
def test_staff_children_never_have_more_than_their_two_seats(children: Sequence[str], seed: bytes) -> None:
    seats = placed(AT_MOST_TWO_STAFF, children, seed)
    staff = sum("s" in child for child in children)
    assert of_staff(seats) == min(staff, 2)
    assert len(seats) - of_staff(seats) == min(len(children) - staff, 10 - min(staff, 2))


@examples(150)
@given(SOME_CHILDREN, seeds())
def test_a_child_counts_in_the_highest_class_only(children: Sequence[str], seed: bytes) -> None:
    seats = placed(HIGHEST_CLASS_ONLY, children, seed)
    highest = {
        child: "sibling" if "b" in child else "staff" if "s" in child else "near" if "n" in child else "general"
        for child in (f"{number:02}-{letters}" for number, letters in enumerate(children))
    }
    for child, group in seats.items():
        assert highest[child] in {group, "general"}
    of_class, got = Counter(highest.values()), Counter(highest[child] for child in seats)
    for name, most in {"sibling": 3, "staff": 2, "near": 3}.items():
        assert got[name] == min(of_class[name], most)
    assert got["general"] == min(of_class["general"], 10 - got["sibling"] - got["staff"] - got["near"])


@pytest.mark.parametrize(("overflow", "to"), [("open", {"everyone": True}), ("closed", {"any": []})])
@examples(40)
@given(children=SOME_CHILDREN, seed=seeds())
def test_everyone_is_open_and_nobody_is_closed(overflow: str, to: Json, children: Sequence[str], seed: bytes) -> None:
    def reserves(said: Json) -> Sequence[Json]:
        return [{"name": "near", "seats": 4, "when": NEAR, "overflow": said}]

    assert placed(reserves(overflow), children, seed) == placed(reserves({"to": to}), children, seed)


def test_a_condition_on_a_placed_sibling_lets_that_child_into_the_seats_that_are_left() -> None:
    first: Json = {"id": "oak-01", "school": "oak", "grade": "01", "seats": 1}
    sibling: Json = {"name": "near", "seats": 1, "when": NEAR, "overflow": {"to": {"sibling_placed": True}}}
    then: Json = {"id": "oak-KG", "school": "oak", "grade": "KG", "seats": 1, "reserves": [sibling]}
    made: Json = {
        "format": "lottery-market/1",
        "round": {"id": "main", "kind": "main"},
        "policy": {"grade_order": ["01", "KG"]},
        "programs": [first, then],
        "applicants": [
            {"id": "old", "grade": "01", "ranking": ["oak-01"], "household": "h"},
            {"id": "young", "grade": "KG", "ranking": ["oak-KG"], "household": "h"},
            *({"id": f"other-{number}", "grade": "KG", "ranking": ["oak-KG"]} for number in range(5)),
        ],
    }
    for engine in ("fast", "reference"):
        outcome = lottery.match_market(lottery.read_market(made), seed=SEED, engine=engine)
        assert {placement.applicant for placement in outcome.placements} == {"old", "young"}
        assert [waitlist.group for waitlist in outcome.waitlists] == ["open"]


def test_the_canonical_form_keeps_the_condition_as_written() -> None:
    read = lottery.read_market(market(HIGHEST_CLASS_ONLY[:1], []))
    (line,) = read.canonical_lines()
    assert '"overflow":{"to":{"not":{"any":[{"has":"sibling"},{"has":"staff"},{"has":"near"}]}}}' in line
