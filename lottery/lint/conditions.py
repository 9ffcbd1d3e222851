"""Conditions that nobody can meet, that everybody meets, or that ask for what no applicant has."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import get_close_matches

from lottery.lint.applicants import SIBLING_PLACED, Look
from lottery.lint.findings import Basis, Check, Finding, Weight, about_cycle, counted
from lottery.lint.json_paths import Role, Rule, leaves_with_places, parts_of
from lottery.lint.logic import Cases
from lottery.market.model import Applicant
from lottery.market.rules import (
    AllOf,
    AnyOf,
    AtSchool,
    AttendsIn,
    Condition,
    Everyone,
    Has,
    ZoneIn,
    depends_on_siblings,
)

ALIKE = 0.8
"""How alike two words must be for one to be taken for the other misspelled; difflib's ratio."""


# ---- conditions that are always or never met


def constant_conditions(look: Look) -> Iterator[Finding]:
    """Find conditions that are met by nobody or by everybody, whatever children apply, and parts that are."""
    if look.logic is None:
        return
    for rule in look.rules:
        met = look.logic.meeting(rule.condition)
        if not met:
            yield _never(look, rule)
        elif met == look.logic.all:
            yield from _always(look, rule)
        else:
            yield from _within(look, look.logic, rule, rule.condition, rule.path)


def _never(look: Look, rule: Rule) -> Finding:
    so = {
        Role.ELIGIBLE: "so the program takes nobody new",
        Role.CLASS: f"so nobody can be in class “{rule.class_}”",
        Role.RESERVE: f"so the seats of reserve “{rule.group}” are reserved for nobody",
    }
    if rule.role is Role.RESERVE and rule.reserve and rule.reserve.closed:
        so[Role.RESERVE] += ", and since it is closed they stay empty"
    return look.finding(
        Check.CONDITION_NEVER,
        rule.path,
        weight=Weight.CANNOT,
        basis=Basis.RULES,
        group=rule.group,
        class_=rule.class_,
        wrong=f"Whatever children apply, none can meet this condition, {so[rule.role]}.",
        change="Correct the condition; a program that takes nobody has 0 seats."
        if rule.role is Role.ELIGIBLE
        else f"Correct the condition, or remove the {rule.role}.",
    )


def _always(look: Look, rule: Rule) -> Iterator[Finding]:
    """Classes and reserves for everybody are found where it is looked at what they do."""
    if rule.role is Role.ELIGIBLE and not isinstance(rule.condition, Everyone):
        yield look.finding(
            Check.CONDITION_ALWAYS,
            rule.path,
            weight=Weight.NOTE,
            basis=Basis.RULES,
            wrong="Whatever children apply, every one meets `eligible`, so it leaves nobody out.",
            change="Remove it, or correct the condition if somebody was to be left out.",
        )


def _within(look: Look, logic: Cases, rule: Rule, condition: Condition, path: str) -> Iterator[Finding]:
    """Find parts that are constant or change nothing, outermost first; the condition itself is neither."""
    parts = list(parts_of(condition, path))
    idle = _idle_parts(logic, condition, [part for part, _ in parts])
    for place, (part, part_path) in enumerate(parts):
        if not logic.meeting(part):
            yield _part(look, rule, part_path, Check.PART_NEVER)
        elif place in idle:
            yield _part(look, rule, part_path, Check.PART_IDLE)
        else:
            yield from _within(look, logic, rule, part, part_path)


def _idle_parts(logic: Cases, condition: Condition, parts: Sequence[Condition]) -> AbstractSet[int]:
    """Return the parts without which the condition would be met by the same; of equal ones all but the first."""
    if not isinstance(condition, AllOf | AnyOf):
        return frozenset()
    of_kind = type(condition)
    kept = dict(enumerate(parts))
    for place in reversed(range(len(parts))):
        others = tuple(part for other, part in kept.items() if other != place)
        if logic.meeting(of_kind(others)) == logic.meeting(condition):
            del kept[place]
    return set(range(len(parts))) - kept.keys()


