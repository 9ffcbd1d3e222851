"""The tables of a report. The heading of each share names the whole."""

from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.table import Table

from lottery.explain.report import Report

MAX_ASKED_FOR = 10
PLAIN_WIDTH = 100
"""Columns of an output that is not a terminal."""


def print_report(report: Report, stream: TextIO) -> None:
    """Print a report."""
    console = Console(file=stream, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)
    for table in (_by_choice(report), _by_grade(report), _by_class(report), _demand(report)):
        console.print(table, "")
    with_seats = [at for at in report.demand if at.seats]
    full = sum(at.seats == at.filled for at in with_seats)
    console.print(
        f"Seats: {report.filled:,} of {report.seats:,} filled ({share(report.filled, report.seats)}), "
        f"{report.seats - report.filled:,} empty. {full:,} of {len(with_seats):,} programs with seats are full."
    )


def _by_choice(report: Report) -> Table:
    def row(name: str, count: int) -> tuple[str | int, ...]:
        return name, count, share(count, report.applicants)

    rows = [
        (*row(f"{choice}." if choice else "held seat, not ranked", count), share(count, report.placed))
        for choice, count in report.by_choice
    ]
    rows += [
        (*row("with a seat", report.placed), share(report.placed, report.placed)),
        (*row("without a seat", report.unplaced), ""),
        (*row("  without a ranking", report.without_ranking), ""),
    ]
    headings = ("choice", "applicants", f"of {report.applicants:,} applicants", f"of {report.placed:,} with a seat")
    return _table("Seats by choice", headings, rows)


def _by_grade(report: Report) -> Table:
    return _table(
        "By grade",
        ("grade", "applicants", "with a seat", "of applicants", "first choice", "seats", "filled", "empty"),
        [
            (
                at.name,
                at.applicants,
                at.placed,
                share(at.placed, at.applicants),
                share(at.first_choice, at.applicants),
                at.seats,
                at.filled,
                at.seats - at.filled,
            )
            for at in report.by_grade
        ],
    )


def _by_class(report: Report) -> Table:
    return _table(
        "Seats by kind and priority class",
        ("seat", "class", "applicants", f"of {report.placed:,} with a seat"),
        [(kind, name, count, share(count, report.placed)) for kind, name, count in report.by_class],
    )


def _demand(report: Report) -> Table:
    shown = report.demand[:MAX_ASKED_FOR]
    return _table(
        f"Highest demand: {len(shown)} of {len(report.demand):,} programs",
        ("program", "seats", "filled", "first choices", "rankings", "waiting"),
        [(at.program, at.seats, at.filled, at.first_choices, at.rankings, at.waiting) for at in shown],
    )


def _table(title: str, headings: Iterable[str], rows: Iterable[Iterable[str | int]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="right" if position else "left")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in row))
    return table


def share(part: int, whole: int) -> str:
    """Return a share in percent, with one decimal digit."""
    if whole == 0:
        return "-"
    tenths = (part * 2000 + whole) // (whole * 2)
    return f"{tenths // 10}.{tenths % 10} %"
