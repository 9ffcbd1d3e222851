"""Read a proposed change back in sentences, and say what differs from the rules in force, part by part."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.directory.models import Offering, Program
from enrollment.rules.levels import Levels, Subject, programs_under, read_levels
from enrollment.rules.model import RulesInput, StoredRulesUnreadable
from enrollment.rules.sentences import parts_in_words
from enrollment.rules.to_market import program_document, read_back

Words = Mapping[str, Sequence[str]]
"""The sentences of rules, by part."""

SAID_WITH: Mapping[str, str] = {"precedence": "reserves"}
"""The part whose sentences have another part of the rules."""


@dataclass(frozen=True, slots=True)
class PartDifference:
    """A part of the rules that a change changes, in words."""

    part: str
    was: tuple[str, ...]
    would_be: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A change in words, for programs to which it does the same."""

    programs: tuple[str, ...]
    sentences: tuple[str, ...]
    """The parts that the change has, as they would be."""
    differences: tuple[PartDifference, ...]


def read_back_change(
    session: Session, cycle: Cycle, subject: Subject, rules: RulesInput, language: str
) -> list[ReadBack]:
    """Read a change of a level back for the programs that take part, and that have seats then.

    Args:
        session: a transaction.
        cycle: the cycle.
        subject: the level.
        rules: all rules of the level as they would be.
        language: the reader's language.
    """
    programs = _taking_part(session, cycle.id, programs_under(session, subject))
    levels = read_levels(session, cycle.id, programs)
    proposed = levels.with_rules(subject, rules)
    said = {SAID_WITH.get(part, part) for part in rules.model_dump(exclude_none=True)}
    alike: dict[tuple[tuple[str, ...], tuple[PartDifference, ...]], list[str]] = {}
    for program in programs:
        now, then = _words(levels, program, language), _words(proposed, program, language)
        if then is not None:
            differences = tuple(_differences(now or {}, then))
            told = said | {difference.part for difference in differences}
            sentences = tuple(one for part, ones in then.items() if part in told for one in ones)
            alike.setdefault((sentences, differences), []).append(program.id)
    return [
        ReadBack(tuple(ids), sentences, differences)
        for (sentences, differences), ids in sorted(alike.items(), key=lambda one: one[1])
    ]


def _taking_part(session: Session, cycle: str, programs: Sequence[Program]) -> list[Program]:
    query = select(Offering.program_id).where(
        Offering.cycle_id == cycle, Offering.status == "in", Offering.program_id.in_([one.id for one in programs])
    )
    offered = set(session.scalars(query))
    return [program for program in programs if program.id in offered]


def _words(levels: Levels, program: Program, language: str) -> Words | None:
    """Return a program's rules in words; None without seats, or if the rules do not work."""
    rules = levels.resolved(program).rules
    if rules.seats is None:
        return None
    try:
        return parts_in_words(rules, read_back(program_document(rules, levels.context(program))), language)
    except StoredRulesUnreadable:
        return None


def _differences(now: Words, then: Words) -> Iterator[PartDifference]:
    for part, sentences in then.items():
        if list(now.get(part, ())) != list(sentences):
            yield PartDifference(part, tuple(now.get(part, ())), tuple(sentences))
