"""What must hold of seats, whatever anybody did: read from the stored tables and the log.

None of it asks the code that keeps offers, vacancies and waitlists.
"""

import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import rfc8785
from sqlalchemy import RowMapping
from sqlalchemy.orm import Session

from enrollment.seats.seat_log import Change, Seat, committed
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed
from summer_city import PROGRAMS, Child, children_of, offers_of, rows_of


def holders(session: Session) -> dict[uuid.UUID, str]:
    """Return the program of each child's held seat."""
    return {offer.child: offer.program for offer in offers_of(session) if offer.is_live}


def each_child_has_at_most_one_seat(session: Session) -> None:
    """Check that each child has at most one live offer, with a live application in the same grade."""
    grades = {row["id"]: row["grade"] for row in rows_of(session, "SELECT id, grade FROM program")}
    live = [offer for offer in offers_of(session) if offer.is_live]
    assert max(Counter(offer.child for offer in live).values(), default=1) == 1
    seated = {offer.child: grades[offer.program] for offer in live}
    for child in children_of(session):
        assert child.seat_grade == seated.get(child.id), child
        assert child.seat_grade in (None, child.grade), child
        assert child.live or child.id not in seated, child


def seats_add_up(session: Session) -> None:
    """Check that every seat is held or free, and that seats are added and removed only with a row in the ledger.

    The main round gives the ledger as many seats as its frozen market has. After that, a seat that is given up opens a
    vacancy (held - 1, free + 1), and a filled vacancy is held again (held + 1, free - 1). A seat that stays empty is
    still free. So only seats that are opened as `seats-added` (+ 1) or `removed` (- 1) change the sum:

        held + free = seats of the main round + opened as `seats-added` - removed

    No child gets a seat beyond the highest target ever set, except by a placement that adds a seat.
    """
    held = Counter(holders(session).values())
    for program in PROGRAMS:
        query = """
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
        (seats,) = rows_of(session, query, program=program)
        assert held[program] + seats["free"] == seats["main"] + seats["added"] - seats["removed"], (
            program,
            held,
            seats,
        )
        assert held[program] <= max(seats["most"], seats["main"]) + seats["beyond"], (program, held, seats)
        assert seats["rows"] == seats["last"], (program, seats)


def log_and_tables_agree(session: Session) -> None:
    """Check that the log has every change once, that commitments open, and that the changes add up to the tables."""
    log = [
        (row["type"], json.loads(row["body"]), row["leaf_hash"])
        for row in rows_of(session, "SELECT type, body, leaf_hash FROM log_entry ORDER BY id")
    ]
    opened = {row["leaf_hash"]: row for row in rows_of(session, "SELECT * FROM vacancy_change")}
    changes = {row["leaf_hash"]: row for row in rows_of(session, "SELECT * FROM seat_change ORDER BY id")}
    tickets = {child.id: child.ticket for child in children_of(session)}
    leaves = Counter(leaf for type_, _, leaf in log if type_ == "seat.change")
    assert leaves == Counter(changes.keys()), (leaves, changes)
    for type_, entry, leaf in log:
        if type_ == "seat.change":
            _opens(entry, changes[leaf], tickets)
        if type_ == "vacancy" or entry.get("cause") == "placement.outside_lottery":
            entry_text = json.dumps(entry)
            assert not [ticket for ticket in tickets.values() if ticket in entry_text], entry
    assert _seats_in_log(session, log, changes, tickets) == _seats_stored(session)
    assert _vacancies_in_log(log, opened) == _vacancies_stored(session)


LogEntries = Sequence[tuple[str, dict[str, Json], bytes]]
Given = dict[uuid.UUID, list[list[str]]]
"""Every seat that each child was given, the oldest first: program, group, status."""


def _opens(entry: Mapping[str, Json], row: RowMapping, tickets: Mapping[uuid.UUID, str]) -> None:
    seat = Seat("2027", row["child_id"], tickets[row["child_id"]], row["program_id"], row["seat_group"])
    change = Change(row["was"], row["became"], row["cause"], row["reason_code"], "", row["at"])
    assert entry["commit"] == keyed(row["salt"], "seat", rfc8785.dumps({**committed(seat, change)})).hex(), entry
    assert (entry["cause"], entry["code"]) == (row["cause"], row["reason_code"])


def _seats_in_log(
    session: Session, log: LogEntries, changes: Mapping[bytes, RowMapping], tickets: Mapping[uuid.UUID, str]
) -> Given:
    """Return the seats that follow from the log: the placements of published rounds, and every later change."""
    children = {ticket: child for child, ticket in tickets.items()}
    given: Given = defaultdict(list)
    for type_, entry, leaf in log:
        if type_ == "round.publish":
            for placed in rows_of(session, "SELECT * FROM placement WHERE round_id = :round", round=entry["round"]):
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
    for offer in offers_of(session):
        given[offer.child].append([offer.program, offer.group, offer.status])
    return dict(given)


LEDGER = ("group", "cause", "state", "why", "class", "filled_group", "round", "rules_version")


def _vacancies_in_log(log: LogEntries, opened: Mapping[bytes, RowMapping]) -> dict[tuple[Json, Json], list[Json]]:
    """Return the ledger that follows from the log and from what opens its commitments."""
    ledger: dict[tuple[Json, Json], dict[str, Json]] = {}
    for type_, entry, leaf in log:
        if type_ == "vacancy":
            assert entry.keys() == {"v", "type", "cycle", "actor", "at", "commit"}
            assert entry["commit"] == keyed(opened[leaf]["salt"], "vacancy", opened[leaf]["lines"].encode()).hex()
            for line in json.loads(opened[leaf]["lines"]):
                _write_in_ledger(ledger, line)
    return {key: [row.get(name) for name in LEDGER] for key, row in ledger.items()}


def _write_in_ledger(ledger: dict[tuple[Json, Json], dict[str, Json]], line: Mapping[str, Json]) -> None:
    key = (line["program"], line["number"])
    kept = {**line, "state": "open" if line["state"] == "opened" else line["state"]}
    assert (kept["state"] == "open") == (key not in ledger), line
    ledger[key] = {**ledger.get(key, {}), "why": None, **kept}


def _vacancies_stored(session: Session) -> dict[tuple[Json, Json], list[Json]]:
    query = """
        SELECT program_id, number, seat_group AS "group", opened_by AS cause, status AS state, why,
               filled_class AS class, filled_group, round_id AS round, rules_version
        FROM vacancy
    """
    return {(row["program_id"], row["number"]): [row[name] for name in LEDGER] for row in rows_of(session, query)}


Lists = dict[tuple[str, str], dict[uuid.UUID, int]]
"""Each child's number on each waitlist, by program and group."""


