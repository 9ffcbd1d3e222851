"""Say rules over HTTP, in a small city, for the tests of rules."""

import json
from collections.abc import Mapping
from datetime import timedelta

import httpx2
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.audit.models import LogEntry
from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from enrollment.rules.in_force import rules_in_force
from enrollment.zones.models import Zone
from lottery.market.canonical import Json
from people import Caller, Service
from rows import add_cycle, add_school

CYCLE = "/v1/cycles/2027"
OPERATOR = f"{CYCLE}/operators/district/rules"
SCHOOL = f"{CYCLE}/schools/lincoln/rules"
PROGRAM = f"{CYCLE}/programs/lincoln-kg/rules"
SIBLING: Mapping[str, Json] = {"name": "sibling", "when": {"at_school": "sibling"}}
STAFF: Mapping[str, Json] = {"name": "staff", "when": {"at_school": "staff_child"}}
WHY = "As the board decided"


def city(service: Service) -> None:
    """Put a cycle that opens in an hour into the tables, and schools; Lincoln and Adams take part with 20 seats."""
    with transaction(service.sessions) as session:
        add_cycle(session, opens_at=clock(session) + timedelta(hours=1))
        add_school(session, "lincoln", grades=["KG", "01"])
        add_school(session, "adams")
        add_school(session, "charter", operator="network")
        session.flush()
        add_zone(session, "lincoln-area", "lincoln", ["KG"])
    district = service.operator_staff("district")
    join(district, "lincoln", "KG")
    join(district, "adams", "KG")


def add_zone(session: Session, zone: str, school: str | None, grades: list[str] | None) -> None:
    """Add a zone; its shape is never looked at here."""
    session.add(Zone(cycle_id="2027", id=zone, part=0, school_id=school, grades=grades, vintage="2026", shape=b""))
    session.flush()


def join(caller: Caller, school: str, grade: str, seats: int = 20) -> None:
    """Have a school take part with a grade."""
    body: Json = {"status": "in", "agreement": "1", "grades": [{"grade": grade, "seats": seats}]}
    answer = caller.change(f"{CYCLE}/schools/{school}/participation", body)
    assert answer.status_code == 200, answer.text


def open_now(service: Service) -> None:
    """Have the cycle open."""
    with transaction(service.sessions) as session:
        lock_cycle(session, "2027").cycle.opens_at = clock(session)


def say(rules: Mapping[str, Json], reason: str | None = None) -> dict[str, Json]:
    """Return a body with rules."""
    return {"rules": dict(rules)} if reason is None else {"rules": dict(rules), "reason": reason}


def put(caller: Caller, path: str, rules: Mapping[str, Json], reason: str | None = None) -> httpx2.Response:
    """Put rules over what is there."""
    return caller.put(path, say(rules, reason), caller.get(path).headers.get("ETag"))


def propose(caller: Caller, path: str, rules: Mapping[str, Json], reason: str = WHY) -> str:
    """Propose rules, and return the change's id."""
    answer = put(caller, path, rules, reason)
    assert answer.status_code == 202, answer.text
    change: str = answer.json()["change"]["id"]
    return change


def faults(answer: httpx2.Response) -> set[tuple[str, str]]:
    """Return the places and codes of a refusal's faults."""
    assert (answer.status_code, answer.json()["code"]) == (409, "rules-cannot-work"), answer.text
    return {(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]}


def rules_put(service: Service) -> list[dict[str, Json]]:
    """Return the log's entries of rules, oldest first, without those that made Lincoln and Adams join."""
    with transaction(service.sessions) as session:
        query = select(LogEntry.body).where(LogEntry.type == "rules.put").order_by(LogEntry.id)
        return [json.loads(body) for body in session.scalars(query)][2:]


def class_names(service: Service, program: str = "lincoln-kg") -> list[str]:
    """Return the classes that a program's rules in force have, as a freeze would take them."""
    with transaction(service.sessions) as session:
        (found,) = (rules for rules in rules_in_force(session, "2027") if rules.program == program)
    return [one["name"] for one in json.loads(json.dumps(found.market))["priorities"]]
