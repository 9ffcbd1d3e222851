"""Text that deceives is refused wherever text comes in, with its place and its kind, and is never quoted."""

import json
import uuid
from collections.abc import Mapping, Sequence

import httpx2

from lottery.market.canonical import Json
from people import Caller, Service
from rounds_by_hand import CYCLE, City, make_city
from zone_files import IMPORT, a_cycle, collection, square

KINDS = {
    "Ada\u202eelpmaxE": "text-direction",
    "Ada\u200bExample": "text-invisible",
    "Ada\ue000": "text-private-use",
    "Ada\u0378": "text-unassigned",
    "Ada\x1b[2J": "text-control",
    "\u2800\u00a0\u3000": "blank-text",
}

CALENDAR: Mapping[str, Json] = {"opens_at": "2030-01-01T00:00:00Z", "deadline": "2030-02-01T00:00:00Z"}
CYCLE_BODY: Mapping[str, Json] = {
    "id": "2030", "name": "Year", "grades": ["KG"], "agreement_version": "1", "agreement": "Yes.",
    "time_zone": "Etc/UTC", **CALENDAR,
}  # fmt: skip
CHILD: Mapping[str, Json] = {"given_name": "Ada", "family_name": "Example", "birth_date": "2022-03-01"}
OPEN: Mapping[str, Json] = {"grade": "KG", "child": dict(CHILD)}


def put_at(body: Json, pointer: str, value: Json) -> Json:
    """Return a body with a value at a JSON pointer."""
    changed: Json = json.loads(json.dumps(body))
    *steps, last = pointer.strip("/").split("/")
    inside: object = changed
    for step in steps:
        inside = inside[int(step)] if isinstance(inside, list) else inside[step]  # type: ignore[index]
    inside[last] = value  # type: ignore[index]
    return changed


def places(city: City) -> Sequence[tuple[Caller, str, str, Json, str]]:
    """Return who sends what where, with the place of each text in it."""
    applicant: Json = {
        **OPEN,
        "guardians": [{"name": "Eve", "relation": "mother", "email": "eve@example.org", "phone": "555-0100"}],
        "addresses": [{"text": "1 Elm Street", "postal_code": "20001"}],
        "sis_id": "900112",
    }
    texts = [
        "/child/given_name",
        "/child/family_name",
        "/guardians/0/name",
        "/guardians/0/relation",
        "/guardians/0/email",
        "/guardians/0/phone",
        "/addresses/0/text",
        "/addresses/0/postal_code",
        "/sis_id",
    ]
    new, claim = f"{CYCLE}/applicants/new", f"/v1/claims/{uuid.uuid4()}/approve"
    left: Json = {"status": "out", "reason": "No building"}
    staff: Json = {"id": "s", "name": "Sam", "roles": [{"role": "auditor"}]}
    placement: Json = {
        "cycle": "2027",
        "ticket": "0" * 32,
        "program": "lincoln-kg",
        "reason_code": "safety",
        "document": "Form 12",
    }
    rules: Json = {"rules": {"seats": {"match": 4}}, "reason": "Board"}
    school: Json = {"id": "new", "operator": "district", "name": "New", "sector": "district"}
    return [
        *((city.portal, "PUT", new, applicant, text) for text in texts),
        (city.ann, "POST", "/v1/cycles", dict(CYCLE_BODY), "/name"),
        (city.ann, "POST", "/v1/cycles", dict(CYCLE_BODY), "/agreement"),
        (city.ann, "POST", "/v1/partners", {"id": "p", "name": "Portal", "scopes": ["catalog:read"]}, "/name"),
        (city.ann, "POST", "/v1/staff", staff, "/name"),
        (city.ann, "POST", "/v1/tokens", {"name": "report", "scopes": ["records:read"]}, "/name"),
        (city.ann, "POST", "/v1/operators", {"id": "o", "name": "Network"}, "/name"),
        (city.ann, "POST", "/v1/schools", school, "/name"),
        (city.ann, "POST", "/v1/programs", {"id": "p", "school": "lincoln", "grade": "KG", "name": "P"}, "/name"),
        (city.ann, "POST", "/v1/placements", placement, "/document"),
        (city.ann, "POST", claim, {"basis": "verified", "reason": "On our roll"}, "/reason"),
        (city.lincoln, "PUT", f"{CYCLE}/schools/lincoln/participation", left, "/reason"),
        (city.lincoln, "PUT", f"{CYCLE}/programs/lincoln-kg/rules", rules, "/reason"),
        (city.ann, "PUT", f"{CYCLE}/children/{'0' * 32}/zones", {"zones": [], "reason": "Moved"}, "/reason"),
        (city.ann, "POST", "/v1/rounds/2027-main/void", {"reason": "Wrong file"}, "/reason"),
    ]


def test_text_that_deceives_is_refused_in_every_body(service: Service) -> None:
    city = make_city(service, children=0)
    for caller, method, path, body, pointer in places(city):
        for text, kind in KINDS.items():
            if (pointer, kind) == ("/sis_id", "blank-text"):
                continue  # a blank id is no id
            bad = put_at(body, pointer, text)
            answer = caller.put(path, bad, "*") if method == "PUT" else caller.post(path, bad)
            assert_refused(answer, {pointer: kind}, text)


def test_text_that_deceives_is_refused_in_a_row_of_a_batch(service: Service) -> None:
    city = make_city(service, children=0)
    for text, kind in KINDS.items():
        named: Json = {**CHILD, "given_name": text}
        row: Json = {"cycle": "2027", "reference": "new", "applicant": {**OPEN, "child": named}}
        answer = city.portal.post("/v1/applicants:batch", {"rows": [row]})
        (refused,) = answer.json()["rows"]
        assert refused["status"] == 422
        assert_faults(refused["errors"], {"/rows/0/applicant/child/given_name": kind})
        assert text not in answer.text


def test_text_that_deceives_is_refused_in_a_file_of_zones(service: Service) -> None:
    a_cycle(service)
    ann = service.administrator()
    for text, kind in KINDS.items():
        for name in ("name", "vintage"):
            zone = put_at(square("west", left=0), f"/properties/{name}", text)
            answer = ann.post_raw(f"{IMPORT}?apply=true", collection(zone), uuid.uuid4().hex)
            assert_refused(answer, {f"/features/0/properties/{name}": kind}, text)


def test_names_that_need_joiners_are_kept_and_shown_as_they_were_sent(service: Service) -> None:
    city = make_city(service, children=0)
    for number, name in enumerate(("علی‌رضا", "ශ්‍රී", "\U00020bb7野", "\U000323b0")):
        child: Json = {**CHILD, "given_name": name}
        path = f"{CYCLE}/applicants/joined-{number}"
        assert city.portal.put(path, {**OPEN, "child": child}).status_code == 201
        assert city.portal.get(path).json()["child"]["given_name"] == name


def assert_refused(answer: httpx2.Response, faults: Mapping[str, str], text: str) -> None:
    """Look for a refusal that names the place and the kind, and quotes nothing."""
    assert answer.status_code == 422, answer.text
    assert_faults(answer.json()["errors"], faults)
    assert text not in answer.text
    assert json.dumps(text) not in answer.text


def assert_faults(errors: Sequence[Mapping[str, str]], faults: Mapping[str, str]) -> None:
    """Look for the places and kinds, and for sentences without a gap."""
    assert {fault["pointer"]: fault["code"] for fault in errors} == faults
    assert "{" not in errors[0]["detail"]
