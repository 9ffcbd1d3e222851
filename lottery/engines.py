"""Choose the engine that matches a market. Every engine gives the same bytes.

The fast engine is imported at its first use, so an auditor needs only Python.
"""

from collections.abc import Mapping
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lottery.market.model import Market
from lottery.market.outcome import Outcome
from lottery.match import reference
from lottery.match.reference import NO_SEEDS
from lottery.progress import Track, untracked

if TYPE_CHECKING:
    from lottery.simulate.simulation import Simulated


class Engine(StrEnum):
    """The name of an engine."""

    FAST = "fast"
    REFERENCE = "reference"


FAST_NEEDS = ("msgspec", "numba", "numpy")


class MissingEngine(ImportError):
    """The engine is not installed. The message says what to do."""


def engine_here() -> Engine:
    """Return the fast engine if its packages are installed, otherwise the reference engine."""
    return Engine.FAST if all(map(find_spec, FAST_NEEDS)) else Engine.REFERENCE


def match_market(
    market: Market,
    *,
    seed: bytes,
    seeds: Mapping[str, bytes] = NO_SEEDS,
    engine: str | None = None,
    track: Track = untracked,
) -> Outcome:
    """Match a market's applicants to its seats.

    `seed` is this round's seed, 32 bytes. `seeds` has the seeds of earlier rounds in which applicants were drawn.
    Without `engine`, the fast engine matches if it is installed.

    Raises:
        UnusableSeed: if a seed is missing or is not 32 bytes long.
        ValueError: if no engine has this name.
        MissingEngine: if the fast engine is chosen and its packages are not installed.
    """
    chosen = engine_here() if engine is None else Engine(engine)
    if chosen is Engine.REFERENCE:
        return reference.match(market, seed=seed, seeds=seeds, track=track)
    refuse_without_fast_engine()
    from lottery.fast import engine as fast

    return fast.match(market, seed=seed, seeds=seeds, track=track)


def simulate_market(
    market: Market,
    *,
    draws: int,
    seed: bytes,
    seeds: Mapping[str, bytes] = NO_SEEDS,
    workers: int = 1,
    track: Track = untracked,
) -> "Simulated":
    """Match a market on many simulated draws, in this process or in `workers` other processes.

    `seed` is the seed of the simulation, 32 bytes. `seeds` has the seeds of rounds whose official numbers count in
    every draw. The same seed gives the same counts for any number of workers.

    Raises:
        UnusableSeed: if a seed is not 32 bytes long.
        ValueError: if `draws` is less than 1.
        MissingEngine: if the packages of the fast engine are not installed.
        WorkerLost: if a worker process ends early.
    """
    refuse_without_fast_engine()
    from lottery.fast.columns import in_columns
    from lottery.simulate.simulation import simulate as simulate_columns

    return simulate_columns(in_columns(market), draws=draws, seed=seed, seeds=seeds, workers=workers, track=track)


def refuse_without_fast_engine() -> None:
    """Check that the fast engine is installed.

    Raises:
        MissingEngine: if the fast engine is not installed.
    """
    if engine_here() is not Engine.FAST:
        raise MissingEngine(
            f"the fast engine needs {', '.join(FAST_NEEDS)}; install them or choose the reference engine"
        )
