"""Every list of the API: pages that fit together, cursors of their own, and no parameter or value that is ignored."""

import base64
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import httpx2
import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from databases import TEMPLATE, new_database
from enrollment.database import clock, transaction
from enrollment.directory.models import Offering
from enrollment.rules.models import ProgramRules
from enrollment.zones.models import Zone, ZonesChange
from lottery.market.canonical import Json
from people import Caller, Service
from permissions import Operation, Whole, make_whole, operations
from rounds_by_hand import CYCLE, City
from rows import add_cycle

Row: TypeAlias = dict[str, Json]

FEEDS = {"/v1/cycles/{cycle}/notices", "/v1/security-log"}
"""Lists that a caller reads on from where they stopped, now or later."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of the API, with a caller who may read it."""

    path: str
    address: str
    caller: Caller

    def page(self, query: str = "") -> httpx2.Response:
        """Ask for a page."""
        return self.caller.get(f"{self.address}?{query}" if query else self.address)

    def following(self) -> str:
        """Return a cursor of this list."""
        return str(self.page("limit=1").json()["next_cursor"])


@pytest.fixture(scope="module")
def whole(server: str) -> Iterator[Whole]:
    """Return a city that has at least two rows in each of its lists; the tests of this file only read it."""
    with new_database(server, TEMPLATE) as database, Service(database) as service:
        made = make_whole(service)
        fill_lists(made)
        yield made


def fill_lists(whole: Whole) -> None:
    """Put a second row into each list that has one only."""
    city = whole.city
    city.portal.post(f"{CYCLE}/applicants/child-00/claims", {"fact": "staff_child", "school": "lincoln"})
    city.adams.change(f"{CYCLE}/programs/adams-kg/rules", {"rules": {"seats": {"match": 5}}, "reason": "More room"})
    decline_and_rank_anew(city)
    another_placement(whole)
    for staff in ("otto", "lincoln.office"):
        asked: Json = {"what": "reset", "staff": staff, "reason": "The phone was lost"}
        assert city.ann.post("/v1/access-changes", asked).status_code == 202
    city.ann.post(f"{CYCLE}/rounds", {"kind": "backfill"})
    city.service.sequence()
    with transaction(city.service.sessions) as session:
        add_cycle(session, "2028")
        for name in ("north", "south"):
            session.add(Zone(cycle_id="2027", id=name, part=0, vintage="2026", shape=b""))
            session.add(refused_zones(session, name))
        version = session.scalars(select(ProgramRules).where(ProgramRules.program_id == "lincoln-kg")).one()
        columns = {column.name: getattr(version, column.name) for column in ProgramRules.__table__.columns}
        session.add(ProgramRules(**{**columns, "version": version.version + 1}))
        session.execute(update(Offering).values(status="out", reason="Fire"))  # every child ranks one of them still


def refused_zones(session: Session, reason: str) -> ZonesChange:
    """Return new zones that an administrator proposed and took back, before the freeze."""
    now = clock(session)
    return ZonesChange(
        id=uuid.uuid4(), cycle_id="2027", sha256=bytes(32), status="refused", actor="staff:administrator",
        proposed_by="ann", reason=reason, at=now, decided_by="ann", decided_at=now, decision_reason="Taken back",
    )  # fmt: skip


def decline_and_rank_anew(city: City) -> None:
    """Open seats at Lincoln, and have a child move on a waitlist twice."""
    for reference in sorted(city.seats()):
        city.answer(reference, "decline")
        city.service.sequence()
    for ranked in (["lincoln-kg", "adams-kg"], ["adams-kg", "lincoln-kg"], ["lincoln-kg"]):
        answer = city.portal.change(f"{CYCLE}/applicants/child-00/ranking", {"programs": list(ranked)})
        assert answer.status_code == 200, answer.text
        city.service.sequence()
    again = city.portal.change(f"{CYCLE}/applicants/child-01/ranking", {"programs": ["lincoln-kg", "adams-kg"]})
    assert again.status_code == 200, again.text


def another_placement(whole: Whole) -> None:
    """Refuse the placement that waits, and ask for it again."""
    city = whole.city
    (asked,) = city.ann.get(f"{CYCLE}/placements").json()["data"]
    city.bea.post(f"/v1/placements/{asked['id']}/refuse", {"reason": "Looked at"})
    again = {name: asked[name] for name in ("cycle", "ticket", "program", "reason_code", "document")}
    assert city.ann.post("/v1/placements", again).status_code == 202