def waitlists_match_their_history(session: Session) -> None:
    """Check that the main round's waitlists and every later move give the stored waitlists."""
    lists: Lists = defaultdict(dict)
    query = """
        SELECT w.program_id, w.seat_group, c.id AS child_id, w.place FROM waiting_place w
        JOIN child c ON encode(c.tag, 'hex') = w.tag JOIN round r ON r.id = w.round_id WHERE r.kind = 'main'
    """
    for row in rows_of(session, query):
        lists[row["program_id"], row["seat_group"]][row["child_id"]] = row["place"]
    for row in rows_of(session, "SELECT * FROM waitlist_move ORDER BY id"):
        waiting = lists[row["program_id"], row["seat_group"]]
        assert waiting.pop(row["child_id"], None) == row["was"] != row["became"], row
        if row["became"] is not None:
            waiting[row["child_id"]] = row["became"]
    assert {key: waiting for key, waiting in lists.items() if waiting} == _lists_stored(session)


def every_move_has_a_reason(session: Session, program: str = "%") -> None:
    """Check that every move on a waitlist has a reason."""
    moves = rows_of(session, "SELECT * FROM waitlist_move WHERE program_id LIKE :program", program=program)
    unexplained = [
        (row["program_id"], row["seat_group"], row["was"], row["became"]) for row in moves if not row["reasons"]
    ]
    assert not unexplained, unexplained


def _lists_stored(session: Session) -> Lists:
    lists: Lists = defaultdict(dict)
    for row in rows_of(session, "SELECT * FROM waitlist_place"):
        lists[row["program_id"], row["seat_group"]][row["child_id"]] = row["place"]
    return dict(lists)


