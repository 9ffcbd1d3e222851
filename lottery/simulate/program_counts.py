"""Count the children who get a seat at some programs, or wait there, in many matches of a market.

The counts of two markets with the same applicants and the same draws can be compared draw by draw.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from lottery.fast.columns import NONE, Int64s, MarketInColumns
from lottery.fast.engine import Matched
from lottery.fast.ranking_loops import ranked_places
from lottery.match.reference import NO_SEEDS
from lottery.simulate.counts import Pairs
from lottery.simulate.simulation import Simulation, prepare


@dataclass(frozen=True, slots=True)
class RankedChoices:
    """Ranked choices whose outcome is counted: the applicant, and the place in the market's `ranking`."""

    applicant: Int64s
    position: Int64s


@dataclass(frozen=True, slots=True)
class CountedAs:
    """The cells in which each ranked choice counts, by the rules of one market. NONE: it counts in no cell.

    `placed` has pairs of a choice and a cell for children with a seat. `of_class` has the cell of the child's priority
    class, and `of_class_with_sibling` the cell if a sibling was placed at the school. `waiting` has the cell of a child
    who waits.
    """

    placed: Int64s
    of_class: Int64s
    of_class_with_sibling: Int64s
    waiting: Int64s


@dataclass(frozen=True, slots=True)
class CountedMarket:
    """A market that is ready for draws, with the cells of its ranked choices."""

    simulation: Simulation
    choices: RankedChoices
    counted_as: CountedAs
    sums: Int64s
    """For each cell, the cell of the total to which it adds, or NONE."""
    elsewhere: Int64s
    """The programs whose filled seats are added up in the first of the three last cells."""

    def counts(self, draw: int) -> Int64s:
        """Match the market on one draw, and count each cell.

        Three more cells follow: the seats filled at the programs of `elsewhere`, the applicants with a seat, and the
        applicants with their first choice.
        """
        matched = self.simulation.match(draw)
        applicants = self.simulation.compiled.market.applicants
        program_of = self.simulation.compiled.program_of
        places = ranked_places(applicants.ranking_start, applicants.ranking, program_of, matched.group_of)
        counts = self._at_programs(matched, places)
        first = int((places == applicants.ranking_start[:-1])[np.diff(applicants.ranking_start) > 0].sum())
        filled = np.bincount(applicants.ranking[places[places != NONE]], minlength=len(self._programs))
        totals = [int(filled[self.elsewhere].sum()), int((matched.group_of != NONE).sum()), first]
        return np.concatenate([counts, np.array(totals, np.int64)])

    @property
    def _programs(self) -> Sequence[object]:
        return self.simulation.compiled.market.programs

    def _at_programs(self, matched: Matched, places: Int64s) -> Int64s:
        own, cells = places[self.choices.applicant], len(self.sums)
        placed = own == self.choices.position
        choice, cell = self.counted_as.placed.T
        counts = np.bincount(cell[placed[choice]], minlength=cells)
        counts += _count(self._classes(matched)[placed], cells)
        waits = ~placed & ((own == NONE) | (own > self.choices.position))
        counts += _count(self.counted_as.waiting[waits], cells)
        adds = self.sums != NONE
        np.add.at(counts, self.sums[adds], counts[adds])
        return counts

    def _classes(self, matched: Matched) -> Int64s:
        if not matched.sibling_placed.size:
            return self.counted_as.of_class
        sibling = matched.sibling_placed[self.choices.position]
        return np.where(sibling, self.counted_as.of_class_with_sibling, self.counted_as.of_class)


def _count(cells: Int64s, size: int) -> Int64s:
    return np.bincount(cells[cells != NONE], minlength=size)


@dataclass(frozen=True, slots=True)
class ComparedCounts:
    """The counts of one market and of each other market, over some draws; they add up."""

    draws: int
    pairs: tuple[Pairs, ...]

    def __add__(self, other: "ComparedCounts") -> Self:
        """Return the counts of the draws of both."""
        pairs = tuple(mine + theirs for mine, theirs in zip(self.pairs, other.pairs, strict=True))
        return type(self)(self.draws + other.draws, pairs)


def compare_on(before: CountedMarket, others: Sequence[CountedMarket], draws: Iterable[int]) -> ComparedCounts:
    """Match a market and the other markets on the same draws, and count.

    Raises:
        ValueError: if there are no draws.
    """
    total: ComparedCounts | None = None
    for draw in draws:
        first = before.counts(draw)
        pairs = tuple(Pairs.of_one_draw(first, other.counts(draw)) for other in others)
        counted = ComparedCounts(1, pairs)
        total = counted if total is None else total + counted
    if total is None:
        raise ValueError("no draws to count; give at least one draw")
    return total


def ready(
    market: MarketInColumns,
    choices: RankedChoices,
    counted_as: CountedAs,
    *,
    sums: Int64s,
    elsewhere: Callable[[str], bool],
    seed: bytes,
) -> CountedMarket:
    """Compile a market without held seats, to count its draws; `elsewhere` chooses the programs of other schools."""
    simulation = prepare(market, seed=seed, seeds=NO_SEEDS)
    others = [place for place, program in enumerate(market.programs) if elsewhere(program.id)]
    return CountedMarket(simulation, choices, counted_as, sums, np.array(others, np.int64))
