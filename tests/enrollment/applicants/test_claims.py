"""Claims: only approved claims give priority, and each decision has a role and a basis."""

import pytest
import rfc8785
from sqlalchemy import select

from claims_by_hand import YES, claim
from enrollment.applicants.models import Applicant
from enrollment.database import transaction
from log_entries import entries
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed
from people import Service
from rounds_by_hand import CYCLE, City, make_city


@pytest.fixture
def city(service: Service) -> City:
    return make_city(service, children=2)


def test_a_decided_claim_shows_the_role_and_the_basis_of_the_decision(city: City) -> None:
    id_ = claim(city.portal, "sibling", "lincoln")
    (waiting,) = city.lincoln.get(f"{CYCLE}/claims?status=pending").json()["data"]
    assert (waiting["claim"]["id"], waiting["child"]["given_name"]) == (id_, "Ada")
    approved = city.lincoln.post(f"/v1/claims/{id_}/approve", YES)
    assert (approved.json()["status"], approved.json()["decided_by"]) == ("approved", "staff:school")
    (shown,) = city.portal.get(f"{CYCLE}/applicants/child-00/claims").json()["data"]
    assert (shown["status"], shown["basis"]) == ("approved", "verified")
    mistake: Json = {"basis": "verified", "reason": "It was a mistake"}
    refused = city.lincoln.post(f"/v1/claims/{id_}/deny", mistake)
    assert (refused.status_code, refused.json()["code"]) == (409, "claim-decided")
    stale = city.lincoln.post(f"/v1/claims/{id_}/deny", mistake, if_match='"1"')
    assert (stale.status_code, stale.json()["code"]) == (412, "version-stale")
    denied = city.lincoln.post(f"/v1/claims/{id_}/deny", mistake, if_match=f'"{shown["version"]}"')
    assert (denied.json()["status"], denied.headers["ETag"]) == ("denied", '"3"')
    assert [entry["reason"] for entry in entries(city.service, "facts.set")[-2:]] == [
        "claim-approved",
        "claim-denied",
    ]


def test_only_an_approved_claim_counts(city: City) -> None:
    said: Json = {"seats": {"match": 3}, "classes": [{"name": "sibling", "when": {"at_school": "sibling"}}]}
    city.lincoln.change(f"{CYCLE}/programs/lincoln-kg/rules", {"rules": said, "reason": "As ever"})
    (change,) = city.ann.get(f"{CYCLE}/rules-changes").json()["data"]
    assert city.ann.post(f"/v1/rules-changes/{change['id']}/approve", {"reason": "Looked at"}).status_code == 200
    pending, denied = claim(city.portal, "sibling", "lincoln"), claim(city.portal, "sibling", "lincoln", "child-01")
    city.lincoln.post(f"/v1/claims/{denied}/deny", YES)
    path = f"{CYCLE}/programs/lincoln-kg/applicants"
    assert city.lincoln.get(path).json()["by_class"] == {"general": 2}
    city.lincoln.post(f"/v1/claims/{pending}/approve", YES)
    assert city.lincoln.get(path).json()["by_class"] == {"general": 1, "sibling": 1}


def test_each_decision_adds_a_commitment_to_the_settled_facts(city: City) -> None:
    at_school, of_child = claim(city.portal, "sibling", "lincoln"), claim(city.portal, "ell", None)
    assert_settled(city, at={}, flags=[])
    city.lincoln.post(f"/v1/claims/{at_school}/approve", YES)
    assert_settled(city, at={"lincoln": ["sibling"]}, flags=[])
    city.ann.post(f"/v1/claims/{of_child}/approve", YES)
    assert_settled(city, at={"lincoln": ["sibling"]}, flags=["ell"])
    city.lincoln.post(f"/v1/claims/{at_school}/deny", YES, if_match="*")
    assert_settled(city, at={}, flags=["ell"])


def assert_settled(city: City, *, at: dict[str, Json], flags: list[Json]) -> None:
    """Compare the last commitment to the facts of child-00 with facts that are written by hand."""
    facts = {
        "at": at,
        "attends": None,
        "flags": flags,
        "grade": "KG",
        "household": None,
        "together": False,
        "zones": [],
    }
    ticket = city.tickets()["child-00"]
    last = [entry for entry in entries(city.service, "facts.set") if entry["tag"] == ticket][-1]
    with transaction(city.service.sessions) as session:
        salt = session.scalars(select(Applicant.facts_salt).where(Applicant.reference == "child-00")).one()
    assert last["commit"] == keyed(salt, "facts", rfc8785.dumps(facts)).hex()


def test_unknown_facts_and_schools_are_refused_together(city: City) -> None:
    path = f"{CYCLE}/applicants/child-00/claims"
    refused = city.portal.post(path, {"fact": "left-handed", "school": "nowhere"})
    assert (refused.status_code, refused.json()["code"]) == (409, "claim-refused")
    assert {fault["pointer"] for fault in refused.json()["errors"]} == {"/fact", "/school"}
    assert city.portal.post(path, {"fact": "sibling"}).json()["errors"][0]["pointer"] == "/fact"


def test_the_same_claim_cannot_be_made_twice(city: City) -> None:
    first = claim(city.portal, "ell", None)
    again = city.portal.post(f"{CYCLE}/applicants/child-00/claims", {"fact": "ell"})
    assert (again.status_code, again.json()["code"]) == (409, "claimed-already")
    assert first in again.json()["detail"]


def test_staff_decide_the_claims_in_their_scope(city: City) -> None:
    theirs, child_s = claim(city.portal, "sibling", "lincoln"), claim(city.portal, "ell", None)
    district = city.service.operator_staff("district")
    assert city.adams.post(f"/v1/claims/{theirs}/approve", YES).status_code == 404
    assert city.lincoln.post(f"/v1/claims/{child_s}/approve", YES).status_code == 404
    assert city.otto.post(f"/v1/claims/{theirs}/approve", YES).status_code == 403
    (listed,) = city.otto.get(f"{CYCLE}/claims?school=lincoln").json()["data"]
    assert listed["child"] is None
    assert district.post(f"/v1/claims/{theirs}/approve", YES).status_code == 200
    assert city.ann.post(f"/v1/claims/{child_s}/approve", YES).status_code == 200


def test_claims_cannot_be_decided_while_a_round_runs(city: City) -> None:
    id_ = claim(city.portal, "sibling", "lincoln")
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    city.freeze()
    assert city.lincoln.post(f"/v1/claims/{id_}/approve", YES).json()["code"] == "round-running"


@pytest.mark.postgresql_errors("ck_claim_decided")
def test_the_database_refuses_a_decision_without_a_basis(city: City) -> None:
    id_ = claim(city.portal, "sibling", "lincoln")
    assert city.lincoln.post(f"/v1/claims/{id_}/approve", {"reason": "On roll"}).status_code == 422
    with pytest.raises(Exception, match="decided"), transaction(city.service.sessions) as session:
        session.connection().exec_driver_sql("UPDATE claim SET status = 'approved'")
