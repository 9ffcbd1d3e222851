"""One child's result in words for the family: what happened, why, and what to do next.

`lottery.explain.facts` finds the facts. The sentences go through `lottery.explain.language`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lottery.explain.conditions import condition_in_words
from lottery.explain.facts import AtProgram, Decided, Explanation, LeftOut
from lottery.explain.language import Language
from lottery.explain.seat_groups import Scale, group_lines, group_title, own_number
from lottery.market.outcome import Placement
from lottery.market.rules import OPEN
from lottery.match.standing import Barred

INDENT = "   "

NOT_TRIED = {Decided.PLACED_HIGHER, Decided.SIBLING_FIRST, Decided.BELOW_HELD_SEAT}
SEAT = {Decided.SEATED, Decided.KEPT}


@dataclass(frozen=True, slots=True)
class Setting:
    """What a reader knows besides the files of the round."""

    names: Mapping[str, str] = field(default_factory=dict)
    """The names of programs, by id. A program without a name is called by its id."""
    published: Sequence[str] = ()
    """Lines about the round, such as when its results came out."""
    now: Sequence[str] | None = None
    """Lines about what holds now. None: the reader knows the round only, and reads what to do next after the round."""


FILES_ONLY = Setting()


def explanation_in_words(explanation: Explanation, language: Language, setting: Setting = FILES_ONLY) -> list[str]:
    """Return the lines of an explanation."""
    lines = [language.say("Result for application {applicant}", applicant=language.name(explanation.applicant))]
    lines += [*setting.published, *_result(explanation, language, setting)]
    scale = Scale.telling_apart(explanation.numbers())
    at_programs = [(at.choice, _program_lines(at, language, setting, scale)) for at in explanation.programs]
    left_out = [(left.choice, _left_out_lines(left, language, setting)) for left in explanation.left_out]
    for _, of_program in sorted([*at_programs, *left_out], key=lambda entry: entry[0] or explanation.ranked + 1):
        lines += ["", *of_program]
    return lines


# ---- the result as a whole


def _result(explanation: Explanation, language: Language, setting: Setting) -> Iterator[str]:
    if explanation.placement is None:
        yield from _no_seat(explanation, language)
        next_step = language.say("What to do next: ask the enrollment office which schools still have open seats.")
    else:
        yield from _seat(explanation, explanation.placement, language, setting)
        next_step = language.say("What to do next: answer the offer for this seat in time.")
    yield from [next_step] if setting.now is None else setting.now


def _no_seat(explanation: Explanation, language: Language) -> Iterator[str]:
    yield language.say("Your child did not get a seat in this round.")
    if explanation.ranked == 0:
        yield language.say("Your list had no schools, so there was no school to try.")
    else:
        yield language.count(
            "Your list had one choice. You can read below why your child did not get a seat there.",
            "Your list had {number} choices. You can read below why no choice had a seat for your child.",
            explanation.ranked,
        )
    yield from _some_left_out(explanation, language)
    if any(group.waiting_place for program in explanation.programs for group in program.groups):
        yield language.say("After this round, your child was on a waitlist. You can read your child's number below.")


def _seat(explanation: Explanation, placement: Placement, language: Language, setting: Setting) -> Iterator[str]:
    yield _seat_line(explanation, placement, language, setting)
    if placement.choice is None:
        yield language.say("Your child had this seat before. The school is not on your list.")
    elif placement.choice == 1:
        yield language.say("This was your first choice.")
    else:
        yield language.say(
            "This was choice {choice} of {ranked} on your list.",
            choice=placement.choice,
            ranked=explanation.ranked,
        )
    yield from _some_left_out(explanation, language)
    decisions = [{group.decided for group in program.groups} for program in explanation.programs]
    if any(Decided.SIBLING_FIRST in decided for decided in decisions):
        yield language.say(
            "You asked for your children to be together. So the lottery first tried schools where a brother or sister "
            "got a seat."
        )
    without_seat = sum(not decided & (NOT_TRIED | SEAT) for decided in decisions)
    if without_seat:
        yield language.count(
            "One choice on your list had no seat for your child. You can read why below.",
            "{number} choices on your list had no seat for your child. You can read why below.",
            without_seat,
        )


def _some_left_out(explanation: Explanation, language: Language) -> Iterator[str]:
    given_up = sum(left.given_up for left in explanation.left_out)
    if given_up:
        yield language.count(
            "One choice on your list was not in this round, because your family gave up a seat or a waitlist place "
            "there.",
            "{number} choices on your list were not in this round, because your family gave up seats or waitlist "
            "places there.",
            given_up,
        )
    if given_up < len(explanation.left_out):
        yield language.count(
            "One choice on your list was not in this round, because the school left the lottery.",
            "{number} choices on your list were not in this round, because the schools left the lottery.",
            len(explanation.left_out) - given_up,
        )


def _seat_line(explanation: Explanation, placement: Placement, language: Language, setting: Setting) -> str:
    program, group = _name(placement.program, language, setting), language.name(placement.group)
    if any(at.decided is Decided.KEPT for program in explanation.programs for at in program.groups):
        return language.say("Your child kept the seat at {program} in this round.", program=program)
    if placement.group == OPEN:
        return language.say("Your child got a seat at {program} in this round.", program=program)
    return language.say("Your child got a “{group}” seat at {program} in this round.", program=program, group=group)


# ---- one program


def _name(program: str, language: Language, setting: Setting) -> str:
    return language.name(setting.names.get(program, program))


def _left_out_lines(left: LeftOut, language: Language, setting: Setting) -> Iterator[str]:
    yield language.say(
        "Choice {choice}: {program} (not in this round)",
        choice=left.choice,
        program=_name(left.program, language, setting),
    )
    yield INDENT + (
        language.say(
            "Your family declined a seat at this school, did not answer in time, or left the waitlist. So the lottery "
            "did not use this choice."
        )
        if left.given_up
        else language.say("This school left the lottery. So the lottery could not use this choice.")
    )


def _program_lines(at: AtProgram, language: Language, setting: Setting, scale: Scale) -> Iterator[str]:
    yield _title(at, language, setting)
    whole = _whole_program(at, language)
    if whole:
        yield INDENT + whole
    mine = next((group.mine for group in at.groups if group.mine), None)
    if mine:
        yield INDENT + own_number(mine, language, order=at.order, scale=scale)
    for group in at.groups:
        yield INDENT + group_title(group, language)
        lines = group_lines(group, language, order=at.order, scale=scale, with_decision=not whole)
        yield from (INDENT * 2 + line for line in lines)


def _title(at: AtProgram, language: Language, setting: Setting) -> str:
    decisions = {group.decided for group in at.groups}
    name, choice = _name(at.program.id, language, setting), at.choice
    seat = decisions & SEAT
    if choice is None:
        return (
            language.say("The seat your child had before: {program} (kept)", program=name)
            if seat
            else language.say("The seat your child had before: {program} (left for a higher choice)", program=name)
        )
    if seat:
        return language.say("Choice {choice}: {program} (seat)", choice=choice, program=name)
    if decisions & NOT_TRIED:
        return language.say("Choice {choice}: {program} (not needed)", choice=choice, program=name)
    return language.say("Choice {choice}: {program} (no seat)", choice=choice, program=name)


def _whole_program(at: AtProgram, language: Language) -> str | None:
    """Say what decided at all groups of a program at once, where the reason is the same."""
    say = language.say
    match at.groups[0].decided:
        case Decided.PLACED_HIGHER:
            return say("Your child got a seat higher on your list, so your child did not need this choice.")
        case Decided.SIBLING_FIRST:
            return say(
                "Your child got a seat at the school of a brother or sister. The lottery tried that school first."
            )
        case Decided.BELOW_HELD_SEAT:
            return say(
                "This choice is lower on your list than the seat your child had before. So the lottery did not use "
                "this choice."
            )
    match at.groups[0].barred:
        case Barred.NOBODY_NEW:
            return say("This school does not take new children in this round.")
        case Barred.NOT_ELIGIBLE:
            return say(
                "Seats are only for a child who {condition}. Our records show that your child does not meet "
                "this rule. If this is wrong, tell the enrollment office.",
                condition=condition_in_words(at.program.eligible, language),
            )
        case Barred.NOT_LISTED:
            return say(
                "This school takes children from the school's own list. The school did not list your child. Ask the "
                "school how to get on the list."
            )
        case _:
            return None
