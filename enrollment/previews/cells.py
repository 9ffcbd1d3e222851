"""The cells of a preview: which numbers are counted for the tried programs, one by one and together."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from enrollment.previews.groups import NOBODY, SMALLEST, Places, Treatment, treatment_of
from enrollment.previews.market import PreviewMarket
from lottery.fast.columns import NONE, Int64s
from lottery.market.model import Applicant
from lottery.market.rules import Program
from lottery.simulate.program_counts import CountedAs, RankedChoices


class Table(StrEnum):
    """The tables of a preview."""

    FILLED = "filled"
    WAITING = "waiting"
    CLASSES = "classes"
    RESERVES = "reserves"
    ZONES = "zones"
    FLAGS = "flags"


TOGETHER = "*"
"""Stands for all tried programs together; no id has this character."""

ELSEWHERE = None
"""The name of the cell for children of small zones, and of no zone."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of a preview: a scope (a program, or all together), a table, and a name in it."""

    scope: str
    table: Table
    name: str | None = None


@dataclass(frozen=True, slots=True)
class RankingAt:
    """The children who rank a tried program, with how each market's rules treat them."""

    program: str
    places: Places
    """In the market's applicants."""
    first: int
    """The place of the first of these ranked choices in the list of all."""
    treatments: Sequence[Treatment]
    """By market: the rules in force first, then each proposal."""
    saved: Treatment


