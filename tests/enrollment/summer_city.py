"""A small city in the summer after its main round, and everybody who acts in it."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from databases import new_database
from enrollment.cycles.locks import lock_cycle
from enrollment.database import Table, clock, transaction
from lottery.market.canonical import Json
from people import Caller, Service
from rounds_by_hand import CHILD, CYCLE, DICE, MAIN
from rows import add_cycle, add_school

SCHOOLS = ("adams", "charter", "lincoln")
PROGRAMS = ("adams-kg", "charter-kg", "lincoln-kg")
REASON = "As our board decided"
UNCOMPARED_TABLES = frozenset({"given_answer"})
"""Tables that may change when an act is refused: the stored answers of Idempotency-Keys."""

FRL: Json = {"name": "frl", "seats": 1, "when": {"has": "frl"}}
SIBLING: Json = {"name": "sibling", "when": {"at_school": "sibling"}}
ELL: Json = {"name": "ell", "seats": 1, "when": {"has": "ell"}, "overflow": "closed"}
BY_WAITLIST: Json = {"order": "waitlist"}
NEVER: Json = {"never": True}

LINCOLN: Sequence[Json] = (
    {"seats": {"match": 4, "over_offer": 1}, "classes": [SIBLING], "reserves": [FRL], "backfill": BY_WAITLIST},
    {"seats": {"match": 5}, "classes": [SIBLING], "reserves": [FRL], "backfill": BY_WAITLIST},
    {"seats": {"match": 3}, "classes": [], "reserves": [], "backfill": BY_WAITLIST},
)
"""Lincoln's rules: the first as the summer begins, the others for changes in the summer."""

RANKINGS: Sequence[Sequence[str]] = (
    ("lincoln-kg", "charter-kg", "adams-kg"),
    ("charter-kg", "lincoln-kg"),
    ("lincoln-kg", "adams-kg"),
    ("adams-kg", "lincoln-kg", "charter-kg"),
    ("charter-kg", "adams-kg"),
)
CHILDREN = 14
PLACED_BEFORE = "child-13"
"""A child who was placed outside the lottery before the main round."""


@dataclass(frozen=True, slots=True)
class Child:
    """A child and the application, as they are stored."""

    id: uuid.UUID
    reference: str
    ticket: str
    live: bool
    grade: str
    seat_grade: str | None
    ranked: Sequence[str]
    """The ranking in force."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A stored offer."""

    id: uuid.UUID
    child: uuid.UUID
    reference: str
    program: str
    group: str
    status: str
    ran_out: bool

    @property
    def is_live(self) -> bool:
        """Say whether the child holds the seat."""
        return self.status in ("open", "accepted")


class Summer:
    """The city on its own database, and everybody who acts in it. The city outlives the process that serves it."""

    def __init__(self, database: str, tokens: Mapping[str, str]) -> None:
        self._database, self._tokens = database, tokens
        self.service = Service(database)
        self.service.__enter__()

    def close(self) -> None:
        """End the process."""
        self.service.__exit__(None, None, None)

    def crash(self) -> None:
        """End the process without warning, and start another process on the same database."""
        self.close()
        self.service = Service(self._database)
        self.service.__enter__()

    def caller(self, name: str) -> Caller:
        """Return a caller with the token from spring."""
        return self.service.with_token(self._tokens[name])

    @property
    def portal(self) -> Caller:
        """Return the partner of all families."""
        return self.caller("portal")

    def rows(self, query: str, **values: object) -> Sequence[RowMapping]:
        """Return the rows of a query."""
        with transaction(self.service.sessions) as session:
            return rows_of(session, query, **values)

    def write(self, statement: str, **values: object) -> None:
        """Change a table directly."""
        with transaction(self.service.sessions) as session:
            session.execute(text(statement), values)

    def children(self) -> list[Child]:
        """Return all children by reference."""
        with transaction(self.service.sessions) as session:
            return children_of(session)

    def offers(self) -> list[Offered]:
        """Return all offers by reference, each child's the oldest first."""
        with transaction(self.service.sessions) as session:
            return offers_of(session)

    def round_now(self) -> RowMapping | None:
        """Return the round that is not published or void, if any."""
        query = "SELECT * FROM round WHERE state NOT IN ('published', 'void')"
        return next(iter(self.rows(query)), None)

    def running(self) -> bool:
        """Say whether a round is frozen, so that its data cannot change."""
        round_ = self.round_now()
        return round_ is not None and round_["state"] != "open"

    def contents(self) -> Mapping[str, str]:
        """Return a digest of every table that is compared."""
        tables = sorted(Table.metadata.tables.keys() - UNCOMPARED_TABLES)
        digests = (
            f"SELECT '{table}', coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') FROM {table} t"  # noqa: S608 - names of the code
            for table in tables
        )
        with transaction(self.service.sessions) as session:
            return dict(session.execute(text(" UNION ALL ".join(digests))).all())


