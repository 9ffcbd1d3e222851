"""Reserves that bar children: `overflow` without effect, seats that can stay empty, and programs with nothing else."""

from collections.abc import Iterator, Sequence

from lottery.lint.applicants import Look
from lottery.lint.findings import Basis, Check, Finding, Weight
from lottery.lint.json_paths import reserve_path
from lottery.lint.logic import Cases, Table
from lottery.lint.reserves import about_reserve, whom_to_let_in
from lottery.market.rules import OverflowTo, Reserve

# ---- overflow without effect


def idle_overflows(look: Look) -> Iterator[Finding]:
    """Find an `overflow` condition that lets in no other child, or that bars no child.

    Another check finds conditions that are always or never met.
    """
    if look.logic is None:
        return
    eligible = look.logic.meeting(look.program.eligible)
    for reserve in look.program.reserves:
        others = look.logic.meeting(reserve.others)
        if not isinstance(reserve.overflow, OverflowTo) or not eligible or others in {0, look.logic.all}:
            continue
        if not eligible & others & ~look.logic.meeting(reserve.when):
            yield _idle(look, reserve, lets_in=False)
        elif not _barred(look, look.logic, reserve):
            yield _idle(look, reserve, lets_in=True)


def _idle(look: Look, reserve: Reserve, *, lets_in: bool) -> Finding:
    wrong = (
        "every child who can get a seat here can get one of these seats. So the condition bars no child"
        if lets_in
        else "no child who meets this condition and `eligible` is outside the reserve's own condition. So the seats "
        "that the reserve's own children leave stay empty"
    )
    return look.finding(
        Check.OVERFLOW_IDLE,
        f"{reserve_path(look.program, look.path, reserve)}.overflow.to",
        weight=Weight.NOTE if lets_in else Weight.CANNOT,
        basis=Basis.RULES,
        group=reserve.name,
        wrong=f"No matter who applies, {wrong}.",
        change="Let all children have the rest (overflow: open), or correct the condition."
        if lets_in
        else "Close the reserve (overflow: closed), or correct the condition.",
    )


# ---- seats that can stay empty


def barring_reserves(look: Look) -> Iterator[Finding]:
    """Find reserves with barred children that can stay empty because other groups fill first, and nothing else."""
    if not look.takes_new or look.logic is None:
        return
    for place, group in enumerate(look.program.precedence):
        reserve = look.program.reserve(group)
        if reserve and look.seats[group] and _barred(look, look.logic, reserve):
            before = [name for name in look.program.precedence[:place] if _takes_all(look, look.logic, name)]
            if before and look.logic.meeting(reserve.admits) & look.logic.meeting(look.program.eligible):
                yield _behind(look, reserve, before[0])
    yield from _all_closed(look)


def _barred(look: Look, logic: Cases, reserve: Reserve) -> Table:
    """Return the cases of children who can get a seat at the program, but no seat in the reserve."""
    return logic.meeting(look.program.eligible) & ~logic.meeting(reserve.admits)


def _takes_all(look: Look, logic: Cases, group: str) -> bool:
    """Return whether a group has seats and takes all children."""
    reserve = look.program.reserve(group)
    return look.seats[group] > 0 and not (reserve and _barred(look, logic, reserve))


def _behind(look: Look, reserve: Reserve, before: str) -> Finding:
    return about_reserve(
        look,
        reserve,
        Check.RESERVE_BEHIND_OPEN,
        wrong=f"Under these rules, this {_kind(reserve)} fills after “{before}”. Children of the reserve can take "
        f"“{before}” seats first. Then reserved seats can stay empty, while other children get no seat.",
        change=f"Fill the reserve before “{before}”, or let {whom_to_let_in(reserve)} children have the rest "
        "(overflow: open). Change nothing if you accept empty seats.",
    )


def _kind(reserve: Reserve) -> str:
    return "reserve for some children" if isinstance(reserve.overflow, OverflowTo) else "closed reserve"


def _all_closed(look: Look) -> Iterator[Finding]:
    reserves = reserves_with_all_seats(look)
    if look.logic is None or not reserves:
        return
    outside = look.logic.meeting(look.program.eligible)
    for reserve in reserves:
        outside &= ~look.logic.meeting(reserve.admits)
    if outside:
        yield look.finding(
            Check.ALL_CLOSED,
            f"{look.path}.reserves",
            weight=Weight.NOTE,
            basis=Basis.RULES,
            wrong=f"Under these rules, every seat is in a {_kinds(reserves)}. A child who meets none of the conditions "
            "can apply, but can never get a seat.",
            change="If you want this, write the conditions in `eligible`, so that families see them before they "
            "rank. If "
            "not, leave some seats open.",
        )


def _kinds(reserves: Sequence[Reserve]) -> str:
    return next((_kind(reserve) for reserve in reserves if isinstance(reserve.overflow, OverflowTo)), "closed reserve")


def reserves_with_all_seats(look: Look) -> Sequence[Reserve]:
    """Return the reserves with seats, or none if the group `open` has seats too."""
    groups = [look.program.reserve(group) for group, seats in look.seats.items() if seats]
    reserves = [reserve for reserve in groups if reserve]
    return reserves if len(reserves) == len(groups) else ()
