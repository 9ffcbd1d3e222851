"""The fast engine against a numpy gather, the reference engine and peers; and many draws of one market.

The gather, `capacity[preferences]`, looks up one number for each entry of every ranking, so it is about the least that
a match could take. What is measured on a flat market (`benchmarks.uniform`) is the solve alone, `match_on`, on numbers
that are drawn before. Where drawing, reading or writing is part of the work, the row says so.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.apart import SEED, apart
from benchmarks.files import reserved_market
from benchmarks.measuring import GIB, Row, in_turn, in_words
from benchmarks.peers import as_lists, game_of, heap_loop, matching_here, play, refuse_difference
from benchmarks.uniform import Liked, Reserved, as_market, flat_market, preferences
from lottery.fast import engine
from lottery.fast.column_reader import load_columns
from lottery.fast.columns import Int32s, MarketInColumns
from lottery.fast.compile import Compiled, compile_market
from lottery.fast.engine import Matched, Ranks, match_on, ranks_in
from lottery.fast.ranks import OfficialNumbers
from lottery.market.model import Market
from lottery.match import reference
from lottery.match.lottery_numbers import Draw
from lottery.match.standing import Standings
from lottery.simulate.simulation import prepare, simulate

LARGE = 1_000_000
COMPARED = 100_000
"""Applicants of the market on which engines and loops are compared."""

AT_ONCE = 200_000
"""Applicants that are matched between two looks at the clock, at least."""

FEW_ROUNDS = 3
"""For works of some seconds."""

DRAWS, DRAWS_IN_PARALLEL, PROCESSES = 25, 1_000, 2


class OutcomesDiffer(AssertionError):
    """The two engines give different outcomes, so that one of them is wrong."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A market that is ready to be solved, and to be gathered from."""

    market: MarketInColumns
    compiled: Compiled
    ranks: Ranks
    capacity: Int32s
    preferences: Int32s

    def solve(self) -> Matched:
        """Match the market."""
        return match_on(self.compiled, self.ranks)

    def gather(self) -> Int32s:
        """Look up the seats of every program that is ranked."""
        return self.capacity[self.preferences]


class Compared(NamedTuple):
    """A solve held against a gather: seconds of each."""

    solve: float
    gather: float

    @property
    def ratio(self) -> float:
        """Return how many gathers a solve takes."""
        return self.solve / self.gather

    def __str__(self) -> str:
        return f"{self.ratio:.1f} × ({in_words(self.solve)} to {in_words(self.gather)})"


def measure(rounds: int, *, full: bool) -> Iterator[Row]:
    """Yield the rows of the table."""
    for applicants in (1_000, 10_000, 100_000, *((LARGE,) if full else ())):
        yield uniform(applicants, rounds)
    yield from harder(LARGE if full else COMPARED, rounds)
    prepared = prepare_flat(COMPARED)
    yield against_reference(prepared, min(rounds, FEW_ROUNDS))
    yield whole_against_reference(10_000, rounds)
    yield whole_against_reference(COMPARED, min(rounds, FEW_ROUNDS))
    yield against_heaps(prepared, min(rounds, FEW_ROUNDS))
    yield against_matching(1_000, min(rounds, FEW_ROUNDS))
    yield memory((10_000, 100_000, *((LARGE,) if full else ())))
    with tempfile.TemporaryDirectory() as folder:
        market = load_columns(reserved_market(Path(folder)))
    yield redraw(market, rounds)
    yield many_draws(market, FEW_ROUNDS if full else 1)
    if full:
        yield redraw_large()


def prepare_flat(applicants: int, *, liked: Liked = Liked.ALIKE, reserved: Reserved = Reserved.NOTHING) -> Prepared:
    """Make a flat market, compile it, draw its numbers, and match it once, which loads what is compiled."""
    market = flat_market(applicants, liked=liked, reserved=reserved)
    compiled = compile_market(market)
    ranks = ranks_in(compiled, OfficialNumbers(market, seed=SEED, seeds={}))
    prepared = Prepared(market, compiled, ranks, seats_of(market), preferences(market))
    prepared.solve()
    return prepared


def seats_of(market: MarketInColumns) -> Int32s:
    """Return each program's seats."""
    return np.array([program.seats for program in market.programs], np.int32)


