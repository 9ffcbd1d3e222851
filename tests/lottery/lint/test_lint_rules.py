"""Lint finds what is wrong with conditions, classes and reserves, and is silent where they are nearly the same."""

import pytest

from lint_cases import (
    EVERYONE,
    GRADES,
    SIBLING,
    Case,
    child,
    children,
    classes,
    flag,
    is_found,
    is_not_found,
    market,
    program,
    reserve,
    ruled,
    zone,
)
from lottery.lint.findings import Check, Weight
from worked_examples import Document

CANNOT = Weight.CANNOT
EVE_IN_Z1 = child("eve", zones=["Z1"])
NEAR_FIRST: Document = {"priorities": classes(zone("Z1")), "reserves": [reserve("near", zone("Z1"))]}

CONDITIONS = [
    Case(
        Check.CONDITION_NEVER,
        "a class that asks for a flag and for its absence",
        ruled(priorities=classes({"all": [flag("ell"), {"not": flag("ell")}]})),
        ruled(priorities=classes({"all": [flag("ell"), {"not": flag("frl")}]})),
        "$.programs[0].priorities[0].when",
        CANNOT,
        "no child can be in class “class-1”",
    ),
    Case(
        Check.CONDITION_NEVER,
        "one child cannot attend two schools but can live in two zones",
        ruled(eligible={"all": [{"attends_in": ["elm"]}, {"attends_in": ["ash", "fir"]}]}),
        ruled(eligible={"all": [zone("Z1"), zone("Z2")]}),
        "$.programs[0].eligible",
        CANNOT,
        "takes no new children",
    ),
    Case(
        Check.CONDITION_NEVER,
        "a closed reserve for nobody",
        ruled(reserves=[reserve("near", zone(), overflow="closed")]),
        ruled(reserves=[reserve("near", zone("Z1"), overflow="closed")]),
        "$.programs[0].reserves[0].when",
        CANNOT,
        "its seats stay empty",
    ),
    Case(
        Check.CONDITION_ALWAYS,
        "an eligible that leaves nobody out",
        ruled(eligible={"any": [flag("ell"), {"not": flag("ell")}]}),
        ruled(eligible=EVERYONE),
        "$.programs[0].eligible",
    ),
    Case(
        Check.CONDITION_ALWAYS,
        "a reserve for everybody that another group stands between",
        ruled(reserves=[reserve("first", EVERYONE), reserve("near", zone("Z1"))], seats=3),
        ruled(reserves=[reserve("first", flag("ell")), reserve("near", zone("Z1"))], seats=3),
        "$.programs[0].reserves[0]",
    ),
    Case(
        Check.PART_NEVER,
        "a part of an any that nobody can meet",
        ruled(priorities=classes({"any": [flag("ell"), zone()]})),
        ruled(priorities=classes({"any": [flag("ell"), zone("Z1")]})),
        "$.programs[0].priorities[0].when.any[1]",
        CANNOT,
    ),
    Case(
        Check.PART_IDLE,
        "a narrower part beside a wider one",
        ruled(priorities=classes({"any": [flag("ell"), {"all": [flag("ell"), zone("Z1")]}]})),
        ruled(priorities=classes({"any": [flag("ell"), {"all": [flag("frl"), zone("Z1")]}]})),
        "$.programs[0].priorities[0].when.any[1]",
    ),
    Case(
        Check.UNKNOWN_WORD,
        "a flag that differs from a known one by its spelling only",
        ruled(child(flags=["low-income"]), priorities=classes(flag("Low_Income"))),
        ruled(child(flags=["low-income"]), priorities=classes(flag("low-income"))),
        "$.programs[0].priorities[0].when.has",
        CANNOT,
        "flag “Low_Income”",
    ),
    Case(
        Check.UNKNOWN_WORD,
        "a zone among known ones that is nearly one of them",
        ruled(child(zones=["north"]), child("bo", zones=["south"]), priorities=classes(zone("nort", "south"))),
        ruled(child(zones=["Z1"]), child("bo", zones=["Z2"]), priorities=classes(zone("Z17", "Z2"))),
        "$.programs[0].priorities[0].when.zone_in[0]",
    ),
    Case(
        Check.SIBLING_NEVER,
        "a sibling rule at a school with no grade that is matched before",
        market([program(priorities=classes(SIBLING)), program("elm", "01")], grade_order=GRADES),
        market([program(priorities=classes(SIBLING)), program("oak", "01")], grade_order=GRADES),
        "$.programs[0].priorities[0].when.sibling_placed",
        CANNOT,
    ),
    Case(
        Check.SIBLING_NEVER,
        "a sibling rule at the grade of a school that is matched first",
        market([program(grade=g, priorities=classes(SIBLING)) for g in GRADES], grade_order=GRADES),
        market([program(priorities=classes(SIBLING)), program("oak", "01")], grade_order=GRADES),
        "$.policy.grade_order",
        says="1 program.",
    ),
    Case(
        Check.ELIGIBLE_NOBODY,
        "nobody who asks is eligible",
        ruled(child(zones=["Z2"]), eligible=zone("Z1")),
        ruled(child(zones=["Z2"]), child("bo", zones=["Z1"]), eligible=zone("Z1")),
        "$.programs[0].eligible",
        CANNOT,
    ),
]

