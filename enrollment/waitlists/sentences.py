"""Tell families how a child moved on a waitlist, and why."""

from collections.abc import Mapping

from enrollment.directory.names import name_for_families
from enrollment.problems import sentence
from enrollment.waitlists.places import PlaceOnWaitlist
from lottery.explain.language import Language
from lottery.market.rules import GENERAL, OPEN

PLACE = sentence("Your child is now number {place} on the waitlist of {program}.")
PLACE_FOR_GROUP = sentence("Your child is now number {place} on the waitlist of {program} for “{group}” seats.")
PLACE_AFTER_ROUND = sentence("After this round, your child was number {place} on the waitlist of {program}.")
PLACE_FOR_GROUP_AFTER_ROUND = sentence(
    "After this round, your child was number {place} on the waitlist of {program} for “{group}” seats."
)

MOVED = sentence("On {moment}, your child moved from number {was} to number {became} on the waitlist of {program}.")
JOINED = sentence("On {moment}, your child became number {became} on the waitlist of {program}.")
LEFT = sentence("On {moment}, your child left the waitlist of {program}. Before that, your child was number {was}.")

OWN: Mapping[str, str] = {
    "own-applied": sentence("You added this program. Your child has {priority} priority here."),
    "own-returned": sentence(
        "Your child no longer has a seat at a higher choice, so your child waits here with {priority} priority."
    ),
    "own-priority": sentence("Your child now has {priority} priority here."),
    "own-order": sentence("This waitlist now follows the order in which the school fills seats that open later."),
    "own-number": sentence("Your child got a lottery number."),
    "own-placed": sentence("Your child got a seat here or at a higher choice."),
    "own-left": sentence("You removed this program from your ranking."),
    "own-withdrawn": sentence("Your application was withdrawn."),
    "own-facts": sentence("Your child can no longer get a seat here."),
}
"""Reasons that are about the child, by code."""

OWN_WITHOUT_PRIORITY: Mapping[str, str] = {
    "own-applied": sentence("You added this program."),
    "own-returned": sentence("Your child no longer has a seat at a higher choice, so your child waits here."),
    "own-priority": sentence("Your child no longer has a priority here."),
}
"""The same reasons for a child who has no priority at the program."""


def place_in_words(place: PlaceOnWaitlist, language: Language) -> str:
    """Say a child's place on a live waitlist, or on a waitlist as a round left it."""
    in_group = place.group != OPEN
    if place.is_live:
        template = PLACE_FOR_GROUP if in_group else PLACE
    else:
        template = PLACE_FOR_GROUP_AFTER_ROUND if in_group else PLACE_AFTER_ROUND
    return language.say(
        template,
        place=place.place,
        program=language.name(name_for_families(place.program_name, place.school_name)),
        group=language.name(place.group),
    )


def move_in_words(was: int | None, became: int | None, *, program: str, moment: str, language: Language) -> str:
    """Say how a child's number on the waitlist of a program changed, and when."""
    at = {"program": language.name(program), "moment": moment}
    if was is None:
        return language.say(JOINED, became=became or 0, **at)
    return language.say(LEFT, was=was, **at) if became is None else language.say(MOVED, was=was, became=became, **at)


def reason_in_words(code: str, priority_class: str | None, number: int, language: Language) -> str:
    """Say one reason for a move."""
    has_priority = priority_class not in (None, "", GENERAL)
    if code in OWN:
        template = OWN[code] if has_priority else OWN_WITHOUT_PRIORITY.get(code, OWN[code])
        return language.say(template, priority=language.name(priority_class or ""))
    if has_priority:
        return _with_priority(code, language.name(priority_class or ""), number, language)
    return _without_priority(code, number, language)


def _with_priority(code: str, priority: str, number: int, language: Language) -> str:
    """Say what other children with a priority did."""
    match code:
        case "applied":
            return language.count(
                "{number} child with {priority} priority joined this waitlist ahead of your child.",
                "{number} children with {priority} priority joined this waitlist ahead of your child.",
                number,
                priority=priority,
            )
        case "returned":
            return language.count(
                "{number} child with {priority} priority gave up a seat and is back on this waitlist, ahead of your "
                "child.",
                "{number} children with {priority} priority gave up seats and are back on this waitlist, ahead of your "
                "child.",
                number,
                priority=priority,
            )
        case "priority":
            return language.count(
                "{number} child now has {priority} priority and is ahead of your child.",
                "{number} children now have {priority} priority and are ahead of your child.",
                number,
                priority=priority,
            )
        case "fell":
            return language.count(
                "{number} child now has {priority} priority and is behind your child.",
                "{number} children now have {priority} priority and are behind your child.",
                number,
                priority=priority,
            )
        case _:
            return _without_priority(code, number, language)


def _without_priority(code: str, number: int, language: Language) -> str:
    """Say what other children did."""
    match code:
        case "applied":
            return language.count(
                "{number} child joined this waitlist ahead of your child.",
                "{number} children joined this waitlist ahead of your child.",
                number,
            )
        case "returned":
            return language.count(
                "{number} child gave up a seat and is back on this waitlist, ahead of your child.",
                "{number} children gave up seats and are back on this waitlist, ahead of your child.",
                number,
            )
        case "priority":
            return language.count(
                "{number} child got a higher priority and is now ahead of your child.",
                "{number} children got a higher priority and are now ahead of your child.",
                number,
            )
        case "fell":
            return language.count(
                "{number} child lost a priority and is now behind your child.",
                "{number} children lost a priority and are now behind your child.",
                number,
            )
        case "number":
            return language.count(
                "{number} child got a lottery number and is now ahead of your child.",
                "{number} children got lottery numbers and are now ahead of your child.",
                number,
            )
        case "number-behind":
            return language.count(
                "{number} child got a lottery number and is now behind your child.",
                "{number} children got lottery numbers and are now behind your child.",
                number,
            )
        case _:
            return _ahead(code, number, language)


def _ahead(code: str, number: int, language: Language) -> str:
    """Say why children ahead of the child are gone.

    Raises:
        KeyError: if no reason has this code.
    """
    match code:
        case "placed":
            return language.count(
                "{number} child ahead of your child got a seat.",
                "{number} children ahead of your child got seats.",
                number,
            )
        case "left":
            return language.count(
                "{number} child ahead of your child left this waitlist.",
                "{number} children ahead of your child left this waitlist.",
                number,
            )
        case "withdrawn":
            return language.count(
                "{number} child ahead of your child withdrew.",
                "{number} children ahead of your child withdrew.",
                number,
            )
        case "facts":
            return language.count(
                "{number} child ahead of your child can no longer get a seat here.",
                "{number} children ahead of your child can no longer get seats here.",
                number,
            )
        case _:
            raise KeyError(code)