def against_gather(prepared: Prepared, rounds: int) -> Compared:
    """Hold a solve against a gather."""
    times = max(1, AT_ONCE // len(prepared.market.applicants))
    return Compared(*in_turn(rounds, prepared.solve, prepared.gather, times=times))


def uniform(applicants: int, rounds: int) -> Row:
    """Solve the hard case: all programs liked alike."""
    compared = against_gather(prepare_flat(applicants), rounds)
    work = f"solve, {applicants:,} applicants × 10 uniform choices, {applicants // 100:,} programs, to one numpy gather"
    return Row(work, str(compared), "at most 8 ×")


def harder(applicants: int, rounds: int) -> Iterator[Row]:
    """Solve a market in which some programs are liked much, and one with reserves."""
    shapes = {
        "choices by Zipf's law": prepare_flat(applicants, liked=Liked.BY_ZIPF),
        "uniform choices, 20 % reserves at half the programs": prepare_flat(applicants, reserved=Reserved.AT_HALF),
    }
    for name, prepared in shapes.items():
        yield Row(f"the same, {applicants:,} × 10 {name}", str(against_gather(prepared, rounds)), "")


def against_reference(prepared: Prepared, rounds: int) -> Row:
    """Hold the solve against the reference engine's whole match, and against its proposing alone."""
    market = as_market(prepared.market)
    draw = Draw(market, seed=SEED, seeds={})
    propose(market, draw)  # draws all numbers
    fast, whole, alone = in_turn(
        rounds, prepared.solve, lambda: reference.match(market, seed=SEED), lambda: propose(market, draw)
    )
    return Row(
        f"solve, {COMPARED:,} × 10 uniform, to the reference engine's whole match of the market in memory",
        f"{whole / fast:,.0f} × faster ({in_words(fast)} to {in_words(whole)}); "
        f"{alone / fast:,.0f} × to its proposals alone, numbers drawn",
        "at least 20 × faster",
    )


def propose(market: Market, draw: Draw) -> None:
    """Run the proposals of the reference engine without an outcome."""
    standings = Standings(market, draw)
    admissions = {
        program.id: reference.ProgramAdmissions(program, standings.groups[program.id]) for program in market.programs
    }
    reference.propose_until_settled(market.applicants, admissions, standings, {})


def whole_against_reference(applicants: int, rounds: int) -> Row:
    """Hold everything from a market in memory to an outcome against the same by the reference engine."""
    market = as_market(flat_market(applicants))
    ours, theirs = engine.match(market, seed=SEED), reference.match(market, seed=SEED)
    if ours.to_bytes() != theirs.to_bytes():
        raise OutcomesDiffer
    fast, plain = in_turn(rounds, lambda: engine.match(market, seed=SEED), lambda: reference.match(market, seed=SEED))
    return Row(
        f"market in memory to outcome, numbers and digest included, {applicants:,} × 10, to the reference engine",
        f"{plain / fast:.1f} × faster ({in_words(fast)} to {in_words(plain)}), the same bytes",
        "",
    )


def against_heaps(prepared: Prepared, rounds: int) -> Row:
    """Hold the solve against the textbook's loop, written in Python with `heapq`."""
    lists = as_lists(prepared.market, prepared.ranks)
    placed = ([proposal[-1] for proposal in heap] for heap in heap_loop(lists))
    refuse_difference(prepared.compiled, prepared.solve(), placed)
    plain, fast = in_turn(rounds, lambda: heap_loop(lists), prepared.solve)
    return Row(
        f"solve, {COMPARED:,} × 10 uniform, to a loop of heaps in Python (`heapq`) that places everybody the same",
        f"{plain / fast:,.0f} × faster ({in_words(fast)} to {in_words(plain)})",
        "",
    )


def against_matching(applicants: int, rounds: int) -> Row:
    """Hold the solve against the package `matching`; whoever it places otherwise is an error."""
    release = matching_here()
    work = f"solve, {applicants:,} × 10 uniform, to `matching` {release or ''}".strip()
    if release is None:
        return Row(work, "not installed; it is in the dependency group `peers`", "")
    prepared = prepare_flat(applicants)
    lists = as_lists(prepared.market, prepared.ranks)
    refuse_difference(prepared.compiled, prepared.solve(), play(game_of(lists)))
    games = [game_of(lists) for _ in range(rounds)]
    make, solve, fast = in_turn(rounds, lambda: game_of(lists), lambda: play(games.pop()), prepared.solve)
    return Row(
        work, f"{solve / fast:,.0f} × faster ({in_words(fast)} to {in_words(solve)}, making it {in_words(make)})", ""
    )


def memory(sizes: tuple[int, ...]) -> Row:
    """Compile and solve in a process of its own, market and all, and see how memory grows."""
    runs = [apart("match", applicants) for applicants in sizes]
    return Row(
        f"compile and solve, {', '.join(f'{applicants:,}' for applicants in sizes)} × 10, a process of its own",
        ", ".join(f"{in_words(run.seconds)} and {run.memory / GIB:.2f} GiB" for run in runs),
        "linear",
    )


def redraw(market: MarketInColumns, rounds: int) -> Row:
    """Draw a compiled market anew, and count who was placed where."""
    simulation = prepare(market, seed=SEED)
    simulation.tally([DRAWS])  # loads what is compiled
    capacity, ranked = seats_of(market), market.applicants.ranking.reshape(len(market.applicants), -1)
    drawn, gather = in_turn(rounds, lambda: simulation.tally(range(DRAWS)), lambda: capacity[ranked])
    return Row(
        f"one draw more of a compiled market, {size_of(market)}, reserves, counted, on one core",
        f"{in_words(drawn / DRAWS)}, {drawn / DRAWS / gather:.1f} gathers",
        "",
    )


def many_draws(market: MarketInColumns, rounds: int) -> Row:
    """Simulate on two processes, their start and the compilation included."""
    (seconds,) = in_turn(rounds, lambda: simulate(market, draws=DRAWS_IN_PARALLEL, seed=SEED, workers=PROCESSES))
    return Row(f"{DRAWS_IN_PARALLEL:,} draws of it on two processes, their start included", in_words(seconds), "12 s")


def redraw_large() -> Row:
    """Draw a large market anew in a process of its own."""
    run = apart("draws", LARGE)
    return Row(
        f"one draw more, {LARGE:,} × 10 uniform, on one core, a process of its own",
        f"{in_words(run.seconds)}, {run.memory / GIB:.2f} GiB",
        "",
    )


def size_of(market: MarketInColumns) -> str:
    """Say how large a market is in which all rank as many."""
    applicants = len(market.applicants)
    return f"{applicants:,} × {market.applicants.ranking.size // applicants}, {len(market.programs):,} programs"
