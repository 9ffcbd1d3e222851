"""Reserves without seats or children, reserves no different from `open`, and reserves that leave seats empty."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from lottery.lint.applicants import Look
from lottery.lint.conditions import Vocabulary, explained
from lottery.lint.findings import Basis, Check, Finding, Weight, counted
from lottery.lint.json_paths import reserve_path
from lottery.lint.logic import Cases, Table, places_in
from lottery.market.model import Late
from lottery.market.rules import (
    EVERYONE,
    NOBODY,
    OPEN,
    Condition,
    OverflowTo,
    PriorityClass,
    Reserve,
    ReserveOverflow,
    Share,
)


def about_reserve(
    look: Look,
    reserve: Reserve,
    check: Check,
    *,
    wrong: str,
    change: str,
    basis: Basis = Basis.RULES,
    weight: Weight = Weight.NOTE,
    kinds: AbstractSet[int] = frozenset(),
) -> Finding:
    """Return a finding about a reserve."""
    path = reserve_path(look.program, look.path, reserve)
    return look.finding(
        check, path, weight=weight, basis=basis, group=reserve.name, wrong=wrong, change=change, kinds=kinds
    )


def written_seats(look: Look, reserve: Reserve) -> int:
    """Return a reserve's seats as the school wrote them, also in a backfill round."""
    return reserve.seats_of(look.program.seats)


# ---- seats


def reserves_without_seats(look: Look) -> Iterator[Finding]:
    """Find reserves without a seat."""
    seats = look.program.seats
    for reserve in look.program.reserves:
        if seats and not written_seats(look, reserve):
            rounded = isinstance(reserve.size, Share) and reserve.size.percent > 0
            yield about_reserve(
                look,
                reserve,
                Check.RESERVE_WITHOUT_SEATS,
                weight=Weight.CANNOT if rounded else Weight.NOTE,
                wrong=f"Under these rules, the reserve has no seat. At {_percent(reserve)} %, a program needs at least "
                f"{-(-100 // _percent(reserve))} seats to reserve one."
                if rounded
                else "Under these rules, the reserve has 0 seats.",
                change="Set a number of seats instead of a percentage, or remove the reserve from a program this small."
                if rounded
                else "Remove the reserve, or give the reserve seats.",
            )


def _percent(reserve: Reserve) -> int:
    return reserve.size.percent if isinstance(reserve.size, Share) else 0


# ---- no children


def reserves_for_nobody(look: Look) -> Iterator[Finding]:
    """Find reserves whose condition excludes `eligible`."""
    if look.logic is None:
        return
    eligible = look.logic.meeting(look.program.eligible)
    for reserve in look.program.reserves:
        met = look.logic.meeting(reserve.when)
        if eligible and met and not met & eligible:
            so = {
                EVERYONE: "and the seats go to all children",
                NOBODY: "and the closed seats stay empty",
            }.get(reserve.others, "and the seats go only to the children whom `overflow` names")
            yield about_reserve(
                look,
                reserve,
                Check.RESERVE_FOR_NOBODY,
                weight=Weight.CANNOT,
                wrong="No matter who applies, children who meet the reserve's condition do not meet `eligible`. So "
                "no new "
                f"child qualifies for these seats, {so}.",
                change="Widen `eligible`, or remove the reserve.",
            )


def reserves_in_market(looks: Sequence[Look], vocabulary: Vocabulary) -> Iterator[Finding]:
    """Find reserves of one school whose condition no child meets, and reserves in which seats must stay empty."""
    same: dict[tuple[str, Condition, ReserveOverflow], list[tuple[Look, Reserve]]] = {}
    for look in looks:
        for reserve in look.program.reserves:
            if look.takes_new and look.seats[reserve.name] and _somebody_can_meet(look, reserve):
                same.setdefault((reserve.name, reserve.when, reserve.overflow), []).append((look, reserve))
    for everywhere in same.values():
        considered = sum(_number(look, look.considered) for look, _ in everywhere)
        if considered and not any(_meeting(look, reserve) for look, reserve in everywhere):
            yield from _met_by_nobody(everywhere, considered, vocabulary)
        else:
            for look, reserve in everywhere:
                yield from _met_by_few(look, reserve)


def _somebody_can_meet(look: Look, reserve: Reserve) -> bool:
    if look.logic is None:
        return True
    return bool(look.logic.meeting(reserve.when) & look.logic.meeting(look.program.eligible))


def _meeting(look: Look, reserve: Reserve) -> Table:
    """Return the cases of considered children who meet the reserve's condition."""
    return look.considered & look.askers.cases.meeting(reserve.when)


def _number(look: Look, table: Table) -> int:
    return look.askers.count(look.askers.kinds_in(table))


def _met_by_nobody(
    everywhere: Sequence[tuple[Look, Reserve]], considered: int, vocabulary: Vocabulary
) -> Iterator[Finding]:
    for look, reserve in everywhere:
        closed = reserve.others == NOBODY
        if not closed and explained(look, reserve.when, vocabulary):
            continue
        so = {
            EVERYONE: "these seats go to all children",
            NOBODY: "no new child can get one of these seats",
        }.get(reserve.others, "these seats go only to the children whom `overflow` names")
        yield about_reserve(
            look,
            reserve,
            Check.RESERVE_FOR_NOBODY,
            weight=Weight.CANNOT if closed else Weight.NOTE,
            basis=Basis.APPLICANTS,
            wrong=f"Right now, none of the {considered:,} children who can get a seat here meets the condition: {so}.",
            change="Check that the facts of all applicants are there."
            + (" If so, let other children have these seats (overflow: open)." if closed else ""),
        )


