"""What the public can work out about a cycle: everything that is read over HTTP, under attack by linear programs."""

import json
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from enrollment.database import transaction
from lottery.market.canonical import Json
from number_attack import Answer, PublicAnswers, found_out, truth_of
from people import Caller, Service
from permissions import operations
from rounds_by_hand import CYCLE, MAIN, City, a_day_later, apply, make_city
from rows import add_school

COUNTS = {"filled", "waiting", "placed", "unplaced", "applicants", "opened", "left_empty", "accepted", "offered"}
"""Fields that count children or the seats that they leave, by their names."""

COUNTED = {
    ("/v1/rounds/{round}/cutoffs", "filled"),
    ("/v1/rounds/{round}/cutoffs", "waiting"),
    ("/v1/rounds/{round}/report", "applicants"),
    ("/v1/rounds/{round}/report", "placed"),
    ("/v1/rounds/{round}/report", "unplaced"),
    ("/v1/log/entries", "applicants"),
}
"""Where a stranger reads such fields: what the attack knows."""


@pytest.fixture(params=[1, 2])
def city(request: pytest.FixtureRequest, service: Service) -> City:
    """Return a random small city whose main round is published: four programs, most of them small."""
    dice = random.Random(request.param)  # noqa: S311 - of a test
    city = make_city(service, children=0, lincoln=dice.randint(10, 14), adams=dice.randint(2, 6))
    with transaction(service.sessions) as session:
        for school in ("charter", "grove"):
            add_school(session, school, grades=["KG"])
    for name in ("charter", "grove"):
        _join(service, name, dice.randint(3, 9))
    programs = ["lincoln-kg", "adams-kg", "charter-kg", "grove-kg"]
    for number in range(30):
        ranked = dice.sample(programs, dice.randint(1, 4))
        apply(city.portal, f"child-{number:02}", ranked)
    city.run_main()
    a_day_later(service)
    return city


def _join(service: Service, school: str, seats: int) -> None:
    body: Json = {"status": "in", "agreement": "1", "grades": [{"grade": "KG", "seats": seats}]}
    answer = service.school_staff(school).change(f"{CYCLE}/schools/{school}/participation", body)
    assert answer.status_code == 200, answer.text


def public_answers(stranger: Caller, round_: str) -> PublicAnswers:
    """Read everything public about a round that has to do with numbers of children."""
    report = stranger.get(f"{round_}/report").json()
    cutoffs = stranger.get(f"{round_}/cutoffs").json()["cutoffs"]
    programs = stranger.get(f"{CYCLE}/programs?limit=200").json()["data"]
    bodies = [json.loads(entry["entry"]) for entry in stranger.get("/v1/log/entries").json()["entries"]]
    name = round_.rpartition("/")[2]
    (freeze,) = [body for body in bodies if body["type"] == "round.freeze" and body["round"] == name]
    lines = [body for body in bodies if body["type"] == "vacancy" and body.get("cause") == "not-filled"]
    grade_of = {program["id"]: program["grade"] for program in programs}
    return PublicAnswers(report, cutoffs, grade_of, freeze["applicants"], lines)


def test_nobody_can_work_out_a_hidden_number_of_a_main_round(city: City) -> None:
    public = public_answers(city.service.stranger(), MAIN)
    whole = city.ann.get(f"{MAIN}/review").json()["report"]
    secrets = truth_of(whole, true_groups(city))
    del secrets["applicants", "KG"]  # all applicants, whom the log counts
    assert len([number for number in secrets.values() if 0 < number < 10]) > 3
    assert found_out(public, secrets) == {}


def true_groups(city: City) -> list[Answer]:
    """Return the true numbers of the groups, from the auditor's file."""
    outcome = city.otto.get(f"{MAIN}/outcome").json()
    waiting = Counter({(one["program"], one["group"]): len(one["applicants"]) for one in outcome["waitlists"]})
    return [{**one, "waiting": waiting[one["program"], one["group"]]} for one in outcome["cutoffs"]]


