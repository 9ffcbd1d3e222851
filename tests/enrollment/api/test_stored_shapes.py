"""Reading what is stored never fails for its shape: rows of older rules, of restored copies, of somebody's SQL."""

import json
from collections.abc import Iterator, Mapping, Sequence

import pytest
from sqlalchemy import text

from enrollment.database import transaction
from lottery.market.canonical import Json
from nested_json import nested
from people import Caller, Service
from permissions import Whole, make_whole, operations
from rounds_by_hand import CYCLE, apply, make_city

VALUE = "Zebulon"
"""Stands in every damaged value; no log may have it."""

ODD = f"{VALUE}\u202e\u200b\n{'z' * 600}"
"""A text that today's rules for input refuse for several reasons."""

SHAPES: Sequence[str] = [
    "null",
    "true",
    "7",
    f'"{VALUE}"',
    "{}",
    "[]",
    f'{{"name": "{VALUE}"}}',
    f'["{VALUE}", 7, null, [], {{}}]',
    f'[{{"name": 7, "relation": ["{VALUE}"], "email": {{}}, "phone": false}}]',
    '[{"text": 1, "postal_code": [], "point": 5}]',
    f'[{{"name": "{VALUE}", "text": "{VALUE}", "point": {{"longitude": "{VALUE}"}}, "other": "{VALUE}"}}]',
    f'[{{"name": "", "text": "", "point": {{"longitude": 1e400, "latitude": {"9" * 3_000}}}}}]',
    f'[{{"text": "{VALUE}", "point": [1, 2]}}, {{"point": {{"longitude": 999, "latitude": null}}}}]',
    f'[{{"name": {"1" * 5_000}}}]',
    f'[{{"name": {json.dumps(ODD)}, "text": {json.dumps(ODD)}}}]',
    nested(3_000),
]

ODD_TEXTS: Sequence[str] = [
    "person.given_name person.family_name applicant.attends applicant.language applicant.zone_method",
    "claim.fact claim.reason school.name operator.name program.name program.track partner.name staff.name",
    "staff_token.name cycle.name cycle.agreement cycle.zones_vintage participation.reason participation.actor",
    "offering.reason outside_placement.document outside_placement.asked_by vacancy.rule_of",
    "rules_said.reason rules_said.actor program_rules.reason program_rules.actor round.complaint",
]
"""Columns of text."""

ODD_VALUES: Sequence[tuple[str, str, str]] = [
    ("applicant.zones", "text[]", f"{{NULL,{VALUE}}}"),
    ("cycle.child_facts", "text[]", f"{{{{{VALUE},b}},{{c,d}}}}"),
    ("school.longitude+latitude", "float8", "NaN"),
    ("person.birth_date", "date", "-infinity"),
    ("cycle.results_at", "timestamptz", "infinity"),
    ("cycle.answer_by", "timestamptz", "12022-01-01Z"),
    ("cycle.opens_at", "timestamptz", "-infinity"),
]
"""Columns of other types."""

DOCUMENTS = [
    "person.guardians",
    "person.addresses",
    "notice.about",
    "waitlist_move.reasons",
    "rehearsal.totals",
    "preview.result",
    "round.gates",
]
"""Documents of which a reading that shows them is not to fail, whatever they are."""

DATES = ["infinity", "-infinity", "0044-03-15 BC", "12022-01-01", "0001-01-01"]


def damage(service: Service, column: str, value: str, kind: str = "text") -> None:
    """Set a column of every row by SQL, past the triggers of ours."""
    table, _, names = column.partition(".")
    with transaction(service.sessions) as session:
        session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        changes = ", ".join(f"{name} = CAST(:value AS {kind})" for name in names.split("+"))
        statement = f"UPDATE {table} SET {changes}"  # noqa: S608 - names of this file
        session.execute(text(statement), {"value": value})


def readings(whole: Whole, callers: Mapping[str, Caller], within: str = "") -> Iterator[tuple[str, int]]:
    """Yield what callers are answered who read everything: the operation, and the status."""
    for operation in operations(whole.city.service):
        if operation.method == "GET" and within in operation.path:
            for name, caller in callers.items():
                yield f"{name}: {operation.path}", whole.ask(caller, operation).status_code


