"""The engines that can match a market; whichever is asked, the outcome has the same bytes."""

from collections.abc import Mapping
from enum import StrEnum

from lottery import reference
from lottery.market import Market
from lottery.outcome import Outcome
from lottery.progress import Track, untracked
from lottery.reference import NO_SEEDS


class Engine(StrEnum):
    """The name of an engine."""

    FAST = "fast"
    REFERENCE = "reference"


def match(
    market: Market,
    *,
    seed: bytes,
    seeds: Mapping[str, bytes] = NO_SEEDS,
    engine: str = Engine.FAST,
    track: Track = untracked,
) -> Outcome:
    """Match a market's applicants to its seats.

    `seed` is this round's, 32 bytes; `seeds` are those of earlier rounds in which applicants were drawn.

    Raises:
        UnusableSeed: if a seed has not 32 bytes, or one is missing.
        ValueError: if there is no engine of that name.
    """
    if Engine(engine) is Engine.REFERENCE:
        return reference.match(market, seed=seed, seeds=seeds, track=track)
    from lottery import engine as fast

    return fast.match(market, seed=seed, seeds=seeds, track=track)
