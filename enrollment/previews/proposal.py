"""A proposal: the rules of a level that a preview tries, and the programs under that level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.directory.models import Offering, Program
from enrollment.previews.inputs import PresetInput, PreviewInput
from enrollment.problems import Conflict, Fault, sentence
from enrollment.rules.in_force import RulesCannotWork, with_program
from enrollment.rules.levels import Levels, Subject, current_rules, programs_under, read_levels, read_stored_rules
from enrollment.rules.model import RankedInput, ResolvedRules, RulesInput, SeatsInput
from enrollment.rules.presets import read_preset, settled_for
from enrollment.rules.proposals import refuse_unworkable_level
from enrollment.rules.validation import resolved_faults

MAX_PROGRAMS = 500
"""The most programs of one preview; far more than any operator of a city has in a cycle."""


class NothingToPreview(Conflict):
    """No program of the level can be tried."""

    title = sentence("Nothing to preview")
    detail = sentence(
        "No program here takes part in {cycle}. Send join: true to try the programs as if they took part, or name a "
        "level with at most {most} programs."
    )


class PresetUnusable(Conflict):
    """The preset does not have this set of rules, or a zone of it is missing."""

    title = sentence("Preset cannot be used")
    detail = sentence("Correct the listed parts of the preset. GET /v1/presets/{preset} shows the preset.")


class PreviewNamesChildren(Conflict):
    """The proposal orders single children."""

    title = sentence("New list of ranked applicants in a preview")
    detail = sentence(
        "A preview cannot try a new list of ranked applicants, because the list names individual children. "
        "Leave the list out, or send the list that is in force."
    )


@dataclass(frozen=True, slots=True)
class TriedProgram:
    """A program with its saved rules and the proposed rules, both resolved."""

    program: Program
    takes_part: bool
    saved: ResolvedRules
    proposed: ResolvedRules


def proposed_rules(session: Session, cycle: Cycle, subject: Subject, body: PreviewInput) -> RulesInput:
    """Return the rules of the level that a request proposes.

    Raises:
        NotFound: if no preset has the id.
        PresetUnusable: if the preset does not have the named set of rules, or needs a zone.
        PreviewNamesChildren: if the rules have a new list of ranked applicants.
    """
    saved = _saved_rules(session, subject)
    if body.preset is not None:
        return _of_preset(cycle, body.preset, saved)
    if body.rules is None:
        return saved
    if isinstance(body.rules.tie_break, RankedInput) and body.rules.tie_break != saved.tie_break:
        detail = sentence("has a list that is not in force; leave the list out")
        raise PreviewNamesChildren(faults=[Fault("/rules/tie_break", "new-list", detail)])
    return body.rules


def refuse_unworkable(session: Session, cycle: Cycle, subject: Subject, rules: RulesInput, *, join: bool) -> None:
    """Refuse a proposal that could not be saved, or that has nothing to try.

    Raises:
        NothingToPreview: if no program of the level can be tried.
        RulesCannotWork: if the rules have faults.
    """
    refuse_unworkable_level(session, cycle, subject, rules, programs_under(session, subject))
    levels = read_levels(session, cycle.id, programs_under(session, subject))
    tried = tried_programs(session, cycle, subject, rules, join=join)
    if not tried or len(tried) > MAX_PROGRAMS:
        raise NothingToPreview(cycle=cycle.id, most=MAX_PROGRAMS)
    faults = [fault for one in tried for fault in _faults_of(one, levels)]
    if faults:
        raise RulesCannotWork(faults=faults)


def tried_programs(
    session: Session, cycle: Cycle, subject: Subject, rules: RulesInput, *, join: bool
) -> list[TriedProgram]:
    """Return the programs under a level that take part, or that would join, with saved and proposed rules, by id."""
    programs = [program for program in programs_under(session, subject) if program.grade in cycle.grades]
    offered = _taking_part(session, cycle.id, [program.id for program in programs])
    levels = read_levels(session, cycle.id, programs)
    proposed = levels.with_rules(subject, rules)
    return [
        TriedProgram(program, program.id in offered, levels.resolved(program), proposed.resolved(program))
        for program in sorted(programs, key=lambda program: program.id)
        if join or program.id in offered
    ]


def _faults_of(tried: TriedProgram, levels: Levels) -> list[Fault]:
    """Return the faults of a program; those of a program that would join are not found when a level is saved."""
    program = tried.program
    if tried.proposed.rules.seats is None:
        detail = sentence("has no seats; send the number of seats in the rules")
        return [Fault("/rules/seats", "seats-missing", detail, {"program": program.id})]
    found = resolved_faults(tried.proposed.rules, levels.context(program))
    return with_program(
        program.id, [Fault("/rules", fault.code, fault.detail, fault.values) for fault in found], pointer="/rules"
    )


def _taking_part(session: Session, cycle: str, programs: Sequence[str]) -> set[str]:
    query = select(Offering.program_id).where(
        Offering.cycle_id == cycle,
        Offering.program_id.in_(programs),
        Offering.status == "in",
        Offering.rules_version.is_not(None),
    )
    return set(session.scalars(query))


def _saved_rules(session: Session, subject: Subject) -> RulesInput:
    current = current_rules(session, subject)
    return read_stored_rules(current.said) if current else RulesInput()


def _of_preset(cycle: Cycle, chosen: PresetInput, saved: RulesInput) -> RulesInput:
    """Return a preset's rules with the school's seats and zones."""
    preset = settled_for(read_preset(chosen.id), cycle)
    variants = {variant.name: variant for variant in preset.variants}
    name = chosen.variant or preset.variants[0].name
    if name not in variants:
        detail = sentence("is not a set of rules of this preset; choose one of {names}")
        raise PresetUnusable(
            faults=[Fault("/preset/variant", "unknown-variant", detail, {"names": ", ".join(variants)})],
            preset=chosen.id,
        )
    missing = [zone for zone in variants[name].zones if zone not in chosen.zones]
    if missing:
        detail = sentence("does not name your zones in place of these example zones: {zones}")
        raise PresetUnusable(
            faults=[Fault("/preset/zones", "zones-missing", detail, {"zones": ", ".join(missing)})], preset=chosen.id
        )
    rules = _with_zones(variants[name].rules, chosen.zones)
    seats = saved.seats if chosen.seats is None else SeatsInput(match=chosen.seats)
    return rules.model_copy(update={"seats": seats})


def _with_zones(rules: RulesInput, zones: Mapping[str, str]) -> RulesInput:
    """Return rules with other zones in their conditions and in their neighborhood rule."""
    document = rules.model_dump(mode="json", exclude_none=True)
    return RulesInput.model_validate(_renamed(cast("JsonValue", document), zones))


def _renamed(value: JsonValue, zones: Mapping[str, str]) -> JsonValue:
    match value:
        case dict():
            return {
                key: [zones.get(str(zone), zone) for zone in part]
                if key in ("zone_in", "zones") and isinstance(part, list)
                else _renamed(part, zones)
                for key, part in value.items()
            }
        case list():
            return [_renamed(part, zones) for part in value]
        case _:
            return value
