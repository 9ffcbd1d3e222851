"""A round from its freeze to its publishing, for cities of two sizes: time, the share of each step, memory."""

import argparse
import json
import resource
import secrets
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import cast

import rfc8785
from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.inputs import PartnerIn
from enrollment.access.partners import make_partner
from enrollment.applicants.models import Applicant, Child, Claim, Household
from enrollment.audit.models import LogEntry
from enrollment.cycles.models import Cycle
from enrollment.database import Table, clock, connect, copy_rows, sessions_of, transaction
from enrollment.demo.servers import new_database
from enrollment.directory.models import Offering, Operator, Program, School
from enrollment.migrate import upgrade
from enrollment.rankings.models import RankingVersion
from enrollment.rounds.creation import make_round
from enrollment.rounds.draw import draw
from enrollment.rounds.freeze import freeze
from enrollment.rounds.frozen_market import frozen_market
from enrollment.rounds.gates import Matched
from enrollment.rounds.locks import lock_round, lock_round_and_cycle, read_round
from enrollment.rounds.match_job import findings_of, store
from enrollment.rounds.publication import publish
from enrollment.rounds.seeds import seeds_before
from enrollment.rules.models import ProgramRules
from lottery.engines import match_market
from lottery.generate.generate import Plan, Shape, generate
from lottery.market.canonical import Json
from lottery.market.model import Kind
from lottery.match.verify import verify
from lottery.transparency_log.commitments import keyed
from lottery.transparency_log.merkle import leaf_hash

SIZES = ((25_000, 230), (100_000, 920))
"""Children and schools."""

GIB = 1 << 30
KIB_A_MAXRSS = 1 if sys.platform == "darwin" else 1024
FACTS_AT_SCHOOL = ["sibling", "staff_child"]
FACTS = ["ell", "frl", "homeless", "sped"]

Documents = Sequence[Mapping[str, Json]]


def measure() -> list[tuple[str, str, str]]:
    """Return the rows of the table: each size in a process of its own."""
    told = [
        json.loads(subprocess.check_output([sys.executable, "-m", __spec__.name, *map(str, size)])) for size in SIZES
    ]
    small, large = told
    grown = large["seconds"] / small["seconds"] / (large["children"] / small["children"])
    return [
        *(row(one) for one in told),
        (
            "seconds a child, the larger city to the smaller",
            f"{grown:.2f} ×",
            "near 1 ×",
        ),
    ]


def row(told: Mapping[str, float | dict[str, float]]) -> tuple[str, str, str]:
    """Return the line of one size."""
    seconds, steps = cast("float", told["seconds"]), cast("dict[str, float]", told["steps"])
    shares = ", ".join(f"{name} {100 * spent / seconds:.0f} %" for name, spent in steps.items())
    memory = cast("float", told["memory"]) / GIB
    size = f"{told['children']:,} children, {told['programs']:,} programs"
    return (
        f"a round from freeze to published, with every offer made, {size}",
        f"{seconds:.1f} s, {memory:.2f} GiB: {shares}",
        "near linear",
    )


@contextmanager
def city_in_tables(children: int, schools: int) -> "Iterator[tuple[sessionmaker[Session], Documents]]":
    """Yield a new database with an invented city, and the city's programs."""
    plan = Plan(
        applicants=children, programs=None, schools=schools, choices=None, shape=Shape.CITY, reserves=True,
        siblings=True, seed=1,
    )  # fmt: skip
    made = generate(plan)
    programs = cast("Documents", made.head["programs"])
    with tempfile.TemporaryDirectory() as folder, new_database(Path(folder)) as database:
        upgrade(database)
        engine = connect(database, connections=4)
        sessions = sessions_of(engine)
        with transaction(sessions) as session:
            fill(session, cast("Mapping[str, Json]", made.head["policy"]), programs, list(made.applicants))
        yield sessions, programs
        engine.dispose()


def run(children: int, schools: int) -> dict[str, float | dict[str, float]]:
    """Run one round on a city of its own; return what it took."""
    with city_in_tables(children, schools) as (sessions, programs):
        steps = steps_of(sessions)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_A_MAXRSS
    return {
        "children": children,
        "programs": len(programs),
        "seconds": sum(steps.values()),
        "steps": steps,
        "memory": memory,
    }


def steps_of(sessions: "sessionmaker[Session]") -> dict[str, float]:
    """Run the round as the service does, step by step; return the seconds of each."""
    spent: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        start = perf_counter()
        yield
        spent[name] = perf_counter() - start

    with transaction(sessions) as session:
        round_id = make_round(session, "2027", Kind.MAIN).id
    with timed("freeze"), transaction(sessions) as session:
        freeze(session, lock_round_and_cycle(session, round_id), dice_after=timedelta(0), actor="staff:administrator")
    with timed("draw"), transaction(sessions) as session:
        draw(session, lock_round(session, round_id), "1" * 20, actor="staff:administrator")
    with timed("read"), transaction(sessions) as session:
        round_ = read_round(session, round_id)
        market, seeds = frozen_market(session, round_), seeds_before(session, round_)
    seed = round_.seed or b""
    with timed("match"):
        outcome = match_market(market, seed=seed, seeds=seeds)
    with timed("verify"):
        complaints = verify(market, outcome, seeds=seeds)
    if complaints:
        raise ValueError(str(complaints[0]))
    with timed("gates and store"), transaction(sessions) as session:
        round_ = lock_round(session, round_id)
        round_.asked_by = "ann"
        matched = Matched(round_, market, outcome, seeds)
        store(session, matched, findings_of(session, matched))
    with timed("publish"), transaction(sessions) as session:
        publish(session, lock_round_and_cycle(session, round_id), staff="bea", actor="staff:administrator")
    return spent


