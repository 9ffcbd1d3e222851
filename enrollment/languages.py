"""Translate the service's sentences, from `enrollment/locale`."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from lottery.explain.language import Language
from lottery.explain.language import languages as known_languages

CATALOGUES = Path(__file__).parent / "locale"

Say = Callable[..., str]


@cache
def in_language(code: str) -> Say:
    """Return the translator for a language."""
    return Language(code, CATALOGUES).say


def languages() -> list[str]:
    """Return the codes of the supported languages."""
    return known_languages(CATALOGUES)
