"""Measure, and print tables for the README: the lottery on files, and the service over HTTP and on its tables.

Every figure is the median of several whole processes, from file to file, start of Python included; what a ratio is
taken of is measured in turn with it, so that a machine that slows down slows both.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter

from lottery.demo import CHILDREN, SCHOOLS

SEED = "5a" * 32
PARSE = """
import json, sys, time
raw = open(sys.argv[1], "rb").read()
start = time.perf_counter()
json.loads(raw)
print(time.perf_counter() - start)
"""

TABLES = ("lottery", "submissions", "rounds")

GIB = 1 << 30
LARGE = 1_000_000
"""Applicants from which on one measurement is enough."""

KIB_A_MAXRSS = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of `ru_maxrss`."""


@dataclass(frozen=True, slots=True)
class Run:
    """One whole process: seconds on the clock, and the most memory it had, in bytes."""

    seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    work: str
    measured: str
    bar: str


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"of {', '.join(TABLES)}; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured; default: 5")
    parser.add_argument("--full", action="store_true", help="up to 1,000,000 applicants; takes some ten minutes")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.what) - set(TABLES))
    if unknown:
        parser.error(f"there is no table {', '.join(unknown)}; choose of {', '.join(TABLES)}")
    print("| work | measured | bar |\n|---|---|---|")
    for name in options.what or TABLES:
        for row in on_files(options.rounds, full=options.full) if name == "lottery" else of_the_service(name):
            print(f"| {row.work} | {row.measured} | {row.bar} |", flush=True)


def on_files(rounds: int, *, full: bool) -> list[Row]:
    """Measure the lottery's commands."""
    with tempfile.TemporaryDirectory() as folder:
        return [*demo_city(Path(folder), rounds), *growth(Path(folder), rounds, full=full)]


def of_the_service(name: str) -> list[Row]:
    """Measure the service; what it needs is loaded here, so that the lottery is measured without it."""
    module = import_module(f"benchmarks.{name}")
    return [Row(*line) for line in module.measure()]


def demo_city(folder: Path, rounds: int) -> list[Row]:
    """Hold match and verify against the time in which `json` parses the demo's city."""
    market, outcome = folder / "city.json", folder / "outcome.json"
    lottery("generate", "--applicants", CHILDREN, "--schools", SCHOOLS, "--seed", 1, "-o", market)
    parses, matches, verifies = [], [], []
    for _ in range(rounds):
        parses.append(parse(market))
        matches.append(match(market, outcome).seconds)
        verifies.append(lottery("verify", market, outcome).seconds)
    city = f"{CHILDREN:,} children at {SCHOOLS} schools"
    parsing, matching, verifying = median(parses), median(matches), median(verifies)
    return [
        Row(
            f"`lottery match`, {city}, to `json` parsing the same file",
            f"{matching / parsing:.1f} × ({matching:.2f} s to {parsing:.3f} s)",
            "at most 15 ×",
        ),
        Row(
            f"`lottery verify`, {city}, to `lottery match`",
            f"{verifying / matching:.1f} × ({verifying:.2f} s)",
            "at most 3 ×",
        ),
    ]


def growth(folder: Path, rounds: int, *, full: bool) -> list[Row]:
    """See that time grows with the size of the market as parsing its file does, and memory with its size."""
    return [uniform(folder, size, rounds) for size in [10_000, 100_000, *([1_000_000] if full else [])]]


def uniform(folder: Path, size: int, rounds: int) -> Row:
    """Match a market in which every program is liked as well as any other, the hard case: chains are longest."""
    market, outcome = folder / "uniform.json", folder / "outcome.json"
    shape = ("--applicants", size, "--programs", size // 100, "--choices", 10, "--shape", "uniform")
    lottery("generate", *shape, "--seed", 1, "-o", market)
    runs, parses = [], []
    for _ in range(rounds if size < LARGE else 1):
        parses.append(parse(market))
        runs.append(match(market, outcome))
    matching, parsing, memory = median(run.seconds for run in runs), median(parses), max(run.memory for run in runs)
    return Row(
        f"`lottery match`, {size:,} applicants × 10 choices, {size // 100:,} programs, to `json` parsing the same file",
        f"{matching / parsing:.1f} × ({matching:.1f} s to {parsing:.2f} s), {memory / GIB:.2f} GiB",
        "no more with size; under 12 GB at 1,000,000",
    )


def parse(market: Path) -> float:
    """Return the seconds in which `json` parses a file, in a process of its own."""
    return float(subprocess.check_output([sys.executable, "-c", PARSE, str(market)]))


def match(market: Path, outcome: Path) -> Run:
    """Match with the reference engine, from file to file."""
    return lottery("match", market, "--seed", SEED, "--engine", "reference", "-o", outcome)


def lottery(*words: str | int | Path) -> Run:
    """Run a command to its end."""
    start = perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "lottery", *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Run(seconds, peak(usage))


def peak(usage: resource.struct_rusage) -> int:
    """Return the most memory that a process had, in bytes."""
    return usage.ru_maxrss * KIB_A_MAXRSS


if __name__ == "__main__":
    main()
