"""The reference of rules shows every rule and every condition, and the sentences that the service makes of them."""

import json
from typing import get_args

from enrollment.rules.model import NeighborhoodInput, RulesInput
from enrollment.rules.validation import RULES_FORM
from pages import text
from rules_examples import CONDITION, EXAMPLE, PAGE, updated

EXAMPLES = [json.loads(found["rules"]) for found in EXAMPLE.finditer(text(PAGE))]


def test_the_page_shows_the_sentences_that_the_service_makes() -> None:
    assert text(PAGE) == updated()


def test_every_part_of_the_rules_has_an_example() -> None:
    assert {part for example in EXAMPLES for part in example} == set(RulesInput.model_fields)


def test_every_neighborhood_rule_has_an_example() -> None:
    kinds = {get_args(kind.model_fields["rule"].annotation)[0] for kind in get_args(get_args(NeighborhoodInput)[0])}
    assert {example["neighborhood"]["rule"] for example in EXAMPLES if "neighborhood" in example} == kinds


def test_every_condition_has_a_row() -> None:
    shown = {next(iter(json.loads(found["condition"]))) for found in CONDITION.finditer(text(PAGE))}
    assert shown | {"everyone"} == set(RULES_FORM.names())
