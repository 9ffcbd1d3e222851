"""Translate a school's rules into the market form that the lottery reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

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
from lottery.market.rules import OPEN, Program
from lottery.market.rules_reader import read_program


@dataclass(frozen=True, slots=True)
class ProgramContext:
    """A program, with its school's own zones for the program's grade."""

    program: str
    school: str
    grade: str
    zones: Sequence[str]


def program_document(rules: RulesInput, context: ProgramContext) -> dict[str, Json]:
    """Return a program in market form (docs/reference/specification.md, section 2).

    Args:
        rules: resolved rules without faults, with seats.
        context: the program.
    """
    if rules.seats is None:
        raise ValueError("rules without seats have no market form")
    in_zone = _in_zone(rules, context)
    return {
        "id": context.program,
        "school": context.school,
        "grade": context.grade,
        "seats": rules.seats.match,
        "eligible": _eligible(rules, in_zone),
        "priorities": _classes(rules, in_zone),
        "reserves": list(_reserves(rules, in_zone)),
        "precedence": precedence_of(rules),
        "tie_break": {"ranked": rules.tie_break.ranked}
        if isinstance(rules.tie_break, RankedInput)
        else rules.tie_break,
    }


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


def _in_zone(rules: RulesInput, context: ProgramContext) -> dict[str, Json]:
    zones = getattr(rules.neighborhood, "zones", None)
    return {"zone_in": list(context.zones if zones is None else zones)}


def _eligible(rules: RulesInput, in_zone: dict[str, Json]) -> Json:
    condition = cast("Json", rules.eligible or {"everyone": True})
    if isinstance(rules.neighborhood, NeighborhoodOnly):
        return in_zone if condition == {"everyone": True} else {"all": [condition, in_zone]}
    return condition


def _class_documents(classes: Sequence[ClassInput]) -> list[Json]:
    return [{"name": priority.name, "when": cast("Json", priority.when)} for priority in classes]


def _classes(rules: RulesInput, in_zone: dict[str, Json]) -> list[Json]:
    classes = rules.classes or []
    neighborhood: Json = {"name": NEIGHBORHOOD, "when": in_zone}
    match rules.neighborhood:
        case NeighborhoodPriority(before=before):
            names = [priority.name for priority in classes]
            place = names.index(before) if before in names else len(names)
            return [*_class_documents(classes[:place]), neighborhood, *_class_documents(classes[place:])]
        case NeighborhoodGuarantee():
            return [neighborhood, *_class_documents(classes)]
        case _:
            return _class_documents(classes)


def _reserves(rules: RulesInput, in_zone: dict[str, Json]) -> Iterator[Json]:
    first: list[Json] = (
        [{"name": NEIGHBORHOOD, "when": in_zone}] if isinstance(rules.neighborhood, NeighborhoodGuarantee) else []
    )
    for reserve in rules.reserves or []:
        size: dict[str, Json] = {"percent": reserve.percent} if reserve.seats is None else {"seats": reserve.seats}
        classes: dict[str, Json] = (
            {} if reserve.classes is None else {"priorities": [*first, *_class_documents(reserve.classes)]}
        )
        when = cast("Json", reserve.when)
        yield {"name": reserve.name, **size, "when": when, "overflow": _overflow(reserve), **classes}
    if isinstance(rules.neighborhood, NeighborhoodReserve):
        yield {"name": NEIGHBORHOOD, "percent": rules.neighborhood.percent, "when": in_zone, "overflow": "open"}


def _overflow(reserve: ReserveInput) -> Json:
    if isinstance(reserve.overflow, OverflowToInput):
        return {"to": cast("Json", reserve.overflow.to)}
    return reserve.overflow
