"""A preview compares a proposal with the rules in force, over many draws, in totals."""

import json
import re
from collections.abc import Mapping

import pytest
from sqlalchemy import func, select, text

from enrollment.audit.models import LogEntry
from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from enrollment.failures import Breakage
from enrollment.previews import requests
from enrollment.previews.job import give_up_preview
from enrollment.previews.models import Preview
from lottery.market.canonical import Json
from pages import blocks
from pages import text as text_of
from previews_by_hand import PROGRAM, SEATS, Town
from rounds_by_hand import CYCLE
from rows import add_cycle, add_school

SCHOOL = f"{CYCLE}/schools/lincoln/rules"
OPERATOR = f"{CYCLE}/operators/district/rules"


def rules(**parts: Json) -> dict[str, Json]:
    return {"rules": {"seats": {"match": SEATS}, **parts}}


NEAR_FIRST = rules(neighborhood={"rule": "priority"})
ALIKE: Mapping[str, Json] = {"before": SEATS, "after": SEATS, "difference": 0, "margin": 0}


def test_a_preview_shows_who_would_come_against_the_rules_in_force(town: Town) -> None:
    with transaction(town.service.sessions) as session:
        entries = session.scalar(select(func.count()).select_from(LogEntry))
    shown = town.preview(NEAR_FIRST)
    program = shown.program()
    assert program["seats"] == {"before": SEATS, "after": SEATS}
    assert program["filled"] == ALIKE
    assert program["waiting"] == {"before": 28, "after": 28, "difference": 0, "margin": 0}
    near = shown.line("zones", "near")
    assert near is not None
    assert (near["after"], near["margin"]) == (SEATS, 1)
    assert 9 <= near["before"] <= 11
    assert near["difference"] == near["after"] - near["before"]
    assert shown.line("classes", "neighborhood") == {**near, "before": 0, "difference": SEATS, "margin": 0}
    assert shown.result["basis"] == {
        "cycle": "2027",
        "children": 48,
        "left_out": {"programs": [], "children": 0, "zones": []},
    }
    (outcome,) = shown.result["outcomes"]
    # Far children then ask at Adams, which has 20 seats for 24 of them.
    assert outcome["others"]["with_a_seat"] == {"before": 48, "after": 44, "difference": -4, "margin": 0}
    with transaction(town.service.sessions) as session:
        assert session.scalar(select(func.count()).select_from(LogEntry)) == entries


def test_a_repeated_preview_shows_the_same_numbers(town: Town) -> None:
    first = town.preview(NEAR_FIRST)
    assert town.preview(NEAR_FIRST) == first
    renamed = rules(classes=[{"name": "close", "when": {"zone_in": ["near"]}}])
    assert town.preview(renamed).line("zones", "near") == first.line("zones", "near")


def test_a_neighborhood_reserve_is_shown_in_both_orders(town: Town) -> None:
    reserve: Json = {"rule": "reserve", "percent": 25, "filled": "reserved-seats-first"}
    shown = town.preview(rules(seats={"match": 32}, neighborhood=reserve))
    assert [(one["order"], one["proposed"]) for one in shown.result["outcomes"]] == [
        ("open-seats-first", False),
        ("reserved-seats-first", True),
    ]
    open_first, reserved_first = (
        shown.line("reserves", "neighborhood", order=order) for order in ("open-seats-first", "reserved-seats-first")
    )
    assert open_first is not None
    assert reserved_first is not None
    assert open_first["after"] > reserved_first["after"] > open_first["before"] == reserved_first["before"]


def test_a_school_sees_its_programs_and_an_operator_all_of_them_together(town: Town) -> None:
    body: Mapping[str, Json] = {"rules": {"tie_break": "multiple"}}
    assert [one["program"] for one in town.preview(body, SCHOOL).result["outcomes"][0]["programs"]] == ["lincoln-kg"]
    shown = town.preview(body, OPERATOR, town.dora)
    (outcome,) = shown.result["outcomes"]
    assert [one["program"] for one in outcome["programs"]] == ["adams-kg", "hill-kg", "lincoln-kg"]
    assert outcome["together"]["seats"] == {"before": 3 * SEATS, "after": 3 * SEATS}
    assert outcome["together"]["filled"]["before"] == 48
    assert outcome["others"] is None