class Layout:
    """The cells of a preview, and the ranked choices that count in them."""

    def __init__(self, market: PreviewMarket, flags: Sequence[str]) -> None:
        self.market = market
        self.flags = flags
        self.cells: dict[Cell, int] = {}
        self.tried = [name for name in (program.id for program in market.before) if name in market.saved]
        positions = _positions(market.applicants, self.tried)
        self.choices = RankedChoices(
            np.concatenate([places for places, _ in positions.values()]),
            np.concatenate([position for _, position in positions.values()]),
        )
        self.zones = self._large_zones()
        self.rankings = self._rankings(positions)
        self.counted_as = [self._counted_as(number) for number in range(len(market.proposals) + 1)]

    @cached_property
    def sums(self) -> Int64s:
        """Return for each cell the cell of all programs together to which it adds, or NONE."""
        sums = np.full(len(self.cells), NONE, np.int64)
        for cell, place in self.cells.items():
            if cell.scope != TOGETHER:
                sums[place] = self.cells[Cell(TOGETHER, cell.table, cell.name)]
        return sums

    def populations(self, number: int) -> Int64s:
        """Return how many children each cell of a market could count."""
        counted_as, cells = self.counted_as[number], len(self.cells)
        either = np.maximum(counted_as.of_class, counted_as.of_class_with_sibling)
        counts = np.bincount(counted_as.placed[:, 1], minlength=cells)
        for column in (either, counted_as.waiting):
            counts += np.bincount(column[column != NONE], minlength=cells)
        np.add.at(counts, self.sums[self.sums != NONE], counts[self.sums != NONE])
        return counts

    def _large_zones(self) -> list[str]:
        """Return the zones with enough children who rank a tried program; the others are counted together."""
        children = [self.market.applicants[place] for place in np.unique(self.choices.applicant).tolist()]
        sizes = Counter(zone for child in children for zone in child.zones)
        return sorted(zone for zone, size in sizes.items() if size >= SMALLEST)

    def _rankings(self, positions: Mapping[str, tuple[Places, Places]]) -> list[RankingAt]:
        markets = [self.market.before, *(proposal.programs for proposal in self.market.proposals)]
        programs = [{program.id: program for program in market} for market in markets]
        rankings, first = [], 0
        for name in self.tried:
            places, _ = positions[name]
            children = [self.market.applicants[place] for place in places.tolist()]
            known: dict[Program, Treatment] = {}
            forms = [self.market.saved[name], *(by_id[name] for by_id in programs)]
            saved, *treatments = [
                known.setdefault(form, treatment_of(form, children)) if form not in known else known[form]
                for form in forms
            ]
            rankings.append(RankingAt(name, places, first, treatments, saved))
            first += len(places)
        return rankings

    def _counted_as(self, number: int) -> CountedAs:
        """Return the cells of each ranked choice in one market."""
        placed: list[Int64s] = []
        of_class, with_sibling, waiting = (np.full(self.choices.applicant.size, NONE, np.int64) for _ in range(3))
        for ranking in self.rankings:
            treatment = ranking.treatments[number]
            here = slice(ranking.first, ranking.first + len(ranking.places))
            cells = np.array([self._cell(ranking.program, Table.CLASSES, name) for name in treatment.classes], np.int64)
            of_class[here] = np.where(treatment.of_class == NOBODY, NONE, cells[treatment.of_class])
            eligible = treatment.of_class_with_sibling != NOBODY
            with_sibling[here] = np.where(eligible, cells[treatment.of_class_with_sibling], NONE)
            waits = self._cell(ranking.program, Table.WAITING)
            waiting[here] = np.where(eligible | (treatment.of_class != NOBODY), waits, NONE)
            placed += self._placed_cells(ranking)
        return CountedAs(np.concatenate(placed), of_class, with_sibling, waiting)

    def _placed_cells(self, ranking: RankingAt) -> list[Int64s]:
        """Return pairs of choices and cells for children with a seat, whatever the market."""
        everybody = np.ones(len(ranking.places), np.bool_)
        told = [(everybody, self._cell(ranking.program, Table.FILLED))]
        for treatment in ranking.treatments:
            # The last market that has a reserve says who meets its condition.
            told += [
                (members, self._cell(ranking.program, Table.RESERVES, name))
                for name, members in treatment.reserves.items()
                if treatment is self._owner(ranking, name)
            ]
        told += self._facts(ranking)
        return [_pairs(np.flatnonzero(members) + ranking.first, cell) for members, cell in told]

    def _owner(self, ranking: RankingAt, reserve: str) -> Treatment:
        return next(one for one in reversed(ranking.treatments) if reserve in one.reserves)

    def _facts(self, ranking: RankingAt) -> list[tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], int]]:
        """Return the children of each large zone, of the rest, and of each flag."""
        children = [self.market.applicants[place] for place in ranking.places.tolist()]
        by_zone = {zone: np.array([zone in child.zones for child in children], np.bool_) for zone in self.zones}
        rest = ~np.any([*by_zone.values(), np.zeros(len(children), np.bool_)], axis=0)
        by_flag = {flag: np.array([flag in child.flags for child in children], np.bool_) for flag in self.flags}
        return [
            *((members, self._cell(ranking.program, Table.ZONES, zone)) for zone, members in by_zone.items()),
            (rest, self._cell(ranking.program, Table.ZONES, ELSEWHERE)),
            *((members, self._cell(ranking.program, Table.FLAGS, flag)) for flag, members in by_flag.items()),
        ]

    def _cell(self, program: str, table: Table, name: str | None = None) -> int:
        self.cells.setdefault(Cell(TOGETHER, table, name), len(self.cells))
        return self.cells.setdefault(Cell(program, table, name), len(self.cells))


def _pairs(choices: Places, cell: int) -> Int64s:
    return np.stack([choices, np.full_like(choices, cell)], axis=1)


def _positions(applicants: Sequence[Applicant], tried: Sequence[str]) -> dict[str, tuple[Places, Places]]:
    """Return, for each program, the places of the children who rank it, and of the choice in the market's rankings."""
    found: dict[str, tuple[list[int], list[int]]] = {name: ([], []) for name in tried}
    start = 0
    for place, applicant in enumerate(applicants):
        for choice, name in enumerate(applicant.ranking):
            if name in found:
                found[name][0].append(place)
                found[name][1].append(start + choice)
        start += len(applicant.ranking)
    return {
        name: (np.array(places, np.int64), np.array(positions, np.int64)) for name, (places, positions) in found.items()
    }
