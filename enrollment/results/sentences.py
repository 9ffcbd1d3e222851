"""Tell families and schools a result in a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from enrollment.languages import in_language
from enrollment.moments import Moment
from enrollment.problems import sentence
from enrollment.results.child_now import ChildNow
from enrollment.seats.offer_sentences import offer_in_words
from enrollment.seats.offer_stories import OfferStory
from lottery.explain.conditions import condition_in_words
from lottery.explain.language import Language
from lottery.market.rules import PriorityClass

EXCLUDED: Mapping[str, str] = {
    "withdrawn": sentence("The application was withdrawn before this round, so your child was not in the round."),
    "no-ranking": sentence("You ranked no schools before this round, so your child was not in the round."),
    "ranked-only-withdrawn-programs": sentence(
        "All the schools you ranked left the lottery before this round, so your child was not in the round."
    ),
    "too-late": sentence("Your application came in after this round closed. Your child will be in the next round."),
}

PUBLISHED: Mapping[str, str] = {
    "main": sentence("The results of the main round came out on {moment}."),
    "backfill": sentence("The results of a later round came out on {moment}."),
}
PLACED = sentence("In this round, your child got a seat at {seat}.")
KEPT = sentence("In this round, your child kept the seat at {seat}.")
NOT_PLACED = sentence("In this round, your child did not get a seat. The explanation tells you why.")
NOT_LISTED = sentence(
    "{seat} takes children from the school's own list. The school did not list your child. Ask the school how to get "
    "on the list."
)

HOLDS_NOW = sentence("This is how things stand on {moment}.")
NO_SEAT_NOW = sentence("Your child has no seat now.")
ON_NO_WAITLIST = sentence("Your child is not on a waitlist.")

IN_CLASS = sentence("The child {condition}.")
SCHOOL_DID_NOT_LIST = sentence("The school did not list this child, so the child cannot get a seat here.")
IN_NO_CLASS = sentence("The child has no priority at this program.")


@dataclass(frozen=True, slots=True)
class ResultFacts:
    """What a round gave a child."""

    kind: str
    """`main` or `backfill`."""
    published_at: datetime
    excluded: str | None
    """The code of why the child was not in the round."""
    seat: str | None
    """The name of the program where the round gave the child a seat, as families know it."""
    kept: bool
    """Whether the child held the seat before the round."""
    not_listed: Sequence[str]
    """The names of the ranked programs whose own list misses the child."""


def published_in_words(kind: str, published_at: datetime, moment: Moment, language: Language) -> str:
    """Say which round it was, and when its results came out."""
    return language.say(PUBLISHED[kind], moment=moment(published_at))


def result_in_words(facts: ResultFacts, moment: Moment, language: Language) -> str:
    """Say what a round gave a child, with the time."""
    lines = [published_in_words(facts.kind, facts.published_at, moment, language)]
    if facts.excluded is not None:
        return " ".join([*lines, language.say(EXCLUDED[facts.excluded])])
    if facts.seat is None:
        lines.append(language.say(NOT_PLACED))
    else:
        lines.append(language.say(KEPT if facts.kept else PLACED, seat=language.name(facts.seat)))
    lines += [language.say(NOT_LISTED, seat=language.name(program)) for program in facts.not_listed]
    return " ".join(lines)


def now_in_words(now: ChildNow, placed: OfferStory | None, moment: Moment, language: Language) -> list[str]:
    """Say what holds for a child now, with the time of each event.

    Args:
        now: what holds now.
        placed: the story of the seat that the round gave, if the round gave a seat.
        moment: says a moment in words.
        language: the reader's language.
    """
    last = now.last
    lines = [language.say(HOLDS_NOW, moment=moment(now.at))]
    if placed and last and placed is not last and placed.offer is not last.replaces:
        lines.append(offer_in_words(placed, moment, language))
    if last:
        lines.append(offer_in_words(last, moment, language))
    if now.seat is None:
        lines.append(language.say(NO_SEAT_NOW))
    if now.status != "accepted" and (now.places or now.seat is None):
        lines.append(_waiting(now, language))
    return lines


def _waiting(now: ChildNow, language: Language) -> str:
    programs = len({place.program for place in now.places})
    if not programs:
        return language.say(ON_NO_WAITLIST)
    return language.count(
        "Your child waits for a seat at {number} program. The waitlist shows your child's number.",
        "Your child waits for a seat at {number} programs. Each waitlist shows your child's number.",
        programs,
    )


def class_in_words(priority_class: PriorityClass | None, language: str, *, listed: bool = True) -> str:
    """Say why a child has a priority class at a program, or that the school's own list misses the child."""
    say = in_language(language)
    if not listed:
        return say(SCHOOL_DID_NOT_LIST)
    if priority_class is None:
        return say(IN_NO_CLASS)
    return say(IN_CLASS, condition=condition_in_words(priority_class.when, Language(language)))
