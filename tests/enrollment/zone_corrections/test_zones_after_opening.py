"""A wrong file of zones is mended after the opening by two administrators, who see first what it changes for whom."""

import json
from datetime import timedelta

import httpx2
from sqlalchemy import select

from enrollment.applicants.models import Applicant
from enrollment.audit.models import LogEntry
from enrollment.cycles.models import Cycle
from enrollment.database import clock, transaction
from enrollment.notify.notice_numbers import number_notices
from enrollment.zones.models import ProposedZone, Zone
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, MAIN, City, apply, make_city
from zone_files import bring, collection, square

WHY = "reason=The%20file%20had%20the%20zones%20of%20last%20year"
EAST = square("east", left=10, school="adams")
WEST = square("west", left=0, school="lincoln")
MOVED = collection(square("east", left=0, school="adams"), square("west", left=10, school="lincoln"))
"""The same two zones, each in the place of the other."""


def home(longitude: int) -> list[Json]:
    """Return an address with its point."""
    return [{"text": "1 Example Street", "point": {"longitude": longitude, "latitude": 5}}]


def set_up(service: Service) -> City:
    """Bring zones and rules before the opening, then children after it."""
    city = make_city(service, children=0)
    set_opening(service, hours=1)
    assert bring(city.ann, collection(WEST, EAST)).status_code == 200
    rules: Json = {"rules": {"seats": {"match": 3}, "neighborhood": {"rule": "priority"}}}
    saved = city.lincoln.change(f"{CYCLE}/programs/lincoln-kg/rules", rules)
    assert saved.status_code == 200, saved.text
    set_opening(service, hours=-1)
    apply(city.portal, "west-1", ["lincoln-kg"], addresses=home(5))
    apply(city.portal, "west-2", ["adams-kg", "lincoln-kg"], addresses=home(6))
    apply(city.portal, "east-1", ["lincoln-kg"], addresses=home(15))
    apply(city.portal, "far", ["lincoln-kg"], addresses=home(60))
    apply(city.portal, "homeless", ["lincoln-kg"])
    apply(city.portal, "by-staff", ["lincoln-kg"], addresses=home(5))
    staff_zones = {"zones": ["west"], "reason": "Moves there in May"}
    ticket = city.tickets()["by-staff"]
    assert city.ann.put(f"{CYCLE}/children/{ticket}/zones", staff_zones).status_code == 204
    return city


def set_opening(service: Service, *, hours: int) -> None:
    """Move the opening of the cycle to some hours from now, past the checks of the API."""
    with transaction(service.sessions) as session:
        cycle = session.get_one(Cycle, "2027")
        cycle.opens_at = clock(session) + timedelta(hours=hours)


def zones_of(city: City) -> dict[str, list[str]]:
    """Return the children's zones by reference."""
    return {
        reference: city.portal.get(f"{CYCLE}/applicants/{reference}").json()["zones"] for reference in city.tickets()
    }


def propose(city: City, raw: bytes = MOVED) -> httpx2.Response:
    """Send new zones as the first administrator."""
    return bring(city.ann, raw, f"?apply=true&{WHY}")


def decide(city: City, answer: httpx2.Response, how: str = "approve") -> httpx2.Response:
    """Decide on new zones as the second administrator."""
    return city.bea.post(f"/v1/zones-changes/{answer.json()['change']['id']}/{how}", {"reason": "Looked at the map"})


