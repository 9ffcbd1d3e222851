"""Lint finds what is worth knowing of lists, of a cycle's policy and of applicants, and is silent elsewhere."""

import pytest

from lint_cases import (
    GRADES,
    Case,
    after_main,
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

CANNOT = Weight.CANNOT
EVE_IN_Z1 = child("eve", zones=["Z1"])

LISTS = [
    Case(
        Check.LIST_EMPTY,
        "a list on which nobody is",
        ruled(tie_break={"ranked": []}),
        ruled(tie_break={"ranked": ["ann"]}),
        "$.programs[0].tie_break.ranked",
        CANNOT,
    ),
    Case(
        Check.LIST_AFTER_CLASSES,
        "classes at a school with a list",
        ruled(tie_break={"ranked": ["ann"]}, priorities=classes(flag("ell"))),
        ruled(tie_break={"ranked": ["ann"]}),
        "$.programs[0].priorities",
    ),
    Case(
        Check.LIST_STRANGERS,
        "tickets on a list that are not in the market",
        ruled(child(), tie_break={"ranked": ["ann", "stranger"]}),
        ruled(child(), tie_break={"ranked": ["ann"]}),
        "$.programs[0].tie_break.ranked",
        says="1 of the 2 applicants on the list is not in this market: stranger.",
    ),
    Case(
        Check.LIST_SHORT,
        "a list too short for the seats",
        ruled(child(), child("bo"), seats=2, tie_break={"ranked": ["ann"]}),
        ruled(child(), child("bo"), seats=1, tie_break={"ranked": ["ann"]}),
        "$.programs[0].tie_break.ranked",
        says="at least 1 of the 2 seats",
    ),
]

TWO = [program(), program("elm")]
FRESH, REVERSE = {"order": "fresh"}, {"order": "reverse"}

POLICIES = [
    Case(
        Check.MANY_NUMBERS,
        "a cycle in which each program draws its own numbers",
        market(TWO, tie_break="multiple"),
        market(TWO),
        "$.policy.tie_break",
    ),
    Case(
        Check.MANY_NUMBERS,
        "a program that draws its own numbers beside others",
        market([program(tie_break="multiple"), program("elm")]),
        market([program(tie_break="multiple"), program("elm", "01")]),
        "$.programs[0].tie_break",
    ),
    Case(
        Check.LATE_EQUAL,
        "late ones count as others",
        market(TWO, [child(late=True)], late="equal"),
        market(TWO, [child(late=False)], late="equal"),
        "$.policy.late",
    ),
    Case(
        Check.LATE_EQUAL,
        "newcomers may overtake those who waited",
        market(TWO, [child(), child("bo", drawn_in="main")], late="equal", kind="backfill"),
        market(TWO, [child(), child("bo", drawn_in="main")], late="within", kind="backfill"),
        "$.policy.late",
        says="1 newcomer",
    ),
    Case(
        Check.LATE_EQUAL,
        "newcomers may overtake those who waited, unless the earlier rounds are listed",
        market(TWO, [child(), child("bo", drawn_in="main")], late="equal", kind="backfill"),
        after_main(market(TWO, [child(), child("bo", drawn_in="main")], late="equal", kind="backfill")),
        "$.policy.late",
    ),
    Case(
        Check.DRAWS_NOT_LISTED,
        "children of two earlier rounds whose order the market does not say",
        market(TWO, [child(drawn_in="main"), child("bo", drawn_in="backfill-1")], kind="backfill"),
        market(TWO, [child(drawn_in="main"), child("bo", drawn_in="main")], kind="backfill"),
        "$.round",
        says="2 earlier rounds",
    ),
    Case(
        Check.DRAWS_NOT_LISTED,
        "draws that the market lists, or whose order does not count",
        market(TWO, [child(drawn_in="main"), child("bo", drawn_in="backfill-1")], kind="backfill"),
        market(
            [program(backfill=FRESH)], [child(drawn_in="main"), child("bo", drawn_in="backfill-1")], kind="backfill"
        ),
        "$.round",
    ),
    Case(
        Check.GRADE_ORDER_IGNORED,
        "an order of grades though siblings do not matter",
        market(TWO, grade_order=GRADES),
        market(TWO, [child(together=True)], grade_order=GRADES),
        "$.policy.grade_order",
    ),
    Case(
        Check.SIBLING_REPORTS,
        "wishes to be together",
        market(TWO, [child(together=True)], grade_order=GRADES),
        market(TWO, [child()], grade_order=GRADES),
        "$.policy.grade_order",
    ),
    Case(
        Check.TWINS_IDLE,
        "a shared number and no twins",
        market(TWO, [child(household="h"), child("bo", household="i")], twins="share"),
        market(TWO, [child(household="h"), child("bo", household="h")], twins="share"),
        "$.policy.twins",
    ),
    Case(
        Check.NEW_NUMBERS,
        "a backfill order that turns numbers round",
        ruled(backfill=REVERSE),
        ruled(backfill={"order": "waitlist"}),
        "$.programs[0].backfill.order",
        says="reverses the lottery numbers",
    ),
    Case(
        Check.NEW_NUMBERS,
        "a backfill order that draws anew, where a list does not decide",
        ruled(backfill=FRESH),
        ruled(backfill=FRESH, tie_break={"ranked": ["ann"]}),
        "$.programs[0].backfill.order",
    ),
    Case(
        Check.BACKFILL_IDLE,
        "an order at a program that takes nobody new",
        ruled(backfill={"fills": False, "order": "fresh"}, kind="backfill"),
        ruled(backfill={"fills": False, "order": "fresh"}, kind="main"),
        "$.programs[0].backfill.order",
    ),
    Case(
        Check.BACKFILL_IDLE,
        "released reserves at a program that takes nobody new",
        ruled(backfill={"fills": False, "vacated_reserves": "release"}, kind="backfill"),
        ruled(backfill={"fills": False}, kind="backfill"),
        "$.programs[0].backfill.vacated_reserves",
    ),
    Case(
        Check.BACKFILL_IDLE,
        "released reserves at a program that has none",
        ruled(backfill={"vacated_reserves": "release"}, kind="backfill"),
        ruled(backfill={"vacated_reserves": "release"}, reserves=[reserve("near", zone("Z1"))], kind="backfill"),
        "$.programs[0].backfill.vacated_reserves",
    ),
    Case(
        Check.BACKFILL_IDLE,
        "an order of numbers where a list decides",
        ruled(backfill=REVERSE, tie_break={"ranked": ["ann"]}, kind="backfill"),
        ruled(backfill=REVERSE, kind="backfill"),
        "$.programs[0].backfill.order",
    ),
]

OTHERS = children(2, ranking=["elm-KG"])
NO_ELM = [program(), program("elm", seats=0)]

APPLICANTS = [
    Case(
        Check.NOT_CONSIDERED,
        "a choice of a child who is not eligible",
        ruled(child(zones=["Z2"]), EVE_IN_Z1, eligible=zone("Z1")),
        ruled(EVE_IN_Z1, eligible=zone("Z1")),
        "$.programs[0].eligible",
        says="1 of the 2 choices",
    ),
    Case(
        Check.NOT_CONSIDERED,
        "a choice of a child who is not on the list",
        ruled(child(), child("bo"), tie_break={"ranked": ["bo"]}),
        ruled(child("bo"), tie_break={"ranked": ["bo"]}),
        "$.programs[0].tie_break.ranked",
    ),
    Case(
        Check.NOT_CONSIDERED,
        "a choice of a program that takes nobody new",
        ruled(child(), backfill={"fills": False}, kind="backfill"),
        ruled(child(holds={"program": "oak-KG"}), backfill={"fills": False}, kind="backfill"),
        "$.programs[0].backfill.fills",
    ),
    Case(
        Check.NOT_CONSIDERED,
        "a choice of a child for whom no group has a seat",
        ruled(child(zones=["Z2"]), EVE_IN_Z1, seats=1, reserves=[reserve("near", zone("Z1"), overflow="closed")]),
        ruled(child(zones=["Z2"]), EVE_IN_Z1, seats=2, reserves=[reserve("near", zone("Z1"), overflow="closed")]),
        "$.programs[0].reserves",
    ),
    Case(
        Check.NO_SEATS,
        "a program without seats that is ranked",
        market(NO_ELM, [child(ranking=["elm-KG"])]),
        market(NO_ELM, [child()]),
        "$.programs[1].seats",
    ),
    Case(
        Check.NOT_RANKED,
        "a program that nobody ranks",
        market(TWO, OTHERS),
        market(TWO, [*OTHERS, child()]),
        "$.programs[0].seats",
    ),
    Case(
        Check.GRADE_WITHOUT_PROGRAM,
        "a child of a grade for which there is nothing",
        market(TWO, [{**child(ranking=[]), "grade": "01"}]),
        market([*TWO, program("elm", "01")], [{**child(ranking=[]), "grade": "01"}]),
        "$.applicants",
    ),
    Case(
        Check.RANKING_EMPTY,
        "a child who ranks nothing",
        market(TWO, [child(ranking=[])]),
        market(TWO, [child(ranking=[], holds={"program": "oak-KG"})]),
        "$.applicants",
    ),
    Case(
        Check.HELD_NOT_RANKED,
        "a child who does not rank the held seat",
        market(TWO, [child(ranking=["elm-KG"], holds={"program": "oak-KG"})]),
        market(TWO, [child(ranking=["elm-KG", "oak-KG"], holds={"program": "oak-KG"})]),
        "$.applicants",
    ),
    Case(
        Check.BELOW_HELD,
        "a choice below a held seat",
        market(TWO, [child(ranking=["oak-KG", "elm-KG"], holds={"program": "oak-KG"})]),
        market(TWO, [child(ranking=["elm-KG", "oak-KG"], holds={"program": "oak-KG"})]),
        "$.applicants",
    ),
    Case(
        Check.TOGETHER_IDLE,
        "a wish to be together of a child of no household",
        market(TWO, [child(together=True)], grade_order=GRADES),
        market(TWO, [child(together=False)], grade_order=GRADES),
        "$.applicants",
        says="no household",
    ),
    Case(
        Check.TOGETHER_IDLE,
        "a wish to be together of a child who is alone",
        market(TWO, [child(together=True, household="h")], grade_order=GRADES),
        market(
            [*TWO, program("elm", "01")],
            [child(together=True, household="h"), {**child("bo", ["elm-01"], household="h"), "grade": "01"}],
            grade_order=GRADES,
        ),
        "$.applicants",
        says="no other applicant",
    ),
    Case(
        Check.TOGETHER_IDLE,
        "a wish to be together of twins",
        market(TWO, [child(ticket, together=True, household="h") for ticket in ("ann", "bo")], grade_order=GRADES),
        market(TWO, [child(ticket, household="h") for ticket in ("ann", "bo")], grade_order=GRADES),
        "$.applicants",
        says="same grade only",
    ),
    Case(
        Check.SCHOOL_UNKNOWN,
        "facts at a school whose name is nearly another's",
        market([program("lincoln")], [child(ranking=["lincoln-KG"], at={"lincon": ["sibling"]})]),
        market([program("lincoln")], [child(ranking=["lincoln-KG"], at={"elm": ["sibling"]})]),
        "$.applicants",
    ),
    Case(
        Check.NO_APPLICANTS,
        "a market before anybody applied",
        market(TWO),
        market(TWO, [child()]),
        "$.applicants",
    ),
]

CASES = [*LISTS, *POLICIES, *APPLICANTS]

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@each_case
def test_what_a_market_shows_is_found_in_its_place(case: Case) -> None:
    is_found(case)


@each_case
def test_what_a_market_nearly_shows_is_not_found(case: Case) -> None:
    is_not_found(case)