def waitlists_match_rankings(session: Session) -> None:
    """Check that updated waitlists list the children who rank the program above their seat and may wait there."""
    stored = _lists_stored(session)
    for key, waiting in stored.items():
        assert sorted(waiting.values()) == list(range(1, len(waiting) + 1)), key
    assert {key: waiting.keys() for key, waiting in stored.items()} == {
        key: waiting for key, waiting in children_who_may_wait(session).items() if waiting
    }


def waitlists_keep_the_draws_in_order(session: Session) -> None:
    """Check that updated waitlists put nobody who was drawn later before a child of the same class drawn earlier."""
    query = """
        SELECT w.program_id, w.seat_group, w.priority_class, w.place, w.drawn,
               d.drawn_at, coalesce(d.late, false) AS late
        FROM waitlist_place w
        JOIN child c ON c.id = w.child_id
        LEFT JOIN LATERAL (
            SELECT f.late, drew.published_at AS drawn_at FROM frozen_row f
            JOIN round r ON r.id = f.round_id AND r.state = 'published'
            JOIN round drew ON drew.id = f.drawn_in
            WHERE f.tag = encode(c.tag, 'hex') ORDER BY r.published_at DESC LIMIT 1
        ) d ON true
        WHERE w.seat_group = 'open'
        ORDER BY w.program_id, w.priority_class, w.place
    """
    for before, after in pairwise(rows_of(session, query)):
        if (before["program_id"], before["priority_class"]) == (after["program_id"], after["priority_class"]):
            assert before["drawn"] or not after["drawn"], (before, after)
            if after["drawn"]:
                assert (before["drawn_at"], before["late"]) <= (after["drawn_at"], after["late"]), (before, after)


def children_who_may_wait(session: Session) -> dict[tuple[str, str], set[uuid.UUID]]:
    """Return the children who may wait for each group. A closed reserve takes only children who meet its condition."""
    held = holders(session)
    children = children_of(session)
    facts = {
        (row["child_id"], row["fact"])
        for row in rows_of(
            session,
            "SELECT a.child_id, c.fact FROM claim c JOIN applicant a ON a.id = c.applicant_id "
            "WHERE c.status = 'approved' AND c.school_id IS NULL",
        )
    }
    found = {}
    for program, market in rules_in_force(session).items():
        above = {child.id for child in children if child.live and program in _above(child.ranked, held.get(child.id))}
        found[program, "open"] = above
        for reserve in market["reserves"]:
            fact, closed = reserve["when"]["has"], reserve["overflow"] == "closed"
            found[program, reserve["name"]] = {one for one in above if not closed or (one, fact) in facts}
    return found


def rules_in_force(session: Session) -> Mapping[str, RowMapping]:
    """Return each program's rules in force, in market form."""
    query = """
        SELECT r.program_id, r.market FROM program_rules r
        JOIN offering o ON o.program_id = r.program_id AND o.rules_version = r.version
    """
    return {row["program_id"]: row["market"] for row in rows_of(session, query)}


def _above(ranked: Sequence[str], held: str | None) -> Sequence[str]:
    """Return the programs ranked above a held seat; all of them if the child holds no ranked seat."""
    return ranked[: ranked.index(held)] if held in ranked else ranked


def moved_up(child: Child, *, was: str, became: str) -> bool:
    """Say whether a child ranks the new seat above the former seat."""
    return became in _above(child.ranked, was)


def ledger_is_settled(session: Session, round_: str) -> None:
    """Check the ledger right after a backfill round: its frozen targets, and the reasons of empty seats."""
    (of,) = rows_of(session, "SELECT * FROM round WHERE id = :round", round=round_)
    held = Counter(holders(session).values())
    waiting = children_who_may_wait(session)
    ledger = rows_of(session, "SELECT * FROM vacancy WHERE round_id = :round ORDER BY program_id, number", round=round_)
    free = Counter(
        row["program_id"]
        for row in rows_of(session, "SELECT program_id FROM vacancy WHERE status IN ('open', 'left-empty')")
    )
    for its in rows_of(session, "SELECT * FROM frozen_program WHERE round_id = :round", round=round_):
        program = its["program_id"]
        known = held[program] + free[program]
        # A round for one seat decides about that seat only, and adds and removes no seats.
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
