"""The lottery's commands from file to file: whole processes, start of Python and imports included.

They are held against parsing the same bytes, which no reader of JSON can do without, in the process that measures.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from benchmarks.apart import SEED
from benchmarks.measuring import GIB, Row, in_turn, in_words, python, run_of
from lottery.cli.demo import CHILDREN, SCHOOLS
from lottery.engines import Engine
from lottery.fast.column_reader import load_columns
from lottery.fast.compile import compile_market
from lottery.fast.engine import match_columns, match_on, outcome_of, ranks_in
from lottery.fast.ranks import OfficialNumbers
from lottery.market.files import write_whole

CITY = 80_000
"""Applicants of a large city."""

PARSE_AND_SOLVE = """
import sys
import msgspec
import numpy as np
from benchmarks.uniform import flat_market
from lottery.fast.compile import compile_market
from lottery.fast.engine import solve
from lottery.fast.ranks import OfficialNumbers
with open(sys.argv[1], "rb") as stream:
    msgspec.json.decode(stream.read())
market = flat_market(1_000)
solve(compile_market(market), OfficialNumbers(market, seed=bytes(32), seeds={}))
"""

LARGE = 1_000_000
"""Applicants from which on one measurement is enough."""


def measure(rounds: int, *, full: bool) -> Iterator[Row]:
    """Yield the rows of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from large_city(folder, rounds)
        yield growth(folder, rounds, full=full)
        yield from demo_city(folder, rounds)
        yield by_reference(folder, LARGE if full else 100_000, rounds)


