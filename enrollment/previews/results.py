"""The result of a preview, as it is stored and shown: totals only, without small numbers."""

from collections.abc import Mapping, Sequence

from enrollment.previews.cells import TOGETHER, Cell, Layout, Table
from enrollment.previews.groups import SMALLEST
from enrollment.previews.hiding import Hidden, Number, Scope, visible
from lottery.market.canonical import Json
from lottery.market.rules import Program
from lottery.simulate.counts import Pairs
from lottery.simulate.program_counts import ComparedCounts

MIN_OTHER_SCHOOLS = 2
"""Other schools are shown as one total, so there must be at least two of them."""

OTHERS = ("filled", "with_a_seat", "first_choice")
"""The totals for other programs: their filled seats; all children with a seat, and with their first choice."""

LISTS = (Table.CLASSES, Table.RESERVES, Table.ZONES, Table.FLAGS)


def result_document(
    layout: Layout, scopes: Sequence[Scope], counts: ComparedCounts | None, *, basis: str
) -> dict[str, Json]:
    """Return the result as JSON; without counts, nothing could be shown."""
    market = layout.market
    return {
        "basis": {
            "cycle": basis,
            "children": len(market.applicants) if len(market.applicants) >= SMALLEST else None,
            "left_out": {
                "programs": list(market.left_out.programs),
                "children": _or_hidden(market.left_out.children),
                "zones": list(market.left_out.zones),
            },
        },
        "hidden": [_hidden_document(scope, layout) for scope in scopes if scope.hidden is not None],
        "outcomes": [] if counts is None else _outcomes(layout, scopes, counts),
    }


def _or_hidden(count: int) -> int | None:
    return None if 0 < count < SMALLEST else count


def _hidden_document(scope: Scope, layout: Layout) -> dict[str, Json]:
    program = scope.name if scope.name in layout.tried else None
    return {"program": program, "reason": scope.hidden, "groups": list(scope.groups)}


def _outcomes(layout: Layout, scopes: Sequence[Scope], counts: ComparedCounts) -> list[Json]:
    """Return the numbers of each form of the proposal. A number that one form hides is hidden in each."""
    numbers = [_numbers(layout, pairs, counts.draws) for pairs in counts.pairs]
    shown = set.intersection(*(visible(layout, of_form, scopes) for of_form in numbers))
    return [
        {
            "order": proposal.order,
            "proposed": proposal.is_proposed,
            **_outcome(layout, scopes, {cell: of_form[cell] for cell in shown}, proposal.programs),
            "others": _others(layout, scopes, pairs, counts.draws),
        }
        for proposal, of_form, pairs in zip(layout.market.proposals, numbers, counts.pairs, strict=True)
    ]


def _numbers(layout: Layout, pairs: Pairs, draws: int) -> dict[Cell, Number]:
    return {cell: Number.of(pairs.change(place, draws)) for cell, place in layout.cells.items()}


def _outcome(
    layout: Layout, scopes: Sequence[Scope], shown: Mapping[Cell, Number], programs: Sequence[Program]
) -> dict[str, Json]:
    seats = {
        new.id: (old.seats, new.seats)
        for old, new in zip(layout.market.before, programs, strict=True)
        if new.id in layout.tried
    }
    total = sum(before for before, _ in seats.values()), sum(after for _, after in seats.values())
    return {
        "programs": [
            {"program": scope.name, **_scope_document(scope.name, layout, shown, seats[scope.name])}
            for scope in scopes[: len(layout.tried)]
            if scope.hidden is None
        ],
        "together": _scope_document(TOGETHER, layout, shown, total)
        if len(scopes) > 1 and scopes[-1].hidden is None
        else None,
    }


def _scope_document(
    scope: str, layout: Layout, shown: Mapping[Cell, Number], seats: tuple[int, int]
) -> dict[str, Json]:
    """Return the numbers of a program, or of all together. A hidden number is null."""
    own = [cell for cell in layout.cells if cell.scope == scope]
    return {
        "seats": {"before": seats[0], "after": seats[1]},
        Table.FILLED: _number(shown.get(Cell(scope, Table.FILLED))),
        Table.WAITING: _number(shown.get(Cell(scope, Table.WAITING))),
        **{
            table: [{"name": cell.name, "children": _number(shown.get(cell))} for cell in own if cell.table is table]
            for table in LISTS
        },
    }


def _number(number: Number | None) -> Json:
    return None if number is None else dict(number.document())


def _others(layout: Layout, scopes: Sequence[Scope], pairs: Pairs, draws: int) -> Json:
    """Return the effect on the other programs, in totals; null if a total would tell about one school or a few."""
    own, first = set(layout.tried), len(layout.cells)
    schools = {program.school for program in layout.market.before if program.id not in own}
    if len(schools) < MIN_OTHER_SCHOOLS or any(scope.hidden not in (None, Hidden.FEW_RANKINGS) for scope in scopes):
        return None
    totals = [Number.of(pairs.change(first + place, draws)) for place in range(len(OTHERS))]
    return {name: None if one.is_small else _number(one) for name, one in zip(OTHERS, totals, strict=True)}
