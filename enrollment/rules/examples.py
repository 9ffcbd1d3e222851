"""Examples of neighborhood rules and conditions, with the sentences that the service makes of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast, get_args

from pydantic import JsonValue

from enrollment.field_types import Wire
from enrollment.rules.conditions import EXAMPLES, Condition
from enrollment.rules.model import NeighborhoodInput, RulesInput, resolve
from enrollment.rules.sentences import rules_in_words
from enrollment.rules.to_market import ProgramContext, program_document, read_back

PLACE = ProgramContext(program="lincoln-kg", school="lincoln", grade="KG", zones=["Z1"])
CLASSES: JsonValue = [{"name": "sibling", "when": {"at_school": "sibling"}}]


@dataclass(frozen=True, slots=True)
class Example:
    """A rule or a condition: its name, its meaning, its JSON, and its sentences."""

    name: str
    about: str
    json: str
    sentences: Sequence[str]


@cache
def neighborhood_examples() -> Sequence[Example]:
    """Return an example of each neighborhood rule, at a program with a class for siblings."""
    return [_neighborhood(kind) for kind in get_args(get_args(NeighborhoodInput)[0])]


@cache
def condition_examples() -> Sequence[Example]:
    """Return an example of each condition, as the condition of a program's `eligible`."""
    return [_condition(name, condition) for condition in EXAMPLES for name in condition]


def _neighborhood(kind: type[Wire]) -> Example:
    (rule,) = _examples_of(kind)
    name = str(rule["rule"])
    other = "priority" if name == "none" else "none"
    sentences = _different(
        {"classes": CLASSES, "neighborhood": rule}, {"classes": CLASSES, "neighborhood": {"rule": other}}
    )
    return Example(name, kind.__doc__ or "", json.dumps(rule), sentences)


def _condition(name: str, condition: dict[str, JsonValue]) -> Example:
    about = {field.alias or key: field.description for key, field in Condition.model_fields.items()}
    other: JsonValue = {"has": "frl"} if name == "everyone" else {"everyone": True}
    sentences = _different({"eligible": condition}, {"eligible": other})
    return Example(name, about[name] or "", json.dumps(condition), sentences)


def _examples_of(kind: type[Wire]) -> Sequence[dict[str, JsonValue]]:
    more = cast("dict[str, JsonValue]", kind.model_config["json_schema_extra"])
    return cast("Sequence[dict[str, JsonValue]]", more["examples"])


def _different(rules: dict[str, JsonValue], other: dict[str, JsonValue]) -> Sequence[str]:
    """Return the sentences of rules that the other rules do not have."""
    others = _sentences(other)
    return [sentence for sentence in _sentences(rules) if sentence not in others]


def _sentences(rules: dict[str, JsonValue]) -> list[str]:
    said = RulesInput.model_validate({"seats": {"match": 40}, **rules})
    resolved = resolve(operator=None, school=None, program=said).rules
    return rules_in_words(resolved, read_back(program_document(resolved, PLACE)), "en")
