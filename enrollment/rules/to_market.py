"""A school's rules in market form: the one place where what a school says becomes what the lottery reads."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from enrollment.problems import Fault, sentence
from enrollment.rules.model import (
    NEIGHBORHOOD,
    BackfillInput,
    ClassInput,
    NeighborhoodGuarantee,
    NeighborhoodOnly,
    NeighborhoodPriority,
    NeighborhoodReserve,
    NoNeighborhood,
    RankedInput,
    RulesPart,
    Seats,
    StoredRulesUnreadable,
)
from enrollment.stored_values import fields_of
from lottery.market.canonical import Json
from lottery.market.json_reader import Reader
from lottery.market.rules import OPEN, Program
from lottery.market.rules_reader import read_condition, read_program

DEEPEST = 16
"""Conditions within conditions; far above any rule that a family could follow."""


@dataclass(frozen=True, slots=True)
class Place:
    """The program that rules are for, with the zones that are its school's own for the grade."""

    program: str
    school: str
    grade: str
    zones: Sequence[str]


@dataclass(frozen=True, slots=True)
class Known:
    """What rules may name."""

    zones: Collection[str]
    schools: Collection[str]
    school_facts: Collection[str]
    child_facts: Collection[str]
    grades: Collection[str]


def program_document(rules: RulesPart, place: Place) -> dict[str, Json]:
    """Return a program in market form (lottery.md, section 2); `rules` are resolved, without faults, and have seats."""
    if rules.seats is None:
        raise ValueError("rules without seats have no market form")
    in_zone = _in_zone(rules, place)
    classes = _classes(rules, in_zone)
    return {
        "id": place.program,
        "school": place.school,
        "grade": place.grade,
        "seats": rules.seats.match,
        "eligible": _eligible(rules, in_zone),
        "priorities": classes,
        "reserves": list(_reserves(rules, in_zone)),
        "precedence": precedence_of(rules),
        "tie_break": {"ranked": rules.tie_break.ranked}
        if isinstance(rules.tie_break, RankedInput)
        else rules.tie_break,
    }


def read_back(document: Mapping[str, Json]) -> Program:
    """Return the lottery's own value of a program in market form.

    Raises:
        StoredRulesUnreadable: if the lottery refuses it.
    """
    reader = Reader()
    program = read_program(reader, cast("Json", fields_of(document)), (None, "rules"))
    if program is None or reader.faults:
        raise StoredRulesUnreadable
    return program


def _in_zone(rules: RulesPart, place: Place) -> dict[str, Json]:
    named = getattr(rules.neighborhood, "zones", None)
    return {"zone_in": list(place.zones if named is None else named)}


def _eligible(rules: RulesPart, in_zone: dict[str, Json]) -> Json:
    said = cast("Json", rules.eligible or {"everyone": True})
    if isinstance(rules.neighborhood, NeighborhoodOnly):
        return in_zone if said == {"everyone": True} else {"all": [said, in_zone]}
    return said


def _class_documents(classes: Sequence[ClassInput]) -> list[Json]:
    return [{"name": said.name, "when": cast("Json", said.when)} for said in classes]


def _classes(rules: RulesPart, in_zone: dict[str, Json]) -> list[Json]:
    said = rules.classes or []
    neighborhood: Json = {"name": NEIGHBORHOOD, "when": in_zone}
    match rules.neighborhood:
        case NeighborhoodPriority(before=before):
            names = [one.name for one in said]
            place = names.index(before) if before in names else len(names)
            return [*_class_documents(said[:place]), neighborhood, *_class_documents(said[place:])]
        case NeighborhoodGuarantee():
            return [neighborhood, *_class_documents(said)]
        case _:
            return _class_documents(said)


def _reserves(rules: RulesPart, in_zone: dict[str, Json]) -> Iterator[Json]:
    first: list[Json] = (
        [{"name": NEIGHBORHOOD, "when": in_zone}] if isinstance(rules.neighborhood, NeighborhoodGuarantee) else []
    )
    for said in rules.reserves or []:
        size: dict[str, Json] = {"percent": said.percent} if said.seats is None else {"seats": said.seats}
        own: dict[str, Json] = {} if said.classes is None else {"priorities": [*first, *_class_documents(said.classes)]}
        yield {"name": said.name, **size, "when": cast("Json", said.when), "overflow": said.overflow, **own}
    if isinstance(rules.neighborhood, NeighborhoodReserve):
        yield {"name": NEIGHBORHOOD, "percent": rules.neighborhood.percent, "when": in_zone, "overflow": "open"}


def groups_of(rules: RulesPart) -> list[str]:
    """Return the names of the seat groups that the rules make, `open` last."""
    own = [NEIGHBORHOOD] if isinstance(rules.neighborhood, NeighborhoodReserve) else []
    return [*(said.name for said in rules.reserves or []), *own, OPEN]


