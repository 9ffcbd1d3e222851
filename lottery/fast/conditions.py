"""Evaluate conditions on columns, for many entries of rankings at once (docs/reference/specification.md, section 2)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lottery.fast.columns import Columns, Int32s, Truths
from lottery.market.rules import (
    AllOf,
    AnyOf,
    AtSchool,
    AttendsIn,
    Condition,
    Has,
    Not,
    PriorityClass,
    SiblingPlaced,
    ZoneIn,
)


class Finder:
    """Finds the sets of facts in a column that contain a word."""

    def __init__(self, sets: Sequence[Collection[str]]) -> None:
        self._count = len(sets)
        self._codes: dict[str, list[int]] = {}
        for code, words in enumerate(sets):
            for word in words:
                self._codes.setdefault(word, []).append(code)

    def having_any(self, words: Sequence[str]) -> Truths:
        """Return for each code whether its set has one of the words. The last element, for NONE, is false."""
        table = np.zeros(self._count + 1, np.bool_)
        for word in words:
            table[self._codes.get(word, [])] = True
        return table


@dataclass(frozen=True, slots=True)
class SomeEntries:
    """Some entries of rankings: the applicant of each, and the code of the applicant's facts at the entry's school."""

    applicants: Int32s
    at_facts: Int32s


@dataclass(frozen=True, slots=True)
class Finders:
    """One finder for each column that conditions read."""

    zones: Finder
    flags: Finder
    at_facts: Finder
    attends: Finder


def finders_of(applicants: Columns) -> Finders:
    """Make the finders of a market's applicants."""
    return Finders(
        Finder(applicants.zones.words),
        Finder(applicants.flags.words),
        Finder(applicants.at_facts.words),
        Finder([(school,) for school in applicants.attends.words]),
    )


class EntryFacts:
    """The facts of some entries that conditions read. Facts are gathered only when a condition reads them."""

    def __init__(self, finders: Finders, applicants: Columns, entries: SomeEntries, *, sibling_placed: bool) -> None:
        """`sibling_placed` says, for all of the entries, whether a sibling was placed at the school."""
        self._finders = finders
        self._applicants = applicants
        self._entries = entries
        self._sibling_placed = sibling_placed

    def meeting(self, condition: Condition) -> Truths:
        """Return for each entry whether the applicant meets the condition."""
        match condition:
            case ZoneIn(zones):
                return self._finders.zones.having_any(zones)[self._zones]
            case Has(flag):
                return self._finders.flags.having_any((flag,))[self._flags]
            case AtSchool(fact):
                return self._finders.at_facts.having_any((fact,))[self._entries.at_facts]
            case AttendsIn(schools):
                return self._finders.attends.having_any(schools)[self._attends]
            case SiblingPlaced():
                return np.full(self._entries.applicants.size, self._sibling_placed)
            case AllOf(parts):
                return self._all(parts)
            case AnyOf(parts):
                return ~self._all([Not(part) for part in parts])
            case Not(part):
                return ~self.meeting(part)
            case _:
                return np.ones(self._entries.applicants.size, np.bool_)

    def class_among(self, priorities: Sequence[PriorityClass]) -> Int32s:
        """Return the index of each entry's first class whose condition is met, or `len(priorities)`."""
        classes = np.full(self._entries.applicants.size, len(priorities), np.int32)
        for place in reversed(range(len(priorities))):
            classes[self.meeting(priorities[place].when)] = place
        return classes

    def _all(self, parts: Sequence[Condition]) -> Truths:
        met = np.ones(self._entries.applicants.size, np.bool_)
        for part in parts:
            met &= self.meeting(part)
        return met

    @cached_property
    def _zones(self) -> Int32s:
        return self._applicants.zones.codes[self._entries.applicants]

    @cached_property
    def _flags(self) -> Int32s:
        return self._applicants.flags.codes[self._entries.applicants]

    @cached_property
    def _attends(self) -> Int32s:
        return self._applicants.attends.codes[self._entries.applicants]
