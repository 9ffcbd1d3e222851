"""Counts of a comparison, and what they say about a change."""

from dataclasses import dataclass
from math import sqrt
from typing import Self

from lottery.fast.columns import Int64s

CONFIDENCE = 1.96
"""Standard errors on each side of a mean for 95 % confidence."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Numbers of both markets, summed over draws, and the squares of their differences."""

    before: Int64s
    after: Int64s
    squares: Int64s

    @classmethod
    def of_one_draw(cls, before: Int64s, after: Int64s) -> Self:
        """Return the pairs of one draw."""
        return cls(before, after, (after - before) ** 2)

    def __add__(self, other: "Pairs") -> "Pairs":
        """Add up."""
        return Pairs(self.before + other.before, self.after + other.after, self.squares + other.squares)

    def change(self, place: int | tuple[int, int], draws: int) -> "Change":
        """Return the change at one place, on average over the draws."""
        before, after = int(self.before[place]) / draws, int(self.after[place]) / draws
        variance = max(0.0, int(self.squares[place]) / draws - (after - before) ** 2)
        return Change(before, after, after - before, sqrt(variance / draws))


@dataclass(frozen=True, slots=True)
class Change:
    """A number in both markets, on average over the draws; `standard_error` belongs to `difference`."""

    before: float
    after: float
    difference: float
    standard_error: float

    @property
    def margin(self) -> float:
        """Return the margin of error of the difference, with 95 % confidence."""
        return CONFIDENCE * self.standard_error

    def document(self) -> dict[str, float]:
        """Return the change as JSON."""
        return {"before": self.before, "after": self.after, **self.interval()}

    def interval(self) -> dict[str, float]:
        """Return the difference with its 95 % confidence interval."""
        return {
            "difference": self.difference,
            "standard_error": self.standard_error,
            "low": self.difference - self.margin,
            "high": self.difference + self.margin,
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of applicants: all, a grade, a zone, a flag, late applicants, or holders of a seat."""

    of: str
    name: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of some draws; counts of different draws add up.

    `kinds` counts, for each kind of applicants, those with a seat, those with their first choice, and those who do
    worse (before) or better (after). `seats` counts the seats of each of `Comparison.classes`, `schools` the seats of
    each school, and `meeting` the seats of children who meet the condition of each of `Comparison.reserves`. `moves`
    counts children who keep a held seat, leave one for a higher choice, or held no seat and get one. `better` and
    `worse` count draws for each applicant.
    """

    draws: int
    kinds: Pairs
    seats: Pairs
    meeting: Pairs
    schools: Pairs
    moves: Pairs
    better: Int64s
    worse: Int64s

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of the draws of both."""
        return Counts(
            self.draws + other.draws,
            self.kinds + other.kinds,
            self.seats + other.seats,
            self.meeting + other.meeting,
            self.schools + other.schools,
            self.moves + other.moves,
            self.better + other.better,
            self.worse + other.worse,
        )
