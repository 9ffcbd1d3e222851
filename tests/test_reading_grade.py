"""A text for families is measured as a whole, and each sentence by its length."""

from reading_grade import MAX_WORDS, grade_of, sentences_of, too_hard

PLAIN = "Your child did not get a seat at Oak School. All 40 seats went to children with better lottery numbers."
HARD = "Eligibility determinations necessitate consideration of documentation. Notification follows adjudication."


def test_a_plain_text_is_easy_enough() -> None:
    assert too_hard(PLAIN) == []


def test_a_text_of_long_words_is_named_with_its_grade_and_its_hardest_sentences() -> None:
    assert "hardest: Eligibility" in too_hard(HARD)[0]


def test_one_hard_sentence_does_not_make_a_whole_text_hard() -> None:
    assert too_hard(f"{PLAIN} {PLAIN} {PLAIN} Notification follows adjudication.") == []


def test_a_long_sentence_is_named_with_its_number_of_words() -> None:
    long = " ".join(["one"] * MAX_WORDS)

    assert too_hard(f"{long}.") == []
    assert too_hard(f"{long} two.") == [f"26 words, at most 25: {long} two."]


def test_a_line_ends_a_sentence_and_a_dot_inside_a_name_or_number_does_not() -> None:
    assert sentences_of("Choice 1: Oak\n   It has 3.5 seats. Write to a.b@c.org!") == [
        "Choice 1: Oak",
        "It has 3.5 seats.",
        "Write to a.b@c.org!",
    ]
    assert grade_of("We have read the 3.5 pages of the a.b.c now") == grade_of(
        "We have read the 35 pages of the abc now."
    )


def test_an_empty_text_is_easy() -> None:
    assert too_hard("") == []
