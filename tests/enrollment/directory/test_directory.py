"""The directory: operators, schools, programs, and how a cycle shows them."""

from collections.abc import Mapping
from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import select

from enrollment.cycles.models import Cycle
from enrollment.database import clock, transaction
from enrollment.directory.models import Offering, Participation
from enrollment.zones.models import Zone
from lottery.market.canonical import Json
from people import Caller, Service
from rows import add_cycle, add_school, offer

OPERATOR: Mapping[str, Json] = {"id": "district", "name": "City district"}
SCHOOL: Mapping[str, Json] = {
    "id": "lincoln",
    "operator": "district",
    "name": "Lincoln School",
    "sector": "district",
    "nces_id": "110003000001",
    "point": {"longitude": -77, "latitude": 39},
}
PROGRAM: Mapping[str, Json] = {"id": "lincoln-kg", "school": "lincoln", "grade": "KG", "name": "Lincoln KG"}


def a_directory(service: Service) -> Caller:
    """Make an operator, a school and a program over HTTP; return the administrator who did."""
    administrator = service.administrator()
    for path, body in (("operators", OPERATOR), ("schools", SCHOOL), ("programs", PROGRAM)):
        answer = administrator.post(f"/v1/{path}", body)
        assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/{path}/{body['id']}")
    return administrator


def codes(answer: httpx2.Response) -> set[tuple[str, str]]:
    """Return the places and codes of an answer's faults."""
    return {(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]}


def without_id(body: Mapping[str, Json], **changes: Json) -> dict[str, Json]:
    """Return the body that puts what another body made, with changes."""
    return {name: part for name, part in {**body, **changes}.items() if name != "id"}


def test_an_administrator_builds_the_directory_and_everybody_reads_it(service: Service) -> None:
    a_directory(service)
    stranger = service.stranger()
    assert stranger.get("/v1/operators/district").json() == OPERATOR
    assert stranger.get("/v1/schools/lincoln").json() == {**SCHOOL, "warnings": []}
    assert stranger.get("/v1/programs/lincoln-kg").json() == {**PROGRAM, "track": None}
    for path, name in (("operators", "district"), ("schools", "lincoln"), ("programs", "lincoln-kg")):
        assert [shown["id"] for shown in stranger.get(f"/v1/{path}").json()["data"]] == [name]
        assert stranger.get(f"/v1/{path}/nowhere").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("operators", {**OPERATOR, "id": "new"}),
        ("schools", {**SCHOOL, "id": "new"}),
        ("programs", {**PROGRAM, "id": "n"}),
    ],
)
def test_only_an_administrator_changes_the_directory(service: Service, path: str, body: Mapping[str, Json]) -> None:
    a_directory(service)
    there = {"operators": "district", "schools": "lincoln", "programs": "lincoln-kg"}[path]
    callers = [
        service.partner(),
        service.school_staff("lincoln"),
        service.operator_staff("district"),
        service.auditor(),
    ]
    for caller in callers:
        assert caller.post(f"/v1/{path}", body).status_code == 403
        assert caller.put(f"/v1/{path}/{there}", without_id(body), '"1"').status_code == 403
    assert service.stranger().post(f"/v1/{path}", body).status_code == 401
    assert service.stranger().put(f"/v1/{path}/{there}", without_id(body), '"1"').status_code == 401


def test_a_change_names_the_version_that_it_changes(service: Service) -> None:
    administrator = a_directory(service)
    for path, body in (
        ("/v1/operators/district", without_id(OPERATOR, name="Another")),
        ("/v1/schools/lincoln", without_id(SCHOOL, name="Another")),
        ("/v1/programs/lincoln-kg", without_id(PROGRAM, name="Another")),
    ):
        assert administrator.put(path, body).status_code == 428
        assert administrator.put(path, body, '"2"').status_code == 412
        answer = administrator.put(path, body, '"1"')
        assert (answer.status_code, answer.headers["ETag"], answer.json()["name"]) == (200, '"2"', "Another")
        assert administrator.put(path, body, '"1"').status_code == 412
        assert administrator.put(path.rsplit("/", 1)[0] + "/nowhere", body, '"1"').status_code == 404


def test_a_taken_or_unknown_id_is_refused_with_its_pointer(service: Service) -> None:
    administrator = a_directory(service)
    assert codes(administrator.post("/v1/operators", OPERATOR)) == {("/id", "id-taken")}
    assert codes(administrator.post("/v1/schools", SCHOOL)) == {("/id", "id-taken")}
    assert codes(administrator.post("/v1/programs", PROGRAM)) == {("/id", "id-taken")}
    unknown = {**SCHOOL, "id": "c", "operator": "nobody"}
    assert codes(administrator.post("/v1/schools", unknown)) == {("/operator", "unknown-operator")}
    unknown = {**PROGRAM, "id": "c", "school": "nowhere"}
    assert codes(administrator.post("/v1/programs", unknown)) == {("/school", "unknown-school")}


