"""Say a school's rules in plain words for principals and parents."""

from collections.abc import Iterator, Mapping
from functools import reduce

from enrollment.dates import day_in_words
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
    RulesInput,
    SeatsInput,
)
from lottery.explain.conditions import condition_in_words
from lottery.explain.language import Language
from lottery.market.rules import OPEN, Everyone, Overflow, OverflowTo, Program, depends_on_zones

FILLED = {
    "open-seats-first": sentence(
        "Open seats are filled first. A neighborhood child who gets an open seat uses no neighborhood seat. So "
        "neighborhood seats go to other neighborhood children."
    ),
    "reserved-seats-first": sentence(
        "Neighborhood seats are filled first. Some of these seats go to neighborhood children who would get an open "
        "seat anyway."
    ),
}

ORDERS = {
    "waitlist": sentence("Seats that open later are filled in waitlist order."),
    "reverse": sentence(
        "Seats that open later are filled by the same lottery numbers in reverse. The highest number comes first."
    ),
    "fresh": sentence("Seats that open later are filled by new lottery numbers."),
}


WHY_NOT: Mapping[WhyNot, str] = {
    WhyNot.NEVER: sentence("The school's rules never fill seats that open later."),
    WhyNot.GRADE: sentence("The school's rules do not fill seats that open later in this grade."),
    WhyNot.DATE: sentence("The last date for filling seats in the school's rules has passed."),
    WhyNot.OVER_TARGET: sentence("More children hold seats here than the school's target allows now."),
    WhyNot.OTHER_SEAT: sentence("This round fills only one seat, and the seat is in another program."),
}
"""Why a program fills no seat in a backfill round, in words."""


def rules_in_words(rules: RulesInput, program: Program, code: str) -> list[str]:
    """Return the sentences of a program's rules.

    Args:
        rules: the resolved rules.
        program: the same rules in the lottery's form, which has the conditions.
        code: the language.
    """
    return [said for part in parts_in_words(rules, program, code).values() for said in part]


def parts_in_words(rules: RulesInput, program: Program, code: str) -> dict[str, list[str]]:
    """Return the sentences of a program's rules by part; see `rules_in_words`."""
    here, conditions = Language(code, CATALOGUES), Language(code)
    return {
        "seats": [
            here.count("There is {number} seat.", "There are {number} seats.", program.seats),
            *_targets(rules.seats, here),
        ],
        "eligible": [_eligible(program, here, conditions)],
        "classes": list(_classes(rules, program, here, conditions)),
        "neighborhood": list(_neighborhood(rules, program, here)),
        "reserves": list(_groups(program, here, conditions)),
        "tie_break": list(_tie_break(rules, here)),
        "backfill": list(_backfill(rules.backfill or BackfillInput(), program.grade, here)),
    }


def _eligible(program: Program, here: Language, conditions: Language) -> str:
    if isinstance(program.eligible, Everyone):
        return here.say(sentence("Every child who applies for this grade can compete for a seat here."))
    condition = condition_in_words(program.eligible, conditions)
    return here.say(sentence("Only a child who {condition} can get a seat here."), condition=condition)


def _classes(rules: RulesInput, program: Program, here: Language, conditions: Language) -> Iterator[str]:
    for place, priority in enumerate(program.priorities, start=1):
        yield here.say(
            sentence("Priority {place}, “{name}”: a child who {condition}."),
            place=place,
            name=here.name(priority.name),
            condition=condition_in_words(priority.when, conditions),
        )
    if not isinstance(rules.tie_break, RankedInput):
        yield here.say(sentence("Among children with the same priority, the lower lottery number comes first."))


def _tie_break(rules: RulesInput, here: Language) -> Iterator[str]:
    if isinstance(rules.tie_break, RankedInput):
        yield here.say(sentence("The school ranks its applicants itself. Lottery numbers do not count here."))
    elif rules.tie_break == "multiple":
        yield here.say(sentence("Each child gets a separate lottery number for this school."))


