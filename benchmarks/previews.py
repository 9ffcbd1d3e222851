"""A preview of one school's rules in a city of 25,000 children, to one match of the same market."""

import argparse
import json
import resource
import subprocess
import sys
import uuid
from collections.abc import Mapping
from time import perf_counter, process_time
from typing import NamedTuple, cast

from sqlalchemy.orm import Session, sessionmaker

from benchmarks.rounds import GIB, KIB_A_MAXRSS, Documents, city_in_tables
from enrollment.cycles.locks import read_cycle
from enrollment.database import transaction
from enrollment.previews.inputs import DEFAULT_DRAWS
from enrollment.previews.job import run_preview
from enrollment.previews.models import Preview
from enrollment.rounds.snapshot import take_snapshot
from enrollment.rules.levels import rules_document
from enrollment.rules.model import RulesInput
from lottery.engines import match_market
from lottery.market.canonical import Json
from lottery.market.model import Kind
from lottery.market.model import Round as MarketRound

CHILDREN, SCHOOLS = 25_000, 230
RUNS = 3
"""The first preview of a process also loads the compiled loops. The last one counts."""


class Spent(NamedTuple):
    """Seconds on the clock, and of a processor in this process."""

    clock: float
    processor: float


def measure() -> list[tuple[str, str, str]]:
    """Return the row of the table, measured in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, str(CHILDREN), str(SCHOOLS)]
    told = cast("dict[str, float]", json.loads(subprocess.check_output(command)))
    return [
        (
            (
                f"a preview of a school's rule, {DEFAULT_DRAWS} draws of the market of now and of the proposal, "
                f"{CHILDREN:,} children, {told['programs']:,.0f} programs"
            ),
            (
                f"{told['processor']:.1f} s of one core, {told['memory'] / GIB:.2f} GiB; "
                f"{told['processor'] / told['match']:.1f} × the snapshot and one match of the round "
                f"({told['match']:.1f} s of one core)"
            ),
            "seconds",
        )
    ]


def run(children: int, schools: int) -> dict[str, float]:
    """Run previews on a city of its own; return what the last one took."""
    with city_in_tables(children, schools) as (sessions, programs):
        seconds = [_preview(sessions, programs[0]) for _ in range(RUNS)]
        match = _match(sessions)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_A_MAXRSS
    return {
        "programs": len(programs),
        "seconds": seconds[-1].clock,
        "processor": seconds[-1].processor,
        "match": match.processor,
        "memory": memory,
    }


def _preview(sessions: "sessionmaker[Session]", program: Mapping[str, Json]) -> "Spent":
    """Return the seconds of one preview of other lottery numbers at all programs of a program's school."""
    rules, school = rules_of(program), str(program["school"])
    with transaction(sessions) as session:
        preview = Preview(
            id=uuid.uuid4(),
            cycle_id="2027",
            level="school",
            subject_id=school,
            owner=f"school:{school}",
            basis="2027",
            proposal={"rules": rules_document(rules), "join": False},
            draws=DEFAULT_DRAWS,
            asked_by="ann",
        )
        session.add(preview)
    start, processor = perf_counter(), process_time()
    run_preview(sessions, str(preview.id))
    spent = Spent(perf_counter() - start, process_time() - processor)
    with transaction(sessions) as session:
        ended = session.get_one(Preview, preview.id)
        if ended.result is None or not ended.result["outcomes"]:
            raise ValueError(f"the preview shows nothing: {ended.reason or ended.result}")
    return spent


def rules_of(program: Mapping[str, Json]) -> RulesInput:
    """Return a program's rules in the school's form, with separate lottery numbers."""
    reserves = cast("Documents", program["reserves"])
    return RulesInput.model_validate(
        {
            "seats": {"match": program["seats"]},
            "eligible": program.get("eligible"),
            "classes": program["priorities"],
            "reserves": [
                {("classes" if key == "priorities" else key): part for key, part in one.items()} for one in reserves
            ],
            "precedence": program["precedence"],
            "tie_break": "multiple",
        }
    )


def _match(sessions: "sessionmaker[Session]") -> "Spent":
    """Return the seconds of the snapshot of a main round and of one match of it."""
    start, processor = perf_counter(), process_time()
    with transaction(sessions) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        cycle_now = read_cycle(session, "2027")
        round_ = MarketRound("2027-main", Kind.MAIN)
        market = take_snapshot(session, cycle_now.cycle, round_, now=cycle_now.now).market
    match_market(market, seed=b"\1" * 32, seeds={})
    return Spent(perf_counter() - start, process_time() - processor)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("children", type=int)
    parser.add_argument("schools", type=int)
    options = parser.parse_args()
    print(json.dumps(run(options.children, options.schools)))
