"""Priority classes that no child can reach, that every child is in, or that follow families' rankings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lottery.lint.applicants import Look
from lottery.lint.conditions import Vocabulary, explained
from lottery.lint.findings import Basis, Check, Finding, Weight, named
from lottery.lint.json_paths import ClassList, class_lists
from lottery.lint.logic import Cases, Table
from lottery.market.rules import GENERAL, Condition, OverflowTo, PriorityClass, depends_on_siblings

FEWEST = 10
"""With fewer children, a class with all or none of them is no news."""


# ---- by logic


def classes_by_logic(look: Look) -> Iterator[Finding]:
    """Find classes that no child can reach, and classes that leave no child for later ones, no matter who applies."""
    if look.logic is None:
        return
    for listed in class_lists(look.program, look.path):
        admitted = look.logic.meeting(look.program.eligible) & _meeting_if_barring(look.logic, listed)
        if admitted:
            yield from _unreachable(look, look.logic, listed, admitted)
            yield from _nobody_left(look, look.logic, listed, admitted)


def _meeting_if_barring(cases: Cases, listed: ClassList) -> Table:
    return cases.meeting(listed.reserve.admits) if listed.reserve else cases.all


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
                wrong=f"No matter who applies, no child can reach this class: {why}.",
                change=change,
            )
        left &= ~met


def _why_unreachable(look: Look, logic: Cases, listed: ClassList, place: int, admitted: Table) -> tuple[str, str]:
    priority = listed.classes[place]
    met = logic.meeting(priority.when)
    if not met & logic.meeting(look.program.eligible):
        return "children who meet its condition do not meet `eligible`", "Widen `eligible`, or remove the class."
    if not met & admitted:
        why = "the reserve is closed to other children, and its own children do not meet the condition"
        if listed.reserve and isinstance(listed.reserve.overflow, OverflowTo):
            why = "the children who can get a seat in this reserve do not meet the condition"
        return why, "Remove the class from this reserve, or let other children in (overflow: open)."
    met &= admitted
    for earlier in listed.classes[:place]:
        before = logic.meeting(earlier.when) & admitted
        if before == met:
            why = f"class “{earlier.name}” comes first and takes the same children"
            return why, "Remove one of the two classes, or correct its condition."
        if not met & ~before:
            why = f"every child in this class is already in class “{earlier.name}”, which comes first"
            return why, f"Put this class before “{earlier.name}”, or remove this class."
    names = named(_needed(logic, listed.classes[:place], met))
    why = f"every child in this class is already in one of the classes {names}, which come first"
    return why, "Put this class before those classes, or remove this class."


def _needed(logic: Cases, earlier: Sequence[PriorityClass], met: Table) -> Sequence[str]:
    return [priority.name for priority in earlier if logic.meeting(priority.when) & met]


def _nobody_left(look: Look, logic: Cases, listed: ClassList, admitted: Table) -> Iterator[Finding]:
    """Find the last class that children can reach, if it takes all children who are left."""
    left = admitted
    for place, priority in enumerate(listed.classes):
        met = logic.meeting(priority.when)
        if left and not left & ~met:
            who = "every child outside the earlier classes" if place else "every child who can get a seat here"
            yield look.finding(
                Check.CLASS_FOR_ALL,
                f"{listed.path}[{place}]",
                weight=Weight.NOTE,
                basis=Basis.RULES,
                group=listed.reserve.name if listed.reserve else None,
                class_=priority.name,
                wrong=f"No matter who applies, {who} is in this class. So the class puts no child ahead of another, "
                "and "
                f"“{GENERAL}” stays empty.",
                change="Change nothing if the class only names all other children. If not, correct the condition.",
            )
        left &= ~met


# ---- with the applicants of this market


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
    """One class of a school: the same name and condition in the same list at several programs."""

    name: str
    when: Condition
    group: str | None


def classes_in_market(looks: Sequence[Look], vocabulary: Vocabulary) -> Iterator[Finding]:
    """Find classes of one school that no child, or every child, is in at all of its programs."""
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
    """Return the classes of a school that logic does not rule out."""
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
    admitted = look.considered & _meeting_if_barring(cases, listed)
    if listed.reserve:
        name = listed.reserve.name
        admitted |= look.askers.where(lambda kind: kind.holds == name)
    left = admitted
    for place, priority in enumerate(listed.classes):
        met = cases.meeting(priority.when)
        yield AtProgram(look, f"{listed.path}[{place}]", admitted, met & admitted, met & left)
        left &= ~met


def _possible(look: Look, listed: ClassList) -> set[int]:
    """Return the places of classes that some children can reach and not all children must be in."""
    logic = look.logic
    if logic is None:
        return set(range(len(listed.classes)))
    left = logic.meeting(look.program.eligible) & _meeting_if_barring(logic, listed)
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
            wrong=f"Right now, the class stays empty: none of the {children:,} children who can get a seat here "
            "meets the "
            "condition.",
            change="Check that the facts of all applicants are there. If so, no current applicant has this priority.",
        )


def _hidden(same: SameClass, everywhere: Sequence[AtProgram], meeting: int) -> Iterator[Finding]:
    for at in everywhere:
        yield _note(
            Check.CLASS_EMPTY,
            same,
            at,
            wrong=f"Right now, the class stays empty: all {meeting:,} children who can meet the condition are in "
            "earlier "
            "classes.",
            change="If these children need this class, move this class before the earlier classes.",
        )


def _for_all(same: SameClass, everywhere: Sequence[AtProgram], children: int) -> Iterator[Finding]:
    for at in everywhere:
        yield _note(
            Check.CLASS_FOR_ALL,
            same,
            at,
            wrong=f"Right now, all {children:,} children who can get a seat here are in this class, so the class "
            "puts no child "
            "ahead of another.",
            change="Check the condition if some children must come later.",
        )


def _follows_ranking(same: SameClass, everywhere: Sequence[AtProgram]) -> Iterator[Finding]:
    """Find a class whose condition exactly the children who rank the program first meet."""
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
                wrong=f"Right now, the {met:,} children who rank the program first meet the condition, and the "
                f"{others:,} other children do not. A class that depends on rankings rewards families who hide a true "
                "choice.",
                change="Check how children get this fact. Do not give the fact for a ranking; if you do not, this is "
                "chance.",
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
