"""Tell families what happened to an offer, with the time of each event."""

from collections.abc import Mapping

from enrollment.directory.names import ProgramName
from enrollment.moments import Moment
from enrollment.problems import sentence
from enrollment.seats.offer_stories import OfferStory
from lottery.explain.language import Language

OFFERED = sentence("Your child has been offered a seat at {seat}. Please answer before {moment}.")
MOVED_UP = sentence("On {moment}, your child moved up from {former} to a seat at {seat}.")
PLEASE_ANSWER = sentence("Please answer before {moment}.")
SILENCE: Mapping[str, str] = {
    "accept": sentence("If you do not answer, the seat counts as accepted."),
    "decline": sentence("If you do not answer, your child loses the seat."),
}
"""What silence means in the cycle."""
RAN_OUT: Mapping[str, str] = {
    "accept": sentence("No answer came by {moment}. The seat at {seat} will soon count as accepted."),
    "decline": sentence("No answer came by {moment}. Your child will soon lose the seat at {seat}."),
}
"""An offer whose deadline has passed, until the service closes the offer, by what silence means in the cycle."""

ACCEPTED = sentence("You accepted the seat at {seat} on {moment}.")
ACCEPTED_BY_SILENCE = sentence("No answer came by {moment}, so the seat at {seat} counts as accepted.")
KEEPS_ACCEPTANCE = sentence(
    "The seat at {former} was accepted, so the new seat is accepted too. You do not need to answer."
)
PLACED_OUTSIDE = sentence(
    "On {moment}, your child got a seat at {seat} outside the lottery. The seat is accepted. You do not need to answer."
)
LEFT_FORMER = sentence("Your child no longer has the seat at {former}.")
STAYS_ON_WAITLISTS = sentence("Your child stays on the waitlists for higher choices.")

DECLINED = sentence("You declined the seat at {seat} on {moment}.")
EXPIRED = sentence("No answer came by {moment}, so your child lost the seat at {seat}.")
REPLACED = sentence("On {moment}, your child got a seat at {next}. So your child left the seat at {seat}.")
WITHDRAWN = sentence("You withdrew the application on {moment}. So your child lost the seat at {seat}.")


def offer_in_words(story: OfferStory, moment: Moment, language: Language) -> str:
    """Tell what happened to an offer: how the child got the seat, and what holds now."""
    return " ".join(_sentences(story, moment, language))


def _sentences(story: OfferStory, moment: Moment, language: Language) -> list[str]:
    say, offer = language.say, story.offer
    seat, closed = language.name(story.seat.for_families), moment(offer.closed_at or offer.made_at)
    match offer.status:
        case "open":
            return _open(story, moment, language)
        case "accepted":
            return [*_accepted(story, moment, language), *([say(STAYS_ON_WAITLISTS)] if story.waits else [])]
        case "declined":
            return [say(DECLINED, seat=seat, moment=closed)]
        case "expired":
            return [say(EXPIRED, seat=seat, moment=moment(offer.answer_by))]
        case "replaced" if story.next:
            return [say(REPLACED, seat=seat, next=language.name(story.next.for_families), moment=closed)]
        case _:
            return [say(WITHDRAWN, seat=seat, moment=closed)]


def _open(story: OfferStory, moment: Moment, language: Language) -> list[str]:
    say, seat, answer_by = language.say, language.name(story.seat.for_families), moment(story.offer.answer_by)
    if story.ran_out:
        return [say(RAN_OUT[story.silence], seat=seat, moment=answer_by)]
    silence = say(SILENCE[story.silence])
    if story.former:
        return [_moved_up(story, story.former, moment, language), say(PLEASE_ANSWER, moment=answer_by), silence]
    return [say(OFFERED, seat=seat, moment=answer_by), silence]


def _accepted(story: OfferStory, moment: Moment, language: Language) -> list[str]:
    say, offer, former = language.say, story.offer, story.former
    seat = language.name(story.seat.for_families)
    if offer.source == "outside":
        placed = say(PLACED_OUTSIDE, seat=seat, moment=moment(offer.made_at))
        return [placed, say(LEFT_FORMER, former=language.name(former.for_families))] if former else [placed]
    moved = [_moved_up(story, former, moment, language)] if former else []
    if former and story.keeps_acceptance:
        return [*moved, say(KEEPS_ACCEPTANCE, former=language.name(former.for_families))]
    if story.by_silence:
        return [*moved, say(ACCEPTED_BY_SILENCE, seat=seat, moment=moment(offer.answer_by))]
    return [*moved, say(ACCEPTED, seat=seat, moment=moment(offer.closed_at or offer.made_at))]


def _moved_up(story: OfferStory, former: ProgramName, moment: Moment, language: Language) -> str:
    return language.say(
        MOVED_UP,
        former=language.name(former.for_families),
        seat=language.name(story.seat.for_families),
        moment=moment(story.offer.made_at),
    )
