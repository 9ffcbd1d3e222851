"""Zones come in as GeoJSON, wholly or not at all, and anybody may ask what zone a point is in."""

import json

import pytest
from sqlalchemy import select

from enrollment.audit.models import LogEntry
from enrollment.database import clock, transaction
from enrollment.zones.points import zones_at
from lottery.market.canonical import Json
from people import Service
from rows import add_cycle
from rules_spoken import CYCLE, PROGRAM, join
from zone_files import DAY, IMPORT, WEST, a_cycle, at, bring, collection, square, zones

EAST = square("east", left=10, school="adams", grades=["KG"])
RING = square("ring", left=5)


def test_a_file_is_tried_first_and_nothing_changes_until_it_is_applied(service: Service) -> None:
    a_cycle(service)
    administrator = service.administrator()
    dry = bring(administrator, collection(WEST, EAST), "")
    assert dry.status_code == 200, dry.text
    assert (dry.json()["usable"], dry.json()["applied"], dry.json()["zones"]) == (True, False, 2)
    assert service.stranger().get("/v1/cycles/2027/zones").json()["data"] == []
    applied = bring(administrator, collection(WEST, EAST))
    assert (applied.status_code, applied.json()["applied"]) == (200, True)
    assert service.stranger().get("/v1/cycles/2027/zones").json()["data"] == [
        {"zone": "east", "name": "Zone east", "school": "adams", "grades": ["KG"], "vintage": "2027-28"},
        {"zone": "west", "name": "Zone west", "school": "lincoln", "grades": None, "vintage": "2027-28"},
    ]
    assert service.stranger().get("/v1/cycles/2027").json()["zones_vintage"] == "2027-28"


def test_a_new_file_takes_the_place_of_the_old_one_at_once(service: Service) -> None:
    a_cycle(service)
    administrator = service.administrator()
    bring(administrator, collection(WEST, EAST))
    assert zones(at(service, 3, 3)) == ["west"]
    bring(administrator, collection(square("north", left=0, vintage="2028-29")))
    again = at(service, 3, 3)
    assert (zones(again), again.json()["vintage"]) == (["north"], "2028-29")


def test_the_log_has_the_hash_of_the_file(service: Service) -> None:
    a_cycle(service)
    bring(service.administrator(), collection(WEST, EAST))
    with transaction(service.sessions) as session:
        entry = json.loads(session.scalars(select(LogEntry.body).where(LogEntry.type == "cycle.put")).one())
    assert entry["zones"]["count"] == 2
    assert len(entry["zones"]["sha256"]) == 64
    assert entry["actor"] == "staff:administrator"


def test_a_file_with_faults_is_refused_whole_with_every_fault(service: Service) -> None:
    a_cycle(service)
    administrator = service.administrator()
    raw = collection(
        WEST,
        square("far", left=390_000),
        square("lost", left=30, school="nowhere"),
        square("high", left=50, grades=["12"]),
    )
    dry = bring(administrator, raw, "")
    assert (dry.status_code, dry.json()["usable"], dry.json()["applied"]) == (200, False, False)
    assert {fault["pointer"].split("/")[2] for fault in dry.json()["faults"]} == {"1", "2", "3"}
    refused = bring(administrator, raw)
    assert (refused.status_code, refused.json()["code"]) == (422, "unusable-zones")
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [f["pointer"] for f in dry.json()["faults"]]
    assert service.stranger().get("/v1/cycles/2027/zones").json()["data"] == []


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"null", b"[]", b'{"type":"Point"}', b"[" * 60, b"NaN"])
def test_a_file_that_is_not_geojson_is_refused(service: Service, raw: bytes) -> None:
    a_cycle(service)
    refused = bring(service.administrator(), raw)
    assert (refused.status_code, refused.json()["code"]) == (422, "unusable-zones")


def test_overlapping_zones_are_imported_with_a_note(service: Service) -> None:
    a_cycle(service)
    both = collection(square("inner", left=0, side=4, school="adams"), square("outer", left=0, school="adams"))
    report = bring(service.administrator(), both).json()
    assert report["applied"] is True
    assert len(report["notes"]) == 1


def test_a_zone_file_may_be_larger_than_other_bodies(service: Service) -> None:
    a_cycle(service)
    raw = collection(WEST) + b" " * (2 << 20)
    assert bring(service.administrator(), raw).json()["applied"] is True


def test_only_an_administrator_imports_zones(service: Service) -> None:
    a_cycle(service)
    callers = [
        service.partner(),
        service.school_staff("lincoln"),
        service.operator_staff("district"),
        service.auditor(),
    ]
    for caller in callers:
        assert bring(caller, collection(WEST)).status_code == 403
    assert bring(service.stranger(), collection(WEST)).status_code == 401


def test_an_import_sent_twice_is_done_once(service: Service) -> None:
    a_cycle(service)
    administrator = service.administrator()
    first = administrator.post_raw(f"{IMPORT}?apply=true", collection(WEST), "one")
    second = administrator.post_raw(f"{IMPORT}?apply=true", collection(WEST), "one")
    assert second.json() == first.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert administrator.post_raw(f"{IMPORT}?apply=true", collection(EAST), "one").status_code == 422
    assert administrator.post_raw(IMPORT, collection(WEST), None).status_code == 400


def test_a_point_is_inside_on_a_border_or_in_no_zone_and_the_answer_says_which(service: Service) -> None:
    a_cycle(service)
    bring(service.administrator(), collection(WEST, EAST, RING))
    inside = at(service, 3, 3)
    assert (zones(inside), inside.json()["found"]) == (["west"], "point")
    border = at(service, 10, 5)
    assert (zones(border), border.json()["found"]) == (["east", "ring", "west"], "border")
    nowhere = at(service, -40, 5)
    assert (zones(nowhere), nowhere.json()["found"]) == ([], "no zone")
    assert "outside all zones of 2027" in nowhere.json()["detail"]


