"""The summer after a main round: a small city to act in, and what must hold of its seats whatever anybody did.

What must hold is read from the tables and the log as they are stored, by the field's rules as the design has them; none
of it asks the code that keeps offers, vacancies and waitlists.
"""

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import rfc8785
from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from databases import new_database
from enrollment.cycles.locks import lock_cycle
from enrollment.database import Table, clock, transaction
from enrollment.seats.seat_log import Change, Seat, committed
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed
from people import Caller, Service
from rounds_by_hand import CHILD, CYCLE, DICE, MAIN
from rows import add_cycle, add_school

SCHOOLS = ("adams", "charter", "lincoln")
PROGRAMS = ("adams-kg", "charter-kg", "lincoln-kg")
REASON = "As our board decided"
KEPT_APART = frozenset({"given_answer"})
"""Tables that may change when somebody is refused: what is kept of Idempotency-Keys."""

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
"""What Lincoln says of its seats: as the summer begins, and what it may come to say."""

RANKINGS: Sequence[Sequence[str]] = (
    ("lincoln-kg", "charter-kg", "adams-kg"),
    ("charter-kg", "lincoln-kg"),
    ("lincoln-kg", "adams-kg"),
    ("adams-kg", "lincoln-kg", "charter-kg"),
    ("charter-kg", "adams-kg"),
)
CHILDREN = 14
PLACED_BEFORE = "child-13"
"""Was placed outside the lottery before the main round."""


@dataclass(frozen=True, slots=True)
class Child:
    """A child and its application, as the tables have them."""

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
    """A row of the table of offers."""

    id: uuid.UUID
    child: uuid.UUID
    reference: str
    program: str
    group: str
    status: str
    ran_out: bool

    @property
    def is_live(self) -> bool:
        """Say whether its child holds the seat."""
        return self.status in ("open", "accepted")


class Summer:
    """The city on a database of its own, and everybody who acts in it; it outlives the process that serves it."""

    def __init__(self, database: str, tokens: Mapping[str, str]) -> None:
        self._database, self._tokens = database, tokens
        self.service = Service(database)
        self.service.__enter__()

    def close(self) -> None:
        """End the process."""
        self.service.__exit__(None, None, None)

    def crash(self) -> None:
        """Throw the process away, and begin another one on the same database."""
        self.close()
        self.service = Service(self._database)
        self.service.__enter__()

    def caller(self, name: str) -> Caller:
        """Return somebody, with the token that they have had since spring."""
        return self.service.with_token(self._tokens[name])

    @property
    def portal(self) -> Caller:
        """Return the partner of all families."""
        return self.caller("portal")

    def rows(self, asked: str, **values: object) -> Sequence[RowMapping]:
        """Read the tables."""
        with transaction(self.service.sessions) as session:
            return _rows(session, asked, **values)

    def write(self, statement: str, **values: object) -> None:
        """Change a table by hand."""
        with transaction(self.service.sessions) as session:
            session.execute(text(statement), values)

    def children(self) -> list[Child]:
        """Return all children by reference."""
        with transaction(self.service.sessions) as session:
            return _children(session)

    def offers(self) -> list[Offered]:
        """Return all offers by reference, each child's the oldest first."""
        with transaction(self.service.sessions) as session:
            return _offers(session)

    def round_now(self) -> RowMapping | None:
        """Return the round that is not over, if there is one."""
        asked = "SELECT * FROM round WHERE state NOT IN ('published', 'void')"
        return next(iter(self.rows(asked)), None)

    def running(self) -> bool:
        """Say whether a round is frozen, so that nothing that it reads is taken."""
        round_ = self.round_now()
        return round_ is not None and round_["state"] != "open"

    def contents(self) -> Mapping[str, str]:
        """Return a digest of every table, but of those that are kept apart."""
        tables = sorted(Table.metadata.tables.keys() - KEPT_APART)
        digests = (
            f"SELECT '{table}', coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') FROM {table} t"  # noqa: S608 - names of the code
            for table in tables
        )
        with transaction(self.service.sessions) as session:
            return dict(session.execute(text(" UNION ALL ".join(digests))).all())


