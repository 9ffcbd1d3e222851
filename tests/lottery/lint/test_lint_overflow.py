"""Lint reasons about who can have the seats that a reserve's own children leave."""

from collections.abc import Sequence

import pytest

from lint_cases import Case, child, classes, flag, is_found, is_not_found, market, program, reserve, ruled, zone
from lottery.lint.findings import Check, Weight
from lottery.market.canonical import Json
from lottery.market.model import Market
from worked_examples import Document

CANNOT = Weight.CANNOT
EVE_IN_Z1 = child("eve", zones=["Z1"])


def none(when: Json) -> Json:
    return {"not": when}


def both(*parts: Json) -> Json:
    return {"all": list(parts)}


def near(
    to: Json, *applicants: Document, reserved: int = 1, seats: int = 2, precedence: Sequence[str] = ("near", "open")
) -> Market:
    """Return a market with a reserve for zone Z1 that leaves its seats to the children who meet `to`."""
    reserves: Json = [reserve("near", zone("Z1"), seats=reserved, overflow={"to": to})]
    return ruled(*applicants, seats=seats, reserves=reserves, precedence=list(precedence))


def within(to: Json) -> Market:
    """Return a market in which lateness counts within classes, and the reserve is for the first class."""
    first = reserve("near", zone("Z1"), overflow={"to": to})
    return market([program(priorities=classes(zone("Z1")), reserves=[first])], late="within")


def own_class(to: Json) -> Market:
    """Return a market with a reserve for children with flag a and without b, and a class for flag b in it."""
    when = both(flag("a"), none(flag("b")))
    return ruled(reserves=[reserve("new", when, overflow={"to": to}, priorities=classes(flag("b")))])


CASES = [
    Case(
        Check.CONDITION_NEVER,
        "a reserve that leaves its seats to nobody",
        near(both(flag("ell"), none(flag("ell")))),
        near(both(flag("ell"), none(flag("frl")))),
        "$.programs[0].reserves[0].overflow.to",
        CANNOT,
        "so the seats that the children of reserve “near” leave stay empty",
    ),
    Case(
        Check.CONDITION_ALWAYS,
        "a reserve that leaves its seats to everybody",
        near({"any": [flag("ell"), none(flag("ell"))]}),
        near({"any": [flag("ell"), none(flag("frl"))]}),
        "$.programs[0].reserves[0].overflow.to",
        says="bars no child",
    ),
    Case(
        Check.OVERFLOW_IDLE,
        "a reserve that leaves its seats to some of its own children",
        near(both(flag("ell"), zone("Z1"))),
        near(both(flag("ell"), zone("Z2"))),
        "$.programs[0].reserves[0].overflow.to",
        CANNOT,
        "stay empty",
    ),
    Case(
        Check.OVERFLOW_IDLE,
        "a reserve that leaves its seats to all children who are not its own",
        near(none(zone("Z1"))),
        near(none(zone("Z1", "Z2"))),
        "$.programs[0].reserves[0].overflow.to",
        says="bars no child",
    ),
    Case(
        Check.UNKNOWN_WORD,
        "a flag that no applicant has, in the condition of those who get what is left",
        near(flag("eel"), EVE_IN_Z1, child(flags=["ell"])),
        near(flag("ell"), EVE_IN_Z1, child(flags=["ell"])),
        "$.programs[0].reserves[0].overflow.to.has",
    ),
    Case(
        Check.CLASS_UNREACHABLE,
        "a class that neither the reserve's children nor those whom it leaves seats to can be in",
        own_class(both(flag("c"), none(flag("b")))),
        own_class(both(flag("c"), flag("b"))),
        "$.programs[0].reserves[0].priorities[0]",
        CANNOT,
        "the children who can get a seat in this reserve do not meet the condition",
    ),
    Case(
        Check.RESERVE_LIKE_OPEN,
        "a reserve for the first class that bars nobody",
        within(none(zone("Z1"))),
        within(flag("ell")),
        "$.programs[0].reserves[0]",
        CANNOT,
    ),
    Case(
        Check.RESERVE_FOR_NOBODY,
        "a reserve whose own children are not eligible leaves its seats to some",
        ruled(
            eligible={"attends_in": ["elm"]},
            reserves=[reserve("a", {"attends_in": ["fir"]}, overflow={"to": zone("Z1")})],
        ),
        ruled(
            eligible={"attends_in": ["elm", "fir"]},
            reserves=[reserve("a", {"attends_in": ["fir"]}, overflow={"to": zone("Z1")})],
        ),
        "$.programs[0].reserves[0]",
        CANNOT,
        "only to the children whom `overflow` names",
    ),
    Case(
        Check.RESERVE_LEFT_EMPTY,
        "a reserve with more seats than there are children of its own and others whom it lets in",
        near(flag("ell"), child(), EVE_IN_Z1, reserved=3, seats=4),
        near(none(flag("ell")), child(), EVE_IN_Z1, seats=4, reserved=3),
        "$.programs[0].reserves[0]",
        says="at least 2 of the reserve's 3 seats",
    ),
    Case(
        Check.RESERVE_BEHIND_OPEN,
        "a reserve that leaves its seats to some, filled after the open seats",
        near(flag("ell"), precedence=["open", "near"]),
        near(none(zone("Z1")), precedence=["open", "near"]),
        "$.programs[0].reserves[0]",
        says="reserve for some children",
    ),
    Case(
        Check.ALL_CLOSED,
        "seats that are all in a reserve that leaves them to some",
        near(flag("ell"), reserved=2),
        near(none(zone("Z1")), reserved=2),
        "$.programs[0].reserves",
        says="reserve for some children",
    ),
    Case(
        Check.NOT_CONSIDERED,
        "a child whom a reserve with all seats bars",
        near(flag("ell"), child(), EVE_IN_Z1, reserved=2),
        near(flag("ell"), child(flags=["ell"]), EVE_IN_Z1, reserved=2),
        "$.programs[0].reserves",
        says="all seats are in closed reserves",
    ),
]

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@each_case
def test_what_a_market_shows_is_found_in_its_place(case: Case) -> None:
    is_found(case)


@each_case
def test_what_a_market_nearly_shows_is_not_found(case: Case) -> None:
    is_not_found(case)
