"""Lint as a whole: reserves that simulated draws show to be idle, and how findings are told."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from io import StringIO

import test_lint_overflow
import test_lint_round
import test_lint_rules

import lottery
from cities import LARGE, document
from lint_cases import EVERYONE, child, children, classes, flag, found, market, program, reserve, ruled, zone
from lottery.generate.generate import generate
from lottery.lint import lint
from lottery.lint.findings import Check, Weight
from lottery.lint.report import document_of, print_findings
from lottery.lint.titles import TITLES
from lottery.market.model import Market
from worked_examples import Document


def test_there_is_a_case_for_every_check_but_the_simulated_one() -> None:
    assert {case.check for case in (*test_lint_rules.CASES, *test_lint_round.CASES, *test_lint_overflow.CASES)} == set(
        Check
    ) - {Check.RESERVE_IDLE}


# ---- idle reserves: Boston's walk zone (Dur, Kominers, Pathak & Sönmez 2018)


def boston(*, walkers: int = 28, others: int = 12, precedence: Sequence[str] = ("walk-zone", "open")) -> Market:
    """Twenty seats, half of them for the walk zone."""
    return ruled(
        *children(walkers, zones=["walk"]),
        *children(others, start=walkers),
        seats=20,
        reserves=[{"name": "walk-zone", "when": zone("walk"), "percent": 50}],
        precedence=list(precedence),
    )


def test_a_reserve_that_its_precedence_makes_idle_is_shown_in_three_numbers() -> None:
    (finding,) = found(boston(), Check.RESERVE_IDLE, draws=40)
    assert (finding.weight, finding.group, finding.program) == (Weight.CANNOT, "walk-zone", "oak-KG")
    as_is, without, filled_last = map(float, re.findall(r"\d+\.\d", finding.wrong))
    assert without <= as_is <= without + 0.2
    assert filled_last >= without + 2.5


def test_a_reserve_that_is_idle_at_several_programs_of_a_school_is_told_once() -> None:
    one = boston()
    (kindergarten,) = one.programs
    twice = replace(
        one,
        programs=(kindergarten, replace(kindergarten, id="oak-01", grade="01")),
        applicants=(
            *one.applicants,
            *(replace(each, id=f"{each.id}-01", grade="01", ranking=("oak-01",)) for each in one.applicants),
        ),
    )
    (finding,) = found(twice, Check.RESERVE_IDLE, draws=40)
    assert finding.programs == ("oak-KG", "oak-01")
    assert "of the 40 seats of these 2 programs together" in finding.wrong


def test_the_same_reserve_behind_the_open_seats_is_not_idle() -> None:
    assert found(boston(precedence=("open", "walk-zone")), Check.RESERVE_IDLE, draws=40) == []


def test_the_same_reserve_for_fewer_children_is_not_idle() -> None:
    assert found(boston(walkers=12, others=28), Check.RESERVE_IDLE, draws=40) == []


def test_without_draws_nothing_is_simulated() -> None:
    assert found(boston(), Check.RESERVE_IDLE, draws=0) == []


# ---- findings as a whole


def test_what_is_the_same_at_several_programs_of_a_school_is_told_once() -> None:
    rules: Document = {"priorities": classes(EVERYONE, flag("ell"))}
    made = market([{**each, **rules} for each in (program(), program(grade="01"), program("elm"))])
    both, other = sorted(found(made, Check.CLASS_UNREACHABLE), key=lambda finding: -len(finding.places))
    assert (both.programs, both.program) == (("oak-KG", "oak-01"), None)
    assert (other.program, other.school) == ("elm-KG", "elm")


def test_classes_that_a_reserve_takes_over_are_told_once() -> None:
    made = ruled(priorities=classes(EVERYONE, flag("ell")), reserves=[reserve("near", zone("Z1"))])
    (finding,) = found(made, Check.CLASS_UNREACHABLE)
    assert (finding.group, len(finding.places)) == (None, 1)


def test_a_rule_of_too_many_facts_is_passed_over() -> None:
    flags = [flag(f"f{number}") for number in range(20)]
    made = ruled(priorities=classes({"any": flags}, {"any": flags}))
    assert found(made, Check.CLASS_UNREACHABLE) == []


def test_a_market_of_plain_rules_has_nothing_to_say() -> None:
    made = market([program(priorities=classes(flag("ell")))], [child(flags=["ell"]), child("bo")])
    assert lint(made) == []


def test_findings_print_school_by_school_and_end_with_their_number() -> None:
    made = market([program(priorities=classes(EVERYONE, flag("ell"))), program("elm")], tie_break="multiple")
    stream = StringIO()
    print_findings(lint(made), stream)
    lines = stream.getvalue().splitlines()
    assert [line for line in lines if line.startswith(("All", "School"))] == ["All schools", "School oak"]
    assert "PROBLEM No child can reach this class: class “class-2”, at oak-KG" in lines
    assert lines[-1] == "1 rule that cannot work as written, 3 notes."


def test_every_finding_has_a_title_of_its_own() -> None:
    assert set(TITLES) == set(Check)
    assert len(set(TITLES.values())) == len(TITLES)


def test_nothing_found_is_said_so() -> None:
    stream = StringIO()
    print_findings([], stream)
    assert stream.getvalue() == "No findings: every rule can work as written.\n"


def test_findings_as_json_have_every_field() -> None:
    told = json.loads(json.dumps(document_of(found(test_lint_rules.CLASSES[0].shows, Check.CLASS_UNREACHABLE))))
    (finding,) = told["findings"]
    assert (finding["check"], finding["weight"], finding["basis"]) == (Check.CLASS_UNREACHABLE, "cannot", "rules")
    assert finding["places"] == [{"program": "oak-KG", "path": "$.programs[0].priorities[1]"}]
    assert (finding["school"], finding["class"], finding["group"]) == ("oak", "class-2", None)


def test_the_order_of_applicants_changes_no_finding() -> None:
    made = document(generate(LARGE))
    applicants = made["applicants"]
    assert isinstance(applicants, list)
    turned = {**made, "applicants": applicants[::-1]}
    assert lint(lottery.read_market(made), draws=0) == lint(lottery.read_market(turned), draws=0)
