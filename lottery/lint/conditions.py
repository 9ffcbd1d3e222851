"""Conditions that no child or every child meets, and conditions about facts that no applicant has."""

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
    Overflow,
    ZoneIn,
    depends_on_siblings,
)

ALIKE = 0.8
"""How similar two words must be to count as a misspelling; the ratio of difflib."""


# ---- conditions that are always or never met


def constant_conditions(look: Look) -> Iterator[Finding]:
    """Find conditions, and parts of conditions, that no child or every child meets, no matter who applies."""
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
        Role.ELIGIBLE: "so the program takes no new children",
        Role.CLASS: f"so no child can be in class “{rule.class_}”",
        Role.RESERVE: f"so no child qualifies for reserve “{rule.group}”",
        Role.OVERFLOW: f"so the seats that the children of reserve “{rule.group}” leave stay empty",
    }
    changes = {
        Role.ELIGIBLE: "Correct the condition. If the program takes no children, set its seats to 0.",
        Role.OVERFLOW: "Correct the condition, or close the reserve (overflow: closed).",
    }
    if rule.role is Role.RESERVE and rule.reserve and rule.reserve.overflow is Overflow.CLOSED:
        so[Role.RESERVE] += ". The reserve is closed, so its seats stay empty"
    return look.finding(
        Check.CONDITION_NEVER,
        rule.path,
        weight=Weight.CANNOT,
        basis=Basis.RULES,
        group=rule.group,
        class_=rule.class_,
        wrong=f"No matter who applies, no child can meet this condition, {so[rule.role]}.",
        change=changes.get(rule.role, f"Correct the condition, or remove the {rule.role}."),
    )


def _always(look: Look, rule: Rule) -> Iterator[Finding]:
    """Find an `eligible` or an `overflow` that every child meets; other checks look at such classes and reserves."""
    if rule.role is Role.ELIGIBLE and not isinstance(rule.condition, Everyone):
        yield look.finding(
            Check.CONDITION_ALWAYS,
            rule.path,
            weight=Weight.NOTE,
            basis=Basis.RULES,
            wrong="No matter who applies, every child meets `eligible`, so `eligible` leaves no child out.",
            change="Remove `eligible`, or correct the condition if the program must leave some children out.",
        )
    if rule.role is Role.OVERFLOW:
        yield look.finding(
            Check.CONDITION_ALWAYS,
            rule.path,
            weight=Weight.NOTE,
            basis=Basis.RULES,
            group=rule.group,
            wrong="No matter who applies, every child meets this condition, so the reserve bars no child.",
            change="Let all children have the rest (overflow: open), or correct the condition.",
        )


def _within(look: Look, logic: Cases, rule: Rule, condition: Condition, path: str) -> Iterator[Finding]:
    """Find parts without effect, from the outside in; the condition as a whole has an effect."""
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
    """Return the parts that change nothing about who meets the condition; of equal parts all but the first."""
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
    says = "no child can meet this part" if never else "the same children meet the condition without this part"
    return look.finding(
        check,
        path,
        weight=Weight.CANNOT if never else Weight.NOTE,
        basis=Basis.RULES,
        group=rule.group,
        class_=rule.class_,
        wrong=f"No matter who applies, {says}.",
        change="Correct or remove this part.",
    )


# ---- words that no applicant has


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words that applicants of a market have, for each kind of fact in a condition."""

    zones: AbstractSet[str]
    flags: AbstractSet[str]
    facts: AbstractSet[str]
    schools: AbstractSet[str]
    households: bool
    """Whether some applicant has a household."""

    def known(self, leaf: Condition) -> AbstractSet[str]:
        """Return the applicants' words for a leaf's kind of fact."""
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
    """Collect the words that applicants have."""
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
    """Return whether no applicant has any of a leaf's words."""
    words = words_of(leaf)
    return bool(words) and vocabulary.known(leaf).isdisjoint(words)


def words_of(leaf: Condition) -> Sequence[str]:
    """Return the words in a leaf."""
    match leaf:
        case ZoneIn(words) | AttendsIn(words):
            return words
        case Has(word) | AtSchool(word):
            return (word,)
        case _:
            return ()


def unknown_words(look: Look, vocabulary: Vocabulary) -> Iterator[Finding]:
    """Find words that no applicant has; in a list of several words, only those close to a known word."""
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
        wrong=f"Right now, no child {_having(leaf)} “{word}”.",
        change=f"Write “{meant}” if this is the word you mean."
        if meant
        else "Check the spelling, and check that the facts of all applicants are there.",
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
    """Return the known word that the rule probably means; words with different numbers are different names."""
    candidates = sorted(other for other in known if _digits(other) == _digits(word))
    same = [other for other in candidates if _bare(other) == _bare(word)]
    return next(iter(same or get_close_matches(word, candidates, n=1, cutoff=ALIKE)), None)


def _digits(word: str) -> str:
    return "".join(filter(str.isdigit, word))


def _bare(word: str) -> str:
    return "".join(filter(str.isalnum, word)).casefold() or word


# ---- siblings without an earlier placement


def siblings_never_placed(looks: Sequence[Look]) -> Iterator[Finding]:
    """Find `sibling_placed` at programs of a school that the match places first, so that it is never true."""
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
            wrong=f"No matter who applies, `sibling_placed` is never true at "
            f"{counted(len(expected), 'program', 'programs')}. The match starts with these grades at their "
            f"schools: {_some(look.program.id for look in expected)}.",
            change="Change nothing if these grades must come first. If not, reverse `grade_order`.",
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
                    wrong="No matter who applies, this is never true: the match does not place any earlier grade at "
                    "this "
                    "school.",
                    change="Put the grades of older siblings before this grade in policy.grade_order. Or ask for "
                    "siblings "
                    "who already attend (at_school), or remove this condition.",
                )


# ---- eligible


def nobody_eligible(looks: Sequence[Look]) -> Iterator[Finding]:
    """Find an `eligible` that no child who ranks the school meets; `looks` are those of one school."""
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
        wrong=f"Right now, none of the {asking:,} children who rank this school meets `eligible`. So the "
        "program takes no new children.",
        change="Correct the condition, or check that the facts of all applicants are there.",
        kinds=range(len(look.askers.kinds)),
    )


# ---- conditions that another finding explains


def explained(look: Look, condition: Condition, vocabulary: Vocabulary) -> bool:
    """Return whether another finding explains why no child in this market may meet a condition."""
    for leaf, _ in leaves_with_places(condition, ""):
        if leaf == SIBLING_PLACED and not (look.may_follow and vocabulary.households):
            return True
        if asks_in_vain(leaf, vocabulary):
            return True
    return False
