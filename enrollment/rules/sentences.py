"""A school's rules in plain words, made from the rules themselves, so that what was saved can be read back."""

from collections.abc import Iterator, Mapping

from enrollment.languages import CATALOGUES
from enrollment.problems import sentence
from enrollment.rules.backfill import WhyNot
from enrollment.rules.model import (
    BackfillInput,
    NeighborhoodGuarantee,
    NeighborhoodOnly,
    NeighborhoodPriority,
    NeighborhoodReserve,
    RankedInput,
    RulesPart,
    Seats,
)
from lottery.explain.conditions import condition_in_words
from lottery.explain.language import Language
from lottery.market.rules import OPEN, Everyone, Program, depends_on_zones

FILLED = {
    "open-seats-first": sentence(
        "The seats for everybody are filled first: children of the neighborhood who are placed there leave the "
        "neighborhood's seats to others of it."
    ),
    "reserved-seats-first": sentence(
        "The neighborhood's seats are filled first: they go to children of it who might have been placed anyway."
    ),
}

ORDERS = {
    "waitlist": sentence("Seats that open later are filled in the order of the waitlist."),
    "reverse": sentence("Seats that open later are filled by the same lottery numbers, highest first."),
    "fresh": sentence("Seats that open later are filled by a new draw."),
}


WHY_NOT: Mapping[WhyNot, str] = {
    WhyNot.NEVER: sentence("By its school's rules it never fills seats that open later."),
    WhyNot.GRADE: sentence("By its school's rules it does not fill seats of this grade that open later."),
    WhyNot.DATE: sentence("By its school's rules the last date for filling seats is over."),
    WhyNot.OVER_TARGET: sentence("More children hold its seats than its target has now."),
    WhyNot.OTHER_SEAT: sentence("The round is for one seat of another program."),
}
"""Why a program fills no seat in a backfill round."""


def rules_in_words(rules: RulesPart, program: Program, code: str) -> list[str]:
    """Return the sentences of a program's rules.

    Args:
        rules: as the school says them, resolved.
        program: the same in the lottery's own form; what is said of conditions comes from it.
        code: the language.
    """
    return list(_sentences(rules, program, Language(code, CATALOGUES), Language(code)))


def _sentences(rules: RulesPart, program: Program, here: Language, conditions: Language) -> Iterator[str]:
    yield here.count("There is {number} seat.", "There are {number} seats.", program.seats)
    yield from _targets(rules.seats, here)
    if isinstance(program.eligible, Everyone):
        yield here.say(sentence("Every child of the grade is considered."))
    else:
        who = condition_in_words(program.eligible, conditions)
        yield here.say(sentence("Considered is only a child who {condition}."), condition=who)
    for place, priority in enumerate(program.priorities, start=1):
        yield here.say(
            sentence("Class {place}, “{name}”: a child who {condition}."),
            place=place,
            name=here.name(priority.name),
            condition=condition_in_words(priority.when, conditions),
        )
    if not isinstance(rules.tie_break, RankedInput):
        yield here.say(sentence("Within a class the lottery number decides; the lower one comes first."))
    yield from _neighborhood(rules, program, here)
    yield from _groups(program, here, conditions)
    if isinstance(rules.tie_break, RankedInput):
        yield here.say(sentence("The school's own list of applicants stands in the place of lottery numbers."))
    elif rules.tie_break == "multiple":
        yield here.say(sentence("Each child draws a number of its own at this school."))
    yield from _backfill(rules.backfill or BackfillInput(), program.grade, here)


def _targets(seats: Seats | None, here: Language) -> Iterator[str]:
    if seats is None:
        return
    if seats.over_offer:
        yield here.count(
            "{number} of them is offered beyond what the school means to enroll, since some families decline.",
            "{number} of them are offered beyond what the school means to enroll, since some families decline.",
            seats.over_offer,
        )
    if seats.to_enroll != seats.match:
        yield here.count(
            "The school means to enroll {number} child.",
            "The school means to enroll {number} children.",
            seats.to_enroll,
        )
    for target in seats.later or []:
        yield here.count(
            "From {date} on, “{name}”: {number} seat is filled.",
            "From {date} on, “{name}”: {number} seats are filled.",
            target.seats,
            name=here.name(target.name),
            date=here.name(target.begins.isoformat()),
        )


def _neighborhood(rules: RulesPart, program: Program, here: Language) -> Iterator[str]:
    match rules.neighborhood:
        case NeighborhoodPriority():
            yield here.say(sentence("Children of the neighborhood are a class of their own."))
        case NeighborhoodReserve(percent=percent, filled=filled):
            yield here.say(sentence("{percent} in 100 seats are for the neighborhood, before others."), percent=percent)
            yield here.say(FILLED[filled])
        case NeighborhoodGuarantee(when_more_than_seats=answer):
            yield here.say(sentence("Children of the neighborhood who rank the school come first at every seat."))
            if answer == "will-not-raise":
                yield here.say(sentence("If there are more of them than seats, the school does not raise its seats."))
            elif answer == "raise-seats":
                yield here.say(sentence("If there are more of them than seats, the school raises its seats."))
        case NeighborhoodOnly():
            yield here.say(sentence("Only children of the neighborhood are considered."))
        case _ if not any(depends_on_zones(condition) for condition in program.conditions()):
            yield here.say(sentence("Where a child lives does not count."))


def _groups(program: Program, here: Language, conditions: Language) -> Iterator[str]:
    written = program.seats_as_written()
    for reserve in program.reserves:
        yield here.count(
            "Reserve “{name}”: {number} seat, first for a child who {condition}.",
            "Reserve “{name}”: {number} seats, first for a child who {condition}.",
            written[reserve.name],
            name=here.name(reserve.name),
            condition=condition_in_words(reserve.when, conditions),
        )
        if reserve.closed:
            yield here.say(sentence("What they leave of it stays empty."))
    if program.reserves:
        names = [here.name(here.say(sentence("open")) if group == OPEN else group) for group in program.precedence]
        yield here.say(sentence("Seats are filled in this order: {groups}."), groups=here.all_of(names))


def _backfill(said: BackfillInput, grade: str, here: Language) -> Iterator[str]:
    fills = said.grades is None or grade in said.grades or grade in said.entry_grades
    if said.never or not fills:
        yield here.say(sentence("Seats that open later stay empty."))
        return
    yield here.say(ORDERS[said.order])
    last = said.last_date_by_grade.get(grade, said.last_date)
    if last is not None:
        yield here.say(sentence("After {date} none is filled."), date=here.name(last.isoformat()))
    if said.at_most is not None:
        yield here.count(
            "At most {number} free seat is filled in one round.",
            "At most {number} free seats are filled in one round.",
            said.at_most,
        )
    if said.vacated_reserved_seats == "release":
        yield here.say(sentence("Reserved seats that nobody holds are then open to everybody."))
    yield here.count(
        "A family has {number} hour to answer an offer.",
        "A family has {number} hours to answer an offer.",
        said.hours_to_answer,
    )
