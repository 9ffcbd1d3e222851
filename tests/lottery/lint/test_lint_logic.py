"""Lint reasons about conditions as brute force over all children that could be does."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from lint_conditions import EVERYBODY, HERE
from lottery.lint.logic import every_case, leaves_of
from lottery.market.canonical import Json
from lottery.market.json_reader import Reader
from lottery.market.rules import (
    Condition,
)
from lottery.market.rules_reader import read_condition
from markets import (
    SIBLING_CONDITIONS,
)
from match_examples import examples


def read(condition: Json) -> Condition:
    made = read_condition(Reader(), condition, (None, "test"))
    assert made is not None
    return made


@examples(60)
@given(st.lists(SIBLING_CONDITIONS, min_size=1, max_size=3))
def test_the_cases_of_logic_are_those_that_some_child_can_be(documents: list[Json]) -> None:
    conditions = [read(each) for each in documents]
    leaves = leaves_of(conditions)
    cases = every_case(leaves)
    assert cases is not None
    thought = {tuple(cases.meeting(leaf) >> case & 1 for leaf in leaves) for case in range(cases.all.bit_length())}
    siblings: Sequence[Sequence[str]] = [(), (HERE,)]
    seen = {tuple(int(leaf.holds(child, HERE, near)) for leaf in leaves) for child in EVERYBODY for near in siblings}
    assert thought == seen


@examples(60)
@given(st.lists(SIBLING_CONDITIONS, min_size=1, max_size=3), st.data())
def test_a_table_says_of_each_case_what_the_condition_says_of_the_child(
    documents: list[Json], data: st.DataObject
) -> None:
    conditions = [read(each) for each in documents]
    leaves = leaves_of(conditions)
    cases = every_case(leaves)
    assert cases is not None
    child = data.draw(st.sampled_from(EVERYBODY))
    near = data.draw(st.sampled_from(((), (HERE,))))
    pattern = [leaf.holds(child, HERE, near) for leaf in leaves]
    case = next(
        case
        for case in range(cases.all.bit_length())
        if [bool(cases.meeting(leaf) >> case & 1) for leaf in leaves] == pattern
    )
    for condition in conditions:
        assert bool(cases.meeting(condition) >> case & 1) == condition.holds(child, HERE, near)
