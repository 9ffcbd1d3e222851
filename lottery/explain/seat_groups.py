"""What happened at one seat group, in words for the child's family."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lottery.explain.conditions import condition_in_words
from lottery.explain.facts import AtGroup, Decided, Joined
from lottery.explain.language import Language
from lottery.market.outcome import LastAdmitted
from lottery.market.rules import GENERAL, Order, Overflow, OverflowTo
from lottery.match.standing import Barred

SCALE = 1_000_000
"""Families read lottery numbers as whole numbers from 1 to this, or to more where two numbers would read the same."""

NUMBER_BITS = 256


@dataclass(frozen=True, slots=True)
class Scale:
    """The whole numbers from 1 to `top` as which families read lottery numbers."""

    top: int

    @classmethod
    def telling_apart(cls, numbers: Collection[str]) -> "Scale":
        """Return the first scale, with as many digits as needed, on which different numbers read differently."""
        scale = cls(SCALE)
        while len({scale.read(number) for number in numbers}) < len(set(numbers)):
            scale = cls(scale.top * 10)
        return scale

    def read(self, number: str) -> int:
        """Return a lottery number, in hex, on this scale."""
        return (int(number, 16) * self.top >> NUMBER_BITS) + 1

    def read_as_drawn(self, turned: str) -> int:
        """Return a number as drawn on this scale, given the number in the reverse order."""
        return self.read(f"{(1 << NUMBER_BITS) - 1 - int(turned, 16):064x}")


def group_title(at: AtGroup, language: Language) -> str:
    """Return a group's name, seats, and the children they are for."""
    name = language.name(at.name)
    if at.reserve is None:
        return language.count("{number} seat for all children.", "{number} seats for all children.", at.seats)
    condition = condition_in_words(at.reserve.when, language)
    if isinstance(at.reserve.overflow, OverflowTo):
        return language.count(
            "{number} “{name}” seat. A child who {condition} comes first. After that, only a child who {other} "
            "can get this seat.",
            "{number} “{name}” seats. A child who {condition} comes first. After that, only a child who {other} "
            "can get a seat.",
            at.seats,
            name=name,
            condition=condition,
            other=condition_in_words(at.reserve.overflow.condition, language),
        )
    if at.reserve.overflow is Overflow.CLOSED:
        return language.count(
            "{number} “{name}” seat. Only for a child who {condition}.",
            "{number} “{name}” seats. Only for a child who {condition}.",
            at.seats,
            name=name,
            condition=condition,
        )
    return language.count(
        "{number} “{name}” seat. A child who {condition} comes first.",
        "{number} “{name}” seats. A child who {condition} comes first.",
        at.seats,
        name=name,
        condition=condition,
    )


def group_lines(at: AtGroup, language: Language, *, order: Order, scale: Scale, with_decision: bool) -> Iterator[str]:
    """Yield where the child and the last child with a seat stood, what decided, and the place on the waitlist."""
    if at.mine:
        yield from _own_standing(at, at.mine, language)
    if at.seats and not (at.mine and at.mine == at.last):
        yield from _last_child(at, language, order, scale)
    if with_decision:
        yield _decision(at, language)
    if at.waiting_place:
        yield _place_in_line(at, at.waiting_place, language)


def _place_in_line(at: AtGroup, place: int, language: Language) -> str:
    if at.waiting is None:
        return language.say(
            "After this round, your child was number {place} on the waitlist for these seats.", place=place
        )
    return language.say(
        "After this round, your child was number {place} of {waiting} on the waitlist for these seats.",
        place=place,
        waiting=at.waiting,
    )


def own_number(mine: LastAdmitted, language: Language, *, order: Order, scale: Scale) -> str:
    """Return the child's lottery number at a program, or the child's place on the school's own list."""
    if mine.position is not None:
        return language.say("Your child is number {position} on the school's own list.", position=mine.position)
    number = mine.number or "0"
    match order:
        case Order.REVERSE:
            return language.say(
                "Your child's lottery number is {drawn} of {scale}. In this round, this school turns the order around. "
                "In the new order, your child's number is {number}. This number counts here. Lower numbers go first.",
                drawn=scale.read_as_drawn(number),
                number=scale.read(number),
                scale=scale.top,
            )
        case Order.FRESH:
            return language.say(
                "This school drew new lottery numbers in this round. Your child's new number here is {number} of "
                "{scale}. Lower numbers go first.",
                number=scale.read(number),
                scale=scale.top,
            )
        case _:
            return language.say(
                "Your child's lottery number here is {number} of {scale}. Lower numbers go first.",
                number=scale.read(number),
                scale=scale.top,
            )


def _own_standing(at: AtGroup, mine: LastAdmitted, language: Language) -> Iterator[str]:
    say = language.say
    if _has_two_rules(at):
        yield (
            say("Your child comes first for these seats.")
            if mine.meets
            else say("Your child does not come first, but can get a seat that is left.")
        )
    elif at.reserve:
        yield say("Your child meets this rule.") if mine.meets else say("Your child does not meet this rule.")
    if at.joined is Joined.LATE:
        yield say("Your child's application counts as late here.")
    if at.joined is Joined.LATER:
        yield say("Your child applied after the main round, so the application counts as late here.")
    if at.because is None and at.reserve and mine.meets:
        yield say("Your child has no other priority for these seats.")
    elif at.because is None:
        yield say("Your child has no priority for these seats.")
    else:
        yield say(
            "Your child has “{class_}” priority. This priority is for a child who {condition}.",
            class_=language.name(mine.class_),
            condition=condition_in_words(at.because, language),
        )


