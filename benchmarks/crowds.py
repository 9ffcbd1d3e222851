"""Crowds: the same requests over 50, 200 and 1,000 connections, ordinary reads and rankings."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.load import Load, get, load
from benchmarks.submissions import CHILDREN, ROUNDS, SERVICE, environment, make_city, requests_of, serving, token_of
from enrollment.demo.servers import new_database
from enrollment.migrate import upgrade

CROWDS = (50, 200, 1_000)
READS = 4_000
"""Of a turn and a crowd."""

TURNS = 3


@dataclass(frozen=True, slots=True)
class Crowd:
    """What loads over so many connections came to."""

    connections: int
    loads: Sequence[Load]

    @property
    def rate(self) -> float:
        """Return requests a second."""
        return median(one.rate for one in self.loads)

    @property
    def wait(self) -> float:
        """Return the seconds within which 99 of 100 were answered."""
        return median(one.wait(99) for one in self.loads)

    @property
    def shed(self) -> int:
        """Return how many were told to come again."""
        return sum(one.shed for one in self.loads)


def measure() -> list[tuple[str, str, str]]:
    """Return the rows of the table."""
    with tempfile.TemporaryDirectory() as folder, new_database(Path(folder)) as database:
        upgrade(database)
        secret = make_city(database)
        with serving(SERVICE, {**os.environ, **environment(database)}) as port:
            token = token_of(port, secret)
            read = [get("/v1/cycles")] * READS
            load(port, read, connections=CROWDS[0])  # warms up
            reads = [[load(port, read, connections=crowd) for crowd in CROWDS] for _ in range(TURNS)]
            ranked = [load(port, requests_of(token, turn), connections=CROWDS[-1]) for turn in range(ROUNDS)]
    crowds = [Crowd(crowd, [turn[place] for turn in reads]) for place, crowd in enumerate(CROWDS)]
    return [row(crowds), rankings_row(ranked)]


def row(crowds: Sequence[Crowd]) -> tuple[str, str, str]:
    """Return the line for reads."""
    first, last = crowds[0], crowds[-1]
    told = "; ".join(
        f"{crowd.rate:,.0f} a second, 99 in 100 within {crowd.wait:.2f} s, {crowd.shed} told to come again"
        for crowd in crowds
    )
    names = ", ".join(f"{crowd:,}" for crowd in CROWDS)
    explained = f"a queue of {last.connections:,} at that rate takes {last.connections / last.rate:.2f} s"
    return (
        f"`GET /v1/cycles` at {names} connections, 2 web processes",
        f"{last.rate / first.rate:.2f} × the rate of the smallest crowd in the largest ({told}); {explained}",
        "at least 1 ×, no other 5xx",
    )


def rankings_row(loads: Sequence[Load]) -> tuple[str, str, str]:
    """Return the line for rankings."""
    crowd = Crowd(CROWDS[-1], loads)
    return (
        f"rankings at {crowd.connections:,} connections, {CHILDREN:,} of them, each stored and in the log",
        f"{crowd.rate:,.0f} a second, 99 in 100 within {crowd.wait:.2f} s, {crowd.shed} told to come again",
        "no other 5xx",
    )