def lists(whole: Whole) -> list[Listed]:
    """Return every operation that takes a cursor, with a caller for whom it answers."""
    found = [listed(whole, operation.path) for operation in operations(whole.city.service) if pages(whole, operation)]
    assert len(found) > 24
    return found


def pages(whole: Whole, operation: Operation) -> bool:
    return "cursor" in parameters(whole, operation)


def parameters(whole: Whole, operation: Operation) -> Mapping[str, Json]:
    """Return the query parameters of an operation, with the schema of each."""
    described = whole.city.service.app.openapi()["paths"][operation.path][operation.method.lower()]
    return {one["name"]: one["schema"] for one in described.get("parameters", []) if one["in"] == "query"}


def listed(whole: Whole, path: str) -> Listed:
    address = address_of(whole, path)
    for caller in (whole.city.portal, whole.city.ann, whole.city.lincoln):
        if caller.get(address).status_code == 200:
            return Listed(path, address, caller)
    raise AssertionError(path)


def address_of(whole: Whole, path: str) -> str:
    for name, value in whole.names.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def one_by_one(one: Listed) -> list[Json]:
    """Return all rows of a list, read in pages of one row."""
    rows: list[Json] = []
    query = "limit=1"
    while True:
        page = one.page(query).json()
        rows += page["data"]
        if page["next_cursor"] is None:
            return rows
        query = f"limit=1&cursor={page['next_cursor']}"


def test_pages_of_one_row_give_the_same_rows_as_one_page_of_all(whole: Whole) -> None:
    for one in lists(whole):
        page = one.page("limit=200")
        assert page.json()["next_cursor"] is None, one.path
        assert "Link" not in page.headers, one.path
        assert len(page.json()["data"]) > 1, one.path
        assert one_by_one(one) == page.json()["data"], one.path


def test_every_page_of_a_feed_says_where_to_go_on_and_no_other_list_does(whole: Whole) -> None:
    for one in lists(whole):
        page = one.page("limit=1").json()
        assert page.keys() - {"data", "next_cursor"} == ({"resume_cursor"} if one.path in FEEDS else set()), one.path
        assert page.get("resume_cursor", page["next_cursor"]) == page["next_cursor"], one.path


def test_no_list_is_a_bare_array_that_could_not_be_paged(whole: Whole) -> None:
    for operation in operations(whole.city.service):
        described = whole.city.service.app.openapi()["paths"][operation.path][operation.method.lower()]
        answers = described["responses"].get("200", {}).get("content", {}).get("application/json", {})
        assert answers.get("schema", {}).get("type") != "array", operation.name


def garbage(cursor: str) -> list[str]:
    """Return what is no cursor of a list, some of it almost one."""
    place = base64.urlsafe_b64decode(cursor + "==")
    made = [place[6:], b'["\\ud800"]', b"[1e999]", b"[true]", b'{"a":1}', b"[" * 700, b"[" + b"9" * 700 + b"]"]
    forged = [base64.urlsafe_b64encode(b"......" + keys).decode().rstrip("=") for keys in made]
    return [
        *forged,
        "",
        "!",
        "%00",
        "%C3%A9",
        "AAAA",
        "W10",
        "bGluY29sbg",
        "NQ",
        cursor[:-1],
        cursor + "A",
        cursor + "=",
    ]


def test_a_cursor_that_no_list_gave_is_refused_everywhere(whole: Whole) -> None:
    for one in lists(whole):
        for cursor in garbage(one.following()):
            answer = one.page(f"cursor={cursor}")
            assert (answer.status_code, answer.json()["code"]) == (400, "unusable-cursor"), (one.path, cursor)


def test_a_cursor_of_another_list_is_refused_everywhere(whole: Whole) -> None:
    walked = lists(whole)
    for one, other in pairwise([*walked, walked[0]]):
        answer = one.page(f"cursor={other.following()}")
        assert (answer.status_code, answer.json()["code"]) == (400, "unusable-cursor"), (one.path, other.path)


def test_a_cursor_of_the_same_list_with_another_filter_is_refused(whole: Whole) -> None:
    filtered = Listed("", f"{CYCLE}/programs", whole.city.ann)
    cursor = filtered.page("limit=1&grade=KG").json()["next_cursor"]
    assert filtered.page(f"limit=1&grade=KG&cursor={cursor}").status_code == 200
    assert filtered.page(f"limit=2&cursor={cursor}&grade=KG").status_code == 200
    assert filtered.page(f"limit=1&cursor={cursor}").json()["code"] == "unusable-cursor"


