"""Withdrawn applications: personal data is erased, the ticket and the log stay, and the child can come back."""

from collections.abc import Iterator, Mapping
from threading import Thread

import httpx2
import pytest
from sqlalchemy import func, select, text

from enrollment.applicants.models import Applicant, Child, Person
from enrollment.database import transaction
from enrollment.migrate import downgrade, upgrade
from log_entries import entries
from lottery.market.canonical import Json
from people import Service
from permissions import make_whole, operations
from rounds_by_hand import CYCLE, City, apply, make_city
from table_search import tables_with

CHILD: Mapping[str, Json] = {"given_name": "Quillon", "family_name": "Featherstone", "birth_date": "2021-12-31"}
WORDS = ("Quillon", "Featherstone", "2021-12-31", "Marigold", "Zenobia", "zenobia@")
FAMILY: Mapping[str, Json] = {
    "child": CHILD,
    "guardians": [{"name": "Zenobia Featherstone", "email": "zenobia@example.org"}],
    "addresses": [{"text": "17 Marigold Passage"}],
}
PATH = f"{CYCLE}/applicants/quillon"
MAX_LOOKS = 10_000


@pytest.fixture
def city(service: Service) -> City:
    city = make_city(service, children=2)
    apply(city.portal, "quillon", ["lincoln-kg", "adams-kg"], **FAMILY)
    assert city.portal.post(f"{PATH}/claims", {"fact": "sibling", "school": "lincoln"}).status_code == 201
    return city


def withdraw(city: City) -> None:
    assert city.portal.delete(PATH, "*").status_code == 204


def test_a_withdrawal_erases_personal_data_from_every_table(city: City) -> None:
    assert tables_with(city.service, *WORDS) == {"person"}
    withdraw(city)
    assert tables_with(city.service, *WORDS) == set()
    assert city.portal.get(PATH).status_code == 404
    with transaction(city.service.sessions) as session:
        assert session.execute(select(func.count()).select_from(Person)).scalar_one() == 2


def test_a_child_who_comes_back_keeps_the_ticket_and_the_log_entries(city: City) -> None:
    ticket = city.tickets()["quillon"]
    withdraw(city)
    assert city.portal.put(f"{PATH}/ranking", {"programs": ["adams-kg"]}, "*").status_code == 404
    assert city.portal.put(PATH, {"grade": "KG"}).status_code == 422
    back = city.portal.put(PATH, {"grade": "KG", **FAMILY})
    assert (back.status_code, back.json()["ticket"], back.json()["child"]) == (200, ticket, CHILD)
    assert [claim["fact"] for claim in back.json()["claims"]] == ["sibling"]
    assert city.portal.put(f"{PATH}/ranking", {"programs": ["adams-kg"]}, "*").status_code == 200
    city.service.sequence()
    kinds = [
        kind
        for kind in ("ranking.put", "ranking.withdraw")
        for one in entries(city.service, kind)
        if one["tag"] == ticket
    ]
    assert kinds == ["ranking.put", "ranking.put", "ranking.withdraw"]


def test_a_child_can_come_back_in_a_batch_only_with_the_whole_application(city: City) -> None:
    ticket = city.tickets()["quillon"]
    withdraw(city)
    row: dict[str, Json] = {"cycle": "2027", "reference": "quillon", "ranking": {"programs": ["adams-kg"]}}
    (refused,) = city.portal.post("/v1/applicants:batch", {"rows": [row]}).json()["rows"]
    assert (refused["done"], refused["code"]) == (False, "not-found")
    row["applicant"] = {"grade": "KG", **FAMILY}
    (done,) = city.portal.post("/v1/applicants:batch", {"rows": [row]}).json()["rows"]
    assert done["done"] is True
    assert (city.tickets()["quillon"], city.portal.get(PATH).json()["child"]) == (ticket, CHILD)


def test_the_claims_of_a_withdrawn_child_have_no_name(city: City) -> None:
    (claim,) = city.lincoln.get(f"{CYCLE}/claims").json()["data"]
    assert claim["child"] == CHILD
    withdraw(city)
    (claim,) = city.lincoln.get(f"{CYCLE}/claims").json()["data"]
    assert (claim["child"], claim["claim"]["fact"]) == (None, "sibling")


def test_all_lists_of_a_round_stay_readable_after_withdrawals(service: Service) -> None:
    whole = make_whole(service)
    city, network = whole.city, whole.network
    for reference in ("child-00", "child-01"):
        assert city.portal.delete(f"{CYCLE}/applicants/{reference}", "*").status_code == 204
    assert network.delete(f"{CYCLE}/applicants/theirs", "*").status_code == 204
    callers = (city.ann, city.otto, city.lincoln, city.adams, city.portal, network)
    reads = [operation for operation in operations(service) if operation.method == "GET"]
    failed = [
        operation.name
        for operation in reads
        for caller in callers
        if whole.ask(caller, operation).status_code >= 500 and operation.path != "/readyz"
    ]
    assert failed == []


def test_a_reader_during_a_withdrawal_gets_404(city: City) -> None:
    answers: list[httpx2.Response] = []
    reading = Thread(target=lambda: answers.append(city.portal.get(PATH)))
    with transaction(city.service.sessions) as holding, transaction(city.service.sessions) as looking:
        holding.execute(text("LOCK TABLE security_event IN SHARE MODE"))
        reading.start()
        waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'security_event'::regclass")
        assert any(looking.execute(waits).scalar_one() for _ in range(MAX_LOOKS))
        withdraw(city)
    reading.join()
    assert [answer.status_code for answer in answers] == [404]


def test_the_migration_erases_earlier_withdrawn_applications(city: City) -> None:
    downgrade(city.service.database, "0008")
    with transaction(city.service.sessions) as session:
        session.execute(text("UPDATE applicant SET withdrawn_at = now() WHERE reference = 'quillon'"))
    upgrade(city.service.database)
    assert tables_with(city.service, *WORDS) == set()
    with transaction(city.service.sessions) as session:
        assert session.execute(select(func.count()).select_from(Person)).scalar_one() == 2
        assert session.execute(select(func.count()).select_from(Applicant).join(Child)).scalar_one() == 3


def test_an_answer_stored_for_its_idempotency_key_cannot_name_a_child(service: Service) -> None:
    schemas = service.app.openapi()["components"]["schemas"]
    kept = 0
    for path, methods in service.app.openapi()["paths"].items():
        for operation in methods.values():
            if any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", [])):
                kept += 1
                found = set(_fields(operation["responses"], schemas, set()))
                assert not found & {"given_name", "family_name", "birth_date", "guardians", "addresses"}, path
    assert kept > 30


def _fields(part: object, schemas: Mapping[str, object], seen: set[str]) -> Iterator[str]:
    """Yield the names of all fields that a schema can have."""
    if isinstance(part, list):
        for one in part:
            yield from _fields(one, schemas, seen)
    if not isinstance(part, dict):
        return
    name = str(part.get("$ref", "")).rpartition("/")[2]
    if name and name not in seen:
        seen.add(name)
        yield from _fields(schemas[name], schemas, seen)
    yield from part.get("properties", {})
    for one in part.values():
        yield from _fields(one, schemas, seen)