def fill(session: Session, policy: Mapping[str, Json], programs: Documents, applicants: Documents) -> None:
    """Put a generated city into the tables, as if it had all come over HTTP."""
    now = clock(session)
    grades = [str(grade) for grade in reversed(cast("Sequence[str]", policy["grade_order"]))]
    session.add(
        Cycle(
            id="2027",
            name="2027-28",
            grades=grades,
            time_zone="America/New_York",
            opens_at=now - timedelta(days=9),
            deadline=now - timedelta(days=1),
            sibling_order=[],
            school_facts=FACTS_AT_SCHOOL,
            child_facts=FACTS,
            agreement_version="1",
            agreement="As published.",
        )
    )
    session.add(Operator(id="district", name="District"))
    make_partner(session, PartnerIn.model_validate({"id": "portal", "name": "Portal", "scopes": ["catalog:read"]}))
    session.flush()
    copy = _copying(session)
    schools = sorted({str(program["school"]) for program in programs})
    copy(School, ["id", "operator_id", "name", "sector"], [(name, "district", name, "district") for name in schools])
    columns = ["id", "school_id", "grade", "name"]
    copy(Program, columns, [(one["id"], one["school"], one["grade"], one["id"]) for one in programs])
    columns = ["cycle_id", "program_id", "school_id", "grade", "status", "rules_version", "seats"]
    copy(
        Offering,
        columns,
        [("2027", one["id"], one["school"], one["grade"], "in", 1, one["seats"]) for one in programs],
    )
    session.add_all(
        ProgramRules(
            cycle_id="2027",
            program_id=str(one["id"]),
            version=1,
            rules={},
            came_from={},
            market=dict(one),
            leaf_hash=b"",
            actor="staff:school",
        )
        for one in programs
    )
    session.flush()
    _fill_children(copy, applicants)


Copy = Callable[[type[Table], Sequence[str], Sequence[Sequence[object]]], None]


def _copying(session: Session) -> Copy:
    def copy(table: type[Table], columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        copy_rows(session, table, columns, rows)

    return copy


def _fill_children(copy: Copy, applicants: Documents) -> None:
    households = {str(one["household"]): uuid.uuid4() for one in applicants if one.get("household")}
    columns = ["id", "cycle_id", "partner_id", "reference", "code", "ticket"]
    rows = [
        (id_, "2027", "portal", name, secrets.token_hex(8), secrets.token_hex(16)) for name, id_ in households.items()
    ]
    copy(Household, columns, rows)
    children: list[tuple[object, ...]] = []
    entries: list[tuple[object, ...]] = []
    applications: list[tuple[object, ...]] = []
    rankings: list[tuple[object, ...]] = []
    claims: list[tuple[object, ...]] = []
    for number, one in enumerate(applicants):
        child, application, salt = uuid.uuid4(), uuid.uuid4(), secrets.token_bytes(32)
        tag, ranking = bytes.fromhex(str(one["id"])), cast("list[str]", one["ranking"])
        commit = keyed(salt, "ranking", rfc8785.dumps(ranking)).hex()
        body = entry(tag, commit)
        leaf = leaf_hash(body)
        entries.append(("ranking.put", "2027", "partner:portal", body.decode(), leaf))
        children.append((child, "2027", tag, leaf))
        household = households.get(str(one["household"])) if one.get("household") else None
        facts = (one["grade"], one["attends"], household, bool(one.get("together")), one["zones"])
        applications.append((application, "2027", "portal", f"c{number}", child, *facts, "point", "en", b"", 1))
        confirmation = f"C{number:09}"
        rankings.append((application, 1, "submitted", ranking, False, "partner:portal", confirmation, salt, leaf))
        claims += _claims(application, one)
    copy(LogEntry, ["type", "cycle_id", "actor", "body", "leaf_hash"], entries)
    copy(Child, ["id", "cycle_id", "tag", "last_leaf"], children)
    columns = ["id", "cycle_id", "partner_id", "reference", "child_id", "grade", "attends", "household_id", "together"]
    columns += ["zones", "zone_method", "language", "facts_salt", "ranking_version"]
    copy(Applicant, columns, applications)
    columns = ["applicant_id", "version", "kind", "programs", "late", "actor", "confirmation", "salt", "leaf_hash"]
    copy(RankingVersion, columns, rankings)
    columns = ["id", "cycle_id", "applicant_id", "fact", "school_id", "status", "made_by", "decided_by", "basis"]
    copy(Claim, columns, claims)


def entry(tag: bytes, commit: str) -> bytes:
    """Return the entry of a first ranking."""
    about: dict[str, str | int | None] = {"tag": tag.hex(), "commit": commit, "prev": None, "version": 1}
    return rfc8785.dumps({"v": 1, "type": "ranking.put", "actor": "partner:portal", "cycle": "2027", **about})


def _claims(application: uuid.UUID, one: Mapping[str, Json]) -> Iterator[tuple[object, ...]]:
    at = cast("Mapping[str, Sequence[str]]", one["at"])
    facts = [(fact, school) for school, its_facts in at.items() for fact in its_facts]
    facts += [(flag, None) for flag in cast("Sequence[str]", one["flags"])]  # type: ignore[misc]  # None: the child's own
    for fact, school in facts:
        yield uuid.uuid4(), "2027", application, fact, school, "approved", "partner:portal", "staff:school", "imported"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("children", type=int)
    parser.add_argument("schools", type=int)
    options = parser.parse_args()
    print(json.dumps(run(options.children, options.schools)))