def make_spring(database: str, charter: Json) -> Mapping[str, str]:
    """Make the city on an empty database up to its published main round; return everybody's tokens by name.

    Lincoln fills by waitlist, with a reserve and an over-offer; Adams never fills; Charter has one free seat filled in
    a round, and a later target that has begun. One child was placed at Lincoln before the main round.
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
        for school, said in zip(SCHOOLS, (adams, charter, LINCOLN[0]), strict=True):
            _join(people[school], school, said)
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
    """Return Charter's rules: `reverse` with the reserve released, or `fresh` with it kept; one free seat a round."""
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


def _join(school: Caller, name: str, said: Json) -> None:
    body: Json = {"status": "in", "agreement": "1", "grades": [{"grade": "KG", "seats": 1}]}
    joined = school.change(f"{CYCLE}/schools/{name}/participation", body)
    assert joined.status_code == 200, joined.text
    put = school.change(f"{CYCLE}/programs/{name}-kg/rules", {"rules": said})
    assert put.status_code == 200, put.text


def _set_cycle(service: Service, what: str) -> None:
    with transaction(service.sessions) as session:
        lock_cycle(session, "2027")
        session.execute(text(f"UPDATE cycle SET {what}"))  # noqa: S608 - a test's own words


def apply_for(portal: Caller, reference: str, programs: Sequence[str]) -> None:
    """Bring a new child with its ranking."""
    made = portal.put(f"{CYCLE}/applicants/{reference}", {"grade": "KG", "child": CHILD})
    assert made.status_code == 201, made.text
    ranked = portal.put(f"{CYCLE}/applicants/{reference}/ranking", {"programs": list(programs)})
    assert ranked.status_code == 200, ranked.text


def _claim(people: Mapping[str, Caller], reference: str, fact: str) -> None:
    claim = people["portal"].post(f"{CYCLE}/applicants/{reference}/claims", {"fact": fact}).json()["id"]
    approved = people["ann"].post(f"/v1/claims/{claim}/approve", {"basis": "verified", "reason": "On our roll"})
    assert approved.status_code == 200, approved.text


def placement_of(ticket: str, program: str, group: str = "open", *, beyond: bool = False) -> Json:
    """Return the body that asks for a placement outside the lottery."""
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
        ticket = next(child.ticket for child in _children(session) if child.reference == PLACED_BEFORE)
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
    former = spring.partition("?")[0].rpartition("/")[2]
    with new_database(server, former) as database:
        summer = Summer(database, tokens)
        try:
            yield summer
        finally:
            summer.close()


def _rows(session: Session, asked: str, **values: object) -> Sequence[RowMapping]:
    return session.execute(text(asked), values).mappings().all()


def _children(session: Session) -> list[Child]:
    asked = """
        SELECT c.id, a.reference, encode(c.tag, 'hex') AS ticket, a.withdrawn_at IS NULL AS live, a.grade, c.seat_grade,
               coalesce(v.programs, '{}') AS ranked
        FROM child c JOIN applicant a ON a.child_id = c.id
        LEFT JOIN ranking_version v ON v.applicant_id = a.id AND v.version = a.ranking_version
        ORDER BY a.reference
    """
    return [Child(**row) for row in _rows(session, asked)]


def _offers(session: Session) -> list[Offered]:
    asked = """
        SELECT o.id, o.child_id AS child, a.reference, o.program_id AS program, o.seat_group AS "group", o.status,
               o.answer_by <= clock_timestamp() AS ran_out
        FROM offer o JOIN applicant a ON a.child_id = o.child_id ORDER BY a.reference, o.made_at
    """
    return [Offered(**row) for row in _rows(session, asked)]


def holders(session: Session) -> dict[uuid.UUID, str]:
    """Return which program each child holds its seat at."""
    return {offer.child: offer.program for offer in _offers(session) if offer.is_live}


