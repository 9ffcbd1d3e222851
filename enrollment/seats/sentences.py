"""Describe vacancies to the public."""

from collections.abc import Mapping

from enrollment.problems import sentence
from enrollment.seats.models import Vacancy
from enrollment.seats.vacancies import OUTSIDE_CLASS
from lottery.explain.language import Language
from lottery.market.rules import GENERAL

OPENED: Mapping[str, str] = {
    "not-filled": sentence("No child got this seat in the main round."),
    "declined": sentence("A family declined this seat."),
    "expired": sentence("A family did not answer the offer of this seat in time."),
    "withdrawn": sentence("A family withdrew the application of the child who had this seat."),
    "moved": sentence("A child moved from this seat to a higher choice."),
    "outside": sentence("A child moved from this seat to another program outside the lottery."),
    "seats-added": sentence("The school added this seat."),
}

LEFT_EMPTY: Mapping[str, str] = {
    "never": sentence(
        "The seat stays empty. The school does not fill seats that open later (version {version} of the school's "
        "rules)."
    ),
    "grade": sentence(
        "The seat stays empty. The school does not fill open seats in this grade (version {version} of the school's "
        "rules)."
    ),
    "date": sentence(
        "The seat stays empty. The last day to fill open seats has passed (version {version} of the school's rules)."
    ),
    "limit": sentence(
        "The seat stays empty for now. The round filled as many seats as it may fill (version {version} of the "
        "school's rules)."
    ),
    "over-target": sentence(
        "The seat stays empty. The school has as many children as it plans to enroll (version {version} of the "
        "school's rules)."
    ),
    "nobody-waiting": sentence("The seat stays empty for now. No child who can get this seat is waiting."),
}

REMOVED: Mapping[str, str] = {
    "over-offered": sentence("The seat is closed. It was offered on top of the seats that the school plans to fill."),
    "fewer-seats": sentence("The seat is closed. The school now has fewer seats."),
}

FILLED = sentence("Filled by a child with {priority} priority.")
FILLED_WITHOUT_PRIORITY = sentence("Filled by a child without a priority.")
FILLED_OUTSIDE = sentence("Filled by a child who was placed outside the lottery.")
STILL_OPEN = sentence("The next round can fill this seat.")


def vacancy_in_words(vacancy: Vacancy, language: Language) -> str:
    """Say why a seat opened, and what happened to the seat."""
    return f"{language.say(OPENED[vacancy.opened_by])} {_outcome(vacancy, language)}"


def _outcome(vacancy: Vacancy, language: Language) -> str:
    match vacancy.status:
        case "filled":
            return _filled(vacancy.filled_class or GENERAL, language)
        case "left-empty":
            return language.say(LEFT_EMPTY[str(vacancy.why)], version=vacancy.rules_version or 0)
        case "removed":
            return language.say(REMOVED[str(vacancy.why)])
        case _:
            return language.say(STILL_OPEN)


def _filled(priority_class: str, language: Language) -> str:
    if priority_class == OUTSIDE_CLASS:
        return language.say(FILLED_OUTSIDE)
    if priority_class == GENERAL:
        return language.say(FILLED_WITHOUT_PRIORITY)
    return language.say(FILLED, priority=language.name(priority_class))
