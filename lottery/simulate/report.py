"""The results of a comparison, as JSON and as tables."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO, TypeAlias, TypeVar

from rich.console import Console
from rich.table import Table

from lottery.simulate.comparison import Comparison, Key
from lottery.simulate.counts import Change, Counts, Kind, Pairs

Row = TypeVar("Row")
Titled: TypeAlias = tuple[str, Table]

FORMAT = "lottery-comparison/1"
PLAIN_WIDTH = 120
"""Columns of an output that is not a terminal."""

MAX_ROWS = 12
"""Rows of a table; the JSON has all rows."""

SEATED, FIRST, FARES = range(3)
"""Columns of `Counts.kinds`."""


@dataclass(frozen=True, slots=True)
class OfKind:
    """The changes for one kind of applicants, and how many do worse and better in a draw."""

    kind: Kind
    applicants: int
    seated: Change
    first_choice: Change
    fares: Change

    def document(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "of": self.kind.of,
            "name": self.kind.name,
            "applicants": self.applicants,
            "with_a_seat": self.seated.document(),
            "first_choice": self.first_choice.document(),
            "better_off": self.fares.after,
            "worse_off": self.fares.before,
            "net": self.fares.interval(),
        }


@dataclass(frozen=True, slots=True)
class Labelled:
    """The change in the seats of one class, of children who meet one reserve's condition, or of one school.

    `program` is None for a school, and for a class or reserve at all programs together.
    """

    program: str | None
    name: str
    seats: Change

    def document(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"program": self.program, "name": self.name, "seats": self.seats.document()}


class Compared:
    """A comparison with its counts."""

    def __init__(self, comparison: Comparison, counts: Counts) -> None:
        self.draws = counts.draws
        self.applicants = len(comparison.applicants)
        self.more_often_better = int((counts.better > counts.worse).sum())
        self.more_often_worse = int((counts.worse > counts.better).sum())
        self.kinds = [
            OfKind(kind, size, *(counts.kinds.change((row, column), counts.draws) for column in (SEATED, FIRST, FARES)))
            for row, (kind, size) in enumerate(zip(comparison.kinds, comparison.sizes(), strict=True))
        ]
        self.classes = _labelled(comparison.classes.keys, counts.seats, counts.draws)
        self.reserves = _labelled(comparison.reserves.keys, counts.meeting, counts.draws)
        self.schools = _labelled(comparison.schools.keys, counts.schools, counts.draws)
        self.holders = int((comparison.applicants.holds_program >= 0).sum())
        self.moves = {
            name: counts.moves.change(place, counts.draws)
            for place, name in enumerate(("stayed", "moved", "newly_placed"))
        }

    def document(self) -> dict[str, object]:
        """Return all results as averages of one draw; every interval has 95 % confidence."""
        return {
            "format": FORMAT,
            "draws": self.draws,
            "applicants": {
                "all": self.applicants,
                "more_often_better": self.more_often_better,
                "more_often_worse": self.more_often_worse,
                "neither": self.applicants - self.more_often_better - self.more_often_worse,
            },
            "kinds": [kind.document() for kind in self.kinds],
            "schools": [{"school": school.name, "seats": school.seats.document()} for school in self.schools],
            "classes": [row.document() for row in self.classes],
            "meeting_reserves": [row.document() for row in self.reserves],
            "holders": self.holders,
            "moves": {name: change.document() for name, change in self.moves.items()} if self.holders else None,
        }

    def print(self, stream: TextIO) -> None:
        """Print tables."""
        console = Console(file=stream, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)
        for title, table in self._tables():
            if table.row_count:
                console.print(title, style="bold", soft_wrap=True)
                console.print(table, "")
        console.print(
            f"{self.draws:,} draws. Under the second rules, {self.more_often_better:,} of {self.applicants:,} "
            f"applicants more often do better than worse, and {self.more_often_worse:,} more often do worse than "
            "better. "
            "All numbers are averages for one draw. The ± is the margin of error, with 95 % confidence.",
            soft_wrap=True,
        )

    def _tables(self) -> Iterator[Titled]:
        yield _table(
            "Gains and losses of applicants",
            ("applicants", "all", "with a seat", "change", "first choice", "change", "better off", "worse off", "net"),
            [self.kinds[0], *_most_changed(self.kinds[1:], lambda row: row.fares)],
            _cells_of_kind,
        )
        yield _seats("Seats of children who meet a reserve's condition, all groups", "reserve", _of_all(self.reserves))
        yield _seats("Seats by class, at all programs", "class", _of_all(self.classes))
        yield _seats("Seats filled, by school", "school", self.schools)
        programs = [row for row in self.reserves if row.program]
        yield _seats("Seats of children who meet a reserve's condition, by program", "program, reserve", programs)
        if self.holders:
            headings = (f"{self.holders:,} children hold a seat", "before", "after", "difference")
            yield _table(
                "Moves", headings, list(self.moves.items()), lambda row: (row[0].replace("_", " "), *_both(row[1]))
            )


def _labelled(keys: Sequence[Key], pairs: Pairs, draws: int) -> list[Labelled]:
    return [Labelled(program, name, pairs.change(row, draws)) for row, (program, name) in enumerate(keys)]


def _of_all(rows: Iterable[Labelled]) -> list[Labelled]:
    return [row for row in rows if row.program is None]


def _most_changed(rows: Iterable[Row], change: Callable[[Row], Change]) -> list[Row]:
    return sorted(rows, key=lambda row: -abs(change(row).difference))[:MAX_ROWS]


def _cells_of_kind(row: OfKind) -> tuple[str, ...]:
    kind = row.kind.name if row.kind.of in {"all", "applicant"} else f"{row.kind.of} {row.kind.name}"
    seated, first = _both(row.seated), _both(row.first_choice)
    fares = f"{row.fares.after:,.1f}", f"{row.fares.before:,.1f}", _signed(row.fares)
    return kind, f"{row.applicants:,}", seated[0], seated[2], first[0], first[2], *fares


def _both(change: Change) -> tuple[str, str, str]:
    return f"{change.before:,.1f}", f"{change.after:,.1f}", _signed(change)


def _signed(change: Change) -> str:
    return f"{change.difference:+,.1f} ± {change.margin:,.1f}"


def _seats(title: str, heading: str, rows: Sequence[Labelled]) -> Titled:
    shown = _most_changed(rows, lambda row: row.seats)
    if len(shown) < len(rows):
        title = f"{title}: the {len(shown)} of {len(rows):,} with the largest change"
    headings = (heading, "before", "after", "difference")
    return _table(
        title, headings, shown, lambda row: (" ".join(filter(None, (row.program, row.name))), *_both(row.seats))
    )


def _table(title: str, headings: Iterable[str], rows: Iterable[Row], cells: Callable[[Row], Iterable[str]]) -> Titled:
    table = Table()
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="right" if position else "left")
    for row in rows:
        table.add_row(*cells(row))
    return title, table
