"""Refuse text with deceptive characters, or without a visible one.

People read names, addresses and reasons, and machines compare SIS ids. An invisible character, or one that changes the
text direction, makes different texts look alike, so every text input refuses such characters. Zero-width joiners are
allowed where scripts need them, for example inside Persian or Hindi words.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from enrollment.problems import sentence

SAYS: Final[Mapping[str, str]] = {
    "blank-text": sentence("has no visible character; write a text, or omit the field if it is optional"),
    "text-control": sentence("has a control character or line break at position {number}; delete it"),
    "text-direction": sentence("has a character that changes the text direction at position {number}; delete it"),
    "text-invisible": sentence("has an invisible character at position {number}; delete it"),
    "text-unassigned": sentence("has a character that Unicode does not define at position {number}; delete it"),
    "text-private-use": sentence("has a private-use character at position {number}; use a standard character"),
}
"""Fault details by kind of flaw. They never quote the text."""

_DIRECTION: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_IGNORABLE: Final = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
"""Unicode's Default_Ignorable_Code_Point: characters that are not displayed."""

_VISIBLE_FORMATS: Final = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
"""Visible format characters: Arabic number signs and the like (Unicode's Prepended_Concatenation_Mark)."""

_IDEOGRAPHS: Final = ((0x20000, 0x2FFFD), (0x30000, 0x3FFFD))
"""Unicode planes for Chinese characters, which names use. Python's tables may lack some of them."""

_BY_CATEGORY: Final[Mapping[str, str]] = {
    "Cc": "text-control",
    "Cs": "text-control",
    "Zl": "text-control",
    "Zp": "text-control",
    "Co": "text-private-use",
}

_BLANK_LOOKING: Final = frozenset("\u2800\ufffc\U0001d159\U00013441\U00013442\U00016fe4")
"""Letters, marks and symbols without ink."""

_JOINERS: Final = frozenset("\u200c\u200d")

_JOINED_SCRIPTS: Final = (
    (0x0620, 0x06FF),  # Arabic, Persian, Urdu
    (0x0700, 0x08FF),  # Syriac, Thaana, N'Ko, Mandaic, more Arabic
    (0x0900, 0x0DFF),  # Devanagari and the other scripts of India, Sinhala
    (0x0F00, 0x109F),  # Tibetan, Burmese
    (0x1780, 0x18AF),  # Khmer, Mongolian
    (0x1900, 0x1CFF),  # Limbu, Balinese, Sundanese, Vedic marks
    (0xA800, 0xAAFF),  # Syloti Nagri, Javanese, more Burmese
    (0xABC0, 0xABFF),  # Meetei Mayek
    (0x11000, 0x11DFF),  # Brahmi and later scripts of India
)
"""Scripts whose words need zero-width joiners and non-joiners."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """A flaw of a text."""

    kind: str
    """One of `SAYS`."""
    place: int
    """The position of the character, from 1; 0 for the whole text."""


def flaw_of(text: str, *, allowed: str = "") -> Flaw | None:
    """Return the first flaw of a text, or None.

    Args:
        text: the text.
        allowed: allowed control characters, such as line breaks.
    """
    if text.isascii() and text.isprintable() and not text.isspace() and text:
        return None
    for index, mark in enumerate(text):
        if mark not in allowed and (kind := _kind(text, index)):
            return Flaw(kind, index + 1)
    return None if has_visible(text) else Flaw("blank-text", 0)


def has_visible(text: str) -> bool:
    """Say whether a text has a visible character."""
    return any(map(_is_visible, text))


def in_nfc(text: str) -> str:
    """Return a text in Unicode form NFC, in which equal texts have equal characters."""
    return unicodedata.normalize("NFC", text)


def _kind(text: str, index: int) -> str | None:
    """Return the flaw of one character, or None."""
    mark = text[index]
    category = unicodedata.category(mark)
    if mark in _DIRECTION:
        return "text-direction"
    if mark in _JOINERS:
        return None if _joins(text, index) else "text-invisible"
    if _is_in(_IGNORABLE, mark) or (category == "Cf" and mark not in _VISIBLE_FORMATS):
        return "text-invisible"
    if category == "Cn" and not _is_in(_IDEOGRAPHS, mark):
        return "text-unassigned"
    return _BY_CATEGORY.get(category)


def _joins(text: str, index: int) -> bool:
    """Say whether a joiner stands between two letters or marks of scripts that use joiners."""
    beside = text[index - 1 : index] + text[index + 1 : index + 2] if index else ""
    return len(beside) == len(_JOINERS) and all(
        unicodedata.category(mark)[0] in "LM" and _is_in(_JOINED_SCRIPTS, mark) for mark in beside
    )


def _is_visible(mark: str) -> bool:
    if mark in _BLANK_LOOKING or _is_in(_IGNORABLE, mark):
        return False
    return unicodedata.category(mark)[0] in "LNPS" or _is_in(_IDEOGRAPHS, mark)


def _is_in(ranges: tuple[tuple[int, int], ...], mark: str) -> bool:
    return any(first <= ord(mark) <= last for first, last in ranges)
