"""Applications: each child has one in a cycle and keeps one ticket, and names stay in one table."""

import json
from collections.abc import Mapping

import httpx2
import pytest
import rfc8785
from sqlalchemy import select, text

from enrollment.applicants.models import Applicant, Child
from enrollment.applicants.settled_facts import settled_facts
from enrollment.database import transaction
from log_entries import entries
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed
from people import Caller, Service
from rows import add_cycle, add_school
from table_search import tables_with
from zone_files import bring, collection, square

CYCLE = "/v1/cycles/2027"
CHILD: Mapping[str, Json] = {"given_name": "Quillon", "family_name": "Featherstone", "birth_date": "2022-03-01"}
ADDRESS: Json = {"text": "17 Marigold Passage", "postal_code": "99999"}


@pytest.fixture
def portal(service: Service) -> Caller:
    with transaction(service.sessions) as session:
        add_cycle(session)
        add_school(session, "lincoln")
    return service.partner("portal")


def application(**more: Json) -> dict[str, Json]:
    return {"grade": "KG", "child": CHILD, **more}


def put(caller: Caller, reference: str, **more: Json) -> httpx2.Response:
    return caller.put(f"{CYCLE}/applicants/{reference}", application(**more))


def faults(answer: httpx2.Response) -> dict[str, str]:
    return {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]}


def test_a_change_of_an_application_names_its_version(portal: Caller) -> None:
    made = put(portal, "a1")
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    path = f"{CYCLE}/applicants/a1"
    assert portal.put(path, application(language="es")).status_code == 428
    assert portal.put(path, application(language="es"), '"7"').status_code == 412
    changed = portal.put(path, application(language="es"), '"1"')
    assert (changed.status_code, changed.json()["language"], changed.headers["ETag"]) == (200, "es", '"2"')
    assert portal.get(path).json()["ticket"] == made.json()["ticket"]


def test_a_child_who_starts_over_keeps_the_random_ticket(portal: Caller) -> None:
    first, second = (put(portal, reference).json()["ticket"] for reference in ("a1", "a2"))
    assert first != second
    assert len(first) == 32
    assert portal.delete(f"{CYCLE}/applicants/a1", "*").status_code == 204
    assert portal.get(f"{CYCLE}/applicants/a1").status_code == 404
    assert put(portal, "a1").json()["ticket"] == first


def test_an_answer_lists_all_faults_of_a_body_without_their_values(portal: Caller) -> None:
    body: Json = {
        "grade": "KG",
        "child": {"given_name": "", "family_name": "Featherstone", "birth_date": "Marchish"},
        "addresses": [ADDRESS, ADDRESS, ADDRESS],
        "nickname": "Quilly",
    }
    answer = portal.put(f"{CYCLE}/applicants/a1", body)
    assert answer.status_code == 422
    assert faults(answer) == {
        "/child/given_name": "string-too-short",
        "/child/birth_date": "date-parsing",
        "/addresses": "too-long",
        "/nickname": "extra-forbidden",
    }
    for value in ("Featherstone", "Marchish", "Quilly", "Marigold"):
        assert value not in answer.text


def test_unknown_grades_households_and_cycles_are_refused(portal: Caller) -> None:
    refused = put(portal, "a1", grade="12")
    assert (refused.status_code, refused.json()["code"], faults(refused)) == (
        409,
        "grade-not-offered",
        {"/grade": "unknown-grade"},
    )
    assert put(portal, "a1", household_code="none").json()["code"] == "unknown-household"
    assert portal.put("/v1/cycles/1999/applicants/a1", application()).json()["code"] == "cycle-not-found"


def test_the_grade_cannot_change_while_a_ranking_is_in_force(service: Service, portal: Caller) -> None:
    school = service.school_staff("lincoln")
    body: Json = {"status": "in", "agreement": "1", "grades": [{"grade": "KG", "seats": 3}]}
    school.change(f"{CYCLE}/schools/lincoln/participation", body)
    put(portal, "a1")
    ranking = f"{CYCLE}/applicants/a1/ranking"
    assert portal.put(ranking, {"programs": ["lincoln-kg"]}).status_code == 200
    path = f"{CYCLE}/applicants/a1"
    assert portal.put(path, application(grade="01"), "*").json()["code"] == "grade-held-by-ranking"
    assert portal.delete(ranking, "*").status_code == 200
    assert portal.put(path, application(grade="01"), "*").status_code == 200