def _part(look: Look, rule: Rule, path: str, check: Check) -> Finding:
    never = check is Check.PART_NEVER
    says = "none can meet this part" if never else "the same meet the condition without this part"
    return look.finding(
        check,
        path,
        weight=Weight.CANNOT if never else Weight.NOTE,
        basis=Basis.RULES,
        group=rule.group,
        class_=rule.class_,
        wrong=f"Whatever children apply, {says}.",
        change="Correct this part, or remove it.",
    )


# ---- words that nobody has


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that some applicant of a market has, of each kind that a condition can ask for."""

    zones: AbstractSet[str]
    flags: AbstractSet[str]
    facts: AbstractSet[str]
    schools: AbstractSet[str]
    households: bool
    """Whether some applicant is said to be of a household."""

    def known(self, leaf: Condition) -> AbstractSet[str]:
        """Return the words of the kind that a leaf asks for."""
        match leaf:
            case ZoneIn():
                return self.zones
            case Has():
                return self.flags
            case AtSchool():
                return self.facts
            case _:
                return self.schools


def vocabulary_of(applicants: Iterable[Applicant]) -> Vocabulary:
    """Gather the words that applicants have."""
    zones: set[frozenset[str]] = set()
    flags: set[frozenset[str]] = set()
    facts: set[frozenset[str]] = set()
    schools: set[str] = set()
    households = False
    for applicant in applicants:
        zones.add(applicant.zones)
        flags.add(applicant.flags)
        facts.update(applicant.at.values())
        if applicant.attends is not None:
            schools.add(applicant.attends)
        households |= applicant.household is not None
    nothing: frozenset[str] = frozenset()
    return Vocabulary(nothing.union(*zones), nothing.union(*flags), nothing.union(*facts), schools, households)


def asks_in_vain(leaf: Condition, vocabulary: Vocabulary) -> bool:
    """Say whether a leaf asks for words of which no applicant has any."""
    words = words_of(leaf)
    return bool(words) and vocabulary.known(leaf).isdisjoint(words)


def words_of(leaf: Condition) -> Sequence[str]:
    """Return the words that a leaf asks for."""
    match leaf:
        case ZoneIn(words) | AttendsIn(words):
            return words
        case Has(word) | AtSchool(word):
            return (word,)
        case _:
            return ()


def unknown_words(look: Look, vocabulary: Vocabulary) -> Iterator[Finding]:
    """Find words that no applicant of the market has: each alone, or one of several if another is like it."""
    for rule in look.rules:
        for leaf, path in leaves_with_places(rule.condition, rule.path):
            words, known = words_of(leaf), vocabulary.known(leaf)
            in_vain = asks_in_vain(leaf, vocabulary)
            for index, word in enumerate(words):
                if word not in known and (in_vain or meant_instead(word, known - set(words))):
                    at = f"{path}[{index}]" if isinstance(leaf, ZoneIn | AttendsIn) else path
                    yield _unknown(look, rule, leaf, word, at, known - set(words))


def _unknown(look: Look, rule: Rule, leaf: Condition, word: str, path: str, known: AbstractSet[str]) -> Finding:
    meant = meant_instead(word, known)
    certain = meant is not None and _bare(meant) == _bare(word)
    return look.finding(
        Check.UNKNOWN_WORD,
        path,
        weight=Weight.CANNOT if certain else Weight.NOTE,
        basis=Basis.APPLICANTS,
        group=rule.group,
        class_=rule.class_,
        wrong=f"No applicant of this market {_having(leaf)} “{word}”.",
        change=f"Write “{meant}”, if that is meant." if meant else "Check the spelling, and whether the facts came in.",
    )


def _having(leaf: Condition) -> str:
    match leaf:
        case ZoneIn():
            return "lives in zone"
        case Has():
            return "has the flag"
        case AtSchool():
            return "has, at any school, the fact"
        case _:
            return "attends the school"


def meant_instead(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant; words that differ in a number are different names."""
    candidates = sorted(other for other in known if _digits(other) == _digits(word))
    same = [other for other in candidates if _bare(other) == _bare(word)]
    return next(iter(same or get_close_matches(word, candidates, n=1, cutoff=ALIKE)), None)


