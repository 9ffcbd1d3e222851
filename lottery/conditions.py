"""Conditions evaluated on columns: for many entries of rankings at once (lottery.md, section 2)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from lottery.columns import Columns, Int32s, Truths
from lottery.rules import AllOf, AnyOf, AtSchool, AttendsIn, Condition, Has, Not, SiblingPlaced, ZoneIn


class Finder:
    """Finds, among the different sets of facts in a column, those with some word."""

    def __init__(self, sets: Sequence[Collection[str]]) -> None:
        self._count = len(sets)
        self._codes: dict[str, list[int]] = {}
        for code, words in enumerate(sets):
            for word in words:
                self._codes.setdefault(word, []).append(code)

    def having_any(self, words: Sequence[str]) -> Truths:
        """Return for each code whether its set has one of the words; the last, for NONE, is false."""
        table = np.zeros(self._count + 1, np.bool_)
        for word in words:
            table[self._codes.get(word, [])] = True
        return table


@dataclass(frozen=True, slots=True)
class Finders:
    """One finder for each column that conditions look at."""

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


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """What conditions look at, for some entries.

    Each has codes of the applicant's sets of facts, of those at the entry's school; `near` says for all of them whether
    a sibling was placed there.
    """

    finders: Finders
    zones: Int32s
    flags: Int32s
    at_facts: Int32s
    attends: Int32s
    near: bool

    def meeting(self, condition: Condition) -> Truths:
        """Return for each entry whether the condition holds."""
        match condition:
            case ZoneIn(zones):
                return self.finders.zones.having_any(zones)[self.zones]
            case Has(flag):
                return self.finders.flags.having_any((flag,))[self.flags]
            case AtSchool(fact):
                return self.finders.at_facts.having_any((fact,))[self.at_facts]
            case AttendsIn(schools):
                return self.finders.attends.having_any(schools)[self.attends]
            case SiblingPlaced():
                return np.full(self.zones.size, self.near)
            case AllOf(parts):
                return self._all(parts)
            case AnyOf(parts):
                return ~self._all([Not(part) for part in parts])
            case Not(part):
                return ~self.meeting(part)
            case _:
                return np.ones(self.zones.size, np.bool_)

    def _all(self, parts: Sequence[Condition]) -> Truths:
        met = np.ones(self.zones.size, np.bool_)
        for part in parts:
            met &= self.meeting(part)
        return met