def test_schools_that_share_an_nces_id_are_stored_with_a_warning(service: Service) -> None:
    administrator = a_directory(service)
    assert administrator.get("/v1/schools/lincoln").json()["warnings"] == []
    made = administrator.post("/v1/schools", {**SCHOOL, "id": "second"})
    assert made.status_code == 201
    changed = administrator.change("/v1/schools/second", without_id(SCHOOL, name="Second"))
    for answer in (made, changed, administrator.get("/v1/schools/second")):
        (warning,) = answer.json()["warnings"]
        assert (warning["pointer"], warning["code"]) == ("/nces_id", "nces-id-shared")
        assert "NCES id of lincoln" in warning["detail"]
    blank = administrator.change("/v1/schools/second", without_id(SCHOOL, nces_id=" "))
    assert (blank.json()["nces_id"], blank.json()["warnings"]) == (None, [])


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"nces_id": "11000300000"}, "/nces_id"),
        ({"nces_id": "11000300000x"}, "/nces_id"),
        ({"nces_id": "110003000001\n"}, "/nces_id"),
        ({"sector": "private"}, "/sector"),
        ({"point": {"longitude": -181, "latitude": 0}}, "/point/longitude"),
        ({"point": {"longitude": 0}}, "/point/latitude"),
        ({"point": {"longitude": 0, "latitude": 397_042}}, "/point/latitude"),
        ({"point": {"longitude": "0", "latitude": 0}}, "/point/longitude"),
        ({"name": "a\0b"}, "/name"),
        ({"name": "x" * 501}, "/name"),
        ({"id": "with space"}, "/id"),
    ],
)
def test_a_school_of_the_wrong_shape_is_refused(service: Service, change: Mapping[str, Json], place: str) -> None:
    administrator = service.administrator()
    administrator.post("/v1/operators", OPERATOR)
    answer = administrator.post("/v1/schools", {**SCHOOL, **change})
    assert answer.status_code == 422
    assert {pointer for pointer, _ in codes(answer)} == {place}