def _last_child(at: AtGroup, language: Language, order: Order, scale: Scale) -> Iterator[str]:
    if at.filled is None:
        return
    if at.last is None:
        yield language.count(
            "{filled} of {number} seat is filled.", "{filled} of {number} seats are filled.", at.seats, filled=at.filled
        )
        return
    yield language.say(
        "The last child who got one of these seats {standing}.",
        standing=language.all_of(_priority_and_number(at.last, language, order, scale)),
    )
    facts = list(_other_facts(at, at.last, language))
    if facts:
        yield language.say("The last child {facts}.", facts=language.all_of(facts))


def _priority_and_number(last: LastAdmitted, language: Language, order: Order, scale: Scale) -> Iterator[str]:
    """Yield parts that complete the phrase `the last child`."""
    say = language.say
    if last.class_ == GENERAL:
        yield say("had no priority")
    else:
        yield say("had “{class_}” priority", class_=language.name(last.class_))
    if last.position is not None:
        yield say("was number {position} on the school's own list", position=last.position)
    elif order is Order.REVERSE:
        yield say("had number {number} in the new order", number=scale.read(last.number or "0"))
    else:
        yield say("had lottery number {number}", number=scale.read(last.number or "0"))


def _has_two_rules(at: AtGroup) -> bool:
    """Return whether the reserve has one rule for its own children, and another for the seats that they leave."""
    return at.reserve is not None and isinstance(at.reserve.overflow, OverflowTo)


def _other_facts(at: AtGroup, last: LastAdmitted, language: Language) -> Iterator[str]:
    """Yield parts that complete the phrase `the last child`; they count before priority and number."""
    say = language.say
    if last.holder:
        yield say("already had the seat")
    if not last.meets:
        yield say("got a seat that was left") if _has_two_rules(at) else say("did not meet the rule for these seats")
    if at.last_joined is Joined.LATE:
        yield say("applied late")
    if at.last_joined is Joined.LATER:
        yield say("applied after the main round")


def _decision(at: AtGroup, language: Language) -> str:
    """Say what decided at a group."""
    say = language.say
    match at.decided:
        case Decided.SEATED:
            return say("Your child got one of these seats.")
        case Decided.KEPT:
            return say("Your child already had one of these seats and keeps the seat.")
        case Decided.EARLIER_GROUP:
            return say("Your child did not need one of these seats, because your child got another seat here first.")
        case Decided.NOT_CONSIDERED if at.barred is Barred.RESERVE_CLOSED and _has_two_rules(at):
            return say(
                "Our records show that your child does not meet either rule. If this is wrong, tell the enrollment "
                "office."
            )
        case Decided.NOT_CONSIDERED if at.barred is Barred.RESERVE_CLOSED:
            return say(
                "Our records show that your child does not meet this rule. If this is wrong, tell the enrollment "
                "office."
            )
        case Decided.NOT_CONSIDERED:
            return say("Your child already has another kind of seat at this school and stays in that kind of seat.")
        case Decided.NO_SEATS:
            return say("No seats of this kind are open in this round.")
        case _:
            return _why_not(at, language)


def _why_not(at: AtGroup, language: Language) -> str:
    """Say how the last child with a seat stood ahead of this child."""
    say = language.say
    match at.decided:
        case Decided.HOLDERS:
            return say("Children who already had these seats kept all of them.")
        case Decided.RESERVE:
            return _went_to_the_reserve(at, language)
        case Decided.LATE:
            return say("All of these seats were taken before late applications like yours had a turn.")
        case Decided.EARLIER_DRAW:
            return say(
                "The last child joined the lottery in an earlier round than your child did. Children from earlier "
                "rounds go first."
            )
        case Decided.CLASS:
            return say("The last child had a higher priority than your child.")
        case Decided.NUMBER:
            return say(
                "The last child had the same priority as your child and a better lottery number. So that child got "
                "the seat."
            )
        case Decided.POSITION:
            return say("The school put the last child ahead of your child on the school's own list.")
        case Decided.AHEAD:
            return say(
                "Other children were ahead of your child for these seats. We say no more about them here, because "
                "people could recognize a child in such a small group."
            )
        case Decided.TICKET:
            return say(
                "Twins share a lottery number. When two children have the same number, the order of their application "
                "numbers decides."
            )
        case _:
            return say(
                "This result does not follow from the rules. Ask the enrollment office to check the result for "
                "mistakes."
            )


def _went_to_the_reserve(at: AtGroup, language: Language) -> str:
    if _has_two_rules(at):
        return language.say("All of these seats went to children who come first, so no seat was left.")
    return language.say("All of these seats went to children who meet this rule.")