@pytest.mark.parametrize(
    ("points", "zones", "method"),
    [
        ([(5, 5)], ["west"], "point"),
        ([(10, 5)], ["east", "west"], "border"),
        ([(50, 50)], [], "no zone"),
        ([(5, 5), (15, 5)], ["east", "west"], "point"),
        ([None], [], "no address"),
    ],
)
def test_the_point_of_an_address_gives_the_zones(
    service: Service, points: list[tuple[int, int] | None], zones: list[str], method: str
) -> None:
    with transaction(service.sessions) as session:
        cycle = add_cycle(session)
        opened, cycle.opens_at = cycle.opens_at, cycle.deadline.replace(microsecond=0)
        cycle.deadline = cycle.deadline.replace(year=cycle.deadline.year + 1)
    brought = bring(service.administrator(), collection(square("west", left=0), square("east", left=10)))
    assert brought.status_code == 200, brought.text
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE cycle SET opens_at = :opened"), {"opened": opened})
    addresses: list[Json] = [
        {"text": "17 Marigold Passage", "point": {"longitude": point[0], "latitude": point[1]} if point else None}
        for point in points
    ]
    shown = put(service.partner(), "a1", addresses=addresses).json()
    assert (shown["zones"], shown["zone_method"]) == (zones, method)


def test_a_household_code_joins_the_applications_of_two_guardians(service: Service, portal: Caller) -> None:
    code = put(portal, "a1", household="h1", together=True).json()["household_code"]
    assert put(portal, "a2", household="h1").json()["household_code"] == code
    other = service.partner("network")
    assert put(other, "b1", household_code=code).json()["household_code"] == code
    both = put(other, "b2", household="h", household_code=code)
    assert (both.status_code, faults(both)) == (422, {"": "one-household"})
    with transaction(service.sessions) as session:
        assert session.execute(text("SELECT count(DISTINCT household_id) FROM applicant")).scalar_one() == 1


def test_a_child_moves_to_another_partner_only_with_a_transfer_code(service: Service, portal: Caller) -> None:
    ticket = put(portal, "a1", sis_id=" s-1 ").json()["ticket"]
    other = service.partner("network")
    refused = put(other, "b1", sis_id="s-1")
    assert (refused.status_code, refused.json()["code"]) == (409, "same-child-twice")
    assert "transfers" in refused.json()["detail"]
    assert put(portal, "a2", sis_id="s-1").json()["code"] == "same-child-twice"
    code = portal.post(f"{CYCLE}/applicants/a1/transfer-code").json()["transfer_code"]
    wrong = other.post(f"{CYCLE}/transfers", {"code": "not-the-code", "reference": "b1"})
    assert wrong.json()["code"] == "transfer-refused"
    moved = other.post(f"{CYCLE}/transfers", {"code": code, "reference": "b1"})
    assert (moved.status_code, moved.json()["ticket"]) == (200, ticket), moved.text
    assert portal.get(f"{CYCLE}/applicants/a1").status_code == 404
    again = service.partner("third").post(f"{CYCLE}/transfers", {"code": code, "reference": "c1"})
    assert again.json()["code"] == "transfer-refused"
    (entry,) = entries(service, "contact.change")
    assert (entry["tag"], entry["from"], entry["to"]) == (ticket, "partner:portal", "partner:network")


def test_an_application_cannot_move_to_a_used_reference(service: Service, portal: Caller) -> None:
    put(portal, "a1", sis_id="s-1")
    other = service.partner("network")
    put(other, "b1")
    code = portal.post(f"{CYCLE}/applicants/a1/transfer-code").json()["transfer_code"]
    taken = other.post(f"{CYCLE}/transfers", {"code": code, "reference": "b1"})
    assert taken.json()["code"] == "transfer-refused"
    assert other.post(f"{CYCLE}/transfers", {"code": code, "reference": "b2"}).status_code == 200


def test_a_transfer_code_is_shown_once_and_a_new_code_replaces_it(service: Service, portal: Caller) -> None:
    put(portal, "a1")
    path = f"{CYCLE}/applicants/a1/transfer-code"
    former = portal.post(path, key="k").json()["transfer_code"]
    assert portal.post(path, key="k").json() == {"transfer_code": None}
    assert tables_with(service, former) == set()
    code = portal.post(path).json()["transfer_code"]
    other = service.partner("network")
    ended = other.post(f"{CYCLE}/transfers", {"code": former, "reference": "b1"})
    assert ended.json()["code"] == "transfer-refused"
    assert other.post(f"{CYCLE}/transfers", {"code": code, "reference": "b1"}).status_code == 200


def test_a_withdrawn_child_keeps_the_ticket_at_another_partner(service: Service, portal: Caller) -> None:
    ticket = put(portal, "a1", sis_id="s-1").json()["ticket"]
    portal.delete(f"{CYCLE}/applicants/a1", "*")
    assert put(service.partner("network"), "b1", sis_id="s-1").json()["ticket"] == ticket
    assert put(portal, "a1", sis_id="s-1").json()["code"] == "same-child-twice"


