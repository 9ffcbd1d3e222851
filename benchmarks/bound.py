"""What bounds a solve: how many proposals it takes, how long each, and how much of that is waiting for memory.

`python -m benchmarks.bound` prints it for flat markets in which all programs are liked alike, without reserves. How
many proposals there are follows from the outcome: everybody asks at all that they rank above where they ended, too.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from inspect import unwrap
from pathlib import Path
from statistics import median
from time import perf_counter
from types import FunctionType
from typing import Protocol, cast
from unittest.mock import patch

import numba
import numpy as np

from benchmarks.engine import Prepared, prepare_flat
from benchmarks.measuring import MIB, in_turn, in_words, machine
from lottery.fast import deferred_acceptance as kernel
from lottery.fast.columns import NONE, Words
from lottery.fast.engine import Matched, Ranks, match_on

SIZES = (10_000, 100_000)
LARGE = 1_000_000
COUNTED = 10_000
"""Applicants of the market on which the kernel runs in Python, to count what it does."""

IN_CACHE = 4_000
"""Applicants of a market that fits into a core's second cache with room to spare."""

DRAWS = 50
"""Of that market."""

LOOP = "propose_until_settled"
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
VARIED: Mapping[str, Sequence[int]] = {"IN_FLIGHT": (1, 4, 8, 16), "AT_DOORS": (1, 2, 4, 8), "BRANCHES": (2, 4, 8)}
"""Constants of the kernel, as far as it has them, and what else they could be."""


class Loop(Protocol):
    """A loop that numba compiles."""

    @property
    def targetoptions(self) -> Mapping[str, object]:
        """Return how it is compiled."""

    def __call__(self, *given: object) -> object:
        """Run it."""


@dataclass(frozen=True, slots=True)
class AtHand:
    """A market all of which is in the second cache, and many draws of it, so that no processor learns it by heart."""

    prepared: Prepared
    draws: Sequence[Ranks]

    def solve(self) -> int:
        """Match on every draw; return the number of proposals."""
        return sum(proposals(match_on(self.prepared.compiled, ranks)) for ranks in self.draws)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bound", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured; default: 7")
    parser.add_argument("--full", action="store_true", help="up to 1,000,000 applicants")
    options = parser.parse_args(arguments)
    sizes = (*SIZES, *((LARGE,) if options.full else ()))
    print(f"{machine()}; caches {caches()}\n")
    markets = {applicants: prepare_flat(applicants) for applicants in sizes}
    print("| applicants | proposals each | lists, heaps, cutoffs | a proposal | in cache | waiting | parts |")
    print("|---|---|---|---|---|---|---|")
    at_hand = small_market()
    for prepared in markets.values():
        print(line(prepared, at_hand, options.rounds), flush=True)
    print(f"\n{counted()}\n\n| a solve, where in the kernel | {' | '.join(f'{one:,}' for one in sizes)} |")
    print("|---|" + "---|" * len(sizes))
    spent = [with_variants(prepared, options.rounds) for prepared in markets.values()]
    for (name, value), its in zip(variants(), zip(*spent, strict=True), strict=True):
        here = ", as it is" if vars(kernel)[name] == value else ""
        print(f"| {name} = {value}{here} | {' | '.join(f'{1000 * seconds:.2f} ms' for seconds in its)} |")


def line(prepared: Prepared, at_hand: AtHand, rounds: int) -> str:
    """Return a market's line of the first table."""
    matched, small = prepared.solve(), at_hand.solve()
    with timed(LOOP) as accept, timed("place_by_cutoffs") as settle:
        whole, _, gather = in_turn(rounds, prepared.solve, at_hand.solve, prepared.gather)
    turn = 1 + len(at_hand.draws)  # calls of a round: the market's own, then those of the small one
    accepting, settling = median(accept[::turn]), median(settle[::turn])
    in_cache = median(sum(accept[first + 1 : first + turn]) for first in range(0, len(accept), turn)) / small
    applicants, asked = len(prepared.market.applicants), proposals(matched)
    each = accepting / asked
    admissions = matched.admissions
    sizes = (matched.turns[0].lists.words.nbytes, admissions.admitted.nbytes, admissions.cutoff.nbytes)
    return (
        f"| {applicants:,} | {asked / applicants:.2f} | {', '.join(f'{size / MIB:.2f}' for size in sizes)} MiB "
        f"| {1e9 * each:.1f} ns | {1e9 * in_cache:.1f} ns | {100 * (1 - in_cache / each):.0f} % "
        f"| solve {in_words(whole)}: accept and refuse {in_words(accepting)}, settle {in_words(settling)}, "
        f"rest {in_words(whole - accepting - settling)}; gather {in_words(gather)} |"
    )


