"""Everything in parallel in a city of thousands: no deadlocks, and the books balance."""

import random
import secrets
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, local

import httpx2
import pytest
import rfc8785

from deadlock_count import deadlocks
from enrollment.applicants.models import Applicant, Child, Claim
from enrollment.audit.log import entry_of
from enrollment.audit.models import LogEntry
from enrollment.database import copy_rows, transaction
from enrollment.rankings.models import RankingVersion
from enrollment.rounds.calendar import keep_calendars
from enrollment.rounds.match_job import match_round
from enrollment.seats.offers import expire_due
from enrollment.seats.reminders import remind_due
from enrollment.waitlists.updates import update_waitlists
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed
from people import Caller
from rounds_by_hand import CHILD, CYCLE, DICE
from seat_invariants import (
    each_child_has_at_most_one_seat,
    log_and_tables_agree,
    seats_add_up,
    waitlists_match_rankings,
)
from seat_races import live_offers
from summer_city import (
    BY_WAITLIST,
    FRL,
    PROGRAMS,
    REASON,
    Summer,
    placement_of,
)

CHILDREN = 2_000
HOUSEHOLDS = 50
CLAIMS = 200
SEATS = 150
THREADS = 8
ACTS = 30
"""Of each thread."""

ROUND_EVERY = 10
"""A round begins after so many acts of the first thread."""

MAX_STEPS = 100
"""Of one round."""

NEVER_TOLD = {"in-the-way", "act-in-flight", "unavailable", "broken"}