def precedence_of(rules: RulesPart) -> list[str]:
    """Return the order in which groups are filled: as said, or open last unless the neighborhood wants it first."""
    if rules.precedence is not None:
        return list(rules.precedence)
    groups = groups_of(rules)
    if isinstance(rules.neighborhood, NeighborhoodReserve) and rules.neighborhood.filled == "open-seats-first":
        groups.remove(NEIGHBORHOOD)
        groups.append(NEIGHBORHOOD)
    return groups


def faults_said(said: RulesPart, known: Known) -> list[Fault]:
    """Return what cannot work in what one level says, whatever the other levels say."""
    return [*_condition_faults(said, known), *_zone_faults(said, known), *_repeats(said), *_grade_faults(said, known)]


def _grade_faults(said: RulesPart, known: Known) -> Iterator[Fault]:
    backfill = said.backfill or BackfillInput()
    named: dict[str, Sequence[str]] = {
        "entry_grades": backfill.entry_grades,
        "grades": backfill.grades or [],
        "last_date_by_grade": list(backfill.last_date_by_grade),
    }
    for part, grades in named.items():
        for grade in grades:
            if grade not in known.grades:
                yield Fault(
                    f"/backfill/{part}",
                    "unknown-grade",
                    sentence("names {grade}, which is no grade of this cycle"),
                    {"grade": grade},
                )


def faults_resolved(rules: RulesPart, place: Place) -> list[Fault]:
    """Return what cannot work once every level has said its part; pointers are into the resolved rules."""
    return [*_seat_faults(rules), *_order_faults(rules), *_neighborhood_faults(rules, place)]


def _conditions(said: RulesPart) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, object]]]:
    if said.eligible is not None:
        yield ("eligible",), said.eligible
    for place, one in enumerate(said.classes or []):
        yield ("classes", place, "when"), one.when
    for place, reserve in enumerate(said.reserves or []):
        yield ("reserves", place, "when"), reserve.when
        for inner, one in enumerate(reserve.classes or []):
            yield ("reserves", place, "classes", inner, "when"), one.when


def _condition_faults(said: RulesPart, known: Known) -> Iterator[Fault]:
    for at, condition in _conditions(said):
        pointer = "".join(f"/{step}" for step in at)
        reader = Reader()
        read_condition(reader, cast("Json", condition), (None, "rules"))
        for fault in reader.faults:
            yield Fault(
                pointer + _pointer(fault.path),
                "condition",
                sentence("{problem}; {remedy}"),
                {"problem": fault.problem, "remedy": fault.remedy},
            )
        if not reader.faults:
            yield from _unknown_names(pointer, cast("Json", condition), known, depth=1)


def _pointer(path: str) -> str:
    return path.removeprefix("$").replace("[", "/").replace("]", "").replace(".", "/").replace('"', "")


def _unknown_names(pointer: str, condition: Json, known: Known, *, depth: int) -> Iterator[Fault]:
    """Yield names that nobody knows, and conditions nested past sense; the condition's form was read before."""
    if depth > DEEPEST:
        yield Fault(
            pointer, "too-deep", sentence("is nested more than {most} deep; say it more simply"), {"most": DEEPEST}
        )
        return
    ((key, operand),) = cast("Mapping[str, Json]", condition).items()
    at = f"{pointer}/{key}"
    if key in ("all", "any"):
        for place, part in enumerate(cast("Sequence[Json]", operand)):
            yield from _unknown_names(f"{at}/{place}", part, known, depth=depth + 1)
    elif key == "not":
        yield from _unknown_names(at, operand, known, depth=depth + 1)
    elif key in ("zone_in", "attends_in"):
        code, detail, names = _NAMED_IN_LISTS[key]
        for place, name in enumerate(cast("Sequence[str]", operand)):
            if name not in names(known):
                yield Fault(f"{at}/{place}", code, detail)
    elif key in ("at_school", "has"):
        code, detail, names = _NAMED[key]
        if operand not in names(known):
            yield Fault(at, code, detail)


Names = Callable[[Known], Collection[str]]

_NAMED_IN_LISTS: Mapping[str, tuple[str, str, Names]] = {
    "zone_in": ("unknown-zone", sentence("names no zone of this cycle"), lambda known: known.zones),
    "attends_in": ("unknown-school", sentence("names no school of the directory"), lambda known: known.schools),
}
_NAMED: Mapping[str, tuple[str, str, Names]] = {
    "at_school": (
        "unknown-fact",
        sentence("names no fact about a child at a school of this cycle"),
        lambda known: known.school_facts,
    ),
    "has": ("unknown-fact", sentence("names no fact about a child of this cycle"), lambda known: known.child_facts),
}