def proposals(matched: Matched) -> int:
    """Count the proposals of a match: the candidates of every proposal list up to the placement."""
    total = 0
    for turn in matched.turns:
        starts, words = turn.lists.starts, turn.lists.words
        last = starts[1:] - 3  # before END and the applicant
        candidate_of = matched.candidate_of[words[starts[1:] - 1]]
        total += int((np.where(candidate_of == NONE, last, candidate_of) - starts[:-1] + 1).sum())
    return total


@contextmanager
def timed(name: str) -> Iterator[list[float]]:
    """Note the seconds of each call of one of the kernel's loops."""
    loop, spent = cast("Loop", vars(kernel)[name]), list[float]()

    def noting(*given: object) -> object:
        start = perf_counter()
        result = loop(*given)
        spent.append(perf_counter() - start)
        return result

    with patch.object(kernel, name, noting):
        yield spent


def small_market() -> AtHand:
    """Make a market that fits into the second cache, and draw it often."""
    prepared, dice = prepare_flat(IN_CACHE), np.random.default_rng(1)
    drawn = [replace(prepared.ranks, for_all=dice.permutation(IN_CACHE).astype(np.int32)) for _ in range(DRAWS)]
    return AtHand(prepared, drawn)


def variants() -> Iterator[tuple[str, int]]:
    """Yield constants of the kernel with the values to try."""
    for name, values in VARIED.items():
        for value in values if name in vars(kernel) else ():
            yield name, value


def with_variants(prepared: Prepared, rounds: int) -> list[float]:
    """Return the seconds of a solve with the kernel compiled with each of the other constants."""

    def solve(loop: object) -> None:
        with patch.object(kernel, LOOP, loop):
            prepared.solve()

    loops = [rebuilt(LOOP, {name: value}, compiled_as) for name, value in variants()]
    for loop in loops:
        solve(loop)  # compiles
    return in_turn(rounds, *(partial(solve, loop) for loop in loops))


def rebuilt(name: str, names: Mapping[str, object], make: Callable[[FunctionType, Loop], object]) -> object:
    """Make one of the kernel's loops anew, with all loops that it calls, where some names stand for something else."""
    loop = cast("Loop", vars(kernel)[name])
    plain = cast("FunctionType", unwrap(loop))
    called = [other for other in plain.__code__.co_names if hasattr(vars(kernel).get(other), "targetoptions")]
    known = {**plain.__globals__, **{other: rebuilt(other, names, make) for other in called}, **names}
    return make(FunctionType(plain.__code__, known, plain.__name__), loop)


def compiled_as(function: FunctionType, loop: Loop) -> object:
    """Compile a function as a loop was, into its callers or by itself."""
    return numba.njit(function, inline="always" if loop.targetoptions.get("inline") == "always" else "never")


def counted() -> str:
    """Run the kernel's loop in Python, and say what becomes of proposals."""
    prepared = prepare_flat(COUNTED)
    again = 0

    def call(array: Words, place: object) -> None:  # noqa: ARG001
        nonlocal again
        again += array is prepared.compiled.lists[0].words

    with patch.object(kernel, LOOP, rebuilt(LOOP, {"prefetch": call}, lambda function, _: function)):
        matched = prepared.solve()
    asked, seats = proposals(matched), int(matched.admissions.filled.sum())
    return (
        f"Of {asked / COUNTED:.2f} proposals of each of {COUNTED:,} applicants {seats / COUNTED:.2f} end in a seat, "
        f"{(asked - seats - again) / COUNTED:.2f} are refused at once, {again / COUNTED:.2f} later, when somebody "
        "better came: then the applicant's proposal list has to come from memory once more."
    )


def caches() -> str:
    """Say how large the first core's caches are, if the system tells."""
    return ", ".join(
        f"L{(level / 'level').read_text().strip()} {(level / 'size').read_text().strip()}"
        for level in sorted(CACHES.glob("index*"))
        if (level / "type").read_text().strip() != "Instruction"
    )


if __name__ == "__main__":
    main()