CLASSES = [
    Case(
        Check.CLASS_UNREACHABLE,
        "a class after one that holds all its children",
        ruled(priorities=classes(flag("ell"), {"all": [flag("ell"), zone("Z1")]})),
        ruled(priorities=classes({"all": [flag("ell"), zone("Z1")]}, flag("ell"))),
        "$.programs[0].priorities[1]",
        CANNOT,
        "already in class “class-1”",
    ),
    Case(
        Check.CLASS_UNREACHABLE,
        "a class after one of the same condition",
        ruled(priorities=classes(zone("Z1", "Z2"), zone("Z2", "Z1"))),
        ruled(priorities=classes(zone("Z1", "Z2"), zone("Z2", "Z3"))),
        "$.programs[0].priorities[1]",
        CANNOT,
        "takes the same children",
    ),
    Case(
        Check.CLASS_UNREACHABLE,
        "a class after everyone",
        ruled(priorities=classes(EVERYONE, flag("ell"))),
        ruled(priorities=classes(flag("ell"), EVERYONE)),
        "$.programs[0].priorities[1]",
        CANNOT,
    ),
    Case(
        Check.CLASS_UNREACHABLE,
        "a class after two that hold all its children together",
        ruled(priorities=classes(flag("ell"), {"not": zone("Z1")}, {"any": [flag("ell"), {"not": zone("Z1")}]})),
        ruled(priorities=classes(flag("ell"), {"not": zone("Z1")}, {"any": [flag("ell"), {"not": zone("Z2")}]})),
        "$.programs[0].priorities[2]",
        CANNOT,
        "“class-1” and “class-2”",
    ),
    Case(
        Check.CLASS_UNREACHABLE,
        "a class of children who are not eligible",
        ruled(eligible={"attends_in": ["elm", "fir"]}, priorities=classes({"attends_in": ["ash"]})),
        ruled(eligible={"attends_in": ["elm", "fir"]}, priorities=classes({"attends_in": ["fir", "ash"]})),
        "$.programs[0].priorities[0]",
        CANNOT,
        "`eligible`",
    ),
    Case(
        Check.CLASS_UNREACHABLE,
        "a class of a closed reserve to which its children are not let in",
        ruled(reserves=[reserve("new", {"not": flag("ell")}, overflow="closed", priorities=classes(flag("ell")))]),
        ruled(reserves=[reserve("new", {"not": flag("ell")}, priorities=classes(flag("ell")))]),
        "$.programs[0].reserves[0].priorities[0]",
        CANNOT,
        "closed to other children",
    ),
    Case(
        Check.CLASS_FOR_ALL,
        "a neighborhood class where only the neighborhood is eligible",
        ruled(eligible=zone("Z1"), priorities=classes(zone("Z1"))),
        ruled(eligible=zone("Z1", "Z2"), priorities=classes(zone("Z1"))),
        "$.programs[0].priorities[0]",
    ),
    Case(
        Check.CLASS_FOR_ALL,
        "a class that all of a market's children are in",
        ruled(*children(10, zones=["Z1"]), priorities=classes(zone("Z1"))),
        ruled(*children(10, zones=["Z1"]), child(zones=["Z2"]), priorities=classes(zone("Z1"))),
        "$.programs[0].priorities[0]",
        says="all 10 children who can get a seat",
    ),
    Case(
        Check.CLASS_EMPTY,
        "a class that nobody of the market is in",
        market(
            [program(priorities=classes({"at_school": "staff"}))],
            children(12, at={"elm": ["staff"]}),
        ),
        market(
            [program(priorities=classes({"at_school": "staff"}))],
            [*children(12, at={"elm": ["staff"]}), child(at={"oak": ["staff"]})],
        ),
        "$.programs[0].priorities[0]",
        says="none of the 12",
    ),
    Case(
        Check.CLASS_EMPTY,
        "a class whose children are all in one before it",
        ruled(
            *children(10, zones=["Z1"], flags=["ell"]),
            *children(2, start=10),
            priorities=classes(zone("Z1"), flag("ell")),
        ),
        ruled(
            *children(10, zones=["Z1"], flags=["ell"]),
            child(flags=["ell"]),
            priorities=classes(zone("Z1"), flag("ell")),
        ),
        "$.programs[0].priorities[1]",
        says="all 10 children who can meet",
    ),
    Case(
        Check.CLASS_FOLLOWS_RANKING,
        "a class of exactly those who rank the school first",
        market(
            [program(priorities=classes(flag("first-choice"))), program("elm")],
            [*children(10, flags=["first-choice"]), *children(10, start=10, ranking=["elm-KG", "oak-KG"])],
        ),
        market(
            [program(priorities=classes(flag("first-choice"))), program("elm")],
            [*children(10, flags=["first-choice"]), child(), *children(10, start=10, ranking=["elm-KG", "oak-KG"])],
        ),
        "$.programs[0].priorities[0]",
        says="the 10 children who rank the program first",
    ),
]