def one_seat_a_child(session: Session) -> None:
    """Hold offers against children: one live one each, of a live application and its grade."""
    grades = {row["id"]: row["grade"] for row in _rows(session, "SELECT id, grade FROM program")}
    live = [offer for offer in _offers(session) if offer.is_live]
    assert max(Counter(offer.child for offer in live).values(), default=1) == 1
    seated = {offer.child: grades[offer.program] for offer in live}
    for child in _children(session):
        assert child.seat_grade == seated.get(child.id), child
        assert child.seat_grade in (None, child.grade), child
        assert child.live or child.id not in seated, child


def seats_add_up(session: Session) -> None:
    """Hold the ledger against the seats: each is held, or free, and none comes or goes but with a row that says so.

    The main round gave the ledger as many seats as its frozen market has. From then on a seat that is given up opens a
    vacancy (held - 1, free + 1), a vacancy that is filled is held again (+ 1, - 1), and a seat that is decided to stay
    empty is still free; so those change nothing in the sum. What does is a seat that is opened as `seats-added` (+ 1)
    and one that is `removed` (- 1):

        held + free = seats of the main round + opened as `seats-added` - removed

    Nobody is given a seat beyond the highest target that was ever put, but by a placement that says it adds one.
    """
    held = Counter(holders(session).values())
    for program in PROGRAMS:
        asked = """
            SELECT (SELECT (f.document::json ->> 'seats')::int FROM frozen_program f JOIN round r ON r.id = f.round_id
                    WHERE r.kind = 'main' AND r.state = 'published' AND f.program_id = :program) AS main,
                   (SELECT max(greatest((rules #>> '{seats,match}')::int,
                                        (rules #>> '{seats,later,0,seats}')::int))
                    FROM program_rules WHERE program_id = :program) AS most,
                   (SELECT count(*) FROM outside_placement
                    WHERE program_id = :program AND status = 'approved' AND beyond_seats) AS beyond,
                   count(*) FILTER (WHERE opened_by = 'seats-added') AS added,
                   count(*) FILTER (WHERE status = 'removed') AS removed,
                   count(*) FILTER (WHERE status IN ('open', 'left-empty')) AS free,
                   count(*) AS rows, coalesce(max(number), 0) AS last
            FROM vacancy WHERE program_id = :program
        """
        (seats,) = _rows(session, asked, program=program)
        assert held[program] + seats["free"] == seats["main"] + seats["added"] - seats["removed"], (
            program,
            held,
            seats,
        )
        assert held[program] <= max(seats["most"], seats["main"]) + seats["beyond"], (program, held, seats)
        assert seats["rows"] == seats["last"], (program, seats)


def log_and_tables_agree(session: Session) -> None:
    """Hold the log against the tables: every change is told once, opens, and adds up to what the tables have."""
    told = [
        (row["type"], json.loads(row["body"]), row["leaf_hash"])
        for row in _rows(session, "SELECT type, body, leaf_hash FROM log_entry ORDER BY id")
    ]
    changes = {row["leaf_hash"]: row for row in _rows(session, "SELECT * FROM seat_change ORDER BY id")}
    tickets = {child.id: child.ticket for child in _children(session)}
    leaves = Counter(leaf for type_, _, leaf in told if type_ == "seat.change")
    assert leaves == Counter(changes.keys()), (leaves, changes)
    for type_, entry, leaf in told:
        if type_ == "seat.change":
            _opens(entry, changes[leaf], tickets)
        if type_ == "vacancy" or entry.get("cause") == "placement.outside_lottery":
            told_of = json.dumps(entry)
            assert not [ticket for ticket in tickets.values() if ticket in told_of], entry
    assert _seats_told(session, told, changes, tickets) == _seats_stored(session)
    assert _vacancies_told(told) == _vacancies_stored(session)


Told = Sequence[tuple[str, dict[str, Json], bytes]]
Given = dict[uuid.UUID, list[list[str]]]
"""Every seat that a child was given, the oldest first: program, group, status."""


def _opens(entry: Mapping[str, Json], row: RowMapping, tickets: Mapping[uuid.UUID, str]) -> None:
    seat = Seat("2027", row["child_id"], tickets[row["child_id"]], row["program_id"], row["seat_group"])
    change = Change(row["was"], row["became"], row["cause"], row["reason_code"], "", row["at"])
    assert entry["commit"] == keyed(row["salt"], "seat", rfc8785.dumps({**committed(seat, change)})).hex(), entry
    assert (entry["cause"], entry["code"]) == (row["cause"], row["reason_code"])


