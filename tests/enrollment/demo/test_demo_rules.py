"""The schools of the demo have no rule that cannot do what it says."""

from collections.abc import Mapping
from typing import cast

import pytest

from enrollment.demo.city import make_city
from enrollment.demo.schools import MAX_RAISED
from enrollment.rules.lint_pointers import LintedProgram, findings_at
from enrollment.rules.model import NeighborhoodPriority, NeighborhoodReserve, RulesInput, resolve
from enrollment.rules.to_market import ProgramContext, read_back, write_program
from enrollment.rules.validation import resolved_faults
from lottery.lint import lint_rules
from lottery.lint.findings import Weight
from lottery.market.canonical import Json
from lottery.market.model import Kind, Market, Policy, Round


@pytest.mark.parametrize(("schools", "children"), [(16, 300), (60, 3_000)])
def test_no_rule_of_a_demo_school_is_without_effect(schools: int, children: int) -> None:
    city = make_city(schools=schools, children=children)
    linted = []
    for school in city.schools:
        operator = RulesInput.model_validate(city.operator_rules[school.operator])
        own = RulesInput.model_validate(school.rules)
        for grade, seats in school.seats.items():
            program = RulesInput.model_validate({"seats": {"match": seats}})
            rules = resolve(operator=operator, school=own, program=program).rules
            context = ProgramContext(f"{school.id}-{grade}", school.id, grade, ["own"])
            assert resolved_faults(rules, context) == []
            written = write_program(rules, context)
            linted.append(LintedProgram(rules, written, read_back(cast("Mapping[str, Json]", written.document))))
    order = tuple(sorted({one.market.grade for one in linted}, reverse=True))
    market = Market(Round("lint", Kind.MAIN), Policy(grade_order=order), tuple(one.market for one in linted), ())
    found = lint_rules(market)
    wrong = {
        (one.market.id, finding.code, finding.pointer)
        for one in linted
        for finding in findings_at(one, [finding for finding in found if finding.program == one.market.id])
        if finding.weight is Weight.CANNOT
    }
    assert wrong == set()
    kinds = {type(one.rules.neighborhood) for one in linted}
    assert {NeighborhoodPriority, NeighborhoodReserve} <= kinds
    assert all((reserve.percent or 0) <= MAX_RAISED for one in linted for reserve in one.rules.reserves or [])
    assert schools == 16 or any(one.rules.reserves for one in linted)
