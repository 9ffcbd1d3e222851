"""What became of seats, in sentences."""

from collections.abc import Mapping

from enrollment.languages import CATALOGUES, Say
from enrollment.problems import sentence
from enrollment.seats.models import Offer, Vacancy
from lottery.explain.language import Language

OFFER: Mapping[str, str] = {
    "open": sentence("A seat is offered; answer before {answer_by}."),
    "accepted": sentence("The seat is accepted. Places higher on waitlists stay."),
    "declined": sentence("The seat was declined."),
    "expired": sentence("Nobody answered in time, so the seat was given up."),
    "replaced": sentence("The child has a seat that the family ranked higher, and left this one."),
    "withdrawn": sentence("The application was withdrawn, and the seat with it."),
}

OPENED: Mapping[str, str] = {
    "not-filled": sentence("The main round left it empty."),
    "declined": sentence("A family declined it."),
    "expired": sentence("A family did not answer in time."),
    "withdrawn": sentence("A family withdrew its application."),
    "moved": sentence("A child moved to a seat that its family ranked higher."),
    "outside": sentence("A child was placed elsewhere outside the lottery."),
    "seats-added": sentence("The school has more seats than before."),
}

LEFT_EMPTY: Mapping[str, str] = {
    "never": sentence(
        "It stays empty: by version {version} of its rules the school never fills seats that open later."
    ),
    "grade": sentence(
        "It stays empty: by version {version} of its rules the school does not fill seats of this grade."
    ),
    "date": sentence("It stays empty: by version {version} of its rules the school's last date is over."),
    "limit": sentence(
        "It stays empty for now: by version {version} of its rules no more seats are filled in one round."
    ),
    "over-target": sentence(
        "It stays empty: by version {version} of its rules the school has as many children as it means to have."
    ),
    "nobody-waiting": sentence("It stays empty for now: nobody who may have it is waiting."),
}

REMOVED: Mapping[str, str] = {
    "over-offered": sentence("It was offered beyond what the school enrolls, and is not filled again."),
    "fewer-seats": sentence("The school has fewer seats than before."),
}

FILLED = sentence("It is filled by a child of the class “{class_}”.")
STILL_OPEN = sentence("It is open until the next round.")
OUTSIDE = sentence("It is filled outside the lottery.")

MOVED = sentence("The child moved from place {was} to {became}.")
CAME = sentence("The child stands at place {became} now.")
LEFT = sentence("The child is not on this waitlist any more; its place was {was}.")

OWN: Mapping[str, str] = {
    "own-applied": sentence("It ranks the program, in the class “{class_}”."),
    "own-returned": sentence("It waits here again, in the class “{class_}”, since it gave up a seat ranked higher."),
    "own-priority": sentence("It is of the class “{class_}” now."),
    "own-order": sentence("The waitlist stands in the order in which the school fills seats that open later."),
    "own-number": sentence("Its lottery number was drawn."),
    "own-placed": sentence("It got a seat at this program or at one ranked higher."),
    "own-left": sentence("Its family took the program out of the ranking."),
    "own-withdrawn": sentence("Its application was withdrawn."),
    "own-facts": sentence("It is not considered there any more."),
}


def offer_in_words(offer: Offer, answer_by: str, say: Say) -> str:
    """Say what an offer is, or what became of it."""
    return say(OFFER[offer.status], answer_by=answer_by)


def vacancy_in_words(vacancy: Vacancy, say: Say, outside: str) -> str:
    """Say why a seat opened, and what its school's rule made of it."""
    return f"{say(OPENED[vacancy.opened_by])} {_what_became(vacancy, say, outside)}"


def _what_became(vacancy: Vacancy, say: Say, outside: str) -> str:
    match vacancy.status:
        case "filled" if vacancy.filled_class == outside:
            return say(OUTSIDE)
        case "filled":
            return say(FILLED, class_=vacancy.filled_class or "")
        case "left-empty":
            return say(LEFT_EMPTY[str(vacancy.why)], version=vacancy.rules_version or 0)
        case "removed":
            return say(REMOVED[str(vacancy.why)])
        case _:
            return say(STILL_OPEN)


def move_in_words(was: int | None, became: int | None, say: Say) -> str:
    """Say how a child's place changed."""
    if was is None:
        return say(CAME, became=became or 0)
    return say(LEFT, was=was) if became is None else say(MOVED, was=was, became=became)


def reason_in_words(code: str, class_: str | None, number: int, language: str) -> str:
    """Say one reason of a move."""
    here = Language(language, CATALOGUES)
    name = here.name(class_ or "")
    match code:
        case "applied":
            return here.count(
                "{number} child of the class “{class_}” applied and stands before it.",
                "{number} children of the class “{class_}” applied and stand before it.",
                number,
                class_=name,
            )
        case "returned":
            return here.count(
                "{number} child of the class “{class_}” gave up a seat that it had, and stands before it.",
                "{number} children of the class “{class_}” gave up the seats that they had, and stand before it.",
                number,
                class_=name,
            )
        case "priority":
            return here.count(
                "{number} child was found to be of the class “{class_}” and stands before it now.",
                "{number} children were found to be of the class “{class_}” and stand before it now.",
                number,
                class_=name,
            )
        case "fell":
            return here.count(
                "{number} child is of the class “{class_}” now, and stands behind it.",
                "{number} children are of the class “{class_}” now, and stand behind it.",
                number,
                class_=name,
            )
        case "placed":
            return here.count("{number} child before it got a seat.", "{number} children before it got a seat.", number)
        case "left":
            return here.count(
                "{number} child before it left the waitlist.", "{number} children before it left the waitlist.", number
            )
        case "withdrawn":
            return here.count("{number} child before it withdrew.", "{number} children before it withdrew.", number)
        case "facts":
            return here.count(
                "{number} child before it is not considered any more.",
                "{number} children before it are not considered any more.",
                number,
            )
        case _:
            return here.say(OWN[code], class_=name)
