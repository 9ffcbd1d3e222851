"""Every preset works as it stands, and does what it is named for, on a small market made of its own rules."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from enrollment.api.presets import router
from enrollment.database import transaction
from enrollment.error_handlers import answer_with_problems
from enrollment.languages import languages
from enrollment.problems import NotFound
from enrollment.rules.model import resolve
from enrollment.rules.presets import (
    FILES,
    Preset,
    Variant,
    first_after,
    presets,
    read_preset,
    settled_for,
)
from enrollment.rules.sentences import rules_in_words
from enrollment.rules.to_market import ProgramContext, program_document, read_back
from enrollment.rules.validation import KnownNames, input_faults, resolved_faults
from lottery.market.canonical import Json
from people import Service
from preset_markets import DOCS, NOBODY, OWN, SUMMER, each_preset, each_variant, program, season
from rows import add_cycle


def test_there_is_a_preset_for_each_system_of_the_field() -> None:
    assert set(presets()) == {
        "dc",
        "denver",
        "new-orleans",
        "newark",
        "camden",
        "chicago",
        "nyc",
        "nyc-charter-no-backfill",
        "massachusetts",
        "turnaround",
        "nashville",
        "boston-walk-zone",
        "chile",
        "indianapolis",
        "central-falls",
    }
    assert list(presets()) == sorted(presets())


def test_a_file_is_named_for_its_preset() -> None:
    ids = {path.stem: Preset.model_validate_json(path.read_bytes()).id for path in FILES.iterdir()}
    assert all(stem == preset for stem, preset in ids.items())


def test_an_unknown_preset_is_not_found() -> None:
    with pytest.raises(NotFound):
        read_preset("atlantis")


@each_variant
def test_the_rules_of_a_preset_have_no_faults_and_a_market_form(preset: Preset, variant: Variant) -> None:
    known = KnownNames(
        zones={OWN, *variant.zones},
        schools=(),
        school_facts=preset.cycle.school_facts,
        child_facts=preset.cycle.child_facts,
        grades=preset.cycle.grades,
    )
    for rules in (variant.rules, settled_for(preset, season(SUMMER)).variant(variant.name).rules):
        resolved = resolve(operator=None, school=None, program=rules).rules
        for grade in preset.cycle.grades:
            place = ProgramContext(f"lincoln-{grade}", "lincoln", grade, [OWN])
            assert input_faults(rules, known) == []
            assert resolved_faults(resolved, place) == []
            assert read_back(program_document(resolved, place)).grade == grade


@each_variant
def test_the_sentences_of_a_preset_have_no_gap_in_any_language(preset: Preset, variant: Variant) -> None:
    resolved = resolve(operator=None, school=None, program=variant.rules).rules
    made = read_back(program(resolved, grade=preset.cycle.grades[0]))
    assert {"en", "es", "ar"} <= set(languages())
    for language in languages():
        sentences = rules_in_words(resolved, made, language)
        assert sentences
        assert not [line for line in sentences if not line.strip() or NOBODY.search(line)]


@each_variant
def test_the_example_zones_are_the_zones_that_the_rules_name(preset: Preset, variant: Variant) -> None:
    assert set(variant.zones) == set(named_in(variant.rules.model_dump(mode="json"), "zone_in", "zones")), preset.id


@each_preset
def test_a_preset_lists_exactly_the_facts_that_its_rules_use(preset: Preset) -> None:
    rules = [variant.rules.model_dump(mode="json") for variant in preset.variants]
    assert set(preset.cycle.school_facts) == set(named_in(rules, "at_school"))
    assert set(preset.cycle.child_facts) == set(named_in(rules, "has"))


def named_in(document: Json, *keys: str) -> Iterator[str]:
    """Yield the names that stand under some keys, however deep."""
    if isinstance(document, Mapping):
        for key, part in document.items():
            yield from texts(part) if key in keys else named_in(part, *keys)
    elif isinstance(document, list):
        for part in document:
            yield from named_in(part, *keys)


def texts(part: Json) -> list[str]:
    return [part] if isinstance(part, str) else [str(name) for name in part] if isinstance(part, list) else []


@each_preset
def test_the_docs_describe_each_preset_with_its_sources(preset: Preset) -> None:
    docs = DOCS.read_text(encoding="utf-8")
    (section,) = re.findall(rf"^## `{preset.id}`\n(.*?)(?=^## |\Z)", docs, re.MULTILINE | re.DOTALL)
    text = " ".join(section.split())
    assert all(part in text for part in (preset.system, preset.shows, preset.source, *preset.notes))
    assert all(f"`{variant.name}`" in text and variant.what in text for variant in preset.variants)


def test_the_docs_describe_no_other_preset() -> None:
    assert re.findall(r"^## `(.*)`$", DOCS.read_text(encoding="utf-8"), re.MULTILINE) == list(presets())


# ---- dc


@pytest.mark.parametrize(
    ("day", "settled"),
    [
        (date(2026, 5, 1), date(2027, 2, 15)),
        (date(2027, 2, 14), date(2027, 2, 15)),
        (date(2027, 2, 15), date(2028, 2, 15)),
        (date(2028, 2, 29), date(2029, 2, 15)),
    ],
)
def test_a_day_of_each_year_is_the_first_one_after(day: date, settled: date) -> None:
    assert first_after("02-15", day) == settled


# ---- turnaround, nashville


def client(service: Service) -> TestClient:
    app = FastAPI()
    app.state.sessions = service.sessions
    app.include_router(router)
    answer_with_problems(app)
    return TestClient(app)


def test_anybody_may_read_the_presets(service: Service) -> None:
    listed = client(service).get("/v1/presets").json()
    assert listed["next_cursor"] is None
    assert [preset["id"] for preset in listed["data"]] == list(presets())
    assert set(listed["data"][0]) == {"id", "name", "system", "shows"}
    whole = client(service).get("/v1/presets/nashville").json()
    assert [variant["rules"]["neighborhood"]["rule"] for variant in whole["variants"]] == ["only", "none"]


def test_the_list_of_presets_comes_in_pages(service: Service) -> None:
    first = client(service).get("/v1/presets", params={"limit": 8}).json()
    rest = client(service).get("/v1/presets", params={"limit": 8, "cursor": first["next_cursor"]}).json()
    assert [preset["id"] for preset in [*first["data"], *rest["data"]]] == list(presets())


def test_the_api_does_not_find_an_unknown_preset(service: Service) -> None:
    answer = client(service).get("/v1/presets/atlantis")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_a_last_date_is_in_the_school_year_after_a_deadline_in_december_too(service: Service) -> None:
    with transaction(service.sessions) as session:
        add_cycle(session, opens_at=datetime(2026, 10, 1, tzinfo=UTC), deadline=datetime(2026, 12, 15, tzinfo=UTC))
    preset = client(service).get("/v1/cycles/2027/presets/massachusetts").json()
    assert preset["variants"][0]["rules"]["backfill"]["last_date"] == "2028-02-15"


def test_a_preset_read_for_a_cycle_has_its_dates(service: Service) -> None:
    with transaction(service.sessions) as session:
        deadline = datetime(2190, 3, 1, tzinfo=UTC)
        add_cycle(session, deadline=deadline)
    whole = client(service).get("/v1/cycles/2027/presets/massachusetts").json()
    assert whole["variants"][0]["rules"]["backfill"]["last_date"] == "2191-02-15"
    targets = client(service).get("/v1/cycles/2027/presets/indianapolis").json()["variants"][0]["rules"]["seats"]
    assert [target["begins"] for target in targets["later"]] == ["2190-05-01", "2190-08-01"]
    assert client(service).get("/v1/cycles/2099/presets/massachusetts").status_code == 404
