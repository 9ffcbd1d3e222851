"""Throw dice that give the same numbers on every machine, for invented markets. No lottery uses them.

A throw depends only on a seed, a label and a number. So the parts of an invented city are independent: more families
do not change a school.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import accumulate
from struct import unpack
from typing import Generic, TypeVar

Option = TypeVar("Option")

_WORDS_IN_A_DIGEST = ">8I"
_WORD_BITS = 32


def key_of(seed: int, *label: str | int) -> bytes:
    """Return the key of the throws for a seed, which may be any integer, and a label."""
    return sha256("\0".join(("enroll-lottery/v1/generate", f"{seed:x}", *map(str, label))).encode()).digest()


class Dice:
    """An endless sequence of throws: SHA-256 of key, number and counter, in words of 32 bits."""

    __slots__ = ("_counter", "_key", "_words")

    def __init__(self, key: bytes, number: int = 0) -> None:
        self._key = key + number.to_bytes(8, "big")
        self._counter = 0
        self._words: list[int] = []

    def word(self) -> int:
        """Return the next 32 bits."""
        if not self._words:
            self._words = list(
                unpack(_WORDS_IN_A_DIGEST, sha256(self._key + self._counter.to_bytes(4, "big")).digest())
            )
            self._counter += 1
        return self._words.pop()

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to `limit` - 1, all equally likely. `limit` must be far below 2^32."""
        return self.word() * limit >> _WORD_BITS

    def between(self, least: int, most: int) -> int:
        """Return a whole number from `least` to `most`."""
        return least + self.below(most - least + 1)

    def percent(self, share: int) -> bool:
        """Return true in `share` of 100 cases."""
        return self.below(100) < share

    def pick(self, options: Sequence[Option]) -> Option:
        """Return one of the options, all equally likely."""
        return options[self.below(len(options))]

    def shuffled(self, options: Iterable[Option]) -> list[Option]:
        """Return the options in a new order, all orders equally likely (Fisher & Yates 1938)."""
        order = list(options)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def ticket(self) -> str:
        """Return 128 bits as 32 hexadecimal digits."""
        return f"{self.word():08x}{self.word():08x}{self.word():08x}{self.word():08x}"


class Weighted(Generic[Option]):
    """Options with weights."""

    __slots__ = ("_bounds", "options")

    def __init__(self, options: Sequence[Option], weights: Iterable[int]) -> None:
        self.options = options
        self._bounds = list(accumulate(weights))

    def pick(self, dice: Dice) -> Option:
        """Return one of the options, with a probability by weight."""
        return self.options[bisect_right(self._bounds, dice.below(self._bounds[-1]))]

    def pick_distinct(self, dice: Dice, count: int) -> list[Option]:
        """Return `count` different options, or all of them, in the order in which they were picked.

        Each next option is picked by weight among the options left (Plackett & Luce). Weights must be at least 1.
        """
        if 2 * count > len(self.options):
            return self._pick_and_remove(dice, min(count, len(self.options)))
        bounds, options = self._bounds, self.options
        places: dict[int, None] = {}
        while len(places) < count:
            places[bisect_right(bounds, dice.below(bounds[-1]))] = None
        return [options[place] for place in places]

    def _pick_and_remove(self, dice: Dice, count: int) -> list[Option]:
        options, bounds = list(self.options), self._bounds
        weights = [bound - below for bound, below in zip(bounds, [0, *bounds], strict=False)]
        picked = []
        for _ in range(count):
            left = list(accumulate(weights))
            place = bisect_right(left, dice.below(left[-1]))
            picked.append(options.pop(place))
            del weights[place]
        return picked