def test_a_cycle_without_zones_says_so(service: Service) -> None:
    a_cycle(service)
    assert at(service, 3, 3).json()["found"] == "no zones"


def test_a_zone_is_for_its_grades(service: Service) -> None:
    a_cycle(service)
    bring(
        service.administrator(),
        collection(
            EAST,
            square("mid", left=0, grades=["PK4", "KG"]),
            square("mid", left=10, grades=["01", "02"]),
        ),
    )
    assert zones(at(service, 13, 3, "&grade=KG")) == ["east"]
    assert zones(at(service, 13, 3, "&grade=01")) == ["mid"]
    both = at(service, 13, 3).json()["zones"]
    assert [(zone["zone"], zone["grades"]) for zone in both] == [("east", ["KG"]), ("mid", ["01", "02"])]


def test_without_a_cycle_the_newest_cycle_answers(service: Service) -> None:
    assert at(service, 3, 3).json()["code"] == "cycle-not-found"
    a_cycle(service)
    bring(service.administrator(), collection(WEST))
    with transaction(service.sessions) as session:
        now = clock(session)
        add_cycle(session, "2028", opens_at=now + 300 * DAY, deadline=now + 400 * DAY)
    assert at(service, 3, 3).json()["cycle"] == "2028"
    assert zones(at(service, 3, 3, "&cycle=2027")) == ["west"]
    assert at(service, 3, 3, "&cycle=1999").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "",
        "lon=1",
        "lon=x&lat=1",
        "lon=NaN&lat=1",
        "lon=1&lat=inf",
        "lon=181&lat=0",
        "lon=0&lat=-91",
        "lon=0&lat=0&grade=99",
    ],
)
def test_invalid_coordinates_are_a_bad_request_and_are_not_quoted(service: Service, query: str) -> None:
    a_cycle(service)
    answer = service.stranger().get(f"/v1/zones?{query}")
    assert answer.status_code == 400
    body = {name: part for name, part in answer.json().items() if name != "request_id"}  # which has digits of its own
    assert "181" not in str(body)
    assert "-91" not in str(body)


def test_where_a_family_lives_is_in_no_log(service: Service, capfd: pytest.CaptureFixture[str]) -> None:
    a_cycle(service)
    at(service, 12.3456, 65.4321)
    output = capfd.readouterr()
    assert "/v1/zones" in output.err
    assert "12.3456" not in output.err + output.out
    assert "65.4321" not in output.err + output.out


def test_the_zones_of_several_addresses_are_found_together(service: Service) -> None:
    a_cycle(service)
    bring(service.administrator(), collection(WEST, EAST))
    with transaction(service.sessions) as session:
        found = zones_at(session, "2027", [(3, 3), (13, 3)], "KG")
        assert (found.zones, found.on_border, found.vintage) == (("east", "west"), False, "2027-28")
        assert zones_at(session, "2027", [(3, 3), (13, 3)], "01").zones == ("west",)
        assert zones_at(session, "2027", [], "KG").zones == ()


def test_zones_are_listed_page_by_page(service: Service) -> None:
    a_cycle(service)
    parts = [square("a", left=0, grades=["KG"]), square("a", left=10, grades=["01"]), square("b", left=20)]
    bring(service.administrator(), collection(*parts))
    stranger = service.stranger()
    first = stranger.get("/v1/cycles/2027/zones?limit=1").json()
    second = stranger.get(f"/v1/cycles/2027/zones?limit=1&cursor={first['next_cursor']}").json()
    third = stranger.get(f"/v1/cycles/2027/zones?limit=1&cursor={second['next_cursor']}").json()
    pages = [first, second, third]
    assert [(page["data"][0]["zone"], page["data"][0]["grades"]) for page in pages] == [
        ("a", ["KG"]),
        ("a", ["01"]),
        ("b", None),
    ]
    assert third["next_cursor"] is None


def test_new_zones_update_the_rules_that_depend_on_them(service: Service) -> None:
    a_cycle(service)
    administrator = service.administrator()
    office = service.school_staff("lincoln")
    assert bring(administrator, collection(WEST)).status_code == 200
    join(office, "lincoln", "KG")
    saved = office.put(f"{CYCLE}/schools/lincoln/rules", {"rules": {"neighborhood": {"rule": "priority"}}})
    assert saved.status_code == 200, saved.text
    before = office.get(PROGRAM).json()
    assert before["market"]["priorities"][0]["when"] == {"zone_in": ["west"]}
    assert bring(administrator, collection(square("new", left=0, school="lincoln"))).status_code == 200
    after = office.get(PROGRAM).json()
    assert after["market"]["priorities"][0]["when"] == {"zone_in": ["new"]}


def test_zones_are_refused_if_a_rule_would_lose_its_zone(service: Service) -> None:
    a_cycle(service)
    administrator = service.administrator()
    office = service.school_staff("lincoln")
    assert bring(administrator, collection(RING)).status_code == 200
    join(office, "lincoln", "KG")
    rules: Json = {"rules": {"neighborhood": {"rule": "only", "zones": ["ring"]}}}
    assert office.put(f"{CYCLE}/schools/lincoln/rules", rules).status_code == 200
    refused = bring(administrator, collection(EAST))
    assert (refused.status_code, refused.json()["code"]) == (409, "rules-cannot-work")
    listed = service.stranger().get(f"{CYCLE}/zones").json()["data"]
    assert [zone["zone"] for zone in listed] == ["ring"]
