"""Translate a school's rules into the market form that the lottery reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from enrollment.cycles.models import Cycle
from enrollment.rules.guarantee import GuaranteeClass, guarantee_classes
from enrollment.rules.model import (
    NEIGHBORHOOD,
    ClassInput,
    NeighborhoodGuarantee,
    NeighborhoodOnly,
    NeighborhoodPriority,
    NeighborhoodReserve,
    OverflowToInput,
    RankedInput,
    ReserveInput,
    RulesInput,
    StoredRulesUnreadable,
)
from enrollment.stored_values import fields_of
from lottery.market.canonical import Json
from lottery.market.json_reader import Reader
from lottery.market.model import Late, Policy, Twins
from lottery.market.rules import OPEN, Program, TieBreak
from lottery.market.rules_reader import read_program

BODY = "/rules"
"""The pointer to the rules in a request body."""

OWN_ZONE: Mapping[str, Json] = {"own_zone": True}
"""The condition of the school's own zones for the program's grade. A market has their ids instead."""

CONDITIONAL = ("eligible", "classes", "reserves")
"""The parts of rules that have conditions."""

RULE = f"/{NEIGHBORHOOD}"
"""The pointer to the neighborhood rule."""


@dataclass(frozen=True, slots=True)
class ProgramContext:
    """A program, with its school's own zones for the program's grade."""

    program: str
    school: str
    grade: str
    zones: Sequence[str]


@dataclass(frozen=True, slots=True)
class Written:
    """A part in market form."""

    document: Json
    sources: Mapping[str, str]
    """The pointer into the rules for paths inside the part; empty for what a guarantee adds."""


def program_document(rules: RulesInput, context: ProgramContext) -> dict[str, Json]:
    """Return a program in market form (docs/reference/specification.md, section 2).

    Args:
        rules: resolved rules without faults, with seats.
        context: the program.
    """
    return cast("dict[str, Json]", write_program(rules, context).document)


def write_program(rules: RulesInput, context: ProgramContext) -> Written:
    """Return a program in market form, with the pointer into the rules for each part."""
    seats = rules.seats
    if seats is None:
        raise ValueError("rules without seats have no market form")
    rules = with_zones(rules, context.zones)
    in_zone = in_neighborhood(rules, context)
    eligible, classes, reserves = (
        _eligible(rules, in_zone),
        _classes(rules, in_zone),
        list(_reserves(rules, in_zone)),
    )
    document: Json = {
        "id": context.program,
        "school": context.school,
        "grade": context.grade,
        "seats": seats.match,
        "eligible": eligible.document,
        "priorities": [made.document for made in classes],
        "reserves": [made.document for made in reserves],
        "precedence": precedence_of(rules),
        "tie_break": {"ranked": rules.tie_break.ranked}
        if isinstance(rules.tie_break, RankedInput)
        else rules.tie_break,
    }
    sources = {f".eligible{path}": pointer for path, pointer in eligible.sources.items()}
    sources |= {".seats": "/seats/match", ".priorities": "/classes", ".reserves": "/reserves"}
    sources |= {".tie_break": "/tie_break", ".backfill": "/backfill"}
    return Written(document, sources | _below(".priorities", classes) | _below(".reserves", reserves))


def policy_of(cycle: Cycle) -> Policy:
    """Return a cycle's policy in market form."""
    return Policy(
        tie_break=TieBreak(cycle.tie_break),
        late=Late(cycle.late),
        grade_order=tuple(cycle.sibling_order or reversed(cycle.grades)),
        twins=Twins(cycle.twins),
    )


def read_back(document: Mapping[str, Json]) -> Program:
    """Read a program in market form as the lottery reads it.

    Raises:
        StoredRulesUnreadable: if the lottery refuses the program.
    """
    reader = Reader()
    program = read_program(reader, cast("Json", fields_of(document)), (None, "rules"))
    if program is None or reader.faults:
        raise StoredRulesUnreadable
    return program


def groups_of(rules: RulesInput) -> list[str]:
    """Return the names of the seat groups that the rules make, `open` last."""
    own = [NEIGHBORHOOD] if isinstance(rules.neighborhood, NeighborhoodReserve) else []
    return [*(reserve.name for reserve in rules.reserves or []), *own, OPEN]


def precedence_of(rules: RulesInput) -> list[str]:
    """Return the order in which seat groups are filled.

    Without an order in the rules, `open` is last; a neighborhood rule may put the neighborhood's seats after it.
    """
    if rules.precedence is not None:
        return list(rules.precedence)
    groups = groups_of(rules)
    if isinstance(rules.neighborhood, NeighborhoodReserve) and rules.neighborhood.filled == "open-seats-first":
        groups.remove(NEIGHBORHOOD)
        groups.append(NEIGHBORHOOD)
    return groups


