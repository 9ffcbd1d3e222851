"""The engines that can match a market; whichever is asked, the outcome has the same bytes.

The fast one, and all that stands on it, is loaded when it is first asked for: an auditor needs Python alone.
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
    """An engine is asked for that is not installed here; the message says what to do."""


def engine_here() -> Engine:
    """Return the fast engine where what it needs is installed, else the reference, which needs Python alone."""
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

    `seed` is this round's, 32 bytes; `seeds` are those of earlier rounds in which applicants were drawn. Without a name
    it is the fast engine where it is installed.

    Raises:
        UnusableSeed: if a seed has not 32 bytes, or one is missing.
        ValueError: if there is no engine of that name.
        MissingEngine: if the fast engine is asked for and what it needs is not installed.
    """
    asked = engine_here() if engine is None else Engine(engine)
    if asked is Engine.REFERENCE:
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
    """Match a market on many draws that are no official ones, in this process or on `workers` others.

    `seed` is of the simulation, 32 bytes; `seeds` are those of rounds whose numbers are the true ones in every draw.
    The same seed gives the same counts, whatever `workers` is.

    Raises:
        UnusableSeed: if a seed has not 32 bytes.
        ValueError: if there are no draws.
        MissingEngine: if what the fast engine needs is not installed.
        WorkerLost: if a worker process ends early.
    """
    refuse_without_fast_engine()
    from lottery.fast.columns import in_columns
    from lottery.simulate.simulation import simulate as simulate_columns

    return simulate_columns(in_columns(market), draws=draws, seed=seed, seeds=seeds, workers=workers, track=track)


def refuse_without_fast_engine() -> None:
    """Refuse to go on where the fast engine is not installed.

    Raises:
        MissingEngine: if it is not.
    """
    if engine_here() is not Engine.FAST:
        raise MissingEngine(f"the fast engine needs {', '.join(FAST_NEEDS)}; install them, or ask for the reference")
