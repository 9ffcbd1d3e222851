"""Named changes of rules, the same at every program, to compare before a decision."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from lottery.market.rules import (
    EVERYONE,
    OPEN,
    AllOf,
    AnyOf,
    Condition,
    Not,
    Order,
    Overflow,
    Program,
    Ranked,
    Reserve,
    Share,
    TieBreak,
    ZoneIn,
    depends_on_zones,
)

NEIGHBORHOOD = "neighborhood"
WHOLE = 100


def _open_first(program: Program) -> Program:
    return replace(program, precedence=(OPEN, *(group for group in program.precedence if group != OPEN)))


def _reserves_first(program: Program) -> Program:
    return replace(program, precedence=(*(group for group in program.precedence if group != OPEN), OPEN))


def _without_reserves(program: Program) -> Program:
    return replace(program, reserves=(), precedence=(OPEN,))


def _backfill_by(order: Order, program: Program) -> Program:
    return replace(program, backfill=replace(program.backfill, order=order))


def _numbers(tie_break: TieBreak, program: Program) -> Program:
    return program if isinstance(program.tie_break, Ranked) else replace(program, tie_break=tie_break)


def _for_neighborhood(percent: int, first: str, program: Program) -> Program:
    """Give a percentage of the seats to the zones in the program's rules, and give these zones no other priority."""
    zones = tuple(dict.fromkeys(zone for condition in program.conditions() for zone in _zones_in(condition)))
    if not zones:
        return program
    priorities = tuple(priority for priority in program.priorities if not depends_on_zones(priority.when))
    reserve = Reserve(NEIGHBORHOOD, Share(percent), ZoneIn(zones), Overflow.OPEN, priorities)
    return replace(
        program,
        eligible=EVERYONE if depends_on_zones(program.eligible) else program.eligible,
        priorities=priorities,
        reserves=(reserve,),
        precedence=(NEIGHBORHOOD, OPEN) if first == NEIGHBORHOOD else (OPEN, NEIGHBORHOOD),
    )


def _zones_in(condition: Condition) -> Iterator[str]:
    match condition:
        case ZoneIn(zones):
            yield from zones
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _zones_in(part)
        case Not(part):
            yield from _zones_in(part)


CHANGES: Mapping[str, Callable[[Program], Program]] = {
    "open-first": _open_first,
    "reserves-first": _reserves_first,
    "no-reserves": _without_reserves,
    **{f"backfill-{order}": partial(_backfill_by, order) for order in Order},
    **{f"{tie_break}-numbers": partial(_numbers, tie_break) for tie_break in TieBreak},
    "neighborhood-none": partial(_for_neighborhood, 0, NEIGHBORHOOD),
    "neighborhood-half-reserved-first": partial(_for_neighborhood, WHOLE // 2, NEIGHBORHOOD),
    "neighborhood-half-open-first": partial(_for_neighborhood, WHOLE // 2, OPEN),
    "neighborhood-all": partial(_for_neighborhood, WHOLE, NEIGHBORHOOD),
}
"""Every change, by its name.

A change with `neighborhood` replaces all reserves and all rules about zones with one reserve for the zones in the
program's rules. `reserved` and `open` name the seats that fill first.
"""
