"""Sentences in a reader's language, from the catalogs in `lottery/locale`."""

import gettext
from collections.abc import Iterable
from functools import cache
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

SOURCE = "en"
"""The language of the sentences in the code."""

CATALOGUES = Path(__file__).parents[1] / "locale"

WRITTEN_AS = {"es": "es_419"}
"""Latin American Spanish writes 12,345; in Spain it is 12.345."""

_ISOLATE, _END_ISOLATE = "\u2068", "\u2069"


class UnknownLanguage(LookupError):
    """No catalog for this language; the message lists the languages with a catalog."""


def languages(catalogues: Path = CATALOGUES) -> list[str]:
    """Return the codes of all languages with sentences."""
    return sorted([SOURCE, *(catalogue.stem for catalogue in catalogues.glob("*.po"))])


class Language:
    """Says sentences in one language, from a folder of catalogs (by default the lottery's own).

    Raises:
        UnknownLanguage: if the folder has no catalog for the language.
    """

    def __init__(self, code: str, catalogues: Path = CATALOGUES) -> None:
        known = languages(catalogues)
        if code not in known:
            raise UnknownLanguage(f"the language is not available; choose one of {', '.join(known)}")
        self.code = code
        self.locale = Locale.parse(WRITTEN_AS.get(code, code))
        self._catalogue = _catalogue(code, catalogues)

    @property
    def direction(self) -> str:
        """Return `ltr` or `rtl`."""
        return self.locale.text_direction

    def say(self, sentence: str, **values: str | int) -> str:
        """Return the sentence with its values."""
        return self._filled(self._catalogue.gettext(sentence), values)

    def count(self, one: str, many: str, number: int, **values: str | int) -> str:
        """Return the sentence in the plural form for the number, which the sentence names `{number}`."""
        return self._filled(self._catalogue.ngettext(one, many, number), {"number": number, **values})

    def all_of(self, parts: Iterable[str]) -> str:
        """Join parts with the language's word for `and`."""
        return format_list(list(parts), style="standard", locale=self.locale)

    def any_of(self, parts: Iterable[str]) -> str:
        """Join parts with the language's word for `or`."""
        return format_list(list(parts), style="or", locale=self.locale)

    def name(self, name: str) -> str:
        """Return an id or a name that keeps its own direction inside a right-to-left sentence."""
        return f"{_ISOLATE}{name}{_END_ISOLATE}" if self.direction == "rtl" else name

    def _filled(self, sentence: str, values: dict[str, str | int]) -> str:
        written = {
            key: format_decimal(value, locale=self.locale) if isinstance(value, int) else value
            for key, value in values.items()
        }
        return sentence.format_map(written)


@cache
def _catalogue(code: str, catalogues: Path) -> gettext.NullTranslations:
    """Compile a catalog on first use, so that no compiled file can be older than its source."""
    if code == SOURCE:
        return gettext.NullTranslations()
    compiled = BytesIO()
    with (catalogues / f"{code}.po").open("rb") as source:
        write_mo(compiled, read_po(source, locale=code))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
