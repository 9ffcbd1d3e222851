"""Rules say who can have the seats that a reserve's own children leave."""

import json
from collections.abc import Mapping

import pytest
from sqlalchemy import delete

import lottery
from enrollment.cycles.locks import lock_cycle
from enrollment.database import transaction
from enrollment.rules.in_force import Act, RulesCannotWork, settle_cycle
from enrollment.zones.models import Zone
from lottery.market.canonical import Json
from people import Service
from rules_spoken import PROGRAM, city, faults, put

ADAMS = "/v1/cycles/2027/programs/adams-kg/rules"
STAFF: Json = {"at_school": "staff_child"}
NOT_STAFF: Json = {"not": STAFF}
NEAR: Json = {"zone_in": ["lincoln-area"]}
AT_MOST_TWO_STAFF: Mapping[str, Json] = {
    "seats": {"match": 20},
    "reserves": [
        {"name": "near", "seats": 8, "when": {"all": [NEAR, NOT_STAFF]}, "overflow": {"to": NOT_STAFF}},
        {"name": "others", "seats": 10, "when": NOT_STAFF, "overflow": "closed"},
        {"name": "staff", "seats": 2, "when": STAFF},
    ],
}


def reserve(overflow: Json) -> Mapping[str, Json]:
    return {"seats": {"match": 20}, "reserves": [{"name": "a", "seats": 3, "when": STAFF, "overflow": overflow}]}


def placed(program: Json, *, staff: int, others: int) -> tuple[int, int]:
    """Return how many children of staff and how many others the program places, by both engines."""
    at: Json = {"lincoln": ["staff_child"]}
    children = [("staff", at)] * staff + [("other", {})] * others
    read = lottery.read_market(
        {
            "format": "lottery-market/1",
            "round": {"id": "main", "kind": "main"},
            "programs": [program],
            "applicants": [
                {"id": f"{kind}-{number}", "grade": "KG", "ranking": ["lincoln-kg"], "at": facts}
                for number, (kind, facts) in enumerate(children)
            ],
        }
    )
    outcome = lottery.match_market(read, seed=bytes(32), engine="fast")
    assert outcome == lottery.match_market(read, seed=bytes(32), engine="reference")
    tickets = [placement.applicant for placement in outcome.placements]
    return sum(ticket.startswith("staff") for ticket in tickets), len(tickets)


def test_at_most_two_seats_for_staff_are_said_kept_and_read_back(service: Service) -> None:
    city(service)
    answer = put(service.school_staff("lincoln"), PROGRAM, AT_MOST_TWO_STAFF)
    assert answer.status_code == 200, answer.text
    shown = service.stranger().get(PROGRAM).json()
    assert shown["own"]["reserves"][0]["overflow"] == {"to": NOT_STAFF}
    assert shown["market"]["reserves"][0]["overflow"] == {"to": NOT_STAFF}
    assert (
        "If too few of them apply, only a child who does not have a parent who works at this school can get the "
        "remaining reserved seats." in shown["sentences"]
    )
    assert placed(shown["market"], staff=10, others=40) == (2, 20)
    assert placed(shown["market"], staff=10, others=5) == (2, 7)
    assert placed(shown["market"], staff=1, others=40) == (1, 20)
    again = put(service.school_staff("lincoln", "lea"), PROGRAM, shown["own"])
    assert again.status_code == 200, again.text


@pytest.mark.parametrize(
    ("to", "pointer", "code"),
    [
        ({"zone_in": ["lincoln-area", "atlantis"]}, "/zone_in/1", "unknown-zone"),
        ({"not": {"any": [STAFF, {"at_school": "wealth"}]}}, "/not/any/1/at_school", "unknown-fact"),
        ({"attends_in": ["nowhere"]}, "/attends_in/0", "unknown-school"),
        ({"zip": "Z1"}, "/zip", "condition"),
        ({}, "", "condition"),
        (json.loads('{"not":' * 16 + '{"everyone":true}' + "}" * 16), "/not" * 16, "too-deep"),
    ],
)
def test_a_faulty_condition_is_refused_at_its_place(service: Service, to: Json, pointer: str, code: str) -> None:
    city(service)
    answer = put(service.school_staff("lincoln"), PROGRAM, reserve({"to": to}))
    assert faults(answer) == {(f"/rules/reserves/0/overflow/to{pointer}", code)}


@pytest.mark.parametrize("overflow", ["shut", {}, {"to": "siblings"}, {"to": STAFF, "from": 1}, ["open"], 1, None])
def test_a_malformed_overflow_is_refused(service: Service, overflow: Json) -> None:
    city(service)
    answer = put(service.school_staff("lincoln"), PROGRAM, reserve(overflow))
    assert answer.status_code == 422, answer.text
    assert all(fault["pointer"].startswith("/rules/reserves/0/overflow") for fault in answer.json()["errors"])


def test_zones_that_the_condition_names_cannot_be_removed(service: Service) -> None:
    city(service)
    answer = put(service.school_staff("lincoln"), PROGRAM, reserve({"to": NEAR}))
    assert answer.status_code == 200, answer.text
    with transaction(service.sessions) as session:
        cycle_now = lock_cycle(session, "2027")
        session.execute(delete(Zone))
        with pytest.raises(RulesCannotWork) as refused:
            settle_cycle(session, cycle_now.cycle, Act(actor="staff:administrator", staff="ann", reason="New zones"))
    assert "unknown-zone" in {fault.code for fault in refused.value.faults}


def test_a_reserve_leaves_its_seats_to_the_schools_own_zones(service: Service) -> None:
    city(service)
    own_zone: Json = {"to": {"all": [{"own_zone": True}, NOT_STAFF]}}
    answer = put(service.school_staff("lincoln"), PROGRAM, reserve(own_zone))
    assert answer.status_code == 200, answer.text
    shown = service.stranger().get(PROGRAM).json()
    assert shown["own"]["reserves"][0]["overflow"] == own_zone
    assert shown["market"]["reserves"][0]["overflow"] == {"to": {"all": [NEAR, NOT_STAFF]}}
    refused = put(service.school_staff("adams"), ADAMS, reserve({"to": {"own_zone": True}}))
    assert faults(refused) == {("/rules/reserves/0/overflow/to/own_zone", "no-zones")}
