"""Work out what new zones change for the children of a cycle, in numbers, before anything changes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from enrollment.applicants.zones_again import Found, zones_set_by_staff
from enrollment.cycles.models import Cycle
from enrollment.directory.models import Program
from enrollment.problems import Fault
from enrollment.rounds.earlier_rounds import NO_EARLIER_ROUNDS
from enrollment.rounds.market_applicants import read_applicants
from enrollment.rules.in_force import faults_of_programs, programs_taking_part
from enrollment.rules.levels import Levels, known_names, read_levels
from enrollment.rules.to_market import program_document, read_back
from enrollment.zones.areas import ZoneShape
from lottery.market.model import Applicant, Kind
from lottery.market.model import Round as MarketRound
from lottery.market.rules import Program as MarketProgram

ELIGIBLE = "eligible"
CLASS = "class"
RESERVE = "reserve"


@dataclass(frozen=True, slots=True)
class Shift:
    """How many children of a program come to meet a part of its rules, and how many no longer do."""

    part: str
    """`eligible`, `class` or `reserve`."""
    name: str | None
    gain: int
    lose: int


@dataclass(frozen=True, slots=True)
class ProgramEffect:
    """What new zones change at one program."""

    program: str
    children: int
    """The children who rank the program and stand differently there."""
    shifts: Sequence[Shift]


@dataclass(frozen=True, slots=True)
class Effect:
    """What new zones change in a cycle."""

    children: int
    """The children with an active application."""
    changed: int
    """The children whose zones change."""
    without_zone: int
    """The children with an address who had a zone and have none in the new file."""
    set_by_staff: int
    """The children whose zones were set by staff. They keep these zones."""
    set_by_staff_lost: int
    """Those of them whose zones are not in the new file."""
    programs: Sequence[ProgramEffect]
    rules: Sequence[Fault]
    """The faults of rules under the new zones. New zones cannot be put in force while there is one."""


def effect_of(session: Session, cycle: Cycle, shapes: Sequence[ZoneShape], found: Found) -> Effect:
    """Return what new zones change.

    Args:
        session: the transaction.
        cycle: the cycle, with its present zones.
        shapes: the new zones.
        found: the children's zones in the new file (`find_zones_again`).
    """
    names = {shape.zone for shape in shapes}
    programs = programs_taking_part(session, cycle.id)
    levels = read_levels(session, cycle.id, programs)
    new_levels = replace(levels, zones=_zones_by_school(shapes))
    known = replace(known_names(session, cycle), zones=frozenset(names))
    faults = faults_of_programs(programs, new_levels, known)
    by_staff = zones_set_by_staff(session, cycle.id)
    before = _markets(programs, levels)
    after = before if faults else _markets(programs, new_levels)
    return Effect(
        children=len(found) + len(by_staff),
        changed=sum(one.moves for one in found.values()),
        without_zone=sum(bool(one.before) and not one.zones for one in found.values()),
        set_by_staff=len(by_staff),
        set_by_staff_lost=sum(not names.issuperset(zones) for zones in by_staff),
        programs=_program_effects(_children(session, cycle, before), found, before, after),
        rules=faults,
    )


def _zones_by_school(shapes: Sequence[ZoneShape]) -> Mapping[str, Sequence[tuple[str, Sequence[str] | None]]]:
    zones: dict[str, list[tuple[str, Sequence[str] | None]]] = {}
    for shape in shapes:
        if shape.school is not None:
            zones.setdefault(shape.school, []).append((shape.zone, shape.grades))
    return zones


def _markets(programs: Sequence[Program], levels: Levels) -> Mapping[str, MarketProgram]:
    """Return each program with seats in market form."""
    resolved = {program: levels.resolved(program).rules for program in programs}
    return {
        program.id: read_back(program_document(rules, levels.context(program)))
        for program, rules in resolved.items()
        if rules.seats is not None
    }


def _children(session: Session, cycle: Cycle, programs: Mapping[str, MarketProgram]) -> Sequence[Applicant]:
    round_ = MarketRound(cycle.id, Kind.MAIN)
    return read_applicants(session, cycle, round_, programs, NO_EARLIER_ROUNDS).applicants


def _program_effects(
    children: Sequence[Applicant],
    found: Found,
    before: Mapping[str, MarketProgram],
    after: Mapping[str, MarketProgram],
) -> Sequence[ProgramEffect]:
    zones = {one.tag.hex(): one.zones for one in found.values() if one.moves}
    changed: Counter[str] = Counter()
    gains: Counter[tuple[str, str, str | None]] = Counter()
    losses: Counter[tuple[str, str, str | None]] = Counter()
    for child in children:
        then = replace(child, zones=zones.get(child.id, child.zones))
        for program in child.ranking:
            if then.zones == child.zones and before[program] == after[program]:
                continue
            was, becomes = _standing(child, before[program]), _standing(then, after[program])
            changed[program] += was != becomes
            gains.update((program, part, name) for part, name in becomes - was)
            losses.update((program, part, name) for part, name in was - becomes)
    return [
        ProgramEffect(
            program,
            number,
            [
                Shift(part, name, gains[at, part, name], losses[at, part, name])
                for at, part, name in sorted(gains.keys() | losses.keys(), key=str)
                if at == program
            ],
        )
        for program, number in sorted(changed.items())
        if number
    ]


def _standing(child: Applicant, program: MarketProgram) -> frozenset[tuple[str, str | None]]:
    """Return the parts of a program's rules that a child meets: eligibility, the first class, and each reserve."""
    first = next((one for one in program.priorities if one.when.holds(child, program.school, ())), None)
    parts: set[tuple[str, str | None]] = {
        (RESERVE, reserve.name) for reserve in program.reserves if reserve.when.holds(child, program.school, ())
    }
    if first is not None:
        parts.add((CLASS, first.name))
    if program.eligible.holds(child, program.school, ()):
        parts.add((ELIGIBLE, None))
    return frozenset(parts)