def _met_by_few(look: Look, reserve: Reserve) -> Iterator[Finding]:
    """Find a reserve in which seats must stay empty while children whom the reserve bars want a seat."""
    held = look.askers.where(lambda kind: kind.holds == reserve.name)
    own = look.askers.kinds_in(look.considered & look.askers.cases.meeting(reserve.admits) | held)
    others = look.askers.kinds_in(look.considered) - own
    seats, most = look.seats[reserve.name], look.askers.count(own)
    if most < seats and others:
        yield about_reserve(
            look,
            reserve,
            Check.RESERVE_LEFT_EMPTY,
            basis=Basis.APPLICANTS,
            wrong=f"Right now, at least {seats - most:,} of the reserve's {counted(seats, 'seat', 'seats')} must stay "
            f"empty. Only {counted(most, 'child', 'children')} can get one, and the reserve is closed to "
            f"{counted(look.askers.count(others), 'other child', 'other children')}.",
            change=f"Reserve fewer seats, or let {whom_to_let_in(reserve)} children have the rest (overflow: open).",
        )


def whom_to_let_in(reserve: Reserve) -> str:
    """Return the word for the children whom an open overflow lets in."""
    return "all" if isinstance(reserve.overflow, OverflowTo) else "other"


# ---- no different from open


def reserves_like_open(look: Look) -> Iterator[Finding]:
    """Find reserves next to `open` that put children in the same order, so that the reserve changes no placement.

    Two groups that fill one after the other, from the same children in the same order, act as one group.
    """
    for reserve in look.program.reserves:
        if not _somebody_can_meet(look, reserve):
            continue
        if is_like_open(look, reserve, by_logic=True):
            yield _like_open(look, reserve, Basis.RULES)
        elif _matters(look, reserve) and is_like_open(look, reserve, by_logic=False):
            yield _like_open(look, reserve, Basis.APPLICANTS)
        elif _is_for_all(look, reserve):
            yield about_reserve(
                look,
                reserve,
                Check.CONDITION_ALWAYS,
                wrong="No matter who applies, every child who can get a seat meets the condition. So the reserve "
                "sets no "
                "seats aside, and differs from “open” only in its classes or in its place in the order.",
                change="Change nothing if you want this. If not, correct the condition.",
            )


def _matters(look: Look, reserve: Reserve) -> bool:
    """Return whether children outnumber seats, and some of the children meet the reserve's condition."""
    return bool(_meeting(look, reserve)) and _number(look, look.considered) > look.program.seats


def _like_open(look: Look, reserve: Reserve, basis: Basis) -> Finding:
    when = "No matter who applies" if basis is Basis.RULES else "Right now"
    return about_reserve(
        look,
        reserve,
        Check.RESERVE_LIKE_OPEN,
        weight=Weight.CANNOT if basis is Basis.RULES else Weight.NOTE,
        basis=basis,
        wrong=f"{when}, this reserve puts children in the same order as the “open” seats next to it. Without the "
        "reserve, every child would get a seat at the same program.",
        change="Remove the reserve, or use a condition that the program's classes and `eligible` do not cover.",
    )


def _is_for_all(look: Look, reserve: Reserve) -> bool:
    if look.logic is None or not written_seats(look, reserve):
        return False
    eligible = look.logic.meeting(look.program.eligible)
    return bool(eligible) and not eligible & ~look.logic.meeting(reserve.when)


def is_like_open(look: Look, reserve: Reserve, *, by_logic: bool) -> bool:
    """Return whether the reserve fills next to `open`, from the same children in the same order.

    With `by_logic` this is about all possible children, otherwise about the considered children.
    """
    if not (look.seats[reserve.name] and written_seats(look, reserve) and look.takes_new):
        return False
    if not _is_next_to_open(look, reserve.name):
        return False
    if not by_logic:
        return _same_order(look, reserve, look.askers.cases, look.considered, late=_somebody_late(look))
    if look.logic is None:
        return False
    eligible = look.logic.meeting(look.program.eligible)
    return eligible != 0 and _same_order(look, reserve, look.logic, eligible, late=True)


def _somebody_late(look: Look) -> bool:
    return any(kind.late for kind in look.askers.kinds)


def _is_next_to_open(look: Look, name: str) -> bool:
    filled = [group for group, seats in look.seats.items() if seats or group in {OPEN, name}]
    return abs(filled.index(OPEN) - filled.index(name)) == 1


def _same_order(look: Look, reserve: Reserve, cases: Cases, among: Table, *, late: bool) -> bool:
    """Return whether the reserve and `open` consider all of these children, in the same order.

    With `late: after`, lateness comes between the reserve's condition and the classes. If some child is late, all
    children or no children must meet the condition.
    """
    missed = among & ~cases.meeting(reserve.when)
    if among & ~cases.meeting(reserve.admits):
        return False
    if late and look.market.policy.late is Late.AFTER and missed not in {0, among}:
        return False
    classes = _class_of_each(cases, reserve.priorities), _class_of_each(cases, look.program.priorities)
    pairs = {((missed >> case & 1, classes[0](case)), classes[1](case)) for case in places_in(among)}
    at_reserve, at_open = sorted(pairs), sorted(pairs, key=lambda pair: (pair[1], pair[0]))
    return at_reserve == at_open and len({here for here, _ in pairs}) == len(pairs) == len(
        {there for _, there in pairs}
    )


def _class_of_each(cases: Cases, classes: Sequence[PriorityClass]) -> "_ClassOf":
    return _ClassOf([cases.meeting(priority.when) for priority in classes])


class _ClassOf:
    """Finds the class of each case."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables

    def __call__(self, case: int) -> int:
        return next((place for place, table in enumerate(self._tables) if table >> case & 1), len(self._tables))