def with_zones(rules: RulesInput, zones: Sequence[str]) -> RulesInput:
    """Write the school's own zones where a condition says `own_zone`; the rules stay as they are where none does."""
    said = rules.model_dump(mode="json", exclude_none=True, include=set(CONDITIONAL))
    written = _with_zones(said, list(zones))
    if written == said:
        return rules
    settled = RulesInput.model_validate(written)
    return rules.model_copy(update={part: getattr(settled, part) for part in CONDITIONAL})


def _with_zones(part: object, zones: list[str]) -> object:
    if part == OWN_ZONE:
        return {"zone_in": zones}
    if isinstance(part, dict):
        return {name: _with_zones(one, zones) for name, one in part.items()}
    return [_with_zones(one, zones) for one in part] if isinstance(part, list) else part


def in_neighborhood(rules: RulesInput, context: ProgramContext) -> dict[str, Json]:
    """Return the condition of the neighborhood: the zones that its rule names, or the school's own."""
    zones = getattr(rules.neighborhood, "zones", None)
    return {"zone_in": list(context.zones if zones is None else zones)}


def _eligible(rules: RulesInput, in_zone: dict[str, Json]) -> Written:
    condition = cast("Json", rules.eligible or {"everyone": True})
    if not isinstance(rules.neighborhood, NeighborhoodOnly):
        return Written(condition, {"": "/eligible"})
    if condition == {"everyone": True}:
        return Written(in_zone, {"": RULE})
    return Written({"all": [condition, in_zone]}, {"": "/eligible", ".all[0]": "/eligible", ".all[1]": RULE})


def _class(priority: ClassInput, pointer: str) -> Written:
    document: Json = {"name": priority.name, "when": cast("Json", priority.when)}
    return Written(document, {"": pointer, ".when": f"{pointer}/when"})


def _classes(rules: RulesInput, in_zone: dict[str, Json]) -> list[Written]:
    classes = rules.classes or []
    match rules.neighborhood:
        case NeighborhoodPriority(before=before):
            names = [priority.name for priority in classes]
            place = names.index(before) if before in names else len(names)
            own = [_class(priority, f"/classes/{number}") for number, priority in enumerate(classes)]
            neighborhood = Written({"name": NEIGHBORHOOD, "when": in_zone}, {"": RULE})
            return [*own[:place], neighborhood, *own[place:]]
        case _:
            return _group_classes(rules, classes, in_zone, "/classes")


def _group_classes(
    rules: RulesInput, classes: Sequence[ClassInput], in_zone: dict[str, Json], pointer: str
) -> list[Written]:
    if isinstance(rules.neighborhood, NeighborhoodGuarantee):
        return [_guarantee_class(made, pointer) for made in guarantee_classes(classes, in_zone)]
    return [_class(priority, f"{pointer}/{place}") for place, priority in enumerate(classes)]


def _guarantee_class(made: GuaranteeClass, pointer: str) -> Written:
    document: Json = {"name": made.name, "when": made.when}
    at = "" if made.place is None else f"{pointer}/{made.place}"
    return Written(document, {"": at, ".when": "" if made.narrowed else f"{at}/when"} if at else {"": ""})


def _reserves(rules: RulesInput, in_zone: dict[str, Json]) -> Iterator[Written]:
    for place, reserve in enumerate(rules.reserves or []):
        yield _reserve(rules, reserve, in_zone, f"/reserves/{place}")
    if isinstance(rules.neighborhood, NeighborhoodReserve):
        percent = rules.neighborhood.percent
        yield Written({"name": NEIGHBORHOOD, "percent": percent, "when": in_zone, "overflow": "open"}, {"": RULE})


def _reserve(rules: RulesInput, reserve: ReserveInput, in_zone: dict[str, Json], pointer: str) -> Written:
    when = cast("Json", reserve.when)
    sources = {"": pointer, ".when": f"{pointer}/when"}
    if isinstance(rules.neighborhood, NeighborhoodGuarantee):
        # Whoever meets a reserve's condition comes before everybody else there, whatever their class.
        when = {"any": [in_zone, when]}
        sources |= {".when.any[0]": "", ".when.any[1]": f"{pointer}/when"}
    size: dict[str, Json] = {"percent": reserve.percent} if reserve.seats is None else {"seats": reserve.seats}
    document: dict[str, Json] = {"name": reserve.name, **size, "when": when, "overflow": _overflow(reserve)}
    if isinstance(reserve.overflow, OverflowToInput):
        sources[".overflow.to"] = f"{pointer}/overflow/to"
    if reserve.classes is not None:
        classes = _group_classes(rules, reserve.classes, in_zone, f"{pointer}/classes")
        document["priorities"] = [made.document for made in classes]
        sources |= _below(".priorities", classes)
    return Written(document, sources)


def _below(path: str, written: Sequence[Written]) -> dict[str, str]:
    return {
        f"{path}[{place}]{inner}": pointer
        for place, one in enumerate(written)
        for inner, pointer in one.sources.items()
    }


def _overflow(reserve: ReserveInput) -> Json:
    if isinstance(reserve.overflow, OverflowToInput):
        return {"to": cast("Json", reserve.overflow.to)}
    return reserve.overflow
