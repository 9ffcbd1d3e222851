"""Hide numbers of a preview: small cells, cells that reveal them, and programs where a proposal singles out a few."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil, floor
from typing import TypeVar

import numpy as np

from enrollment.previews.cells import TOGETHER, Cell, Layout, RankingAt, Table
from enrollment.previews.groups import SMALLEST, Grouping, grouping_of, new_small_groups, singles_out
from lottery.simulate.counts import Change

Key = TypeVar("Key")


class Hidden(StrEnum):
    """Why a preview shows no numbers for some programs."""

    FEW_RANKINGS = "few-rankings"
    """Fewer than 10 children rank the program."""
    SMALL_GROUP = "small-group"
    """Fewer than 10 of the children who rank it meet a new condition."""
    FEW_DIFFERENCES = "few-differences"
    """The rules in force, or an earlier preview, treat almost all children alike: all but a few."""
    LIMIT = "limit"
    """The program had too many previews with different groups of children in this cycle."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number under the rules in force and under the proposal, in whole children, with a margin of 95 %."""

    before: int
    after: int
    margin: int

    @classmethod
    def of(cls, change: Change) -> "Number":
        """Round a change. The margin is rounded up, so that it covers the rounding."""
        return cls(_whole(change.before), _whole(change.after), ceil(change.margin))

    @property
    def is_small(self) -> bool:
        """Say whether the number counts a few children only."""
        return any(0 < value < SMALLEST for value in (self.before, self.after))

    def document(self) -> dict[str, int]:
        """Return the JSON form."""
        return {
            "before": self.before,
            "after": self.after,
            "difference": self.after - self.before,
            "margin": self.margin,
        }


def _whole(value: float) -> int:
    """Round to whole children. A number between 0 and 1 stays a small number."""
    return max(1, floor(value + 0.5)) if value > 0 else 0