def test_a_school_that_is_out_previews_joining_on_last_years_rankings(town: Town) -> None:
    with transaction(town.service.sessions) as session:
        now = clock(session)
        add_cycle(session, "2028", opens_at=now, deadline=now.replace(year=now.year + 1))
    path = PROGRAM.replace("2027", "2028")
    out = town.ask({"join": True, "basis": "last-cycle"}, path)
    assert (out.status_code, out.json()["errors"][0]["code"]) == (409, "seats-missing")
    assert town.ask({**NEAR_FIRST, "basis": "last-cycle"}, path).json()["code"] == "rules-cannot-work"
    shown = town.preview({**rules(), "join": True, "basis": "last-cycle"}, path)
    assert shown.program()["filled"] == {"before": 0, "after": SEATS, "difference": SEATS, "margin": 0}
    assert shown.program()["seats"] == {"before": 0, "after": SEATS}
    assert shown.result["basis"] == {
        "cycle": "2027",
        "children": 48,
        "left_out": {"programs": ["adams-kg", "hill-kg"], "children": 0, "zones": ["far", "near"]},
    }
    assert town.ask({**rules(), "basis": "last-cycle"}, path).json()["code"] == "nothing-to-preview"
    assert town.ask({**rules(), "basis": "last-cycle"}).json()["code"] == "no-last-cycle"


def test_too_few_rankings_are_said_to_be_too_few(town: Town) -> None:
    with transaction(town.service.sessions) as session:
        session.execute(text("UPDATE applicant SET withdrawn_at = now() WHERE reference > 'child-08'"))
    asked = town.ask(NEAR_FIRST)
    answer = town.lincoln.get(asked.headers["Location"], {"Accept-Language": "es"}).json()["result"]
    assert answer["outcomes"] == []
    assert answer["basis"]["children"] is None
    (hidden,) = answer["hidden"]
    assert hidden["reason"] == "few-rankings"
    assert hidden["detail"].startswith("Menos de 10")


def test_a_preset_is_tried_with_the_schools_seats_and_zones(town: Town) -> None:
    boston: Json = {"id": "boston-walk-zone", "variant": "reserved-seats-first"}
    shown = town.ask({"preset": boston})
    result = town.lincoln.get(shown.headers["Location"]).json()["result"]
    # No child has a sibling at Lincoln, so the class of the preset is a small group.
    assert [(one["reason"], one["groups"]) for one in result["hidden"]] == [("small-group", ["sibling"])]
    unknown = town.ask({"preset": {"id": "boston-walk-zone", "variant": "never-heard"}})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (409, "/preset/variant")
    assert town.ask({"preset": {"id": "never-heard"}}).status_code == 404
    zones = town.ask({"preset": {"id": "chicago"}})
    assert (zones.status_code, zones.json()["errors"][0]["pointer"]) == (409, "/preset/zones")


def test_bad_proposals_are_refused_with_what_is_wrong(town: Town) -> None:
    def refused(body: Json, status: int) -> tuple[Json, Json]:
        answer = town.lincoln.post(f"{PROGRAM}/preview", body)
        assert answer.status_code == status, answer.text
        problem = answer.json()
        return problem["code"], problem["errors"][0]["pointer"] if problem.get("errors") else None

    assert refused({}, 422)[0] == "malformed-body"
    assert refused({"rules": {}, "preset": {"id": "dc"}}, 422)[0] == "malformed-body"
    assert refused({**NEAR_FIRST, "draws": 5_000}, 422) == ("malformed-body", "/draws")
    nowhere = rules(classes=[{"name": "far", "when": {"zone_in": ["nowhere"]}}])
    assert refused(nowhere, 409) == ("rules-cannot-work", "/rules/classes/0/when/zone_in/0")
    assert refused(rules(tie_break={"ranked": ["a" * 32]}), 409) == ("preview-names-children", "/rules/tie_break")


