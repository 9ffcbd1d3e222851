"""Findings as text, school by school, and as JSON."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import TextIO

from lottery.lint.findings import Finding, Weight, counted
from lottery.lint.titles import TITLES
from lottery.market.canonical import Json

WIDTH = 100
INDENT = " " * 8
CYCLE = "All schools"
MAX_PROGRAMS = 4
"""Programs named in one finding; the text counts the rest."""


def document_of(findings: Sequence[Finding]) -> dict[str, Json]:
    """Return findings in the form of `lottery lint --json`."""
    return {"findings": [finding.document() for finding in findings]}


def print_findings(findings: Sequence[Finding], stream: TextIO) -> None:
    """Print findings, sorted by school, and their number."""
    for school, of_school in groupby(findings, key=lambda finding: finding.school):
        print(CYCLE if school is None else f"School {school}", file=stream)
        for finding in of_school:
            print(*_lines(finding), sep="\n", file=stream)
        print(file=stream)
    print(_summary(findings), file=stream)


def _lines(finding: Finding) -> Iterator[str]:
    mark = "PROBLEM" if finding.weight is Weight.CANNOT else "note"
    yield from _wrapped(_title(finding), f"{mark:<{len(INDENT)}}")
    yield from _wrapped(finding.wrong + _tickets(finding))
    yield from _wrapped(f"What to do: {finding.change}")
    yield f"{INDENT}Where: {_paths(finding)}"


def _title(finding: Finding) -> str:
    what = [
        *([f"class “{finding.class_}”"] if finding.class_ else []),
        *([f"reserve “{finding.group}”"] if finding.group else []),
    ]
    title = f"{TITLES[finding.check]}: {' of '.join(what)}" if what else TITLES[finding.check]
    programs = finding.programs
    if not programs:
        return title
    more = f" and {len(programs) - MAX_PROGRAMS} more" if len(programs) > MAX_PROGRAMS else ""
    return f"{title}, at {', '.join(programs[:MAX_PROGRAMS])}{more}"


def _tickets(finding: Finding) -> str:
    if not finding.tickets:
        return ""
    more = ", ..." if finding.applicants > len(finding.tickets) else ""
    return f" (applicants {', '.join(finding.tickets)}{more})"


def _paths(finding: Finding) -> str:
    more = len(finding.places) - 1
    return finding.places[0].path + (f" and {counted(more, 'place', 'places')} more" if more else "")


def _wrapped(text: str, first: str = INDENT) -> Iterator[str]:
    yield from wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False
    )


def _summary(findings: Sequence[Finding]) -> str:
    if not findings:
        return "No findings: every rule can work as written."
    cannot = sum(finding.weight is Weight.CANNOT for finding in findings)
    notes = len(findings) - cannot
    return f"{counted(cannot, 'rule', 'rules')} that cannot work as written, {counted(notes, 'note', 'notes')}."