class Crowd:
    """Acts by chance on behalf of everybody, and counts the answers."""

    def __init__(self, summer: Summer) -> None:
        self.summer = summer
        self.sessions = summer.service.sessions
        self.told: Counter[tuple[str, int, str | None]] = Counter()
        self.people: dict[str, Caller] = {name: summer.caller(name) for name in ("ann", "bea", "cleo", "portal")}
        self.people["network"] = summer.service.partner("network")
        self.references = [child.reference for child in summer.children()]
        self.claims = [row["id"] for row in summer.rows("SELECT id FROM claim WHERE status = 'pending'")]
        self.due = Event()
        """Set when the calendar's next round is to begin."""
        self.rounds = 0
        self._chance = local()

    def act(self, seed: int) -> None:
        """Do as many acts as one thread does."""
        self._chance.its = random.Random(seed)  # noqa: S311 - which act comes next is no secret
        acts: Sequence[tuple[int, Callable[[], None]]] = (
            (30, self.rank),
            (10, self.send_batch),
            (25, self.answer),
            (15, self.decide),
            (8, self.time_passes),
            (8, self.place),
            (6, self.look),
            (5, self.move),
            (3, self.withdraw),
        )
        for number in range(ACTS):
            if seed == 0 and number % ROUND_EVERY == 0:
                self.due.set()
            (act,) = self.chance.choices([act for _, act in acts], [weight for weight, _ in acts])
            act()

    @property
    def chance(self) -> random.Random:
        """Return this thread's own chance."""
        its: random.Random = self._chance.its
        return its

    def tell(self, act: str, answer: httpx2.Response) -> httpx2.Response:
        """Count an answer."""
        code = answer.json()["code"] if answer.status_code >= 400 else None
        self.told[act, answer.status_code, code] += 1
        return answer

    def ranking(self) -> list[str]:
        """Return some programs in some order."""
        return self.chance.sample(PROGRAMS, self.chance.randint(1, len(PROGRAMS)))

    def rank(self) -> None:
        """Have a family rank anew."""
        path = f"{CYCLE}/applicants/{self.chance.choice(self.references)}/ranking"
        self.tell("rank", self.people["portal"].put(path, {"programs": self.ranking()}, "*"))

    def send_batch(self) -> None:
        """Bring children that are there and children that are new, in any order; some by two partners."""
        who = self.chance.choice(["portal", "portal", "network"])
        there = self.chance.sample(self.references[:40], 4) if who == "portal" else []
        new = [f"new-{number}" for number in self.chance.sample(range(40), 6)]
        rows: list[Json] = [
            {
                "cycle": "2027",
                "reference": reference,
                "applicant": {
                    "grade": "KG",
                    "child": dict(CHILD),
                    "sis_id": reference,
                    "household": f"h-{self.chance.randrange(HOUSEHOLDS)}",
                },
                "ranking": {"programs": self.ranking()},
            }
            for reference in self.chance.sample([*there, *new], len(there) + len(new))
        ]
        answer = self.tell("batch", self.people[who].post("/v1/applicants:batch", {"rows": rows}))
        for row in answer.json().get("rows", []):
            self.told["row", row["status"], row["code"]] += 1

    def answer(self) -> None:
        """Have a family accept or decline."""
        offers = live_offers(self.summer)
        if offers:
            path = f"/v1/offers/{self.chance.choice(offers).id}"
            how = self.chance.choice(["accept", "decline"])
            self.tell(how, self.people["portal"].post(f"{path}/{how}"))

    def decide(self) -> None:
        """Decide on a claim, perhaps one that another administrator decides on now."""
        how = self.chance.choice(["approve", "deny"])
        who = self.people[self.chance.choice(["ann", "bea", "cleo"])]
        path = f"/v1/claims/{self.chance.choice(self.claims[:30])}/{how}"
        self.tell(how, who.post(path, {"basis": "verified", "reason": "On our roll"}))

    def time_passes(self) -> None:
        """Let the time for some offers end, or nearly."""
        offers = live_offers(self.summer)
        for offer in self.chance.sample(offers, min(5, len(offers))):
            column = self.chance.choice(["answer_by = made_at", "remind_at = made_at"])
            self.summer.write(f"UPDATE offer SET {column} WHERE id = :id AND status = 'open'", id=offer.id)  # noqa: S608
        expire_due(self.sessions)
        remind_due(self.sessions)

    def place(self) -> None:
        """Place a child outside the lottery; two administrators decide at once, or not."""
        child = self.chance.choice([child for child in self.summer.children() if child.live])
        body = placement_of(child.ticket, self.chance.choice(PROGRAMS), beyond=True)
        asked = self.tell("ask", self.people["ann"].post("/v1/placements", body))
        if asked.status_code == 202:
            path = f"/v1/placements/{asked.json()['id']}"
            how = self.chance.choice(["approve", "approve", "refuse"])
            self.tell(f"{how}-placement", self.people["bea"].post(f"{path}/{how}", {"reason": REASON}))

    def look(self) -> None:
        """Look after the log and the waitlists."""
        self.summer.service.sequence()
        update_waitlists(self.sessions)

    def move(self) -> None:
        """Have a family move to another partner, and back."""
        reference = self.chance.choice(self.references[40:60])
        for giver, taker in (("portal", "network"), ("network", "portal")):
            code = self.tell("code", self.people[giver].post(f"{CYCLE}/applicants/{reference}/transfer-code"))
            if code.status_code == 200:
                body: Json = {"code": code.json()["transfer_code"], "reference": reference}
                self.tell("move", self.people[taker].post(f"{CYCLE}/transfers", body))

    def withdraw(self) -> None:
        """Withdraw an application."""
        path = f"{CYCLE}/applicants/{self.chance.choice(self.references[60:])}"
        self.tell("withdraw", self.people["portal"].delete(path, "*"))

    def run_rounds(self, done: Event) -> None:
        """Run a round of the calendar whenever one is due, until the others are done."""
        while not done.is_set():
            self.due.wait()
            self.due.clear()
            self.run_round()

    def run_round(self) -> None:
        """Have a round of the calendar begun, drawn, matched and published, or made void."""
        self._chance.its = random.Random(self.rounds)  # noqa: S311
        self.rounds += 1
        self.summer.write("UPDATE round_calendar SET next_at = clock_timestamp()")
        keep_calendars(self.sessions)
        for _ in range(MAX_STEPS):
            if self.summer.round_now() is None:
                return
            self.step()
        pytest.fail("the round does not end")

    def step(self) -> None:
        """Have all that may go on with a round try at once."""
        round_ = self.summer.round_now()
        if round_ is None:
            return
        path = f"/v1/rounds/{round_['id']}"
        acts: list[Callable[[], object]] = [partial(keep_calendars, self.sessions)]
        if round_["state"] == "frozen":
            dice: Json = {"dice": DICE} if round_["draws"] else {}
            acts.append(lambda: self.tell("draw", self.people["ann"].post(f"{path}/draw", dice)))
        if round_["state"] == "drawn":
            acts.append(partial(match_round, self.sessions, round_["id"]))
        if round_["state"] == "matched":
            acts.append(lambda: self.tell("publish", self.people["bea"].post(f"{path}/publish")))
        if self.chance.random() < 0.1:
            for who in ("ann", "cleo"):
                void = partial(self.people[who].post, f"{path}/void", {"reason": "The dice were not seen"})
                acts.append(partial(lambda void: self.tell("void", void()), void))
        with ThreadPoolExecutor(len(acts)) as pool:
            for act in [pool.submit(act) for act in acts]:
                act.result()