def _zone_faults(said: RulesPart, known: Known) -> Iterator[Fault]:
    for place, zone in enumerate(getattr(said.neighborhood, "zones", None) or []):
        if zone not in known.zones:
            yield Fault(
                f"/neighborhood/zones/{place}",
                "unknown-zone",
                sentence("names {zone}, which is no zone of this cycle; import the zones first, or correct it"),
                {"zone": zone},
            )


def _repeats(said: RulesPart) -> Iterator[Fault]:
    lists: list[tuple[str, list[str], str]] = [
        ("/classes", [one.name for one in said.classes or []], "general"),
        ("/reserves", [reserve.name for reserve in said.reserves or []], OPEN),
    ]
    lists += [
        (f"/reserves/{place}/classes", [one.name for one in reserve.classes or []], "general")
        for place, reserve in enumerate(said.reserves or [])
    ]
    for pointer, names, taken in lists:
        for place, name in enumerate(names):
            if name in (taken, NEIGHBORHOOD):
                yield Fault(
                    f"{pointer}/{place}/name",
                    "name-taken",
                    sentence("is {name}, which the service gives itself; choose another name"),
                    {"name": name},
                )
            if name in names[:place]:
                yield Fault(
                    f"{pointer}/{place}/name",
                    "named-twice",
                    sentence("is {name}, which stands before it already; name each once"),
                    {"name": name},
                )


def _seat_faults(rules: RulesPart) -> Iterator[Fault]:
    if rules.seats is None:
        return
    yield from _target_faults(rules.seats)
    seats = rules.seats.match
    taken = sum(
        reserve.seats if reserve.seats is not None else seats * (reserve.percent or 0) // 100
        for reserve in rules.reserves or []
    )
    if isinstance(rules.neighborhood, NeighborhoodReserve):
        taken += seats * rules.neighborhood.percent // 100
    if taken > seats:
        yield Fault(
            "/reserves",
            "reserves-over-seats",
            sentence("take {taken} seats of {seats}; reserve fewer, or raise the seats"),
            {"taken": taken, "seats": seats},
        )


def _target_faults(seats: Seats) -> Iterator[Fault]:
    over_offer, later = seats.over_offer or 0, seats.later or []
    if over_offer > seats.match:
        detail = sentence("is more than the {match} seats of the match target, of which it is a part")
        yield Fault("/seats/over_offer", "over-offer-too-large", detail, {"match": seats.match})
        return
    over = 0 if seats.enrollment is None else seats.match - seats.enrollment
    if over > over_offer:
        detail = sentence(
            "is {over} more than the enrollment target; if so many more shall be offered because some families "
            "decline, say it as over_offer"
        )
        yield Fault("/seats/match", "over-target", detail, {"over": over})
    names = [target.name for target in later]
    days = [target.begins for target in later]
    for place, target in enumerate(later):
        if target.name in names[:place]:
            detail = sentence("is {name}, which stands before it already; name each once")
            yield Fault(f"/seats/later/{place}/name", "named-twice", detail, {"name": target.name})
        if target.begins in days[:place]:
            detail = sentence("is the day on which another target begins; one target counts on a day")
            yield Fault(f"/seats/later/{place}/begins", "same-day", detail)


def _order_faults(rules: RulesPart) -> Iterator[Fault]:
    if rules.precedence is None:
        return
    groups = groups_of(rules)
    for place, name in enumerate(rules.precedence):
        if name not in groups:
            yield Fault(
                f"/precedence/{place}",
                "unknown-group",
                sentence("names {group}, which is no seat group here; name the reserves and open"),
                {"group": name},
            )
        if name in rules.precedence[:place]:
            yield Fault(
                f"/precedence/{place}", "named-twice", sentence("names {group} again; name each once"), {"group": name}
            )
    for name in groups:
        if name not in rules.precedence:
            yield Fault(
                "/precedence",
                "group-missing",
                sentence("leaves out {group}; name every reserve, and open"),
                {"group": name},
            )


def _neighborhood_faults(rules: RulesPart, place: Place) -> Iterator[Fault]:
    rule = rules.neighborhood
    if rule is None or isinstance(rule, NoNeighborhood):
        return
    if not (place.zones if rule.zones is None else rule.zones):
        yield Fault(
            "/neighborhood/zones",
            "no-zones",
            sentence("the school has no zone for grade {grade}; name zones, or have the school's imported"),
            {"grade": place.grade},
        )
    before = rule.before if isinstance(rule, NeighborhoodPriority) else None
    if before is not None and before not in [one.name for one in rules.classes or []]:
        yield Fault(
            "/neighborhood/before", "unknown-class", sentence("names {name}, which is no class here"), {"name": before}
        )
