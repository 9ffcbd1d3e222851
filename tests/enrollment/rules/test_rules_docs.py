"""The served API docs show every neighborhood rule and every condition, with an example and its sentence."""

import html
import json
from typing import get_args

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from openapi_schema_validator import OAS31Validator
from pydantic import JsonValue

from enrollment.app import create_app
from enrollment.rules.conditions import EXAMPLES
from enrollment.rules.examples import condition_examples, neighborhood_examples
from enrollment.rules.model import NeighborhoodInput
from enrollment.rules.validation import RULES_FORM
from people import settings_for

NO_DATABASE = "postgresql://nobody@localhost/nothing"
RULES = {"none", "priority", "reserve", "guarantee", "only"}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(settings_for(NO_DATABASE))


def test_each_neighborhood_rule_and_condition_has_an_example_and_its_sentence(app: FastAPI) -> None:
    page = html.unescape(TestClient(app).get("/docs/rules").text)  # without its lifespan, so without a database
    neighborhoods, conditions = neighborhood_examples(), condition_examples()
    assert {example.name for example in neighborhoods} == RULES
    assert len(get_args(get_args(NeighborhoodInput)[0])) == len(neighborhoods)
    assert {example.name for example in conditions} == set(RULES_FORM.names())
    for example in (*neighborhoods, *conditions):
        assert example.json in page
        assert example.sentences
        assert all(sentence in page for sentence in example.sentences)
    assert "Only a child who lives in zone Z1 can get a seat here." in page


def test_the_page_of_operations_shows_every_alternative_of_a_body(app: FastAPI) -> None:
    page = TestClient(app).get("/docs").text
    (operation,) = page.split('<details id="putProgramRules">')[1].split("</details>")[:1]
    assert all(f'<td class="quiet">{rule}</td>' in operation for rule in RULES)
    assert all(f">{name}</code>" in operation for name in (*RULES_FORM.names(), "filled", "when_more_than_seats"))


def test_the_document_types_conditions_as_they_are_accepted(app: FastAPI) -> None:
    document = app.openapi()
    schema = {"$ref": "#/components/schemas/Condition", "components": document["components"]}
    condition = OAS31Validator(json.loads(json.dumps(schema)))
    assert set(document["components"]["schemas"]["Condition"]["properties"]) == set(RULES_FORM.names())
    assert all(condition.is_valid(example) for example in EXAMPLES)
    wrong: list[JsonValue] = [{}, {"has": "frl", "at_school": "sibling"}, {"own_zone": False}, {"zone": ["Z1"]}, "all"]
    assert not any(condition.is_valid(example) for example in (*wrong, {"not": {"any": wrong[1:2]}}))
    for example in neighborhood_examples():
        rule = {"$ref": "#/components/schemas/RulesInput", "components": document["components"]}
        assert OAS31Validator(json.loads(json.dumps(rule))).is_valid({"neighborhood": json.loads(example.json)})