def _targets(seats: SeatsInput | None, here: Language) -> Iterator[str]:
    if seats is None:
        return
    if seats.over_offer:
        yield here.count(
            "{number} of these seats is extra, because some families decline offers.",
            "{number} of these seats are extra, because some families decline offers.",
            seats.over_offer,
        )
    if seats.to_enroll != seats.match:
        yield here.count(
            "The school plans to enroll {number} child.",
            "The school plans to enroll {number} children.",
            seats.to_enroll,
        )
    for target in seats.later or []:
        yield here.count(
            "From {date} (“{name}”), the school has {number} seat in total.",
            "From {date} (“{name}”), the school has {number} seats in total.",
            target.seats,
            name=here.name(target.name),
            date=day_in_words(target.begins, here),
        )


def _neighborhood(rules: RulesInput, program: Program, here: Language) -> Iterator[str]:
    match rules.neighborhood:
        case NeighborhoodPriority():
            yield here.say(sentence("Neighborhood children have a priority of their own."))
        case NeighborhoodReserve(percent=percent, filled=filled):
            yield here.say(sentence("{percent} of every 100 seats go to neighborhood children first."), percent=percent)
            yield here.say(FILLED[filled])
        case NeighborhoodGuarantee(when_more_than_seats=answer):
            yield here.say(sentence("Neighborhood children who choose this school come first for every seat."))
            if answer == "will-not-raise":
                yield here.say(
                    sentence(
                        "The school does not add seats. If too many neighborhood children apply, some get no seat."
                    )
                )
            elif answer == "raise-seats":
                yield here.say(
                    sentence("If more neighborhood children apply than there are seats, the school adds seats.")
                )
        case NeighborhoodOnly():
            yield here.say(sentence("Only neighborhood children can get a seat here."))
        case _ if not any(depends_on_zones(condition) for condition in program.conditions()):
            yield here.say(sentence("A child's address does not matter."))


def _groups(program: Program, here: Language, conditions: Language) -> Iterator[str]:
    written = program.seats_as_written()
    for reserve in program.reserves:
        yield here.count(
            "Reserved seats “{name}”: {number} seat. A child who {condition} comes first.",
            "Reserved seats “{name}”: {number} seats. A child who {condition} comes first.",
            written[reserve.name],
            name=here.name(reserve.name),
            condition=condition_in_words(reserve.when, conditions),
        )
        if reserve.overflow is Overflow.CLOSED:
            yield here.say(sentence("If too few of them apply, the remaining reserved seats stay empty."))
        elif isinstance(reserve.overflow, OverflowTo):
            yield here.say(
                sentence(
                    "If too few of them apply, only a child who {condition} can get the remaining reserved seats."
                ),
                condition=condition_in_words(reserve.overflow.condition, conditions),
            )
    if program.reserves:
        names = [
            here.name(here.say(sentence("open seats")) if group == OPEN else group) for group in program.precedence
        ]
        then = sentence("{first}, then {second}")
        order = reduce(lambda before, group: here.say(then, first=before, second=group), names)
        yield here.say(sentence("The school fills seats in this order: {groups}."), groups=order)


def _backfill(backfill: BackfillInput, grade: str, here: Language) -> Iterator[str]:
    fills = backfill.grades is None or grade in backfill.grades or grade in backfill.entry_grades
    if backfill.never or not fills:
        yield here.say(sentence("Seats that open later stay empty."))
        return
    yield here.say(ORDERS[backfill.order])
    last = backfill.last_date_by_grade.get(grade, backfill.last_date)
    if last is not None:
        yield here.say(sentence("Seats that open after {date} stay empty."), date=day_in_words(last, here))
    if backfill.at_most is not None:
        yield here.count(
            "The school fills at most {number} free seat in one round.",
            "The school fills at most {number} free seats in one round.",
            backfill.at_most,
        )
    if backfill.vacated_reserved_seats == "release":
        yield here.say(sentence("After the main round, empty reserved seats become open seats."))
    yield here.count(
        "A family has {number} hour to answer an offer.",
        "A family has {number} hours to answer an offer.",
        backfill.hours_to_answer,
    )