def test_an_application_cannot_change_its_child(portal: Caller) -> None:
    ticket = put(portal, "a1").json()["ticket"]
    path = f"{CYCLE}/applicants/a1"
    assert portal.put(path, application(sis_id="s-1"), "*").json()["ticket"] == ticket
    another = portal.put(path, application(sis_id="s-2"), "*")
    assert (another.status_code, another.json()["code"]) == (409, "other-child")
    assert faults(another) == {"/sis_id": "other-child"}
    portal.delete(path, "*")
    assert put(portal, "a1", sis_id="s-2").json()["code"] == "other-child"
    assert put(portal, "a2", sis_id="s-2").status_code == 201
    assert portal.put(path, application()).json()["ticket"] == ticket


def test_names_and_addresses_are_in_one_table_only(service: Service, portal: Caller) -> None:
    more: dict[str, Json] = {"addresses": [ADDRESS], "guardians": [{"name": "Zenobia Featherstone"}]}
    put(portal, "a1", sis_id="s-1", **more)
    claim = portal.post(f"{CYCLE}/applicants/a1/claims", {"fact": "sibling", "school": "lincoln"}).json()["id"]
    service.school_staff("lincoln").post(f"/v1/claims/{claim}/approve", {"basis": "verified", "reason": "On roll"})
    code = portal.post(f"{CYCLE}/applicants/a1/transfer-code").json()["transfer_code"]
    other = service.partner("network")
    assert other.post(f"{CYCLE}/transfers", {"code": code, "reference": "b1"}).status_code == 200
    row: Json = {"cycle": "2027", "reference": "b2", "applicant": application(**more)}
    assert other.post("/v1/applicants:batch", {"rows": [row]}).json()["rows"][0]["done"] is True
    other.delete(f"{CYCLE}/applicants/b1", "*")
    assert tables_with(service, "Quillon", "Featherstone", "Marigold", "Zenobia", "2022-03-01") == {"person"}


def test_the_tables_open_the_commitment_to_settled_facts_in_the_log(service: Service, portal: Caller) -> None:
    put(portal, "a1", attends="outside:little-stars")
    claim = portal.post(f"{CYCLE}/applicants/a1/claims", {"fact": "sibling", "school": "lincoln"}).json()["id"]
    service.school_staff("lincoln").post(f"/v1/claims/{claim}/approve", {"basis": "verified", "reason": "On roll"})
    entry = entries(service, "facts.set")[-1]
    with transaction(service.sessions) as session:
        applicant = session.scalars(select(Applicant)).one()
        facts = json.loads(json.dumps(settled_facts(session, applicant)))
        tag = session.get_one(Child, applicant.child_id).tag.hex()
        salt = applicant.facts_salt
    assert facts["at"] == {"lincoln": ["sibling"]}
    assert (entry["tag"], entry["commit"], entry["basis"]) == (
        tag,
        keyed(salt, "facts", rfc8785.dumps(facts)).hex(),
        "verified",
    )


def test_another_partner_finds_nothing(service: Service, portal: Caller) -> None:
    put(portal, "a1")
    other, path = service.partner("network"), f"{CYCLE}/applicants/a1"
    assert [other.get(path).status_code, other.delete(path, "*").status_code] == [404, 404]
    assert other.put(path, application()).status_code == 201
    assert other.get(path).json()["ticket"] != portal.get(path).json()["ticket"]


def test_applications_are_listed_page_by_page(portal: Caller) -> None:
    for number in range(5):
        put(portal, f"a{number}")
    first = portal.get(f"{CYCLE}/applicants?limit=2").json()
    second = portal.get(f"{CYCLE}/applicants?limit=2&cursor={first['next_cursor']}").json()
    third = portal.get(f"{CYCLE}/applicants?limit=2&cursor={second['next_cursor']}").json()
    shown = [one["reference"] for page in (first, second, third) for one in page["data"]]
    assert (shown, third["next_cursor"]) == (["a0", "a1", "a2", "a3", "a4"], None)
    assert portal.get(f"{CYCLE}/applicants?cursor=nonsense").json()["code"] == "unusable-cursor"


def test_staff_can_set_the_zones_of_a_child_with_a_reason(service: Service, portal: Caller) -> None:
    ticket = put(portal, "a1").json()["ticket"]
    with transaction(service.sessions) as session:
        session.execute(text("INSERT INTO zone (cycle_id, id, part, vintage, shape) VALUES ('2027', 'z', 0, 'v', '')"))
    administrator, path = service.administrator(), f"{CYCLE}/children/{ticket}/zones"
    unknown = administrator.put(path, {"zones": ["y"], "reason": "Moved house"})
    assert (unknown.json()["code"], faults(unknown)) == ("unknown-zones", {"/zones/0": "unknown-zone"})
    assert administrator.put(path, {"zones": ["z"], "reason": "Moved house"}).status_code == 204
    shown = portal.get(f"{CYCLE}/applicants/a1").json()
    assert (shown["zones"], shown["zone_method"]) == (["z"], "override")
    entry = entries(service, "facts.set")[-1]
    assert (entry["basis"], entry["reason"], entry["actor"]) == ("override", "Moved house", "staff:administrator")
