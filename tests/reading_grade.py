"""The reading grade of a text that families read, in English."""

import re

from textstat.textstat import textstatistics

MAX_GRADE = 8.0
"""A US school grade: a reader of age 13 or 14."""

MAX_WORDS = 25
"""Of one sentence."""

# With "en" textstat downloads a dictionary. "en-US" counts syllables with patterns that come with the package.
READER = textstatistics()
READER.set_lang("en-US")

INVISIBLE = re.compile("[\u2066-\u2069\u200e\u200f]")
END_OF_SENTENCE = re.compile(r"(?<=[.!?])[\"”’)]*\s+")
DOT_INSIDE = re.compile(r"(?<=\w)[.!?](?=\w)")


def too_hard(text: str) -> list[str]:
    """Name what is too hard in a whole text: its grade, with its hardest sentences, and each long sentence."""
    faults = [
        f"{len(sentence.split())} words, at most {MAX_WORDS}: {sentence}"
        for sentence in sentences_of(text)
        if len(sentence.split()) > MAX_WORDS
    ]
    if (grade := grade_of(text)) > MAX_GRADE:
        hardest = sorted(sentences_of(text), key=grade_of, reverse=True)[:3]
        faults.append(f"grade {grade:.1f}, at most {MAX_GRADE:.0f}; hardest: {' / '.join(hardest)}")
    return faults


def grade_of(text: str) -> float:
    """Return the Flesch-Kincaid grade of a whole text."""
    ended = (sentence if sentence[-1] in ".!?" else f"{sentence}." for sentence in sentences_of(text))
    return float(READER.flesch_kincaid_grade(" ".join(DOT_INSIDE.sub("", sentence) for sentence in ended)))


def sentences_of(text: str) -> list[str]:
    """Split a text into sentences; the end of a line ends a sentence too."""
    lines = INVISIBLE.sub("", text).splitlines()
    parts = (part.strip() for line in lines for part in END_OF_SENTENCE.split(line))
    return [part for part in parts if part]