def test_everything_at_once_ends_in_no_deadlock_and_the_books_balance(summer: Summer) -> None:
    make_large(summer)
    crowd = Crowd(summer)
    crowd.run_round()
    done = Event()
    with ThreadPoolExecutor(THREADS + 1) as pool:
        rounds = pool.submit(crowd.run_rounds, done)
        acting = [pool.submit(crowd.act, seed) for seed in range(THREADS)]
        try:
            for one in acting:
                one.result()
        finally:
            done.set()
            crowd.due.set()
        rounds.result()
    assert deadlocks(summer.service) == 0
    assert not [told for told in crowd.told if told[1] >= 500 or told[2] in NEVER_TOLD], crowd.told
    for act in ("rank", "batch", "row", "accept", "decline", "approve", "deny", "approve-placement", "move"):
        assert sum(number for (what, status, _), number in crowd.told.items() if what == act and status < 300), act
    assert summer.rows("SELECT FROM round WHERE kind = 'backfill' AND state = 'published'")
    for _ in range(3):
        summer.service.sequence()
    with transaction(summer.service.sessions) as session:
        each_child_has_at_most_one_seat(session)
        seats_add_up(session)
        log_and_tables_agree(session)
        waitlists_match_rankings(session)
    every_act_is_an_entry(summer, crowd)


def every_act_is_an_entry(summer: Summer, crowd: Crowd) -> None:
    """Hold the entries of the log against the answers and the tables."""
    (told,) = summer.rows(
        "SELECT count(*) FILTER (WHERE type LIKE 'ranking.%') AS rankings,"
        " count(*) FILTER (WHERE type = 'round.publish') AS published,"
        " count(*) FILTER (WHERE type = 'round.void') AS voided,"
        " count(*) FILTER (WHERE reason IN ('claim-approved', 'claim-denied')) AS decided,"
        " count(*) FILTER (WHERE body LIKE '%placement.outside_lottery%') AS placed,"
        " count(*) FILTER (WHERE type = 'contact.change') AS moved FROM log_entry"
    )
    (kept,) = summer.rows(
        "SELECT (SELECT count(*) FROM ranking_version WHERE kind <> 'draft') AS rankings,"
        " (SELECT count(*) FROM round WHERE state = 'published') AS published,"
        " (SELECT count(*) FROM round WHERE state = 'void') AS voided,"
        " (SELECT count(*) FROM claim WHERE status <> 'pending') AS decided,"
        " (SELECT count(*) FROM outside_placement WHERE status = 'approved') AS placed"
    )
    assert {name: told[name] for name in kept} == dict(kept)
    assert told["moved"] == crowd.told["move", 200, None]
    assert (
        len(summer.rows("SELECT FROM log_entry e LEFT JOIN log_leaf l ON l.entry_id = e.id WHERE l.index IS NULL")) == 0
    )


