"""Conditions of rules in words."""

from collections.abc import Sequence

from lottery.explain.language import Language
from lottery.market.rules import (
    AllOf,
    AnyOf,
    AtSchool,
    AttendsIn,
    Condition,
    Everyone,
    Has,
    Not,
    SiblingPlaced,
    ZoneIn,
)


def condition_in_words(condition: Condition, language: Language) -> str:
    """Return a condition in words that complete `a child who` (Spanish `un estudiante que`, Arabic `الذي`)."""
    say = language.say
    match _negations_at_facts(condition):
        case Everyone() | AllOf(()) | Not(AnyOf(()) | ZoneIn(()) | AttendsIn(())):
            return say("applies")
        case AnyOf(()) | ZoneIn(()) | AttendsIn(()) | Not(Everyone() | AllOf(())):
            return say("meets a rule that no child can meet")
        case AllOf(parts):
            return language.all_of(_part(part, language) for part in parts)
        case AnyOf(parts):
            return language.any_of(_part(part, language) for part in parts)
        case Not(fact):
            return _fact(fact, language, negated=True)
        case fact:
            return _fact(fact, language, negated=False)


def _negations_at_facts(condition: Condition) -> Condition:
    """Write the same condition with `not` only before single facts, because families understand those."""
    match condition:
        case Not(Not(part)):
            return _negations_at_facts(part)
        case Not(AllOf(parts)) if parts:
            return AnyOf(tuple(_negations_at_facts(Not(part)) for part in parts))
        case Not(AnyOf(parts)) if parts:
            return AllOf(tuple(_negations_at_facts(Not(part)) for part in parts))
        case _:
            return condition


def _part(condition: Condition, language: Language) -> str:
    words = condition_in_words(condition, language)
    joined = isinstance(_negations_at_facts(condition), AllOf | AnyOf)
    return f"({words})" if joined else words


def _fact(fact: Condition, language: Language, *, negated: bool) -> str:
    match fact:
        case ZoneIn(zones):
            return _zones(zones, language, negated=negated)
        case AttendsIn(schools):
            return _schools(schools, language, negated=negated)
        case Has(flag):
            return _flag(flag, language, negated=negated)
        case AtSchool(name):
            return _at_school(name, language, negated=negated)
        case SiblingPlaced():
            return _sibling_placed(language, negated=negated)
        case _:
            raise TypeError(fact)


def _zones(zones: Sequence[str], language: Language, *, negated: bool) -> str:
    names = language.any_of(map(language.name, zones))
    if negated:
        return language.count("does not live in zone {zones}", "does not live in zone {zones}", len(zones), zones=names)
    return language.count("lives in zone {zones}", "lives in zone {zones}", len(zones), zones=names)


def _schools(schools: Sequence[str], language: Language, *, negated: bool) -> str:
    say, names = language.say, language.any_of(map(language.name, schools))
    if negated:
        return say("does not go to {schools} now", schools=names)
    return say("goes to {schools} now", schools=names)


def _flag(flag: str, language: Language, *, negated: bool) -> str:
    say, name = language.say, language.name(flag)
    match flag:
        case "ell":
            return say("is not learning English") if negated else say("is learning English")
        case "frl":
            return say("does not have a low family income") if negated else say("has a low family income")
        case "sped":
            return say("does not get special education") if negated else say("gets special education")
        case "homeless":
            return say("has a permanent home") if negated else say("does not have a permanent home")
        case _:
            return (
                say("does not have the label “{flag}”", flag=name)
                if negated
                else say("has the label “{flag}”", flag=name)
            )


def _at_school(fact: str, language: Language, *, negated: bool) -> str:
    say, name = language.say, language.name(fact)
    match fact:
        case "sibling":
            return (
                say("does not have a brother or sister at this school")
                if negated
                else say("has a brother or sister at this school")
            )
        case "staff" | "staff_child":
            return (
                say("does not have a parent who works at this school")
                if negated
                else say("has a parent who works at this school")
            )
        case _:
            return (
                say("does not have the label “{fact}” at this school", fact=name)
                if negated
                else say("has the label “{fact}” at this school", fact=name)
            )


def _sibling_placed(language: Language, *, negated: bool) -> str:
    if negated:
        return language.say("does not have a brother or sister with a new seat here")
    return language.say("has a brother or sister with a new seat here")
