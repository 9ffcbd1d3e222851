"""The engines that can match a market; whichever is asked, the outcome has the same bytes."""

from collections.abc import Mapping
from enum import StrEnum
from importlib.util import find_spec

from lottery import reference
from lottery.market import Market
from lottery.outcome import Outcome
from lottery.progress import Track, untracked
from lottery.reference import NO_SEEDS


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


def match(
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
    if engine_here() is not Engine.FAST:
        raise MissingEngine(f"the fast engine needs {', '.join(FAST_NEEDS)}; install them, or ask for the reference")
    from lottery import engine as fast

    return fast.match(market, seed=seed, seeds=seeds, track=track)