def _digits(word: str) -> str:
    return "".join(filter(str.isdigit, word))


def _bare(word: str) -> str:
    return "".join(filter(str.isalnum, word)).casefold() or word


# ---- siblings who cannot have been placed


def siblings_never_placed(looks: Sequence[Look]) -> Iterator[Finding]:
    """Find `sibling_placed` where no grade of the school is matched before: at all its programs, or at the first."""
    asking = [look for look in looks if any(map(depends_on_siblings, look.program.conditions()))]
    schools = {look.program.school for look in asking if look.may_follow}
    first = [look for look in asking if not look.may_follow]
    for look in first:
        if look.program.school not in schools:
            yield from _never_placed(look)
    expected = [look for look in first if look.program.school in schools]
    if expected:
        yield about_cycle(
            Check.SIBLING_NEVER,
            "$.policy.grade_order",
            basis=Basis.RULES,
            wrong=f"Whatever children apply, `sibling_placed` holds for nobody at "
            f"{counted(len(expected), 'program', 'programs')} of grades that are the first to be matched at their "
            f"school: {_some(look.program.id for look in expected)}.",
            change="Nothing, if these are the grades that are to be matched first; else turn `grade_order` round.",
        )


def _some(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:3]) + (f" and {len(every) - 3} more" if len(every) > 3 else "")  # noqa: PLR2004


def _never_placed(look: Look) -> Iterator[Finding]:
    for rule in look.rules:
        for leaf, path in leaves_with_places(rule.condition, rule.path):
            if leaf == SIBLING_PLACED:
                yield look.finding(
                    Check.SIBLING_NEVER,
                    path,
                    weight=Weight.CANNOT,
                    basis=Basis.RULES,
                    group=rule.group,
                    class_=rule.class_,
                    wrong="Whatever children apply, this holds for nobody: no program of the school with seats is of a "
                    "grade that is matched before.",
                    change="Put the grades in which elder siblings apply before this one in policy.grade_order, ask "
                    "for siblings who attend (at_school) instead, or remove it.",
                )


# ---- eligible


def nobody_eligible(looks: Sequence[Look]) -> Iterator[Finding]:
    """Find an `eligible` that, of all who ask at a school, nobody meets; `looks` are the school's."""
    same: dict[Condition, list[Look]] = {}
    for look in looks:
        if look.takes_new and not (look.logic and not look.logic.meeting(look.program.eligible)):
            same.setdefault(look.program.eligible, []).append(look)
    for alike in same.values():
        asking = [look.askers.count(look.askers.kinds_in(look.askers.cases.all)) for look in alike]
        if sum(asking) and not any(look.eligible for look in alike):
            for look in alike:
                yield _nobody_eligible(look, sum(asking))


def _nobody_eligible(look: Look, asking: int) -> Finding:
    return look.finding(
        Check.ELIGIBLE_NOBODY,
        f"{look.path}.eligible",
        weight=Weight.CANNOT,
        basis=Basis.APPLICANTS,
        wrong=f"In this market nobody of the {asking:,} who ask here meets `eligible`, so nobody new is considered.",
        change="Correct the condition, or check that the facts that it asks for came in.",
        kinds=range(len(look.askers.kinds)),
    )


# ---- what is explained already


def explained(look: Look, condition: Condition, vocabulary: Vocabulary) -> bool:
    """Say whether another finding tells why a condition may hold for nobody in this market."""
    for leaf, _ in leaves_with_places(condition, ""):
        if leaf == SIBLING_PLACED and not (look.may_follow and vocabulary.households):
            return True
        if asks_in_vain(leaf, vocabulary):
            return True
    return False