def make_large(summer: Summer) -> None:
    """Have thousands of children apply, schools take more of them, rounds come by themselves, and run a first one."""
    with transaction(summer.service.sessions) as session:
        rows = [_row(number) for number in range(CHILDREN)]
        copy_rows(session, Child, ["id", "cycle_id", "tag", "sis_digest", "last_leaf"], (row[0] for row in rows))
        columns = ["type", "cycle_id", "actor", "body", "leaf_hash"]
        copy_rows(session, LogEntry, columns, (row[1] for row in rows))
        columns = ["id", "cycle_id", "partner_id", "reference", "child_id", "grade", "together", "zones"]
        columns += ["zone_method", "language", "facts_salt", "ranking_version"]
        copy_rows(session, Applicant, columns, (row[2] for row in rows))
        columns = ["applicant_id", "version", "kind", "programs", "actor", "confirmation", "salt", "leaf_hash"]
        copy_rows(session, RankingVersion, columns, (row[3] for row in rows))
        columns = ["id", "cycle_id", "applicant_id", "fact", "school_id", "status", "made_by"]
        copy_rows(session, Claim, columns, _claims(rows))
    _more_seats(summer)
    first: Json = {
        "every": "day",
        "first_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
        "dice_in_minutes": 0,
    }
    assert summer.caller("ann").post(f"{CYCLE}/round-calendar", first).status_code == 201
    assert summer.caller("bea").post(f"{CYCLE}/round-calendar/approve").status_code == 200


Row = tuple[object, ...]


def _row(number: int) -> tuple[Row, Row, Row, Row]:
    """Return a child, the entry of its ranking, its application and its ranking."""
    child, application, tag, salt = uuid.uuid4(), uuid.uuid4(), secrets.token_bytes(16), secrets.token_bytes(32)
    programs = [PROGRAMS[(number + step) % len(PROGRAMS)] for step in range(1 + number % len(PROGRAMS))]
    commit = keyed(salt, "ranking", rfc8785.dumps(list(programs))).hex()
    fields: dict[str, Json] = {"tag": tag.hex(), "commit": commit, "prev": None, "version": 1}
    actor = "partner:city-portal"
    entry = entry_of("ranking.put", cycle="2027", actor=actor, at=datetime.now(UTC), fields=fields)
    reference, leaf = f"more-{number:04}", entry.leaf_hash
    return (
        (child, "2027", tag, None, leaf),
        ("ranking.put", "2027", actor, entry.body, leaf),
        (application, "2027", "city-portal", reference, child, "KG", False, [], "no address", "en", b"", 1),
        (application, 1, "submitted", programs, actor, f"C{number:09}", salt, leaf),
    )


def _claims(rows: Sequence[tuple[Row, Row, Row, Row]]) -> Iterator[Row]:
    for row in rows[:CLAIMS]:
        yield uuid.uuid4(), "2027", row[2][0], "frl", None, "pending", "partner:city-portal"


def _more_seats(summer: Summer) -> None:
    for school in ("adams", "lincoln"):
        said: Json = {"seats": {"match": SEATS}, "backfill": BY_WAITLIST, "reserves": [FRL]}
        put = summer.caller(school).change(f"{CYCLE}/programs/{school}-kg/rules", {"rules": said, "reason": REASON})
        assert put.status_code == 202, put.text
    for change in summer.caller("ann").get(f"{CYCLE}/rules-changes").json()["data"]:
        approved = summer.caller("ann").post(f"/v1/rules-changes/{change['id']}/approve", {"reason": REASON})
        assert approved.status_code == 200, approved.text