def test_what_counts_children_in_public_is_what_the_attack_reads(city: City) -> None:
    found = set()
    for operation in operations(city.service):
        if operation.method == "GET" and not operation.security:
            path = operation.path.replace("{cycle}", "2027").replace("{round}", "2027-main")
            for name, value in {"school": "lincoln", "program": "lincoln-kg", "operator": "district"}.items():
                path = path.replace(f"{{{name}}}", value)
            answer = city.service.stranger().get(path)
            found |= {(operation.path, name) for name in fields_in(answer.json()) if name in COUNTS}
    assert found == COUNTED


def fields_in(value: Json) -> Iterator[str]:
    """Yield the name of every field in an answer, and in the log's entries within it."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from fields_in(json.loads(str(part)) if name == "entry" else part)
    elif isinstance(value, list):
        for part in value:
            yield from fields_in(part)


def test_declines_and_a_backfill_round_change_nothing_that_a_stranger_can_hold_against_the_main_round(
    city: City,
) -> None:
    stranger = city.service.stranger()
    before = [stranger.get(f"{MAIN}/{what}").json() for what in ("report", "cutoffs")]
    for reference in sorted(city.seats())[:3]:
        assert city.answer(reference, "decline").status_code == 200
    name = city.run_backfill()
    assert [stranger.get(f"{MAIN}/{what}").json() for what in ("report", "cutoffs")] == before
    report = stranger.get(f"/v1/rounds/{name}/report").json()
    assert (report["placed"], report["seats"], report["vacancies"]) == (None, None, None)
    assert (report["by_choice"], report["by_grade"]) == ([], [])
    assert stranger.get(f"/v1/rounds/{name}/cutoffs").json()["cutoffs"] == []
    main_rules, rules = (stranger.get(f"/v1/rounds/{one}/rules").json()["data"] for one in ("2027-main", name))
    assert [one["market"]["seats"] for one in rules] == [one["market"]["seats"] for one in main_rules]
    city.service.sequence()
    entries = [json.loads(one["entry"]) for one in stranger.get("/v1/log/entries").json()["entries"]]
    kept = {frozenset(entry) for entry in entries if entry["type"] == "vacancy"}
    assert kept == {frozenset({"v", "type", "cycle", "actor", "at", "commit"})}


def test_only_staff_read_the_lines_of_the_ledger_and_a_school_reads_its_own(city: City) -> None:
    city.answer(min(city.seats()), "decline")
    for path in (f"{CYCLE}/vacancies", f"{CYCLE}/vacancies/counts", f"{CYCLE}/programs/lincoln-kg/vacancies"):
        assert city.service.stranger().get(path).status_code == 401
        assert city.portal.get(path).status_code == 403
    whole, own = (caller.get(f"{CYCLE}/vacancies?limit=200").json()["data"] for caller in (city.otto, city.adams))
    assert own == [line for line in whole if line["school"] == "adams"]
    assert whole != own
    assert city.adams.get(f"{CYCLE}/programs/lincoln-kg/vacancies").status_code == 404


def test_no_family_reads_about_the_few_children_of_another_group(city: City) -> None:
    cutoffs = city.service.stranger().get(f"{MAIN}/cutoffs").json()["cutoffs"]
    large = {row["program"] for row in cutoffs if row["filled"] is not None}
    told: set[str] = set()
    for reference in city.tickets():
        explanation = city.portal.get(f"{CYCLE}/applicants/{reference}/explanation").json()
        for program in explanation["facts"]["programs"]:
            (group,) = program["groups"]
            if program["program"] in large:
                told.add(str(group["decided"]))
            else:
                assert (group["filled"], group["last"]) == (None, None)
                assert group["decided"] in {"others ahead", "placed higher", "seated"}
        assert large or "The last child who got" not in " ".join(explanation["lines"])
        places = city.portal.get(f"{CYCLE}/applicants/{reference}/waitlists").json()["places"]
        assert all(place["waiting"] is None or place["waiting"] >= 20 for place in places)
    assert not large or "number" in told