def test_a_limit_that_is_none_is_refused_everywhere(whole: Whole) -> None:
    for one in lists(whole):
        for limit in ("0", "201", "-1", "abc", "", "1.5"):
            answer = one.page(f"limit={limit}")
            assert answer.status_code == 400, (one.path, limit)
            assert [fault["pointer"] for fault in answer.json()["errors"]] == ["limit"], one.path


def ask(whole: Whole, operation: Operation, query: str) -> httpx2.Response:
    """Ask as an administrator or a partner, with a query; of a body, JSON that is well-formed."""
    caller = whole.city.portal if "partner" in operation.security else whole.city.ann
    address = f"{address_of(whole, operation.path)}?{query}"
    match operation.method:
        case "GET":
            return caller.get(address)
        case "POST":
            return caller.post(address, {})
        case "PUT":
            return caller.put(address, {}, "*")
        case _:
            return caller.delete(address, "*")


def test_an_unknown_query_parameter_is_refused_by_every_operation_and_nothing_is_done(whole: Whole) -> None:
    before = whole.contents()
    for operation in operations(whole.city.service):
        answer = ask(whole, operation, "stauts=open")
        assert (answer.status_code, answer.json()["code"]) == (400, "unusable-query"), (operation.name, answer.text)
        (fault,) = answer.json()["errors"]
        assert (fault["pointer"], fault["code"], fault["in"]) == ("stauts", "unknown-parameter", "query")
        for known in parameters(whole, operation):
            assert known in fault["detail"], operation.name
    assert whole.contents() == before


def test_a_query_parameter_that_is_sent_twice_is_refused_by_every_operation(whole: Whole) -> None:
    walked = 0
    for operation in operations(whole.city.service):
        for name, schema in parameters(whole, operation).items():
            if '"array"' in str(schema).replace("'", '"'):
                continue
            answer = ask(whole, operation, f"{name}=1&{name}=1")
            assert (answer.status_code, answer.json()["code"]) == (400, "unusable-query"), (operation.name, name)
            assert [fault["code"] for fault in answer.json()["errors"]] == ["repeated-parameter"]
            walked += 1
    assert walked > 60


def test_the_text_of_an_unknown_parameter_is_not_repeated_unless_it_is_a_plain_name(whole: Whole) -> None:
    answer = whole.city.service.stranger().get("/v1/cycles?Ada%20Lovelace=1")
    assert answer.json()["errors"][0]["pointer"] == "…"
    assert "Lovelace" not in answer.text


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("schools?grade=12", "grade-not-in-cycle"),
        ("schools?school=nowhere", "unknown-filter-value"),
        ("schools?zone=nowhere", "unknown-filter-value"),
        ("schools?sector=private", "bad-request"),
        ("programs?grade=12", "grade-not-in-cycle"),
        ("programs?school=nowhere", "unknown-filter-value"),
        ("programs?zone=nowhere", "unknown-filter-value"),
        ("vacancies?school=nowhere", "unknown-filter-value"),
        ("vacancies?program=nowhere-kg", "unknown-filter-value"),
        ("vacancies?status=full", "bad-request"),
        ("claims?school=nowhere", "unknown-filter-value"),
        ("claims?status=waiting", "bad-request"),
        ("placements?status=done", "bad-request"),
        ("readiness?kind=summer", "bad-request"),
    ],
)
def test_a_filter_value_that_does_not_exist_is_refused_and_named(whole: Whole, query: str, code: str) -> None:
    answer = whole.city.ann.get(f"{CYCLE}/{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    (fault,) = answer.json()["errors"]
    assert fault["pointer"].strip("/") == query.partition("?")[2].partition("=")[0]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("programs/nowhere-kg/vacancies", "not-found"),
        ("applicants/child-01/result?round=2027-nothing", "round-not-found"),
        ("applicants/child-01/waitlists?round=2027-nothing", "round-not-found"),
    ],
)
def test_a_program_or_a_round_that_does_not_exist_is_not_an_empty_answer(whole: Whole, path: str, code: str) -> None:
    caller = whole.city.ann if path.startswith("programs") else whole.city.portal
    answer = caller.get(f"{CYCLE}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, code)
