"""Lint of rules: what cannot work as written, or has an effect that a school may not expect.

Findings warn; only faults (`validation.py`) are refused. Lint looks at the rules alone, so it is quick.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.directory.models import Offering, Program
from enrollment.rules.findings import RulesFinding
from enrollment.rules.idle_backfill import idle_backfill
from enrollment.rules.levels import Levels, Subject, programs_under, read_levels
from enrollment.rules.lint_pointers import LintedProgram, findings_at
from enrollment.rules.model import BackfillInput, Level, Origin, RulesInput, StoredRulesUnreadable
from enrollment.rules.presets import main_round_over
from enrollment.rules.to_market import BODY, policy_of, read_back, write_program
from lottery.lint import lint_rules
from lottery.lint.findings import Finding
from lottery.market.canonical import Json
from lottery.market.model import Kind, Market, Round
from lottery.market.rules import BackfillRule, Order, VacatedReserves

LEVELS: Sequence[Origin] = ("default", "operator", "school", "program")


@dataclass(frozen=True, slots=True)
class Linted:
    """A finding, with the programs where it holds."""

    finding: RulesFinding
    programs: tuple[str, ...]


def lint_level(
    session: Session, cycle: Cycle, subject: Subject, rules: RulesInput | None, *, today: date
) -> list[Linted]:
    """Return what lint finds in the rules of a level, at every program under it.

    Args:
        session: a transaction.
        cycle: the cycle.
        subject: the operator, school or program.
        rules: the level's rules, as sent; None: the rules in force. A pointer into a part that the rules leave out
            is to the rules as a whole. Parts that a school or a program has replaced are not looked at.
        today: today in the cycle's time zone.
    """
    programs = programs_under(session, subject)
    together = _of_same_schools(session, programs)
    levels = read_levels(session, cycle.id, together)
    if rules is not None:
        levels = levels.with_rules(subject, rules)
    offered = _offered(session, cycle, together)
    origins = {program.id: levels.resolved(program).came_from for program in programs}
    return merged(
        (program, replace(finding, pointer=pointer))
        for program, finding in lint_programs(offered, levels, cycle, today=today)
        if program in origins
        if (pointer := _in_body(finding.pointer, None if rules is None else subject.level, origins[program]))
    )


def lint_programs(
    programs: Sequence[Program], levels: Levels, cycle: Cycle, *, today: date
) -> list[tuple[str, RulesFinding]]:
    """Return what lint finds at each program, with pointers into its resolved rules."""
    linted = [one for program in programs if (one := _linted(program, levels))]
    market = Market(Round("lint", Kind.MAIN), policy_of(cycle), tuple(one.market for one in linted), ())
    by_program: dict[str | None, list[Finding]] = {}
    for finding in lint_rules(market):
        by_program.setdefault(finding.program, []).append(finding)
    over = main_round_over(cycle)
    found: list[tuple[str, RulesFinding]] = []
    for one in linted:
        rule = one.rules.backfill or BackfillInput()
        idle = idle_backfill(rule, one.market.grade, today=today, main_round_over=over)
        own = findings_at(one, by_program.get(one.market.id, []))
        found += [(one.market.id, finding) for finding in (*own, *idle)]
    return found


def merged(found: Iterable[tuple[str, RulesFinding]]) -> list[Linted]:
    """Merge equal findings of several programs, in order of the first."""
    same: dict[tuple[object, ...], tuple[RulesFinding, list[str]]] = {}
    for program, finding in found:
        key = (finding.code, finding.pointer, finding.detail, *finding.values.items())
        same.setdefault(key, (finding, []))[1].append(program)
    return [Linted(finding, tuple(dict.fromkeys(programs))) for finding, programs in same.values()]


def _of_same_schools(session: Session, programs: Sequence[Program]) -> Sequence[Program]:
    """Return every program of these programs' schools: a rule about siblings depends on the other grades."""
    schools = {program.school_id for program in programs}
    return session.scalars(select(Program).where(Program.school_id.in_(schools)).order_by(Program.id)).all()


def _offered(session: Session, cycle: Cycle, programs: Sequence[Program]) -> list[Program]:
    ids = [program.id for program in programs]
    left = set(
        session.scalars(
            select(Offering.program_id).where(
                Offering.cycle_id == cycle.id, Offering.program_id.in_(ids), Offering.status != "in"
            )
        )
    )
    return [program for program in programs if program.grade in cycle.grades and program.id not in left]


def _linted(program: Program, levels: Levels) -> LintedProgram | None:
    rules = levels.resolved(program).rules
    if rules.seats is None:
        return None
    written = write_program(rules, levels.context(program))
    try:
        market = read_back(cast("Mapping[str, Json]", written.document))
    except StoredRulesUnreadable:
        return None
    backfill = rules.backfill or BackfillInput()
    rule = BackfillRule(not backfill.never, Order(backfill.order), VacatedReserves(backfill.vacated_reserved_seats))
    return LintedProgram(rules, written, replace(market, backfill=rule))


def _in_body(pointer: str, level: Level | None, came_from: Mapping[str, Origin]) -> str | None:
    """Return the pointer into a level's body; None for a part that a lower level has replaced."""
    origin = came_from.get(pointer.split("/")[1], "default")
    if level is None or origin == level:
        return BODY + pointer
    return None if LEVELS.index(origin) > LEVELS.index(level) else BODY
