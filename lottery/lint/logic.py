"""Truth tables over the facts in conditions: which conditions children can meet, no matter who applies."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

from lottery.market.rules import AllOf, AnyOf, AttendsIn, Condition, Everyone, Not, ZoneIn

Table: TypeAlias = int
"""A set of cases: bit w is set if a condition holds in case w."""

MAX_CASES = 1 << 12
"""Most cases of a program for which lint reasons by logic."""


class Cases:
    """Cases with different facts, and the tables of conditions over these facts.

    A leaf is a condition about one fact. Bit j of a case's pattern is set if leaf j holds.
    """

    def __init__(self, leaves: Sequence[Condition], patterns: Sequence[int]) -> None:
        self.all: Table = (1 << len(patterns)) - 1
        self._tables = {leaf: column(pattern >> bit & 1 for pattern in patterns) for bit, leaf in enumerate(leaves)}

    def meeting(self, condition: Condition) -> Table:
        """Return the cases in which the condition holds."""
        match condition:
            case Everyone():
                return self.all
            case AllOf(parts):
                return self._all(parts)
            case AnyOf(parts):
                return self.all & ~self._all([Not(part) for part in parts])
            case Not(part):
                return self.all & ~self.meeting(part)
            case _:
                return self._tables[condition]

    def _all(self, parts: Iterable[Condition]) -> Table:
        table = self.all
        for part in parts:
            table &= self.meeting(part)
        return table


def column(truths: Iterable[int]) -> Table:
    """Return the table of the cases whose truth is 1."""
    return int("0" + "".join(map(str, truths))[::-1], 2)


def places_in(table: Table) -> Iterator[int]:
    """Yield the cases of a table."""
    for place, digit in enumerate(reversed(f"{table:b}")):
        if digit == "1":
            yield place


def leaves_of(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """Return every leaf of some conditions but `everyone`, each once."""
    return tuple(dict.fromkeys(leaf for condition in conditions for leaf in _leaves(condition)))


def _leaves(condition: Condition) -> Iterator[Condition]:
    match condition:
        case Everyone():
            return
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _leaves(part)
        case Not(part):
            yield from _leaves(part)
        case _:
            yield condition


@lru_cache(maxsize=1 << 10)
def every_case(leaves: tuple[Condition, ...]) -> Cases | None:
    """Return all possible cases of a child, or None for too many cases.

    A child can live in several zones and attends at most one school. Flags, facts at the school, and a sibling's
    placement are free.
    """
    patterns = [0]
    for ways in _ways(leaves):
        if len(patterns) * len(ways) > MAX_CASES:
            return None
        patterns = [pattern | way for pattern in patterns for way in ways]
    return Cases(leaves, patterns)


def _ways(leaves: Sequence[Condition]) -> Iterator[Sequence[int]]:
    """Yield, for each independent fact, the sets of leaves that the fact can make true."""
    zones: dict[str, int] = {}
    schools: dict[str, int] = {}
    for bit, leaf in enumerate(leaves):
        match leaf:
            case ZoneIn(operand):
                _note(zones, operand, 1 << bit)
            case AttendsIn(operand):
                _note(schools, operand, 1 << bit)
            case _:
                yield (0, 1 << bit)
    yield _any_number_of(set(zones.values()))
    yield sorted({0, *schools.values()})


def _note(held_by: dict[str, int], words: Iterable[str], bit: int) -> None:
    for word in words:
        held_by[word] = held_by.get(word, 0) | bit


def _any_number_of(kinds: Iterable[int]) -> Sequence[int]:
    """Return the sets of leaves that hold for children in any number of zones, given those of each kind of zone."""
    ways = {0}
    for kind in sorted(kinds):
        ways |= {way | kind for way in ways}
        if len(ways) > MAX_CASES:
            break
    return sorted(ways)
