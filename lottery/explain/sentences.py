"""Say rules and explanations in words that a tired parent understands.

The facts come from `lottery.explain.facts`; here they only become sentences, through `lottery.explain.language`.
"""

from collections.abc import Iterator

from lottery.explain.facts import AtGroup, AtProgram, Decided, Explanation
from lottery.explain.language import Language
from lottery.market.outcome import LastAdmitted
from lottery.market.rules import (
    GENERAL,
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
from lottery.match.standing import Barred

SCALE = 1_000_000
"""Lottery numbers are told to people as whole numbers from 1 to this."""

INDENT = "   "

UNASKED = {Decided.PLACED_HIGHER, Decided.SIBLING_FIRST, Decided.BELOW_HELD_SEAT}
GIVEN = {Decided.SEATED, Decided.KEPT}


def condition_in_words(condition: Condition, language: Language) -> str:
    """Return what a condition asks of a child, to follow the words `a child who`."""
    say = language.say
    match condition:
        case Everyone() | AllOf(()):
            return say("applies")
        case AnyOf(()) | ZoneIn(()) | AttendsIn(()):
            return say("meets what nobody can meet")
        case AllOf(parts):
            return language.all_of(_grouped(part, language) for part in parts)
        case AnyOf(parts):
            return language.any_of(_grouped(part, language) for part in parts)
        case Not(part):
            return say("does not meet this: {condition}", condition=_grouped(part, language))
        case _:
            return _fact_asked(condition, language)


def _fact_asked(condition: Condition, language: Language) -> str:
    say = language.say
    match condition:
        case ZoneIn(zones):
            return language.count(
                "lives in zone {zones}",
                "lives in one of the zones {zones}",
                len(zones),
                zones=language.any_of(map(language.name, zones)),
            )
        case AttendsIn(schools):
            return say("attends {schools} now", schools=language.any_of(map(language.name, schools)))
        case Has(flag):
            return _flag_in_words(flag, language)
        case AtSchool(fact):
            return _fact_in_words(fact, language)
        case SiblingPlaced():
            return say("has a brother or sister who was given a seat at this school in this round")
        case _:
            raise TypeError(condition)


def _grouped(condition: Condition, language: Language) -> str:
    words = condition_in_words(condition, language)
    return f"({words})" if isinstance(condition, AllOf | AnyOf | Not) else words


def _flag_in_words(flag: str, language: Language) -> str:
    say = language.say
    match flag:
        case "ell":
            return say("is learning English")
        case "frl":
            return say("is of a family with a low income")
        case "sped":
            return say("receives special education")
        case "homeless":
            return say("has no fixed home")
        case _:
            return say("has the mark “{flag}”", flag=language.name(flag))


def _fact_in_words(fact: str, language: Language) -> str:
    say = language.say
    match fact:
        case "sibling":
            return say("has a brother or sister at this school")
        case "staff" | "staff_child":
            return say("has a parent who works at this school")
        case _:
            return say("has the mark “{fact}” at this school", fact=language.name(fact))


def explanation_in_words(explanation: Explanation, language: Language) -> list[str]:
    """Return the lines of an explanation."""
    lines = [language.say("Result for {applicant}", applicant=language.name(explanation.applicant))]
    lines += _result(explanation, language)
    for program in explanation.programs:
        lines += ["", *_program_lines(program, language)]
    return lines


def _result(explanation: Explanation, language: Language) -> Iterator[str]:
    placement = explanation.placement
    if placement is None:
        yield language.say("No seat in this round.")
        if explanation.ranked == 0:
            yield language.say("The ranking was empty, so there was no school to ask.")
        else:
            yield language.count(
                "The one choice could not give a seat; what decided is told below.",
                "None of the {number} choices could give a seat; what decided at each is told below.",
                explanation.ranked,
            )
        return
    seat = {"program": language.name(placement.program), "group": language.name(placement.group)}
    if placement.choice is None:
        yield language.say("Keeps the seat at {program} (group “{group}”), which was not ranked.", **seat)
    else:
        yield language.say(
            "Placed at {program} (group “{group}”): choice {choice} of {ranked}.",
            **seat,
            choice=placement.choice,
            ranked=explanation.ranked,
        )
    decisions = [{group.decided for group in program.groups} for program in explanation.programs]
    if any(Decided.SIBLING_FIRST in decided for decided in decisions):
        yield language.say("Schools where a brother or sister has a new seat were asked first, as the family wished.")
    if placement.choice == 1:
        yield language.say("This was the first choice, so nothing better was asked for.")
    refused = sum(not decided & (UNASKED | GIVEN) for decided in decisions)
    if refused:
        yield language.count(
            "One choice above it could not give a seat; what decided is told below.",
            "{number} choices above it could not give a seat; what decided at each is told below.",
            refused,
        )


def _program_lines(at: AtProgram, language: Language) -> Iterator[str]:
    yield _title(at, language)
    whole = _whole_program(at, language)
    if whole:
        yield INDENT + whole
    mine = next((group.mine for group in at.groups if group.mine), None)
    if mine:
        yield INDENT + _own_number(mine, language)
    for group in at.groups:
        yield INDENT + _group_title(group, language)
        if group.mine:
            yield from (INDENT * 2 + line for line in _own_standing(group, group.mine, language))
        yield INDENT * 2 + _last_line(group, language)
        if not whole:
            yield INDENT * 2 + _decision(group, language)
        if group.waiting_place:
            yield INDENT * 2 + language.say(
                "Waitlist of this group: place {place} of {waiting}.",
                place=group.waiting_place,
                waiting=group.waiting,
            )


def _title(at: AtProgram, language: Language) -> str:
    decisions = {group.decided for group in at.groups}
    name = language.name(at.program.id)
    seat = decisions & GIVEN
    if at.choice is None:
        return (
            language.say("Held seat: {program}, kept", program=name)
            if seat
            else language.say("Held seat: {program}, given up for a higher place", program=name)
        )
    if seat:
        return language.say("Choice {choice}: {program}, seat given", choice=at.choice, program=name)
    if decisions & UNASKED:
        return language.say("Choice {choice}: {program}, not asked", choice=at.choice, program=name)
    return language.say("Choice {choice}: {program}, no seat", choice=at.choice, program=name)


def _whole_program(at: AtProgram, language: Language) -> str | None:
    """Say what decided at all groups of a program at once, where it is the same."""
    say = language.say
    if at.groups[0].decided is Decided.PLACED_HIGHER:
        return say("Not asked, since the child has a seat at a higher place of the ranking.")
    if at.groups[0].decided is Decided.SIBLING_FIRST:
        return say("Not asked, since the child has a seat at the school of a brother or sister, which was asked first.")
    if at.groups[0].decided is Decided.BELOW_HELD_SEAT:
        return say("Not asked, since it is ranked below the seat that the child holds.")
    match at.groups[0].barred:
        case Barred.NOBODY_NEW:
            return say("Not considered: in this round the school takes nobody new here.")
        case Barred.NOT_ELIGIBLE:
            condition = condition_in_words(at.program.eligible, language)
            return say("Not considered: the school takes only a child who {condition}.", condition=condition)
        case Barred.NOT_LISTED:
            return say("Not considered: the child is not on the list of this school, which chooses for itself.")
        case _:
            return None


def _own_number(mine: LastAdmitted, language: Language) -> str:
    if mine.position is not None:
        return language.say("Place in the school's own list: {position}", position=mine.position)
    return language.say("Lottery number here: {number} of {scale}; lower is better", number=scaled(mine), scale=SCALE)


def _group_title(at: AtGroup, language: Language) -> str:
    name = language.name(at.name)
    if at.reserve is None:
        return language.count(
            "Group “{name}”: {number} seat, for everybody",
            "Group “{name}”: {number} seats, for everybody",
            at.seats,
            name=name,
        )
    condition = condition_in_words(at.reserve.when, language)
    if at.reserve.closed:
        return language.count(
            "Group “{name}”: {number} seat, only for a child who {condition}",
            "Group “{name}”: {number} seats, only for a child who {condition}",
            at.seats,
            name=name,
            condition=condition,
        )
    return language.count(
        "Group “{name}”: {number} seat, first for a child who {condition}",
        "Group “{name}”: {number} seats, first for a child who {condition}",
        at.seats,
        name=name,
        condition=condition,
    )


def _own_standing(at: AtGroup, mine: LastAdmitted, language: Language) -> Iterator[str]:
    say = language.say
    if at.reserve and mine.meets:
        yield say("The child is one of those for whom these seats are reserved.")
    if mine.late:
        yield say("The application counts as late here.")
    if at.because is None:
        yield say("Class: none of the school's priority classes applies.")
    else:
        condition = condition_in_words(at.because, language)
        yield say(
            "Class: “{class_}”, since the child {condition}.", class_=language.name(mine.class_), condition=condition
        )


def _last_line(at: AtGroup, language: Language) -> str:
    last, say = at.last, language.say
    if last is None:
        return say("Seats given: {filled} of {seats}.", filled=at.filled, seats=at.seats)
    return say("Last one admitted: {standing}.", standing=language.all_of(_standing_in_words(last, language)))


def _standing_in_words(last: LastAdmitted, language: Language) -> Iterator[str]:
    say = language.say
    if last.holder:
        yield say("held the seat before")
    if not last.meets:
        yield say("not of those for whom the group is reserved")
    if last.late:
        yield say("late")
    yield (
        say("in no priority class")
        if last.class_ == GENERAL
        else say("class “{class_}”", class_=language.name(last.class_))
    )
    yield (
        say("place {position} in the school's list", position=last.position)
        if last.position is not None
        else say("lottery number {number}", number=scaled(last))
    )


def _decision(at: AtGroup, language: Language) -> str:
    """Say what decided at a group."""
    say = language.say
    match at.decided:
        case Decided.SEATED:
            return say("The child has a seat in this group.")
        case Decided.KEPT:
            return say("The child held a seat in this group and keeps it.")
        case Decided.EARLIER_GROUP:
            return say("Not needed: the child has a seat in a group that is filled before this one.")
        case Decided.NOT_CONSIDERED if at.barred is Barred.RESERVE_CLOSED:
            return say("Not considered: these seats are only for those for whom they are reserved.")
        case Decided.NOT_CONSIDERED:
            return say("Not considered: who holds a seat at this school keeps to the group of that seat.")
        case Decided.NO_SEATS:
            return say("This group has no seats in this round.")
        case _:
            return _against_last(at, language)


def _against_last(at: AtGroup, language: Language) -> str:
    """Say in what the last one admitted to a full group stood before the child."""
    say = language.say
    match at.decided:
        case Decided.HOLDERS:
            return say("All seats stayed with children who held them before this round.")
        case Decided.RESERVE:
            return say("All seats went to children for whom they are reserved; this child is not one of them.")
        case Decided.LATE:
            return say("All seats went before late applications came to their turn; this one was late.")
        case Decided.CLASS:
            return say("All seats went to children in the same or a better class, the last one in a better class.")
        case Decided.NUMBER:
            return say(
                "The last one admitted was level with the child in all but the lottery number, which was better."
            )
        case Decided.POSITION:
            return say("The school's own list has the last one admitted before this child.")
        case Decided.TICKET:
            return say("Twins share a lottery number; between equal numbers the tickets' order decides.")
        case _:
            return say("This does not follow from the rules: have the outcome verified.")


def scaled(standing: LastAdmitted) -> int:
    """Return a lottery number as a whole number from 1 to `SCALE`, as it is told to people."""
    return (int((standing.number or "0")[:16], 16) * SCALE >> 64) + 1