RESERVES = [
    Case(
        Check.RESERVE_WITHOUT_SEATS,
        "a percentage of so few seats that it is none",
        ruled(seats=9, reserves=[{"name": "near", "when": zone("Z1"), "percent": 10}]),
        ruled(seats=10, reserves=[{"name": "near", "when": zone("Z1"), "percent": 10}]),
        "$.programs[0].reserves[0]",
        CANNOT,
        "a program needs at least 10 seats",
    ),
    Case(
        Check.RESERVE_WITHOUT_SEATS,
        "a reserve written with 0",
        ruled(reserves=[reserve("near", zone("Z1"), seats=0)]),
        ruled(reserves=[reserve("near", zone("Z1"), seats=1)]),
        "$.programs[0].reserves[0]",
    ),
    Case(
        Check.RESERVE_FOR_NOBODY,
        "a reserve for those who are not eligible",
        ruled(eligible={"not": zone("Z1")}, reserves=[reserve("near", zone("Z1"))]),
        ruled(eligible={"not": zone("Z1")}, reserves=[reserve("near", zone("Z1", "Z2"))]),
        "$.programs[0].reserves[0]",
        CANNOT,
    ),
    Case(
        Check.RESERVE_FOR_NOBODY,
        "a closed reserve that nobody of the market meets",
        ruled(child(zones=["Z2"]), reserves=[reserve("near", zone("Z1"), overflow="closed")]),
        ruled(child(zones=["Z2"]), EVE_IN_Z1, reserves=[reserve("near", zone("Z1"), overflow="closed")]),
        "$.programs[0].reserves[0]",
        CANNOT,
        "none of the 1 children who can get a seat",
    ),
    Case(
        Check.RESERVE_FOR_NOBODY,
        "an open reserve that nobody of the market meets",
        ruled(child(at={"elm": ["staff"]}), reserves=[reserve("staff", {"at_school": "staff"})]),
        ruled(child(at={"oak": ["staff"]}), reserves=[reserve("staff", {"at_school": "staff"})]),
        "$.programs[0].reserves[0]",
    ),
    Case(
        Check.RESERVE_LIKE_OPEN,
        "a reserve for those who are eligible anyway",
        ruled(eligible=zone("Z1"), reserves=[reserve("near", zone("Z1"))]),
        ruled(eligible=zone("Z1"), reserves=[reserve("near", zone("Z1"), priorities=classes(flag("ell")))]),
        "$.programs[0].reserves[0]",
        CANNOT,
    ),
    Case(
        Check.RESERVE_LIKE_OPEN,
        "a reserve for the first class, where late ones stand within their class",
        market([program(priorities=classes(zone("Z1")), reserves=[reserve("near", zone("Z1"))])], late="within"),
        market([program(priorities=classes(zone("Z1")), reserves=[reserve("near", zone("Z1"))])], late="after"),
        "$.programs[0].reserves[0]",
        CANNOT,
    ),
    Case(
        Check.RESERVE_LIKE_OPEN,
        "a reserve for the first class, where nobody is late",
        ruled(*children(3), EVE_IN_Z1, seats=2, priorities=classes(zone("Z1")), reserves=[reserve("near", zone("Z1"))]),
        ruled(
            *children(3, late=True),
            EVE_IN_Z1,
            seats=2,
            priorities=classes(zone("Z1")),
            reserves=[reserve("near", zone("Z1"))],
        ),
        "$.programs[0].reserves[0]",
    ),
    Case(
        Check.RESERVE_LIKE_OPEN,
        "a reserve for the first class, in a backfill round in which newcomers do not stand behind",
        ruled(*children(3), EVE_IN_Z1, kind="backfill", backfill={"order": "fresh"}, **NEAR_FIRST),
        ruled(*children(3), EVE_IN_Z1, kind="backfill", backfill={"order": "waitlist"}, **NEAR_FIRST),
        "$.programs[0].reserves[0]",
    ),
    Case(
        Check.RESERVE_LEFT_EMPTY,
        "a closed reserve that fewer children meet than it has seats",
        ruled(child(), EVE_IN_Z1, seats=4, reserves=[reserve("near", zone("Z1"), seats=3, overflow="closed")]),
        ruled(child(), EVE_IN_Z1, seats=4, reserves=[reserve("near", zone("Z1"), seats=1, overflow="closed")]),
        "$.programs[0].reserves[0]",
        says="at least 2 of the reserve's 3 seats",
    ),
    Case(
        Check.RESERVE_BEHIND_OPEN,
        "a closed reserve filled after the open seats",
        ruled(reserves=[reserve("near", zone("Z1"), overflow="closed")], precedence=["open", "near"]),
        ruled(reserves=[reserve("near", zone("Z1"), overflow="closed")], precedence=["near", "open"]),
        "$.programs[0].reserves[0]",
    ),
    Case(
        Check.RESERVE_BEHIND_OPEN,
        "a closed reserve filled after another that overflows",
        ruled(reserves=[reserve("ell", flag("ell")), reserve("near", zone("Z1"), overflow="closed")]),
        ruled(
            reserves=[reserve("ell", flag("ell"), overflow="closed"), reserve("near", zone("Z1"), overflow="closed")]
        ),
        "$.programs[0].reserves[1]",
    ),
    Case(
        Check.ALL_CLOSED,
        "seats that are all in closed reserves",
        ruled(reserves=[reserve("a", zone("Z1"), overflow="closed"), reserve("b", zone("Z2"), overflow="closed")]),
        ruled(
            eligible=zone("Z1", "Z2"),
            reserves=[reserve("a", zone("Z1"), overflow="closed"), reserve("b", zone("Z2"), overflow="closed")],
        ),
        "$.programs[0].reserves",
    ),
]

CASES = [*CONDITIONS, *CLASSES, *RESERVES]

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@each_case
def test_what_a_market_shows_is_found_in_its_place(case: Case) -> None:
    is_found(case)


@each_case
def test_what_a_market_nearly_shows_is_not_found(case: Case) -> None:
    is_not_found(case)
