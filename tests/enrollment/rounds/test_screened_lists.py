"""A school with a list of its own may have forgotten children who rank it; the service says so in time."""

import json

import httpx2

from lottery.market.canonical import Json
from people import Caller, Service
from rounds_by_hand import CYCLE, MAIN, City
from screened_city import make_screened_city

RULES = f"{CYCLE}/programs/exam-kg/rules"


def gap(city: City) -> dict[str, object] | None:
    """Return the finding about the list of the screened school."""
    findings = city.ann.get(f"{CYCLE}/readiness").json()["findings"]
    return next((found for found in findings if found["code"] == "not-on-list"), None)


def send_list(exam: Caller, tickets: list[Json]) -> httpx2.Response:
    """Send the school's list, and have an administrator approve it."""
    rules: Json = {"seats": {"match": 1}, "tie_break": {"ranked": tickets}}
    return exam.change(RULES, {"rules": rules, "reason": "Two children were missing"})


def test_readiness_names_the_children_whom_a_screened_list_misses_until_the_school_adds_them(
    service: Service,
) -> None:
    city = make_screened_city(service)
    tickets = city.tickets()
    missing = sorted([tickets["exam-00"], tickets["exam-03"]])
    found = gap(city)
    assert found is not None
    assert (found["about"], found["number"], found["tickets"]) == ("exam-kg", 2, missing)
    assert found["blocks"] is False
    exam = service.school_staff("exam", name="second-at-exam")
    marked = exam.get(f"{CYCLE}/programs/exam-kg/applicants").json()["applicants"]
    assert sorted(child["ticket"] for child in marked if not child["listed"]) == missing
    others = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/applicants").json()["applicants"]
    assert {child["listed"] for child in others} == {True}
    city.close()  # the deadline has passed, and the freeze has not
    whole = [tickets[f"exam-{number:02}"] for number in (1, 2, 3, 0)]
    sent = send_list(exam, list(whole))
    assert sent.status_code == 202, sent.text
    assert gap(city) is not None, "the change waits for an administrator"
    approved = city.ann.post(f"/v1/rules-changes/{sent.json()['change']['id']}/approve", {"reason": "Complete now"})
    assert approved.status_code == 200, approved.text
    assert gap(city) is None
    assert city.ann.get(RULES).json()["market"]["tie_break"] == {"ranked": whole}


def test_the_review_before_publishing_names_short_lists_and_lets_the_round_be_published(service: Service) -> None:
    city = make_screened_city(service)
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    assert city.freeze().status_code == 200
    city.match()
    gates = {gate["gate"]: gate for gate in city.bea.get(f"{MAIN}/review").json()["gates"]}
    assert gates["screened-lists"]["problem"] is None
    assert "exam-kg: 2" in gates["screened-lists"]["note"]
    assert city.tickets()["exam-00"] not in json.dumps(gates)
    late = send_list(service.school_staff("exam", name="late-at-exam"), [])
    assert (late.status_code, late.json()["code"]) == (409, "round-running")
    assert city.bea.post(f"{MAIN}/publish").status_code == 200