def test_one_preview_of_a_school_runs_at_a_time_and_fifty_a_day(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    first = town.lincoln.post(f"{PROGRAM}/preview", NEAR_FIRST).json()
    second = town.lincoln.post(f"{SCHOOL}/preview", NEAR_FIRST)
    assert (second.status_code, second.json()["code"]) == (409, "preview-running")
    assert town.lincoln.get(f"/v1/rules-previews/{first['id']}").json()["state"] == "waiting"
    assert town.ask(NEAR_FIRST, PROGRAM.replace("lincoln", "adams"), town.adams).status_code == 202
    town.service.run_job("preview", first["id"])
    monkeypatch.setattr(requests, "MAX_A_DAY", 1)
    third = town.lincoln.post(f"{PROGRAM}/preview", NEAR_FIRST)
    assert (third.status_code, third.json()["code"]) == (429, "too-many-previews")
    assert 80_000 < int(third.headers["Retry-After"]) <= 86_400


def test_a_preview_that_fails_says_why_and_one_that_is_lost_blocks_nobody(town: Town) -> None:
    first = town.lincoln.post(f"{PROGRAM}/preview", NEAR_FIRST).json()["id"]
    give_up_preview(town.service.sessions, first, Breakage("ValueError", "job.py:1"))
    failed = town.lincoln.get(f"/v1/rules-previews/{first}").json()
    assert failed["state"] == "failed"
    assert "ValueError at job.py:1" in failed["reason"]
    town.service.run_job("preview", first)
    assert town.lincoln.get(f"/v1/rules-previews/{first}").json() == failed
    lost = town.lincoln.post(f"{PROGRAM}/preview", NEAR_FIRST).json()["id"]
    with transaction(town.service.sessions) as session:
        session.execute(text("DELETE FROM procrastinate_jobs"))
    assert town.lincoln.get(f"/v1/rules-previews/{lost}").json()["state"] == "failed"
    assert town.ask(NEAR_FIRST).status_code == 202


def test_a_proposal_that_no_longer_works_fails_with_the_reason(town: Town) -> None:
    asked = town.lincoln.post(f"{PROGRAM}/preview", NEAR_FIRST).json()["id"]
    out: Json = {"status": "out", "reason": "A flood"}
    assert town.lincoln.change(f"{CYCLE}/schools/lincoln/participation", out).status_code == 200
    town.service.run_job("preview", asked)
    failed = town.lincoln.get(f"/v1/rules-previews/{asked}").json()
    assert failed["state"] == "failed"
    assert failed["reason"].startswith("No program here takes part in 2027.")


def test_previews_are_for_the_school_its_operator_administrators_and_auditors(town: Town) -> None:
    asked = town.ask(NEAR_FIRST)
    path = asked.headers["Location"]
    service = town.service
    for caller in (town.ann, town.otto, town.lincoln, town.dora):
        assert caller.get(path).status_code == 200
    with transaction(service.sessions) as session:
        add_school(session, "charter", operator="network")
    for caller in (town.adams, service.operator_staff("network")):
        assert caller.get(path).status_code == 404
        assert caller.post(f"{PROGRAM}/preview", NEAR_FIRST).status_code == 404
    assert town.portal.get(path).status_code == 403
    assert town.otto.post(f"{PROGRAM}/preview", NEAR_FIRST).status_code == 404
    assert service.stranger().get(path).status_code == 401


def test_old_previews_are_deleted(town: Town) -> None:
    path = town.ask(NEAR_FIRST).headers["Location"]
    town.service.sequence()
    assert town.lincoln.get(path).status_code == 200
    with transaction(town.service.sessions) as session:
        session.execute(text("UPDATE preview SET at = at - interval '15 days'"))
    town.service.sequence()
    assert town.lincoln.get(path).status_code == 404


def test_a_preview_of_a_round_that_runs_leaves_the_round_alone(town: Town) -> None:
    with transaction(town.service.sessions) as session:
        lock_cycle(session, "2027").cycle.running_round = "2027-main"
    assert town.preview(NEAR_FIRST).program()["filled"] == ALIKE
    with transaction(town.service.sessions) as session:
        (preview,) = session.scalars(select(Preview)).all()
        assert "child" not in str(preview.proposal)


def test_the_request_on_the_page_for_schools_runs(town: Town) -> None:
    (request,) = [block for block in blocks("docs/how-to/school.md", "http") if "/preview" in block]
    first, body = request.strip().splitlines()
    path = first.split()[1].replace("CYCLE", "2027").replace("PROGRAM", "lincoln-kg")
    shown = town.preview(json.loads(body), path.removesuffix("/preview"))
    assert shown.program()["filled"] == ALIKE
    (preset,) = re.findall(r'`(\{"preset": .*\})`', text_of("docs/how-to/school.md"))
    assert town.ask(json.loads(preset)).status_code == 202
