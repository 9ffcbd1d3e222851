"""PUT takes what GET gives: whatever can be read and written is read and sent back, and nothing changes."""

from collections.abc import Iterator, Mapping

import httpx2
import pytest

from enrollment.access.inputs import RoleIn
from enrollment.database import transaction
from lottery.market.canonical import Json
from people import Caller, Service
from permissions import NAMES, Operation, Whole, operations
from rounds_by_hand import CYCLE, City, make_city
from rows import add_school

NO_GET = {"PUT /v1/cycles/{cycle}/children/{ticket}/zones", "PUT /v1/cycles/{cycle}/children/{ticket}/grade"}
"""Their answer is the child's application, which only the partner may read."""

APPLICANT: Mapping[str, Json] = {
    "grade": "KG",
    "child": {"given_name": "Ada", "family_name": "", "birth_date": "2019-03-01"},
    "attends": "outside:little-stars",
    "guardians": [{"name": "Eve", "relation": "mother", "email": "eve@example.org", "phone": "+1 202 555 0100"}],
    "addresses": [{"text": "1 Elm Street", "postal_code": "20001", "point": {"longitude": -77, "latitude": 39}}],
    "household": "h1",
    "together": True,
    "language": "zh-Hant",
    "sis_id": "900112",
}


@pytest.fixture
def whole(service: Service) -> Whole:
    """Make a city in which everything that can be read and written is there, with every optional field."""
    city = make_city(service, children=1)
    with transaction(service.sessions) as session:
        add_school(session, "charter", operator="network", grades=["KG"])
    assert city.portal.put(f"{CYCLE}/applicants/child-00", dict(APPLICANT), "*").status_code == 200
    assert city.portal.post(f"{CYCLE}/applicants/child-00/claims", {"fact": "frl"}).status_code == 201
    assert city.portal.put(f"{CYCLE}/applicants/child-00/ranking", {"programs": ["adams-kg"]}, "*").status_code == 200
    service.staff("lincoln.desk", RoleIn(role="school", school="lincoln"))
    city.ann.post("/v1/partners/city-portal/secrets")
    school: Json = {
        "operator": "district",
        "name": "Lincoln",
        "sector": "district",
        "nces_id": "110003000001",
        "point": {"longitude": -77, "latitude": 39},
    }
    for shared in ("lincoln", "adams"):
        assert city.ann.change(f"/v1/schools/{shared}", school).status_code == 200
    names = {**NAMES, "staff": "lincoln.desk"}
    return Whole(city, names, service.partner("network"), city.lincoln)


def puts(service: Service) -> Iterator[Operation]:
    return (one for one in operations(service) if one.method == "PUT" and one.name not in NO_GET)


def caller_of(city: City, operation: Operation) -> Caller:
    return city.portal if "partner" in str(operation.security) else city.ann


def path_of(whole: Whole, operation: Operation) -> str:
    path = operation.path
    for name in operation.parameters:
        path = path.replace(f"{{{name}}}", whole.names[name])
    return path


def same(before: httpx2.Response, after: httpx2.Response) -> bool:
    """Say whether two answers to a GET are the same, with their ETags."""
    return before.json() == after.json() and before.headers.get("ETag") == after.headers.get("ETag")


def test_what_get_gives_put_takes_and_nothing_changes(whole: Whole, service: Service) -> None:
    walked = list(puts(service))
    assert len(walked) >= 11
    for operation in walked:
        caller, path = caller_of(whole.city, operation), path_of(whole, operation)
        read = caller.get(path)
        assert read.status_code == 200, (path, read.text)
        stored = whole.contents()
        sent = caller.put(path, read.json(), read.headers.get("ETag"))
        assert sent.status_code == 200, (path, sent.text)
        assert whole.contents() == stored, path
        assert same(read, caller.get(path)), path


def test_a_misspelled_member_is_still_refused(whole: Whole, service: Service) -> None:
    for operation in puts(service):
        caller, path = caller_of(whole.city, operation), path_of(whole, operation)
        read = caller.get(path)
        answer = caller.put(path, {**read.json(), "naem": 1}, read.headers.get("ETag"))
        assert answer.status_code == 422, path
        assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [
            ("/naem", "extra-forbidden")
        ], path


def test_the_openapi_lists_every_member_that_get_shows_in_the_body_of_put(service: Service) -> None:
    document = service.app.openapi()
    schemas = document["components"]["schemas"]
    for operation in puts(service):
        methods = document["paths"][operation.path]
        shown = methods["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        taken = methods["put"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        get, put = (schemas[name.rpartition("/")[2]]["properties"] for name in (shown, taken))
        assert get.keys() <= put.keys(), operation.name
        ignored = {name for name, schema in put.items() if schema.get("readOnly")}
        assert ignored <= get.keys(), operation.name


def test_a_program_keeps_its_own_rules_when_the_answer_of_get_is_sent_back(service: Service) -> None:
    city = make_city(service, children=0)
    path = f"{CYCLE}/programs/lincoln-kg/rules"
    read = city.lincoln.get(path)
    body = read.json()
    body["rules"]["seats"]["match"] += 1
    refused = city.lincoln.put(path, body, read.headers["ETag"])
    assert (refused.status_code, refused.json()["code"]) == (409, "resolved-rules-changed")
    body = read.json()
    body["own"]["seats"]["match"] += 1
    changed = city.lincoln.put(path, {**body, "reason": "One more seat"}, read.headers["ETag"])
    assert changed.status_code == 200, changed.text
    assert changed.json()["own"]["seats"]["match"] == read.json()["own"]["seats"]["match"] + 1


def test_a_school_edits_one_grade_of_the_participation_that_get_shows(service: Service) -> None:
    city = make_city(service, children=0)
    path = f"{CYCLE}/schools/lincoln/participation"
    read = city.lincoln.get(path)
    body = read.json()
    body["grades"][0]["seats"] = 9
    answer = city.lincoln.put(path, body, read.headers["ETag"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["grades"][0]["seats"] == 9
    assert [grade["status"] for grade in answer.json()["grades"]] == [grade["status"] for grade in body["grades"]]
    back = {**answer.json(), "grades": [{**answer.json()["grades"][0], "status": "never asked"}]}
    refused = city.lincoln.put(path, back, answer.headers["ETag"])
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/grades/0/status"]