def _seats_told(
    session: Session, told: Told, changes: Mapping[bytes, RowMapping], tickets: Mapping[uuid.UUID, str]
) -> Given:
    """Fold seats from the log: the placements of each published round, and every change after it."""
    children = {ticket: child for child, ticket in tickets.items()}
    given: Given = defaultdict(list)
    for type_, entry, leaf in told:
        if type_ == "round.publish":
            for placed in _rows(session, "SELECT * FROM placement WHERE round_id = :round", round=entry["round"]):
                seats = given[children[placed["tag"]]]
                live = next((seat for seat in seats if seat[2] in ("open", "accepted")), None)
                if live and live[0] == placed["program_id"]:
                    live[1] = placed["seat_group"]
                elif str(entry["round"]).endswith("-main"):
                    status = "accepted" if live and live[2] == "accepted" else "open"
                    seats.append([placed["program_id"], placed["seat_group"], status])
        elif type_ == "seat.change":
            row = changes[leaf]
            seats = given[row["child_id"]]
            if row["was"] == "none":
                seats.append([row["program_id"], row["seat_group"], row["became"]])
            else:
                (seat,) = (one for one in seats if [one[0], one[2]] == [row["program_id"], row["was"]])
                seat[2] = row["became"]
    return dict(given)


def _seats_stored(session: Session) -> Given:
    given: Given = defaultdict(list)
    for offer in _offers(session):
        given[offer.child].append([offer.program, offer.group, offer.status])
    return dict(given)


LEDGER = ("group", "cause", "state", "why", "class", "filled_group", "round", "rules_version")


def _vacancies_told(told: Told) -> dict[tuple[Json, Json], list[Json]]:
    """Fold the ledger from the log."""
    ledger: dict[tuple[Json, Json], dict[str, Json]] = {}
    for type_, entry, _ in told:
        if type_ == "vacancy":
            key = (entry["program"], entry["number"])
            kept = {**entry, "state": "open" if entry["state"] == "opened" else entry["state"]}
            assert (kept["state"] == "open") == (key not in ledger), entry
            former = {**ledger.get(key, {}), "why": None}
            ledger[key] = {**former, **kept}
    return {key: [row.get(name) for name in LEDGER] for key, row in ledger.items()}


def _vacancies_stored(session: Session) -> dict[tuple[Json, Json], list[Json]]:
    asked = """
        SELECT program_id, number, seat_group AS "group", opened_by AS cause, status AS state, why,
               filled_class AS class, filled_group, round_id AS round, rules_version
        FROM vacancy
    """
    return {(row["program_id"], row["number"]): [row[name] for name in LEDGER] for row in _rows(session, asked)}


Lists = dict[tuple[str, str], dict[uuid.UUID, int]]
"""Places by program and group, and child."""


def waitlists_are_their_history(session: Session) -> None:
    """Hold waitlists against their moves: the main round's waitlists and every move since make the lists that stand."""
    lists: Lists = defaultdict(dict)
    asked = """
        SELECT w.program_id, w.seat_group, c.id AS child_id, w.place FROM waiting_place w
        JOIN child c ON encode(c.tag, 'hex') = w.tag JOIN round r ON r.id = w.round_id WHERE r.kind = 'main'
    """
    for row in _rows(session, asked):
        lists[row["program_id"], row["seat_group"]][row["child_id"]] = row["place"]
    for row in _rows(session, "SELECT * FROM waitlist_move ORDER BY id"):
        waiting = lists[row["program_id"], row["seat_group"]]
        assert waiting.pop(row["child_id"], None) == row["was"] != row["became"], row
        if row["became"] is not None:
            waiting[row["child_id"]] = row["became"]
    assert {key: waiting for key, waiting in lists.items() if waiting} == _lists_stored(session)


def every_move_has_a_reason(session: Session, program: str = "%") -> None:
    """Look for a move on a waitlist of which nobody is told why."""
    moves = _rows(session, "SELECT * FROM waitlist_move WHERE program_id LIKE :program", program=program)
    unexplained = [
        (row["program_id"], row["seat_group"], row["was"], row["became"]) for row in moves if not row["reasons"]
    ]
    assert not unexplained, unexplained