def test_new_zones_are_tried_proposed_and_approved_by_two_people_and_every_child_has_the_new_ones(
    service: Service,
) -> None:
    city = set_up(service)
    before = zones_of(city)
    dry = bring(city.ann, MOVED, "")
    assert (dry.status_code, dry.json()["applied"], dry.json()["change"]) == (200, False, None)
    effect = dry.json()["effect"]
    assert {name: effect[name] for name in effect if name not in ("programs", "rules")} == {
        "children": 6,
        "changed": 3,
        "without_zone": 0,
        "set_by_staff": 1,
        "set_by_staff_lost": 0,
    }
    (lincoln,) = [one for one in effect["programs"] if one["program"] == "lincoln-kg"]
    assert lincoln["children"] == 3
    assert [(shift["part"], shift["gain"], shift["lose"]) for shift in lincoln["shifts"]] == [("class", 1, 2)]
    assert zones_of(city) == before

    proposed = propose(city)
    assert (proposed.status_code, proposed.json()["applied"]) == (202, False), proposed.text
    assert zones_of(city) == before
    change = f"/v1/zones-changes/{proposed.json()['change']['id']}"
    assert propose(city).json()["code"] == "zones-change-waiting"
    own = city.ann.post(f"{change}/approve", {"reason": "Mine"})
    assert (own.status_code, own.json()["code"]) == (409, "own-zones-change")
    apply(city.portal, "new", ["lincoln-kg"], addresses=home(15))
    seen = city.bea.get(change).json()
    assert (seen["status"], seen["effect"]["children"], seen["effect"]["changed"]) == ("proposed", 7, 4)
    for caller in (city.lincoln, city.portal):
        assert caller.get(change).status_code == 403

    approved = decide(city, proposed)
    assert (approved.status_code, approved.json()["status"]) == (200, "approved"), approved.text
    assert approved.json()["effect"] == seen["effect"]
    assert zones_of(city) == {
        "west-1": ["east"],
        "west-2": ["east"],
        "east-1": ["west"],
        "new": ["west"],
        "far": [],
        "homeless": [],
        "by-staff": ["west"],
    }
    again = decide(city, proposed)
    assert (again.status_code, again.json()["code"]) == (409, "zones-change-decided")
    listed = city.otto.get(f"{CYCLE}/zones-changes").json()["data"]
    assert [(one["status"], one["decision_reason"]) for one in listed] == [("approved", "Looked at the map")]
    assert city.bea.get(change).json()["effect"] is None

    with transaction(service.sessions) as session:
        assert session.scalars(select(ProposedZone)).all() == []
        entries = [json.loads(body) for body in session.scalars(select(LogEntry.body).order_by(LogEntry.id))]
        number_notices(session)
    facts = [entry for entry in entries if entry["type"] == "facts.set" and entry["basis"] == "zones"]
    tickets = city.tickets()
    assert sorted(entry["tag"] for entry in facts) == sorted(
        tickets[name] for name in ("west-1", "west-2", "east-1", "new")
    )
    put = [entry for entry in entries if entry["type"] == "cycle.put"][-1]
    assert put["reason"] == "The file had the zones of last year"
    assert put["approval_reason"] == "Looked at the map"
    assert put["zones"]["sha256"] == proposed.json()["change"]["sha256"]
    told = [one for one in city.portal.get(f"{CYCLE}/notices").json()["data"] if one["event"] == "zones.changed"]
    assert sorted(one["about"]["reference"] for one in told) == ["east-1", "new", "west-1", "west-2"]

    city.run_main()  # the frozen facts are those that the log commits to
    frozen = bring(city.ann, collection(WEST, EAST), f"?apply=true&{WHY}")
    assert (frozen.status_code, frozen.json()["code"]) == (409, "zones-fixed")
    assert "/v1/placements" in frozen.json()["detail"]
    assert MAIN.rpartition("/")[2] in frozen.json()["detail"]


def test_new_zones_that_rules_cannot_do_without_or_that_a_freeze_overtook_change_nothing(service: Service) -> None:
    city = set_up(service)
    rules: Json = {"seats": {"match": 4}, "classes": [{"name": "east", "when": {"zone_in": ["east"]}}]}
    asked = city.adams.change(f"{CYCLE}/programs/adams-kg/rules", {"rules": rules, "reason": "East first"})
    assert asked.status_code == 202, asked.text
    approve = f"/v1/rules-changes/{asked.json()['change']['id']}/approve"
    only_west = collection(WEST)
    waiting = propose(city, only_west)
    assert waiting.status_code == 202, waiting.text
    assert city.bea.post(approve, {"reason": "Looked at"}).status_code == 200
    before = zones_of(city)
    dry = bring(city.ann, only_west, "").json()["effect"]
    assert dry["without_zone"] == 1
    assert dry["rules"][0]["code"] == "cannot-work-at"
    late = decide(city, waiting)
    assert (late.status_code, late.json()["code"]) == (409, "rules-cannot-work")
    assert zones_of(city) == before
    assert decide(city, waiting, "refuse").status_code == 200
    assert propose(city, only_west).json()["code"] == "rules-cannot-work"
    nameless = bring(city.ann, MOVED)
    assert (nameless.status_code, nameless.json()["code"]) == (409, "reason-needed")
    assert [(fault["pointer"], fault["in"]) for fault in nameless.json()["errors"]] == [("reason", "query")]
    waiting = propose(city)
    assert waiting.status_code == 202
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    assert city.freeze().status_code == 200
    frozen = decide(city, waiting)
    assert (frozen.status_code, frozen.json()["code"]) == (409, "zones-fixed")
    with transaction(service.sessions) as session:
        assert set(session.scalars(select(Zone.id))) == {"west", "east"}
        assert {zones for row in session.scalars(select(Applicant.zones)) for zones in row} == {"west", "east"}
    for path in ("/v1/zones-changes/x", "/v1/zones-changes/00000000-0000-0000-0000-000000000000"):
        assert city.bea.get(path).status_code in (400, 404, 422)
