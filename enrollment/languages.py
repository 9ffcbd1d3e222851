"""Translate the service's sentences, from `enrollment/locale`."""

from functools import cache
from pathlib import Path
from typing import Protocol

from enrollment.dates import Value, values_in_words
from lottery.explain.language import Language
from lottery.explain.language import languages as known_languages

CATALOGUES = Path(__file__).parent / "locale"


class Say(Protocol):
    """Says a sentence in one language, with its values."""

    def __call__(self, sentence: str, /, **values: Value) -> str:
        """Return the sentence."""


@cache
def in_language(code: str) -> Say:
    """Return the translator for a language."""
    language = Language(code, CATALOGUES)

    def say(sentence: str, /, **values: Value) -> str:
        return language.say(sentence, **values_in_words(values, language))

    return say


def languages() -> list[str]:
    """Return the codes of the supported languages."""
    return known_languages(CATALOGUES)
