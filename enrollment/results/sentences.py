"""Tell families and schools a result in a sentence."""

from collections.abc import Mapping

from enrollment.languages import Say, in_language
from enrollment.problems import sentence
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

PLACED = sentence("Your child has a seat at {program}.")
NOT_PLACED = sentence(
    "Your child did not get a seat in this round. The explanation tells you why. The waitlists show where your child "
    "is waiting."
)

IN_CLASS = sentence("The child {condition}.")
IN_NO_CLASS = sentence("The child has no priority at this program.")


def result_in_words(program_name: str | None, excluded: str | None, say: Say) -> str:
    """Say a child's result.

    Args:
        program_name: the program of the child's seat, if any.
        excluded: why the child was not in the round, if the child was not.
        say: says a sentence in the reader's language.
    """
    if excluded is not None:
        return say(EXCLUDED[excluded])
    return say(NOT_PLACED) if program_name is None else say(PLACED, program=program_name)


def class_in_words(priority_class: PriorityClass | None, language: str) -> str:
    """Say why a child has a priority class at a program."""
    say = in_language(language)
    if priority_class is None:
        return say(IN_NO_CLASS)
    return say(IN_CLASS, condition=condition_in_words(priority_class.when, Language(language)))