@dataclass(frozen=True, slots=True)
class Scope:
    """Tried programs whose numbers are shown under one name, and why they are hidden, if they are."""

    name: str
    hidden: Hidden | None
    groups: Sequence[str]
    """The names of new classes and reserves that too few children meet."""
    groupings: Sequence[Grouping]
    """The groups of the proposal, to remember."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """The groupings of earlier previews by scope, and how many a scope may have."""

    groupings: Mapping[str, Sequence[Grouping]]
    most: int


def scope_of(name: str, layout: Layout, rankings: Sequence[RankingAt], earlier: Earlier) -> Scope:
    """Decide whether the numbers of some programs can be shown."""
    places = np.unique(np.concatenate([ranking.places for ranking in rankings]))
    if len(places) < SMALLEST:
        return Scope(name, Hidden.FEW_RANKINGS, (), ())
    small = sorted({group for ranking in rankings for group in new_small_groups(ranking.treatments[-1], ranking.saved)})
    if small:
        return Scope(name, Hidden.SMALL_GROUP, small, ())
    children = [layout.market.applicants[place] for place in places.tolist()]
    within = [(ranking, np.searchsorted(places, ranking.places)) for ranking in rankings]
    proposed = grouping_of(children, [(ranking.treatments[-1], own) for ranking, own in within])
    saved = grouping_of(children, [(ranking.saved, own) for ranking, own in within])
    known = earlier.groupings.get(name, ())
    if any(singles_out(proposed, other) for other in [saved, *known]):
        return Scope(name, Hidden.FEW_DIFFERENCES, (), ())
    is_new = all(other.digest() != proposed.digest() for other in known)
    if is_new and len(known) >= earlier.most:
        return Scope(name, Hidden.LIMIT, (), ())
    return Scope(name, None, (), [proposed] if is_new else [])


def scopes_of(layout: Layout, owner: str, earlier: Earlier) -> list[Scope]:
    """Decide for each tried program, and for all together, whether numbers can be shown.

    The programs that are hidden follow from the others and from the total. So the total is shown only if the hidden
    programs could be shown together.
    """
    scopes = [scope_of(ranking.program, layout, [ranking], earlier) for ranking in layout.rankings]
    if len(scopes) == 1:
        return scopes
    together = scope_of(owner, layout, layout.rankings, earlier)
    hidden = [ranking for ranking, scope in zip(layout.rankings, scopes, strict=True) if scope.hidden]
    if hidden and len(hidden) < len(scopes) and together.hidden is None:
        rest = scope_of(owner, layout, hidden, Earlier({}, earlier.most))
        if rest.hidden or len(hidden) == 1:
            together = Scope(owner, Hidden.FEW_DIFFERENCES, (), ())
    return [*scopes, together]


def suppressed(numbers: Mapping[Key, Number], small: Iterable[Key]) -> set[Key]:
    """Return the cells of a table to hide, if the table's total is shown.

    If one cell is hidden, or the hidden cells add up to less than 10, the total and the other cells would reveal them.
    So the smallest of the other cells is hidden too.
    """
    hidden = {key for key in small if key in numbers} | {key for key, number in numbers.items() if number.is_small}
    rest = sorted(
        (min(number.before, number.after), place, key)
        for place, (key, number) in enumerate(numbers.items())
        if key not in hidden
    )
    for _, _, key in rest:
        sums = [sum(getattr(numbers[one], side) for one in hidden) for side in ("before", "after")]
        if not hidden or (len(hidden) > 1 and min(sums) >= SMALLEST):
            break
        hidden.add(key)
    return hidden


def visible(layout: Layout, numbers: Mapping[Cell, Number], scopes: Sequence[Scope]) -> set[Cell]:
    """Return the cells that a preview may show."""
    shown: dict[Cell, Number] = {}
    populations = [layout.populations(0), layout.populations(-1)]
    small = {
        cell
        for cell, place in layout.cells.items()
        if any(0 < counts[place] < SMALLEST for counts in populations)
        # Without children with a flag, a zero would say that no child has it.
        or (cell.table is Table.FLAGS and populations[0][place] < SMALLEST)
    }
    together = len(scopes) > 1
    for scope in scopes[: len(layout.tried)]:
        if scope.hidden is None:
            shown |= _of_scope(scope.name, numbers, small)
    if together and scopes[-1].hidden is None:
        total = _of_scope(TOGETHER, numbers, small)
        shown |= {cell: number for cell, number in total.items() if not _reveals(cell, numbers, shown, layout)}
    return set(shown)


def _of_scope(scope: str, numbers: Mapping[Cell, Number], small: set[Cell]) -> dict[Cell, Number]:
    own = {cell: number for cell, number in numbers.items() if cell.scope == scope}
    filled = own[Cell(scope, Table.FILLED)]
    hidden = {cell for cell, number in own.items() if number.is_small or cell in small}
    for table in (Table.CLASSES, Table.ZONES):
        cells = {cell: number for cell, number in own.items() if cell.table is table}
        hidden |= suppressed(cells, small)
    for cell, number in own.items():
        # The total without a reserve's or a flag's children is a number of children too.
        if (
            cell.table in (Table.RESERVES, Table.FLAGS)
            and Number(max(filled.before - number.before, 0), max(filled.after - number.after, 0), 0).is_small
        ):
            hidden.add(cell)
    return {cell: number for cell, number in own.items() if cell not in hidden}


def _reveals(cell: Cell, numbers: Mapping[Cell, Number], shown: Mapping[Cell, Number], layout: Layout) -> bool:
    """Say whether a total of all programs reveals a number that is hidden at some of them."""
    parts = [Cell(name, cell.table, cell.name) for name in layout.tried]
    hidden = [numbers[part] for part in parts if part in numbers and part not in shown]
    sums = [sum(getattr(number, side) for number in hidden) for side in ("before", "after")]
    return len(hidden) == 1 or any(0 < total < SMALLEST for total in sums)
