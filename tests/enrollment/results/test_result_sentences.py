"""What families and schools read about a result is easy to read."""

import pytest

from enrollment.languages import in_language
from enrollment.results.sentences import EXCLUDED, class_in_words, result_in_words
from lottery.market.rules import AtSchool, PriorityClass
from reading_grade import too_hard

ENGLISH = in_language("en")


def test_a_family_reads_a_seat_easily() -> None:
    assert too_hard(result_in_words("Lincoln School", None, ENGLISH)) == []


def test_a_family_reads_easily_that_there_is_no_seat() -> None:
    assert too_hard(result_in_words(None, None, ENGLISH)) == []


@pytest.mark.parametrize("excluded", sorted(EXCLUDED))
def test_a_family_reads_easily_why_the_child_was_not_in_the_round(excluded: str) -> None:
    assert too_hard(result_in_words(None, excluded, ENGLISH)) == []


@pytest.mark.parametrize("priority", [None, PriorityClass("sibling", AtSchool("sibling"))])
def test_the_reason_for_a_priority_is_easy_to_read(priority: PriorityClass | None) -> None:
    assert too_hard(class_in_words(priority, "en")) == []
