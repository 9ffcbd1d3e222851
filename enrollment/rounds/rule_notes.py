"""Notes of readiness about rules that cannot do what they say, also with the applicants of now."""

from collections.abc import Iterator, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.cycles.locks import CycleNow
from enrollment.directory.models import Program
from enrollment.problems import Fault
from enrollment.rules.findings import code_of, detail_of
from enrollment.rules.levels import read_levels
from enrollment.rules.lint import lint_programs, merged
from enrollment.rules.lint_pointers import values_of
from lottery.lint import lint_applicants
from lottery.market.model import Market

Note = tuple[int, Fault]
"""The number that a note is about, and the note."""


def rule_notes(session: Session, cycle_now: CycleNow, market: Market) -> Iterator[Note]:
    """Yield the notes: first what the rules alone show, then what they show with the applicants."""
    yield from _by_rules(session, cycle_now, market)
    seats = {program.id: program.seats for program in market.programs}
    for finding in lint_applicants(market):
        detail = detail_of(finding.check, finding.basis)
        if detail is not None:
            places = finding.programs
            values = values_of(finding, seats[places[0]])
            about = finding.program or finding.school or ""
            yield finding.applicants or len(places), Fault(about, code_of(finding.check), detail, values)


def _by_rules(session: Session, cycle_now: CycleNow, market: Market) -> Iterator[Note]:
    ids = [program.id for program in market.programs]
    programs = session.scalars(select(Program).where(Program.id.in_(ids)).order_by(Program.id)).all()
    school_of = {program.id: program.school_id for program in programs}
    levels = read_levels(session, cycle_now.cycle.id, programs)
    found = lint_programs(programs, levels, cycle_now.cycle, today=cycle_now.today)
    for linted in merged(found):
        finding = linted.finding
        for about, number in _by_school(linted.programs, school_of).items():
            yield number, Fault(about, finding.code, finding.detail, finding.values)


def _by_school(programs: tuple[str, ...], school_of: Mapping[str, str]) -> Mapping[str, int]:
    """Return how many of the programs each school has; a program alone stands for itself."""
    schools: dict[str, list[str]] = {}
    for program in programs:
        schools.setdefault(school_of[program], []).append(program)
    return {found[0] if len(found) == 1 else school: len(found) for school, found in schools.items()}
