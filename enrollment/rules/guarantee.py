"""The classes of a guarantee: the school's classes inside the neighborhood, then the same classes outside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from enrollment.field_types import MAX_ID
from enrollment.rules.model import NEIGHBORHOOD, ClassInput
from lottery.market.canonical import Json
from lottery.market.rules import Program, ZoneIn

INSIDE = f"-in-{NEIGHBORHOOD}"
"""The end of the name of a class inside the neighborhood, such as `sibling-in-neighborhood`."""

MAX_NAME = MAX_ID - len(INSIDE)
"""The longest name of a class that can have a second class inside the neighborhood."""


@dataclass(frozen=True, slots=True)
class GuaranteeClass:
    """A class in market form. `place` is the place of the school's class; None: the class of the whole neighborhood."""

    name: str
    when: Json
    place: int | None
    narrowed: bool = False
    """Whether the condition is the school's own, and the neighborhood's before it."""


def guarantee_classes(classes: Sequence[ClassInput], in_zone: Mapping[str, Json]) -> list[GuaranteeClass]:
    """Return the classes of a seat group, best first.

    A class that asks for the neighborhood itself stays as it is, and comes inside only. A class that leaves the
    neighborhood out comes outside only.
    """
    inside = list(_inside(classes, in_zone))
    outside = [
        GuaranteeClass(one.name, cast("Json", one.when), place)
        for place, one in enumerate(classes)
        if not _asks_for(one.when, in_zone)
    ]
    return [*inside, *outside]


def _inside(classes: Sequence[ClassInput], in_zone: Mapping[str, Json]) -> Iterator[GuaranteeClass]:
    for place, one in enumerate(classes):
        when = cast("Json", one.when)
        if _asks_for(one.when, in_zone):
            yield GuaranteeClass(one.name, when, place)
            if one.when == in_zone:
                return
        elif not _asks_for(one.when, {"not": dict(in_zone)}):
            yield GuaranteeClass(f"{one.name}{INSIDE}", {"all": [dict(in_zone), when]}, place, narrowed=True)
    yield GuaranteeClass(NEIGHBORHOOD, dict(in_zone), None)


def _asks_for(condition: object, part: Mapping[str, Json]) -> bool:
    """Return whether a condition is this part, or has it among parts that must all hold."""
    if condition == part:
        return True
    parts = condition.get("all") if isinstance(condition, Mapping) else None
    return isinstance(parts, list) and any(_asks_for(one, part) for one in parts)


def guaranteed(program: Program) -> ZoneIn:
    """Return the neighborhood of a program with a guarantee: the first class that asks for nothing but zones."""
    return next(priority.when for priority in program.priorities if isinstance(priority.when, ZoneIn))
