"""Pointers of faults are into the body as it was sent: no name of a union's branch, and keys escaped (RFC 6901)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pytest
from pydantic import JsonValue, TypeAdapter, ValidationError

from enrollment.field_faults import faults_of
from enrollment.participation.inputs import ParticipationIn
from enrollment.rules.model import RulesInput
from enrollment.rules.validation import KnownNames, input_faults
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import make_city

Schema: TypeAlias = dict[str, Any]  # type: ignore[explicit-any]  # a document of any depth

UNIONS = {"ReserveInput.overflow", "RulesInput.neighborhood", "RulesInput.tie_break"}
"""The members of bodies that take one of several forms. Each is in `CASES`."""

CASES: Sequence[tuple[Mapping[str, Json], dict[str, str]]] = [
    ({"neighborhood": {"rule": "reserve", "percent": 101}}, {
        "/neighborhood/percent": "less-than-equal", "/neighborhood/filled": "missing"}),
    ({"neighborhood": {"rule": "priority", "zones": ["a b"], "naem": 1}}, {
        "/neighborhood/zones/0": "string-pattern-mismatch", "/neighborhood/naem": "extra-forbidden"}),
    ({"neighborhood": {"rule": "guarantee", "when_more_than_seats": "?"}}, {
        "/neighborhood/when_more_than_seats": "literal-error"}),
    ({"neighborhood": {"rule": "only", "zones": 7}}, {"/neighborhood/zones": "list-type"}),
    ({"neighborhood": {"rule": "none", "none": 1}}, {"/neighborhood/none": "extra-forbidden"}),
    ({"neighborhood": {"rule": "reserve", "filled": "open-seats-first", "reserve": {"percent": 101}, "percent": 102}}, {
        "/neighborhood/percent": "less-than-equal", "/neighborhood/reserve": "extra-forbidden"}),
    ({"neighborhood": {"rule": "nearest"}}, {"/neighborhood/rule": "literal-error"}),
    ({"neighborhood": {}}, {"/neighborhood/rule": "missing"}),
    ({"neighborhood": "none"}, {"/neighborhood": "model-attributes-type"}),
    ({"tie_break": {"ranked": ["a b"]}}, {"/tie_break/ranked/0": "string-pattern-mismatch"}),
    ({"tie_break": {"ranked": [], "RankedInput": 1}}, {"/tie_break/RankedInput": "extra-forbidden"}),
    ({"backfill": {"last_date_by_grade": {"a/b~c": "2027-02-15"}}}, {
        "/backfill/last_date_by_grade/a~1b~0c": "string-pattern-mismatch"}),
    ({"backfill": {"last_date_by_grade": {"KG": "soon"}}}, {"/backfill/last_date_by_grade/KG": "date-parsing"}),
    ({"reserves": [{"name": "r", "when": {}}]}, {"/reserves/0": "one-size"}),
    ({"reserves": [{"name": "r", "when": {}, "seats": 1, "overflow": {"to": 7}}]}, {
        "/reserves/0/overflow/to": "dict-type"}),
    ({"reserves": [{"name": "r", "when": {}, "seats": 1, "overflow": {"to": {}, "too": {}}}]}, {
        "/reserves/0/overflow/too": "extra-forbidden"}),
    ({"seats": {"match": 1, "later": [{"name": "x", "begins": 1, "seats": -1}]}}, {
        "/seats/later/0/begins": "date-parsing", "/seats/later/0/seats": "greater-than-equal"}),
]  # fmt: skip


def faults_in(model: type, body: object) -> list[tuple[str, str]]:
    try:
        TypeAdapter(model).validate_python(body)
    except ValidationError as error:
        errors = [{**found, "loc": ("body", *found["loc"])} for found in error.errors()]
        return [(fault.pointer, fault.code) for fault in faults_of(errors, body)]
    return []


@pytest.mark.parametrize(("rules", "faults"), CASES)
def test_a_pointer_names_only_what_is_in_the_body(rules: Mapping[str, Json], faults: dict[str, str]) -> None:
    assert dict(faults_in(RulesInput, dict(rules))) == faults


def test_both_forms_are_named_where_neither_fits() -> None:
    assert faults_in(RulesInput, {"tie_break": 5}) == [("/tie_break", "literal-error"), ("/tie_break", "model-type")]
    assert faults_in(ParticipationIn, {"grades": [{"grade": "KG"}]}) == [("", "no-status")]


def test_a_key_in_a_condition_is_escaped_and_shown_where_it_is() -> None:
    known = KnownNames(zones=[], schools=[], school_facts=[], child_facts=["ell", "frl"], grades=["KG"])
    conditions: list[dict[str, JsonValue]] = [
        {"a/b~c": 1},
        {"all": [{"zone in": ["x"]}]},
        {"any": [{"not": {"zone_in": [1]}}]},
        {"has": "x"},
    ]
    found = {}
    for condition in conditions:
        (fault,) = input_faults(RulesInput(eligible=condition), known)
        found[fault.pointer] = fault.detail.format_map(fault.values)
    assert list(found) == [
        "/eligible/a~1b~0c",
        "/eligible/all/0/zone in",
        "/eligible/any/0/not/zone_in/0",
        "/eligible/has",
    ]
    assert found["/eligible/has"].endswith(": ell, frl")


def unions(document: Schema) -> Iterator[str]:
    """Yield the members of bodies whose schema takes several forms; null is no form."""
    sent = str(
        [operation.get("requestBody") for methods in document["paths"].values() for operation in methods.values()]
    )
    schemas = document["components"]["schemas"]
    names = {name for name in schemas if f"schemas/{name}'" in sent}
    while (
        more := {other for other in schemas if any(f"schemas/{other}'" in str(schemas[name]) for name in names)} - names
    ):
        names |= more
    for name in names:
        for member, schema in schemas[name].get("properties", {}).items():
            forms = [form for form in schema.get("anyOf", schema.get("oneOf", [])) if form != {"type": "null"}]
            if len(forms) > 1 or "discriminator" in str(forms or schema):
                yield f"{name}.{member}"


def test_the_cases_have_every_union_of_every_body(service: Service) -> None:
    assert set(unions(service.app.openapi())) == UNIONS


def test_the_place_in_the_rules_of_a_request_is_the_place_in_its_body(service: Service) -> None:
    ann = make_city(service, children=0).ann
    body: Json = {"rules": {"neighborhood": {"rule": "reserve", "percent": 101, "filled": "open-seats-first"}}}
    answer = ann.put("/v1/cycles/2027/programs/lincoln-kg/rules", body)
    assert [(fault["pointer"], fault["detail"]) for fault in answer.json()["errors"]] == [
        ("/rules/neighborhood/percent", "must be 100 or less")
    ]
    wrong = ann.put("/v1/cycles/2027/programs/lincoln-kg/rules", {"rules": {"neighborhood": {"rule": "near"}}})
    assert [(fault["pointer"], fault["detail"]) for fault in wrong.json()["errors"]] == [
        ("/rules/neighborhood/rule", "must be one of: none, priority, reserve, guarantee, only")
    ]
