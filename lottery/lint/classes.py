"""Priority classes that no one can reach, that hold everybody, or that follow what a family ranks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lottery.lint.applicants import Look
from lottery.lint.conditions import Vocabulary, explained
from lottery.lint.findings import Basis, Check, Finding, Weight, named
from lottery.lint.json_paths import ClassList, class_lists
from lottery.lint.logic import Cases, Table
from lottery.market.rules import GENERAL, Condition, PriorityClass, depends_on_siblings

FEWEST = 10
"""Children below which it is no news that all of them, or none, are in a class or rank a program first."""


# ---- by logic


def classes_by_logic(look: Look) -> Iterator[Finding]:
    """Find classes that no child can reach, and classes behind which nobody is left, whatever children apply."""
    if look.logic is None:
        return
    for listed in class_lists(look.program, look.path):
        admitted = look.logic.meeting(look.program.eligible) & _meeting_if_closed(look.logic, listed)
        if admitted:
            yield from _unreachable(look, look.logic, listed, admitted)
            yield from _nobody_left(look, look.logic, listed, admitted)


def _meeting_if_closed(cases: Cases, listed: ClassList) -> Table:
    return cases.meeting(listed.reserve.when) if listed.reserve and listed.reserve.closed else cases.all


def _unreachable(look: Look, logic: Cases, listed: ClassList, admitted: Table) -> Iterator[Finding]:
    left = admitted
    for place, priority in enumerate(listed.classes):
        met = logic.meeting(priority.when)
        if met and not met & left:
            why, change = _why_unreachable(look, logic, listed, place, admitted)
            yield look.finding(
                Check.CLASS_UNREACHABLE,
                f"{listed.path}[{place}]",
                weight=Weight.CANNOT,
                basis=Basis.RULES,
                group=listed.reserve.name if listed.reserve else None,
                class_=priority.name,
                wrong=f"Whatever children apply, no one can reach this class: {why}.",
                change=change,
            )
        left &= ~met


def _why_unreachable(look: Look, logic: Cases, listed: ClassList, place: int, admitted: Table) -> tuple[str, str]:
    priority = listed.classes[place]
    met = logic.meeting(priority.when)
    if not met & logic.meeting(look.program.eligible):
        return "who meets its condition does not meet `eligible`", "Widen `eligible`, or remove the class."
    if not met & admitted:
        why = "the reserve is closed to others, and none of its own children meets the class's condition"
        return why, "Remove the class from this reserve, or let others in (overflow: open)."
    met &= admitted
    for earlier in listed.classes[:place]:
        before = logic.meeting(earlier.when) & admitted
        if before == met:
            why = f"class “{earlier.name}”, which stands before it, takes the same children"
            return why, "Remove one of the two, or correct its condition."
        if not met & ~before:
            why = f"everybody in it is in class “{earlier.name}” already, which stands before it"
            return why, f"Put it before “{earlier.name}”, or remove it."
    names = named(_needed(logic, listed.classes[:place], met))
    why = f"everybody in it is in one of the classes {names} already, which stand before it"
    return why, "Put it before one of them, or remove it."


def _needed(logic: Cases, earlier: Sequence[PriorityClass], met: Table) -> Sequence[str]:
    return [priority.name for priority in earlier if logic.meeting(priority.when) & met]


def _nobody_left(look: Look, logic: Cases, listed: ClassList, admitted: Table) -> Iterator[Finding]:
    """Find the last class that somebody can reach, if it takes everybody who is left."""
    left = admitted
    for place, priority in enumerate(listed.classes):
        met = logic.meeting(priority.when)
        if left and not left & ~met:
            who = "everybody who gets so far" if place else "everybody who may be considered"
            yield look.finding(
                Check.CLASS_FOR_ALL,
                f"{listed.path}[{place}]",
                weight=Weight.NOTE,
                basis=Basis.RULES,
                group=listed.reserve.name if listed.reserve else None,
                class_=priority.name,
                wrong=f"Whatever children apply, {who} is in this class, so it puts nobody before anybody, and "
                f"“{GENERAL}” stays empty.",
                change="Nothing, if it only gives a name to everybody else; else correct the condition.",
            )
        left &= ~met


# ---- in this market


@dataclass(frozen=True, slots=True)
class AtProgram:
    """A class at one program, with the cases of the children there."""

    look: Look
    path: str
    admitted: Table
    met: Table
    reached: Table


@dataclass(frozen=True, slots=True)
class SameClass:
    """What is one class to a school: the same name and condition in the same list of several programs."""

    name: str
    when: Condition
    group: str | None


def classes_in_market(looks: Sequence[Look], vocabulary: Vocabulary) -> Iterator[Finding]:
    """Find, at one school, classes that nobody of this market is in at any program, and such that everybody is in."""
    for_all: set[str | None] = set()
    for same, everywhere in _by_class(looks).items():
        children = _count(everywhere, [at.admitted for at in everywhere])
        if children < FEWEST:
            continue
        if all(at.reached == at.admitted for at in everywhere):
            for_all.add(same.group)
            yield from _for_all(same, everywhere, children)
        elif not any(at.reached for at in everywhere):
            meeting = _count(everywhere, [at.met for at in everywhere])
            if meeting >= FEWEST and same.group not in for_all:
                yield from _hidden(same, everywhere, meeting)
            elif not meeting and not explained(everywhere[0].look, same.when, vocabulary):
                yield from _empty(same, everywhere, children)
        if not depends_on_siblings(same.when):
            yield from _follows_ranking(same, everywhere)


def _count(everywhere: Sequence[AtProgram], tables: Sequence[Table]) -> int:
    askers = [at.look.askers for at in everywhere]
    return sum(here.count(here.kinds_in(table)) for here, table in zip(askers, tables, strict=True))


def _by_class(looks: Sequence[Look]) -> dict[SameClass, list[AtProgram]]:
    """Return the classes of a school that some child might be in, as far as logic says."""
    same: dict[SameClass, list[AtProgram]] = {}
    for look in looks:
        for listed in class_lists(look.program, look.path) if look.takes_new else ():
            possible = _possible(look, listed)
            for place, at in enumerate(_in_list(look, listed)):
                priority = listed.classes[place]
                if place in possible:
                    group = listed.reserve.name if listed.reserve else None
                    same.setdefault(SameClass(priority.name, priority.when, group), []).append(at)
    return same


def _in_list(look: Look, listed: ClassList) -> Iterator[AtProgram]:
    cases = look.askers.cases
    admitted = look.considered & _meeting_if_closed(cases, listed)
    if listed.reserve and listed.reserve.closed:
        name = listed.reserve.name
        admitted |= look.askers.where(lambda kind: kind.holds == name)
    left = admitted
    for place, priority in enumerate(listed.classes):
        met = cases.meeting(priority.when)
        yield AtProgram(look, f"{listed.path}[{place}]", admitted, met & admitted, met & left)
        left &= ~met


def _possible(look: Look, listed: ClassList) -> set[int]:
    """Return the places of classes that some child can reach, but not everybody has to be in."""
    logic = look.logic
    if logic is None:
        return set(range(len(listed.classes)))
    left = logic.meeting(look.program.eligible) & _meeting_if_closed(logic, listed)
    possible = set()
    for place, priority in enumerate(listed.classes):
        met = logic.meeting(priority.when) & left
        if met and met != left:
            possible.add(place)
        left &= ~met
    return possible


def _empty(same: SameClass, everywhere: Sequence[AtProgram], children: int) -> Iterator[Finding]:
    for at in everywhere:
        yield _note(
            Check.CLASS_EMPTY,
            same,
            at,
            wrong=f"In this market the class stays empty: nobody of the {children:,} who are considered here meets its "
            "condition.",
            change="Check that the facts that it asks for came in; if they did, the class waits for other children.",
        )


def _hidden(same: SameClass, everywhere: Sequence[AtProgram], meeting: int) -> Iterator[Finding]:
    for at in everywhere:
        yield _note(
            Check.CLASS_EMPTY,
            same,
            at,
            wrong=f"In this market the class stays empty: all {meeting:,} who can meet its condition are in classes "
            "before it.",
            change="Put it before the classes that take them, if it is to tell these children apart.",
        )


def _for_all(same: SameClass, everywhere: Sequence[AtProgram], children: int) -> Iterator[Finding]:
    for at in everywhere:
        yield _note(
            Check.CLASS_FOR_ALL,
            same,
            at,
            wrong=f"In this market all {children:,} who are considered here are in the class, so it puts nobody before "
            "anybody.",
            change="Check the condition, if somebody was to stand behind.",
        )


def _follows_ranking(same: SameClass, everywhere: Sequence[AtProgram]) -> Iterator[Finding]:
    """Find a class whose condition is met by exactly those who rank the program first."""
    met = others = 0
    for at in everywhere:
        askers = at.look.askers
        met_kinds = askers.kinds_in(at.met)
        other_kinds = askers.kinds_in(at.admitted) - met_kinds
        if not all(askers.kinds[kind].first_choice for kind in met_kinds):
            return
        if any(askers.kinds[kind].first_choice for kind in other_kinds):
            return
        met += askers.count(met_kinds)
        others += askers.count(other_kinds)
    if min(met, others) >= FEWEST:
        for at in everywhere:
            yield _note(
                Check.CLASS_FOLLOWS_RANKING,
                same,
                at,
                wrong=f"In this market, of those considered here, the {met:,} who rank the program first meet its "
                f"condition and none of the {others:,} others does: a class that hangs on the ranking rewards hiding a "
                "true choice.",
                change="Take the ranking out of what the fact is given for; if it is not in it, this is chance.",
            )


def _note(check: Check, same: SameClass, at: AtProgram, *, wrong: str, change: str) -> Finding:
    return at.look.finding(
        check,
        at.path,
        weight=Weight.NOTE,
        basis=Basis.APPLICANTS,
        group=same.group,
        class_=same.name,
        wrong=wrong,
        change=change,
    )