def _lists_stored(session: Session) -> Lists:
    lists: Lists = defaultdict(dict)
    for row in _rows(session, "SELECT * FROM waitlist_place"):
        lists[row["program_id"], row["seat_group"]][row["child_id"]] = row["place"]
    return dict(lists)


def waitlists_stand(session: Session) -> None:
    """Hold waitlists, looked after, against rankings and seats: who waits is who ranks it above its seat, and may."""
    stored = _lists_stored(session)
    for key, waiting in stored.items():
        assert sorted(waiting.values()) == list(range(1, len(waiting) + 1)), key
    assert {key: waiting.keys() for key, waiting in stored.items()} == {
        key: waiting for key, waiting in who_may_wait(session).items() if waiting
    }


def who_may_wait(session: Session) -> dict[tuple[str, str], set[uuid.UUID]]:
    """Return who waits where by rankings, seats and rules: at a closed reserve only who meets it."""
    held = holders(session)
    children = _children(session)
    facts = {
        (row["child_id"], row["fact"])
        for row in _rows(
            session,
            "SELECT a.child_id, c.fact FROM claim c JOIN applicant a ON a.id = c.applicant_id "
            "WHERE c.status = 'approved' AND c.school_id IS NULL",
        )
    }
    found = {}
    for program, market in rules_now(session).items():
        above = {child.id for child in children if child.live and program in _above(child.ranked, held.get(child.id))}
        found[program, "open"] = above
        for reserve in market["reserves"]:
            fact, closed = reserve["when"]["has"], reserve["overflow"] == "closed"
            found[program, reserve["name"]] = {one for one in above if not closed or (one, fact) in facts}
    return found


def rules_now(session: Session) -> Mapping[str, RowMapping]:
    """Return each program's rules in force, in market form."""
    asked = """
        SELECT r.program_id, r.market FROM program_rules r
        JOIN offering o ON o.program_id = r.program_id AND o.rules_version = r.version
    """
    return {row["program_id"]: row["market"] for row in _rows(session, asked)}


def _above(ranked: Sequence[str], held: str | None) -> Sequence[str]:
    """Return what is ranked above a seat; all of it where none is held, or one that is not ranked."""
    return ranked[: ranked.index(held)] if held in ranked else ranked


def went_up(child: Child, *, was: str, became: str) -> bool:
    """Say whether a child ranks the seat that it has now above the one that it had."""
    return became in _above(child.ranked, was)


def settled(session: Session, round_: str) -> None:
    """Hold the ledger, right after a backfill round, against its frozen targets and the reasons that it gives."""
    (of,) = _rows(session, "SELECT * FROM round WHERE id = :round", round=round_)
    held = Counter(holders(session).values())
    waiting = who_may_wait(session)
    ledger = _rows(session, "SELECT * FROM vacancy WHERE round_id = :round ORDER BY program_id, number", round=round_)
    free = Counter(
        row["program_id"]
        for row in _rows(session, "SELECT program_id FROM vacancy WHERE status IN ('open', 'left-empty')")
    )
    for its in _rows(session, "SELECT * FROM frozen_program WHERE round_id = :round", round=round_):
        program = its["program_id"]
        known = held[program] + free[program]
        # A round for one seat looks at that seat alone, and adds and removes none.
        if of["only_program"] is None:
            assert known == max(held[program], its["seats_said"]), (program, known, its["seats_said"])
    if of["only_program"] is not None:
        filled = {(row["program_id"], row["number"]) for row in ledger if row["status"] == "filled"}
        assert filled <= {(of["only_program"], of["only_vacancy"])}, (filled, of["only_program"], of["only_vacancy"])
    for row in ledger:
        if row["status"] == "left-empty" and row["why"] == "nobody-waiting":
            assert not waiting.get((row["program_id"], row["seat_group"])), row
        if row["status"] == "left-empty" and row["why"] == "limit":
            assert any(who for (program, _), who in waiting.items() if program == row["program_id"]), row