def test_a_coordinate_must_be_a_number(service: Service) -> None:
    body = b'{"id":"a","operator":"district","name":"A","sector":"charter","point":{"longitude":NaN,"latitude":1e999}}'
    answer = service.administrator().post_raw("/v1/schools", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed-body")


def test_a_program_moves_to_another_grade_only_until_it_is_offered(service: Service) -> None:
    administrator = a_directory(service)
    moved = without_id(PROGRAM, grade="01")
    assert administrator.change("/v1/programs/lincoln-kg", moved).json()["grade"] == "01"
    assert administrator.change("/v1/programs/lincoln-kg", without_id(PROGRAM)).json()["grade"] == "KG"
    with transaction(service.sessions) as session:
        add_cycle(session)
        offer(session, "lincoln")
    refused = administrator.change("/v1/programs/lincoln-kg", moved)
    assert (refused.status_code, refused.json()["code"]) == (409, "program-offered")
    renamed = administrator.change("/v1/programs/lincoln-kg", without_id(PROGRAM, name="Lincoln kindergarten"))
    assert renamed.json()["name"] == "Lincoln kindergarten"


def test_a_school_keeps_its_operator_while_a_cycle_is_under_way(service: Service) -> None:
    administrator = a_directory(service)
    administrator.post("/v1/operators", {"id": "network", "name": "Network"})
    with transaction(service.sessions) as session:
        add_cycle(session)
        offer(session, "lincoln")
    moved = without_id(SCHOOL, operator="network")
    refused = administrator.change("/v1/schools/lincoln", moved)
    assert (refused.status_code, refused.json()["code"]) == (409, "operator-fixed")
    with transaction(service.sessions) as session:
        cycle = session.get(Cycle, "2027")
        assert cycle is not None
        cycle.main_round = "2027-main"
    assert administrator.change("/v1/schools/lincoln", moved).json()["operator"] == "network"


def a_city(service: Service) -> None:
    """Put a cycle and three schools into the tables: one takes part, one left, one has not decided."""
    with transaction(service.sessions) as session:
        add_cycle(session)
        add_school(session, "adams", grades=["KG", "01"])
        add_school(session, "brook", operator="network", grades=["KG"])
        add_school(session, "cedar", grades=["KG", "12"])
        offer(session, "adams", seats=20)
        offer(session, "brook")
        session.get_one(Participation, ("2027", "brook", "KG")).status = "out"
        session.get_one(Participation, ("2027", "brook", "KG")).reason = "The building is being mended"
        offering = session.scalars(select(Offering).where(Offering.school_id == "brook")).one()
        offering.status, offering.reason = "out", "The building is being mended"
        session.add(
            Zone(cycle_id="2027", id="z-adams", part=0, school_id="adams", grades=["KG"], vintage="2027", shape=b"")
        )


def test_a_cycle_shows_every_school_and_marks_those_that_do_not_take_part(service: Service) -> None:
    a_city(service)
    schools = {school["id"]: school for school in service.stranger().get("/v1/cycles/2027/schools").json()["data"]}
    assert {school: shown["takes_part"] for school, shown in schools.items()} == {
        "adams": True,
        "brook": False,
        "cedar": False,
    }
    assert schools["adams"]["grades"] == [
        {"grade": "KG", "status": "in", "reason": None},
        {"grade": "01", "status": "undecided", "reason": None},
    ]
    assert schools["brook"]["grades"] == [
        {"grade": "KG", "status": "out", "reason": "The building is being mended"},
    ]
    assert schools["adams"]["zones"] == ["z-adams"]


def test_a_cycle_shows_every_program_with_its_seats(service: Service) -> None:
    a_city(service)
    programs = {shown["id"]: shown for shown in service.stranger().get("/v1/cycles/2027/programs").json()["data"]}
    assert set(programs) == {"adams-kg", "adams-01", "brook-kg", "cedar-kg"}
    assert (programs["adams-kg"]["seats"], programs["adams-kg"]["rules_version"]) == (20, 1)
    assert programs["adams-kg"]["takes_part"] is True
    assert (programs["brook-kg"]["status"], programs["brook-kg"]["reason"]) == ("out", "The building is being mended")
    assert (programs["cedar-kg"]["status"], programs["cedar-kg"]["seats"]) == ("undecided", None)


@pytest.mark.parametrize(
    ("query", "schools", "programs"),
    [
        ("grade=01", ["adams"], ["adams-01"]),
        ("school=brook", ["brook"], ["brook-kg"]),
        ("sector=charter", [], []),
        ("sector=district&grade=KG", ["adams", "brook", "cedar"], ["adams-kg", "brook-kg", "cedar-kg"]),
        ("zone=z-adams", ["adams"], ["adams-01", "adams-kg"]),
        ("zone=z-adams&grade=01", [], []),
    ],
)
def test_the_directory_of_a_cycle_can_be_filtered(
    service: Service, query: str, schools: list[str], programs: list[str]
) -> None:
    a_city(service)
    stranger = service.stranger()
    for path, wanted in (("schools", schools), ("programs", programs)):
        shown = stranger.get(f"/v1/cycles/2027/{path}?{query}").json()["data"]
        assert [row["id"] for row in shown] == wanted


def test_the_directory_of_a_cycle_comes_page_by_page_and_keeps_its_filters(service: Service) -> None:
    a_city(service)
    stranger = service.stranger()
    for path, count in (("schools", 3), ("programs", 3)):
        address: str | None = f"/v1/cycles/2027/{path}?limit=2&grade=KG"
        ids: list[str] = []
        while address:
            answer = stranger.get(address)
            ids += [row["id"] for row in answer.json()["data"]]
            link = answer.headers.get("Link")
            address = link and link.split(">")[0].removeprefix("<")
        assert (len(ids), len(set(ids))) == (count, count)


@pytest.mark.parametrize(
    "query", ["grade=%00", "sector=private", "school=a%20b", "limit=0", "limit=201", "cursor=%FF", "zone=" + "x" * 65]
)
def test_an_invalid_parameter_is_a_bad_request(service: Service, query: str) -> None:
    a_city(service)
    for path in ("schools", "programs"):
        assert service.stranger().get(f"/v1/cycles/2027/{path}?{query}").status_code == 400
    assert service.stranger().get("/v1/cycles/nowhere/schools").json()["code"] == "cycle-not-found"


def test_a_cycle_that_is_over_no_longer_fixes_an_operator(service: Service) -> None:
    administrator = a_directory(service)
    administrator.post("/v1/operators", {"id": "network", "name": "Network"})
    with transaction(service.sessions) as session:
        now = clock(session)
        add_cycle(
            session,
            opens_at=now - timedelta(days=9),
            deadline=now - timedelta(days=8),
            backfill_opens=now - timedelta(days=7),
            backfill_until=now + timedelta(days=1),
            main_round="2027-main",
        )
        offer(session, "lincoln")
    moved = without_id(SCHOOL, operator="network")
    assert administrator.change("/v1/schools/lincoln", moved).json()["code"] == "operator-fixed"
    with transaction(service.sessions) as session:
        session.get_one(Cycle, "2027").backfill_until = now - timedelta(days=1)
    assert administrator.change("/v1/schools/lincoln", moved).status_code == 200