def test_every_reading_answers_as_before_when_stored_values_are_of_another_shape(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = make_whole(service)
    city = whole.city
    callers = {"portal": city.portal, "lincoln": city.lincoln, "ann": city.ann, "otto": city.otto}
    before = dict(readings(whole, callers))
    assert sum(status == 200 for status in before.values()) > 90
    for column in " ".join(ODD_TEXTS).split():
        damage(service, column, ODD)
    for column, kind, value in ODD_VALUES:
        damage(service, column, value, kind)
    for shape in (SHAPES[7], SHAPES[13]):
        for column in DOCUMENTS:
            damage(service, column, shape, "jsonb")
        assert {at: now for at, now in readings(whole, callers) if now != before[at]} == {}
    assert VALUE not in "".join(capfd.readouterr())


def test_an_application_is_read_whatever_its_person_row_holds(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    city = make_city(service, children=0)
    apply(city.portal, "child", [])
    for shape in SHAPES:
        for column in ("guardians", "addresses"):
            damage(service, f"person.{column}", shape, "jsonb")
        answer = city.portal.get(f"{CYCLE}/applicants/child")
        assert answer.status_code == 200, shape[:80]
        shown = answer.json()
        assert isinstance(shown["guardians"], list)
        assert isinstance(shown["addresses"], list)
    for day in DATES:
        damage(service, "person.birth_date", day, "date")
        answer = city.portal.get(f"{CYCLE}/applicants/child")
        assert answer.status_code == 200, day
        assert answer.json()["child"]["birth_date"][:4] in ("9999", "0001")
    assert VALUE not in "".join(capfd.readouterr())


def test_what_can_be_read_of_a_damaged_document_is_shown(service: Service) -> None:
    city = make_city(service, children=0)
    apply(city.portal, "child", [])
    guardians = json.dumps([{"name": ODD, "phone": 5, "kin": "x"}, "Eve", {"email": "eve@example.org"}])
    addresses = json.dumps([{"text": "1 Elm Street", "point": {"longitude": 200, "latitude": "north"}}])
    damage(service, "person.guardians", guardians, "jsonb")
    damage(service, "person.addresses", addresses, "jsonb")
    damage(service, "person.given_name", ODD)
    shown = city.portal.get(f"{CYCLE}/applicants/child").json()
    nobody: dict[str, Json] = {"name": None, "relation": None, "email": None, "phone": None}
    assert shown["child"]["given_name"] == ODD
    assert shown["guardians"] == [{**nobody, "name": ODD}, {**nobody, "email": "eve@example.org"}]
    point: Json = {"longitude": 200, "latitude": None}
    assert shown["addresses"] == [{"text": "1 Elm Street", "postal_code": None, "point": point}]


def test_rules_and_reports_that_cannot_be_read_are_no_mistake_of_the_service(service: Service) -> None:
    whole = make_whole(service)
    rules = ["program_rules.came_from", "program_rules.market", "program_rules.rules", "rules_said.said"]
    for column in (*rules, "round.report", "cutoff.last"):
        for shape in ("[]", f'{{"seats": "{VALUE}"}}'):
            damage(service, column, shape, "jsonb")
            for within in ("programs", "rules", "overflow", "/rounds/{round}", "explanation"):
                answered = dict(readings(whole, {"ann": whole.city.ann}, within))
                assert {at: now for at, now in answered.items() if now >= 500} == {}


def test_no_answer_has_a_rule_for_what_it_shows(service: Service) -> None:
    document = service.app.openapi()
    schemas = document["components"]["schemas"]
    packaged = {"Preset", "PresetListedOut"}  # files of the service itself, held by the same rules as what is sent
    seen: set[str] = set()

    def rules(node: Json, at: str) -> Iterator[str]:
        if isinstance(node, list):
            for part in node:
                yield from rules(part, at)
        if not isinstance(node, Mapping):
            return
        name = str(node.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen | packaged:
            seen.add(name)
            yield from rules(schemas[name], name)
        for key, part in node.items():
            if key in ("pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"):
                yield f"{at}: {key}"
            elif key != "examples":
                yield from rules(part, f"{at}/{key}")

    answers = [op["responses"] for path in document["paths"].values() for op in path.values()]
    assert list(rules(answers, "")) == []
    assert len(seen) > 50