def reserved_market(folder: Path) -> Path:
    """Make the market of a large city: reserves at two programs of three, all programs liked alike."""
    market = folder / "large-city.json"
    generate(market, applicants=CITY, programs=CITY // 100, choices=12, reserves="--reserves")
    return market


def uniform_market(folder: Path, applicants: int) -> Path:
    """Make a flat market, as `benchmarks.uniform` does, in a file."""
    market = folder / "uniform.json"
    generate(market, applicants=applicants, programs=applicants // 100, choices=10, reserves="--no-reserves")
    return market


def generate(market: Path, *, applicants: int, programs: int, choices: int, reserves: str) -> None:
    """Make a market in which all programs are liked alike."""
    size = ("--applicants", applicants, "--programs", programs, "--choices", choices)
    python("-m", "lottery", "generate", *size, "--shape", "uniform", reserves, "--seed", 1, "-o", market)


def match_words(market: Path, outcome: Path, engine: Engine) -> tuple[str | Path, ...]:
    """Return the command that matches a market."""
    return ("-m", "lottery", "match", market, "--seed", SEED.hex(), "--engine", engine.value, "-o", outcome)


def match_here(market: Path, outcome: Path) -> None:
    """Do in this process what `lottery match` does."""
    matched = match_columns(load_columns(market), seed=SEED)
    with write_whole(outcome) as stream:
        stream.write(matched.to_bytes())


def large_city(folder: Path, rounds: int) -> Iterator[Row]:
    """Match a large city, and hold it against parsing its file with msgspec and solving it once."""
    path, outcome = reserved_market(folder), folder / "outcome.json"
    raw, market = path.read_bytes(), load_columns(path)
    compiled = compile_market(market)
    ranks = ranks_in(compiled, OfficialNumbers(market, seed=SEED, seeds={}))
    words = match_words(path, outcome, Engine.FAST)
    match_here(path, outcome)  # compiles where nothing is kept yet, and loads

    def parse_and_solve() -> None:
        msgspec.json.decode(raw)
        match_on(compiled, ranks)

    whole, whole_least, here, least, fast_parse, parse = in_turn(
        rounds,
        lambda: python(*words),
        lambda: python("-c", PARSE_AND_SOLVE, path),
        lambda: match_here(path, outcome),
        parse_and_solve,
        lambda: msgspec.json.decode(raw),
        lambda: json.loads(raw),
    )
    work, parts = f"{CITY:,} × 12, reserves", "`msgspec` parsing the same bytes and one solve"
    yield Row(
        f"`lottery match`, {work}, to a Python that does no more than {parts}, whole processes",
        f"{whole / whole_least:.1f} × ({in_words(whole)} to {in_words(whole_least)})",
        "under 4 ×, under 3 s",
    )
    yield Row(
        "the same within a process that is up and looks for no cycles, from first byte read to last one written",
        f"{here / least:.1f} × ({in_words(here)}, {told_apart(path, rounds)}, to {in_words(least)})",
        "under 4 ×",
    )
    yield Row(
        f"parsing alone, {len(raw) / 1e6:.1f} MB: `msgspec`, `json`",
        f"{in_words(fast_parse)}, {in_words(parse)}",
        "",
    )


def told_apart(path: Path, rounds: int) -> str:
    """Say what each step from a file to an outcome takes."""
    market = load_columns(path)
    numbers, compiled = OfficialNumbers(market, seed=SEED, seeds={}), compile_market(market)
    ranks = ranks_in(compiled, numbers)
    matched = match_on(compiled, ranks)
    outcome = outcome_of(compiled, matched, numbers, seed=SEED)
    steps: Mapping[str, Callable[[], object]] = {
        "read": lambda: load_columns(path),
        "compile": lambda: compile_market(market),
        "draw": lambda: ranks_in(compiled, numbers),
        "solve": lambda: match_on(compiled, ranks),
        "write down": lambda: outcome_of(compiled, matched, numbers, seed=SEED),
        "as JSON": outcome.to_bytes,
    }
    spent = in_turn(rounds, *steps.values())
    return ", ".join(f"{step} {in_words(seconds)}" for step, seconds in zip(steps, spent, strict=True))


def growth(folder: Path, rounds: int, *, full: bool) -> Row:
    """See that time and memory grow with the size of the market."""
    sizes = (10_000, 100_000, *((LARGE,) if full else ()))
    spent, memory = [], []
    for applicants in sizes:
        path, outcome = uniform_market(folder, applicants), folder / "outcome.json"
        words = match_words(path, outcome, Engine.FAST)
        run = run_of(*words)
        memory.append(run.memory)
        spent.append(run.seconds if applicants >= LARGE else in_turn(rounds, lambda: python(*words))[0])  # noqa: B023
    grown = spent[-1] / sizes[-1] / (spent[-2] / sizes[-2])
    told = (f"{in_words(seconds)} and {its / GIB:.2f} GiB" for seconds, its in zip(spent, memory, strict=True))
    return Row(
        f"`lottery match`, {', '.join(f'{applicants:,}' for applicants in sizes)} × 10 uniform, both its processes",
        f"{'; '.join(told)}; seconds an applicant, the last to the one before: {grown:.2f} ×",
        "linear; under 6 GB at 1,000,000",
    )


def demo_city(folder: Path, rounds: int) -> Iterator[Row]:
    """Hold the reference engine against `json` parsing the demo's city, and verify against the reference engine."""
    market, outcome = folder / "city.json", folder / "outcome.json"
    words = ("--applicants", CHILDREN, "--schools", SCHOOLS, "--seed", 1, "-o", market)
    python("-m", "lottery", "generate", *words)
    raw = market.read_bytes()
    match, verify, parse = in_turn(
        rounds,
        lambda: python(*match_words(market, outcome, Engine.REFERENCE)),
        lambda: python("-m", "lottery", "verify", market, outcome),
        lambda: json.loads(raw),
    )
    city = f"{CHILDREN:,} children at {SCHOOLS} schools"
    yield Row(
        f"`lottery match --engine reference`, {city}, to `json` parsing the same file",
        f"{match / parse:.1f} × ({in_words(match)} to {in_words(parse)})",
        "at most 15 ×",
    )
    yield Row(
        f"`lottery verify`, {city}, to `lottery match --engine reference`",
        f"{verify / match:.1f} × ({in_words(verify)})",
        "at most 3 ×",
    )


def by_reference(folder: Path, applicants: int, rounds: int) -> Row:
    """Match a large market with the reference engine, as an auditor may who has Python and nothing else."""
    path, outcome = uniform_market(folder, applicants), folder / "outcome.json"
    words = match_words(path, outcome, Engine.REFERENCE)
    raw = path.read_bytes()
    run = run_of(*words)
    if applicants >= LARGE:
        seconds, (parse,) = run.seconds, in_turn(1, lambda: json.loads(raw))
    else:
        seconds, parse = in_turn(rounds, lambda: python(*words), lambda: json.loads(raw))
    return Row(
        f"`lottery match --engine reference`, {applicants:,} × 10 uniform, to `json` parsing the same file",
        f"{seconds / parse:.1f} × ({in_words(seconds)} to {in_words(parse)}), {run.memory / GIB:.2f} GiB",
        "under 12 GB at 1,000,000",
    )
