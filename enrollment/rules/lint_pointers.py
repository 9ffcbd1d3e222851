"""Translate the lottery's findings into findings with pointers into a school's rules."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from enrollment.dates import Value
from enrollment.rules.findings import RulesFinding, code_of, detail_of
from enrollment.rules.levels import rules_document
from enrollment.rules.model import RulesInput
from enrollment.rules.to_market import Written
from lottery.lint.findings import Check, Finding
from lottery.market.canonical import Json
from lottery.market.rules import Program

_PROGRAM = re.compile(r"^\$\.programs\[\d+\]")
_CLASS = re.compile(r"(\.reserves\[\d+\])?\.priorities\[\d+\]")

IN_EVERY_CLASS = frozenset({Check.CLASS_UNREACHABLE, Check.CLASS_EMPTY})
"""Findings about a school's class that must hold of both classes that a guarantee makes of it."""


@dataclass(frozen=True, slots=True)
class LintedProgram:
    """A program's resolved rules, and the same rules in market form."""

    rules: RulesInput
    written: Written
    market: Program


def findings_at(program: LintedProgram, findings: Sequence[Finding]) -> Iterator[RulesFinding]:
    """Yield the lottery's findings about one program, each with its pointer into the resolved rules."""
    document, sources = rules_document(program.rules), program.written.sources
    classes = [pointer for path, pointer in sources.items() if _CLASS.fullmatch(path)]
    alike: dict[tuple[Check, str], list[Finding]] = {}
    for finding in findings:
        pointer = _pointer(finding, sources, document)
        if pointer is not None:
            alike.setdefault((finding.check, pointer), []).append(finding)
    for (check, pointer), same in alike.items():
        # The last of two classes is the one outside the neighborhood, with the name that the school gave it.
        detail = detail_of(check, same[-1].basis)
        if detail and (check not in IN_EVERY_CLASS or len(same) >= classes.count(pointer)):
            values = values_of(same[-1], program.market.seats)
            yield RulesFinding(code_of(check), same[-1].weight, pointer, detail, values)


def values_of(finding: Finding, seats: int) -> dict[str, Value]:
    """Return the values for the sentence of a finding at a program with some seats."""
    return {"class": finding.class_ or "", "reserve": finding.group or "", "seats": seats}


def _pointer(finding: Finding, sources: Mapping[str, str], document: Mapping[str, Json]) -> str | None:
    """Return the pointer into the rules; None for a part that a guarantee adds."""
    path = _PROGRAM.sub("", finding.places[0].path)
    begins = max((known for known in sources if _is_in(path, known)), key=len, default=None)
    if begins is None or not sources[begins]:
        return None
    rest = path[len(begins) :].replace("[", "/").replace("]", "").replace(".", "/")
    return _existing(sources[begins] + rest, document)


def _is_in(path: str, whole: str) -> bool:
    return path.startswith(whole) and path[len(whole) : len(whole) + 1] in ("", ".", "[")


def _existing(pointer: str, document: Mapping[str, Json]) -> str:
    """Return the longest part of a pointer that the rules have."""
    at: Json = dict(document)
    kept = ""
    for step in pointer.split("/")[1:]:
        if isinstance(at, dict) and step in at:
            at = at[step]
        elif isinstance(at, list) and step.isdigit() and int(step) < len(at):
            at = at[int(step)]
        else:
            break
        kept += f"/{step}"
    return kept
