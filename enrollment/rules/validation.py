"""Find the faults of rules: in the rules of one level, and in the resolved rules of a program."""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from enrollment.field_faults import pointer_of
from enrollment.problems import Fault, listed, sentence
from enrollment.rules.guarantee import MAX_NAME, guarantee_classes
from enrollment.rules.model import (
    NEIGHBORHOOD,
    BackfillInput,
    ClassInput,
    NeighborhoodGuarantee,
    NeighborhoodPriority,
    NeighborhoodReserve,
    NoNeighborhood,
    OverflowToInput,
    RulesInput,
    SeatsInput,
)
from enrollment.rules.to_market import OWN_ZONE, ProgramContext, groups_of, in_neighborhood, with_zones
from lottery.market.canonical import Json
from lottery.market.json_reader import Reader
from lottery.market.rules import OPEN
from lottery.market.rules_reader import ConditionForm, read_condition

RULES_FORM = ConditionForm(also=frozenset(OWN_ZONE))
"""Rules have one condition more than a market."""

MAX_CONDITION_DEPTH = 16
"""Conditions within conditions; far more than any rule that a family could follow."""


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The names that rules may use."""

    zones: Collection[str]
    schools: Collection[str]
    school_facts: Collection[str]
    child_facts: Collection[str]
    grades: Collection[str]


def input_faults(rules: RulesInput, known: KnownNames) -> list[Fault]:
    """Return the faults in the rules of one level, whatever the other levels have."""
    return [
        *_condition_faults(rules, known),
        *_zone_faults(rules, known),
        *_name_faults(rules),
        *_grade_faults(rules, known),
    ]


def resolved_faults(rules: RulesInput, context: ProgramContext) -> list[Fault]:
    """Return the faults that appear when the rules of all levels are combined; pointers are into the resolved rules."""
    return [
        *_seat_faults(rules),
        *_precedence_faults(rules),
        *_neighborhood_faults(rules, context),
        *_own_zone_faults(rules, context),
        *_guarantee_faults(rules, context),
    ]


def _grade_faults(rules: RulesInput, known: KnownNames) -> Iterator[Fault]:
    backfill = rules.backfill or BackfillInput()
    grades_by_part: dict[str, Sequence[str]] = {
        "entry_grades": backfill.entry_grades,
        "grades": backfill.grades or [],
        "last_date_by_grade": list(backfill.last_date_by_grade),
    }
    for part, grades in grades_by_part.items():
        for grade in grades:
            if grade not in known.grades:
                detail = sentence("names {grade}, but the grades of this cycle are: {allowed}")
                values = {"grade": grade, "allowed": listed(known.grades)}
                yield Fault(f"/backfill/{part}", "unknown-grade", detail, values)


def _conditions(rules: RulesInput) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, object]]]:
    if rules.eligible is not None:
        yield ("eligible",), rules.eligible
    for place, priority in enumerate(rules.classes or []):
        yield ("classes", place, "when"), priority.when
    for place, reserve in enumerate(rules.reserves or []):
        yield ("reserves", place, "when"), reserve.when
        if isinstance(reserve.overflow, OverflowToInput):
            yield ("reserves", place, "overflow", "to"), reserve.overflow.to
        for inner, priority in enumerate(reserve.classes or []):
            yield ("reserves", place, "classes", inner, "when"), priority.when


def _condition_faults(rules: RulesInput, known: KnownNames) -> Iterator[Fault]:
    for path, condition in _conditions(rules):
        pointer = "".join(f"/{step}" for step in path)
        reader = Reader()
        read_condition(reader, cast("Json", condition), (None, "rules"), RULES_FORM)
        for fault in reader.faults:
            yield Fault(
                pointer + _pointer(fault.path),
                "condition",
                sentence("{problem}; {remedy}"),
                {"problem": fault.problem, "remedy": fault.remedy},
            )
        if not reader.faults:
            yield from _unknown_names(pointer, cast("Json", condition), known, depth=1)


_STEP = re.compile(r'\.([^.\[]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')


def _pointer(path: str) -> str:
    """Return the JSON pointer (RFC 6901) of a place that the reader of markets names, such as `$.all[0]["odd key"]`."""
    return pointer_of([key or place or str(json.loads(quoted)) for key, place, quoted in _STEP.findall(path)])


def _unknown_names(pointer: str, condition: Json, known: KnownNames, *, depth: int) -> Iterator[Fault]:
    """Yield unknown names and conditions that are nested too deeply; the form of the condition is valid."""
    if depth > MAX_CONDITION_DEPTH:
        detail = sentence("has more than {most} levels of conditions; write a simpler condition")
        yield Fault(pointer, "too-deep", detail, {"most": MAX_CONDITION_DEPTH})
        return
    ((key, operand),) = cast("Mapping[str, Json]", condition).items()
    at = f"{pointer}/{key}"
    if key in ("all", "any"):
        for place, part in enumerate(cast("Sequence[Json]", operand)):
            yield from _unknown_names(f"{at}/{place}", part, known, depth=depth + 1)
    elif key == "not":
        yield from _unknown_names(at, operand, known, depth=depth + 1)
    elif key in ("zone_in", "attends_in"):
        code, detail, names = _NAMES_IN_LISTS[key]
        for place, name in enumerate(cast("Sequence[str]", operand)):
            if name not in names(known):
                yield Fault(f"{at}/{place}", code, detail)
    elif key in ("at_school", "has"):
        code, detail, names = _SINGLE_NAMES[key]
        if operand not in names(known):
            yield (
                Fault(at, code, detail, {"allowed": listed(names(known))})
                if names(known)
                else Fault(at, code, NO_FACTS)
            )


NO_FACTS = sentence("names a fact, but this cycle has no facts of this kind; ask an administrator to add the fact")

Names = Callable[[KnownNames], Collection[str]]

_NAMES_IN_LISTS: Mapping[str, tuple[str, str, Names]] = {
    "zone_in": ("unknown-zone", sentence("is not a zone of this cycle; correct the id"), lambda known: known.zones),
    "attends_in": (
        "unknown-school",
        sentence("is not a school in the directory; correct the id"),
        lambda known: known.schools,
    ),
}
_SINGLE_NAMES: Mapping[str, tuple[str, str, Names]] = {
    "at_school": (
        "unknown-fact",
        sentence("must be one of this cycle's facts about a child at a school: {allowed}"),
        lambda known: known.school_facts,
    ),
    "has": (
        "unknown-fact",
        sentence("must be one of this cycle's facts about a child: {allowed}"),
        lambda known: known.child_facts,
    ),
}


def _zone_faults(rules: RulesInput, known: KnownNames) -> Iterator[Fault]:
    for place, zone in enumerate(getattr(rules.neighborhood, "zones", None) or []):
        if zone not in known.zones:
            detail = sentence("names {zone}, but this cycle does not have that zone; import the zone or correct the id")
            yield Fault(f"/neighborhood/zones/{place}", "unknown-zone", detail, {"zone": zone})


def _name_faults(rules: RulesInput) -> Iterator[Fault]:
    lists: list[tuple[str, list[str], str]] = [
        ("/classes", [priority.name for priority in rules.classes or []], "general"),
        ("/reserves", [reserve.name for reserve in rules.reserves or []], OPEN),
    ]
    lists += [
        (f"/reserves/{place}/classes", [priority.name for priority in reserve.classes or []], "general")
        for place, reserve in enumerate(rules.reserves or [])
    ]
    for pointer, names, built_in in lists:
        for place, name in enumerate(names):
            at = f"{pointer}/{place}/name"
            if name in (built_in, NEIGHBORHOOD):
                detail = sentence("uses the name {name}, which the service uses itself; choose another name")
                yield Fault(at, "name-taken", detail, {"name": name})
            if name in names[:place]:
                yield Fault(at, "named-twice", sentence("repeats the name {name}; use each name once"), {"name": name})


def _seat_faults(rules: RulesInput) -> Iterator[Fault]:
    if rules.seats is None:
        return
    yield from _target_faults(rules.seats)
    seats = rules.seats.match
    reserved = sum(
        reserve.seats if reserve.seats is not None else seats * (reserve.percent or 0) // 100
        for reserve in rules.reserves or []
    )
    if isinstance(rules.neighborhood, NeighborhoodReserve):
        reserved += seats * rules.neighborhood.percent // 100
    if reserved > seats:
        detail = sentence("reserve {taken} seats, but there are only {seats}; reserve fewer seats or add seats")
        yield Fault("/reserves", "reserves-over-seats", detail, {"taken": reserved, "seats": seats})


def _target_faults(seats: SeatsInput) -> Iterator[Fault]:
    over_offer, later = seats.over_offer or 0, seats.later or []
    if over_offer > seats.match:
        detail = sentence("is larger than the match target of {match} seats; the over-offer is a part of that target")
        yield Fault("/seats/over_offer", "over-offer-too-large", detail, {"match": seats.match})
        return
    over = 0 if seats.enrollment is None else seats.match - seats.enrollment
    if over > over_offer:
        detail = sentence(
            "is {over} above the enrollment target; to offer extra seats because some families decline, set over_offer"
        )
        yield Fault("/seats/match", "over-target", detail, {"over": over})
    names = [target.name for target in later]
    days = [target.begins for target in later]
    for place, target in enumerate(later):
        if target.name in names[:place]:
            detail = sentence("repeats the name {name}; use each name once")
            yield Fault(f"/seats/later/{place}/name", "named-twice", detail, {"name": target.name})
        if target.begins in days[:place]:
            detail = sentence("is the first day of another target too; give each target its own day")
            yield Fault(f"/seats/later/{place}/begins", "same-day", detail)


def _precedence_faults(rules: RulesInput) -> Iterator[Fault]:
    if rules.precedence is None:
        return
    groups = groups_of(rules)
    for place, name in enumerate(rules.precedence):
        if name not in groups:
            detail = sentence("names {group}, but the seat groups here are: {allowed}")
            values = {"group": name, "allowed": listed(groups)}
            yield Fault(f"/precedence/{place}", "unknown-group", detail, values)
        if name in rules.precedence[:place]:
            detail = sentence("names {group} again; name each group once")
            yield Fault(f"/precedence/{place}", "named-twice", detail, {"group": name})
    for name in groups:
        if name not in rules.precedence:
            detail = sentence("leaves out {group}; name every reserve, and open")
            yield Fault("/precedence", "group-missing", detail, {"group": name})


def _neighborhood_faults(rules: RulesInput, context: ProgramContext) -> Iterator[Fault]:
    rule = rules.neighborhood
    if rule is None or isinstance(rule, NoNeighborhood):
        return
    if not (context.zones if rule.zones is None else rule.zones):
        detail = sentence("the school has no zone for grade {grade}; name zones here, or import zones for the school")
        yield Fault("/neighborhood/zones", "no-zones", detail, {"grade": context.grade})
    before = rule.before if isinstance(rule, NeighborhoodPriority) else None
    classes = [priority.name for priority in rules.classes or []]
    if before is not None and before not in classes:
        detail = sentence("names {name}, but the classes of these rules are: {allowed}")
        yield Fault("/neighborhood/before", "unknown-class", detail, {"name": before, "allowed": listed(classes)})


def _own_zone_faults(rules: RulesInput, context: ProgramContext) -> Iterator[Fault]:
    if context.zones:
        return
    for path, condition in _conditions(rules):
        for pointer in _own_zones("".join(f"/{step}" for step in path), condition):
            detail = sentence(
                "the school has no zone for grade {grade}; name zones with zone_in, or import zones for the school"
            )
            yield Fault(pointer, "no-zones", detail, {"grade": context.grade})


def _own_zones(pointer: str, condition: object) -> Iterator[str]:
    """Yield the places of `own_zone` in a condition of valid form."""
    if isinstance(condition, Mapping):
        for key, operand in condition.items():
            if key in OWN_ZONE:
                yield f"{pointer}/{key}"
            else:
                yield from _own_zones(f"{pointer}/{key}", operand)
    elif isinstance(condition, list):
        for place, part in enumerate(condition):
            yield from _own_zones(f"{pointer}/{place}", part)


def _guarantee_faults(rules: RulesInput, context: ProgramContext) -> Iterator[Fault]:
    """Find classes whose names a guarantee cannot use: too long, or used by a class inside the neighborhood."""
    if not isinstance(rules.neighborhood, NeighborhoodGuarantee):
        return
    settled = with_zones(rules, context.zones)
    in_zone = in_neighborhood(settled, context)
    yield from _guarantee_name_faults(settled.classes or [], in_zone, "/classes")
    for place, reserve in enumerate(settled.reserves or []):
        yield from _guarantee_name_faults(reserve.classes or [], in_zone, f"/reserves/{place}/classes")


def _guarantee_name_faults(classes: Sequence[ClassInput], in_zone: Mapping[str, Json], pointer: str) -> Iterator[Fault]:
    narrowed = [made for made in guarantee_classes(classes, in_zone) if made.narrowed]
    for made in narrowed:
        name = classes[made.place or 0].name
        if len(name) > MAX_NAME:
            detail = sentence(
                "has a name of {length} characters, but the neighborhood guarantee needs a shorter name; use at most "
                "{most} characters"
            )
            yield Fault(
                f"{pointer}/{made.place}/name", "name-too-long", detail, {"length": len(name), "most": MAX_NAME}
            )
    for place, priority in enumerate(classes):
        if priority.name in [made.name for made in narrowed]:
            detail = sentence("uses the name {name}, which the service uses itself; choose another name")
            yield Fault(f"{pointer}/{place}/name", "name-taken", detail, {"name": priority.name})