def make_spring(database: str, charter: Json) -> Mapping[str, str]:
    """Make the city on an empty database, up to its published main round. Return everybody's tokens by name.

    Lincoln fills seats by waitlist, with a reserve and an over-offer. Adams never fills seats. Charter fills one seat
    in each round, and its later target has begun. One child was placed at Lincoln before the main round.
    """
    with Service(database) as service:
        with transaction(service.sessions) as session:
            add_cycle(session, opens_at=clock(session) + timedelta(hours=1))
            for school in SCHOOLS:
                add_school(session, school)
        people = {name: service.administrator(name) for name in ("ann", "bea", "cleo")}
        people |= {school: service.school_staff(school) for school in SCHOOLS}
        people["portal"] = service.partner()
        adams: Json = {"seats": {"match": 3}, "backfill": NEVER}
        for school, rules in zip(SCHOOLS, (adams, charter, LINCOLN[0]), strict=True):
            _join(people[school], school, rules)
        _set_cycle(service, "opens_at = clock_timestamp()")
        for number in range(CHILDREN):
            apply_for(people["portal"], f"child-{number:02}", RANKINGS[number % len(RANKINGS)])
        for number, fact in ((0, "frl"), (4, "frl"), (1, "ell"), (9, "ell")):
            _claim(people, f"child-{number:02}", fact)
        _place_before(people, service)
        _set_cycle(service, "deadline = clock_timestamp()")
        _run_main(service, people)
        _set_cycle(
            service, "backfill_opens = clock_timestamp(), backfill_until = clock_timestamp() + interval '30 days'"
        )
        service.sequence()
        return {name: person.headers["Authorization"].removeprefix("Bearer ") for name, person in people.items()}


def charter_rules(order: str) -> Json:
    """Return Charter's rules: `reverse` with a released reserve, or `fresh` with a kept reserve. One seat a round."""
    yesterday = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    return {
        "seats": {"match": 3, "later": [{"name": "first-day", "begins": yesterday, "seats": 4}]},
        "reserves": [ELL],
        "backfill": {
            "order": order,
            "at_most": 1,
            "vacated_reserved_seats": "release" if order == "reverse" else "keep",
        },
    }


def _join(school: Caller, name: str, rules: Json) -> None:
    body: Json = {"status": "in", "agreement": "1", "grades": [{"grade": "KG", "seats": 1}]}
    joined = school.change(f"{CYCLE}/schools/{name}/participation", body)
    assert joined.status_code == 200, joined.text
    put = school.change(f"{CYCLE}/programs/{name}-kg/rules", {"rules": rules})
    assert put.status_code == 200, put.text


def _set_cycle(service: Service, what: str) -> None:
    with transaction(service.sessions) as session:
        lock_cycle(session, "2027")
        session.execute(text(f"UPDATE cycle SET {what}"))  # noqa: S608 - a test's own words


def apply_for(portal: Caller, reference: str, programs: Sequence[str]) -> None:
    """Apply for a new child, with a ranking."""
    made = portal.put(f"{CYCLE}/applicants/{reference}", {"grade": "KG", "child": CHILD})
    assert made.status_code == 201, made.text
    ranked = portal.put(f"{CYCLE}/applicants/{reference}/ranking", {"programs": list(programs)})
    assert ranked.status_code == 200, ranked.text


def _claim(people: Mapping[str, Caller], reference: str, fact: str) -> None:
    claim = people["portal"].post(f"{CYCLE}/applicants/{reference}/claims", {"fact": fact}).json()["id"]
    approved = people["ann"].post(f"/v1/claims/{claim}/approve", {"basis": "verified", "reason": "On our roll"})
    assert approved.status_code == 200, approved.text


def placement_of(ticket: str, program: str, group: str = "open", *, beyond: bool = False) -> Json:
    """Return the body of a request for an administrative placement."""
    return {
        "cycle": "2027",
        "ticket": ticket,
        "program": program,
        "group": group,
        "reason_code": "hardship",
        "document": "Form 12",
        "beyond_seats": beyond,
    }


def _place_before(people: Mapping[str, Caller], service: Service) -> None:
    with transaction(service.sessions) as session:
        ticket = next(child.ticket for child in children_of(session) if child.reference == PLACED_BEFORE)
    asked = people["ann"].post("/v1/placements", placement_of(ticket, "lincoln-kg"))
    approved = people["bea"].post(f"/v1/placements/{asked.json()['id']}/approve", {"reason": REASON})
    assert approved.status_code == 200, approved.text


def _run_main(service: Service, people: Mapping[str, Caller]) -> None:
    people["ann"].post(f"{CYCLE}/rounds", {"kind": "main"})
    people["ann"].post(f"{MAIN}/freeze", {"dice_in_minutes": 0})
    people["ann"].post(f"{MAIN}/draw", {"dice": DICE})
    people["ann"].post(f"{MAIN}/match")
    service.run_job("match", "2027-main")
    published = people["bea"].post(f"{MAIN}/publish")
    assert published.status_code == 200, published.text


@contextmanager
def another_summer(server: str, spring: str, tokens: Mapping[str, str]) -> Iterator[Summer]:
    """Yield the city as it was in spring, on a new database."""
    template = spring.partition("?")[0].rpartition("/")[2]
    with new_database(server, template) as database:
        summer = Summer(database, tokens)
        try:
            yield summer
        finally:
            summer.close()


def rows_of(session: Session, query: str, **values: object) -> Sequence[RowMapping]:
    return session.execute(text(query), values).mappings().all()


def children_of(session: Session) -> list[Child]:
    query = """
        SELECT c.id, a.reference, encode(c.tag, 'hex') AS ticket, a.withdrawn_at IS NULL AS live, a.grade, c.seat_grade,
               coalesce(v.programs, '{}') AS ranked
        FROM child c JOIN applicant a ON a.child_id = c.id
        LEFT JOIN ranking_version v ON v.applicant_id = a.id AND v.version = a.ranking_version
        ORDER BY a.reference
    """
    return [Child(**row) for row in rows_of(session, query)]


def offers_of(session: Session) -> list[Offered]:
    query = """
        SELECT o.id, o.child_id AS child, a.reference, o.program_id AS program, o.seat_group AS "group", o.status,
               o.answer_by <= clock_timestamp() AS ran_out
        FROM offer o JOIN applicant a ON a.child_id = o.child_id ORDER BY a.reference, o.made_at
    """
    return [Offered(**row) for row in rows_of(session, query)]
