"""JSON paths of conditions and classes in a market file."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from lottery.market.rules import (
    AllOf,
    AnyOf,
    AtSchool,
    AttendsIn,
    Condition,
    Everyone,
    Has,
    Not,
    OverflowTo,
    PriorityClass,
    Program,
    Reserve,
    ZoneIn,
)


class Role(StrEnum):
    """What a condition decides."""

    ELIGIBLE = "eligible"
    CLASS = "class"
    RESERVE = "reserve"
    OVERFLOW = "overflow"


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition with its place: in a reserve, in a list of classes, or in `eligible`."""

    role: Role
    condition: Condition
    path: str
    reserve: Reserve | None = None
    class_: str | None = None

    @property
    def group(self) -> str | None:
        """Return the name of the rule's reserve, if any."""
        return self.reserve.name if self.reserve else None


@dataclass(frozen=True, slots=True)
class ClassList:
    """Classes with their place; `reserve` is None for the program's own classes, which `open` uses."""

    classes: tuple[PriorityClass, ...]
    path: str
    reserve: Reserve | None


def class_lists(program: Program, path: str) -> Iterator[ClassList]:
    """Yield the program's classes, and the classes of reserves with their own classes."""
    yield ClassList(program.priorities, f"{path}.priorities", None)
    for index, reserve in enumerate(program.reserves):
        if reserve.priorities != program.priorities:
            yield ClassList(reserve.priorities, f"{path}.reserves[{index}].priorities", reserve)


def reserve_path(program: Program, path: str, reserve: Reserve) -> str:
    """Return the path of a reserve."""
    return f"{path}.reserves[{program.reserves.index(reserve)}]"


def rules_of(program: Program, path: str) -> Iterator[Rule]:
    """Yield every condition of a program with its place; classes that a reserve shares with the program come once."""
    yield Rule(Role.ELIGIBLE, program.eligible, f"{path}.eligible")
    for listed in class_lists(program, path):
        for index, priority in enumerate(listed.classes):
            yield Rule(Role.CLASS, priority.when, f"{listed.path}[{index}].when", listed.reserve, priority.name)
    for reserve in program.reserves:
        at = reserve_path(program, path, reserve)
        yield Rule(Role.RESERVE, reserve.when, f"{at}.when", reserve)
        if isinstance(reserve.overflow, OverflowTo):
            yield Rule(Role.OVERFLOW, reserve.overflow.condition, f"{at}.overflow.to", reserve)


def parts_of(condition: Condition, path: str) -> Iterator[tuple[Condition, str]]:
    """Yield the conditions just inside a condition, with their places."""
    match condition:
        case AllOf(parts):
            yield from ((part, f"{path}.all[{index}]") for index, part in enumerate(parts))
        case AnyOf(parts):
            yield from ((part, f"{path}.any[{index}]") for index, part in enumerate(parts))
        case Not(part):
            yield part, f"{path}.not"
        case _:
            return


def leaves_with_places(condition: Condition, path: str) -> Iterator[tuple[Condition, str]]:
    """Yield the single facts of a condition, each with the place of its operand."""
    match condition:
        case AllOf() | AnyOf() | Not():
            for part, place in parts_of(condition, path):
                yield from leaves_with_places(part, place)
        case ZoneIn():
            yield condition, f"{path}.zone_in"
        case Has():
            yield condition, f"{path}.has"
        case AtSchool():
            yield condition, f"{path}.at_school"
        case AttendsIn():
            yield condition, f"{path}.attends_in"
        case Everyone():
            yield condition, f"{path}.everyone"
        case _:
            yield condition, f"{path}.sibling_placed"
