"""Deceptive text is refused with its kind and place; names in every script are accepted."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrollment.plain_text import SAYS, Flaw, flaw_of, in_nfc

NAMES = [
    "Ada Example",
    "O’Brien-Müller, Jr.",
    "Nguyễn Thị Ánh",
    "José Núñez",
    "李小龍",
    "\U00020bb7野家",  # a character of extension B
    "\U000323b0",  # of extension H, younger than some of Python's tables
    "山田　太郎",
    "علی‌رضا محمدی",  # a zero-width non-joiner inside a Persian name
    "ශ්‍රී ලාල්",  # a zero-width joiner inside a Sinhala name
    "क्‍ष",
    "محمد",
    "יעקב",
    "Александр",
    "ราชัน",
    "Ꮳꮃꭹ",
    "Anne Marie",
    "-",
    "3",
]

DECEIVING = {
    "text-direction": "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "text-invisible": "\u200b\u200c\u200d\ufeff\u2060\u2061\u2064\u206a\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b\u180e"
    "\u180f\u3164\uffa0\ufff0\ufff9\ufe00\ufe0f\U000e0001\U000e0041\U000e0100\U0001d173\U0001bca0",
    "text-unassigned": "\u0378\u2fe0\ufdd0\ufffe\uffff\U0001ffff\U0002ffff\U00050000\U0010ffff",
    "text-private-use": "\ue000\uf8ff\U000f0000\U00100000",
    "text-control": "\x00\t\n\r\x1b\x7f\x85\u2028\u2029\ud800",
}

BLANK = [
    "",
    " ",
    "\u00a0",
    "\u2800",
    "\u3000",
    "\u2003 \u202f",
    "\u0301",
    "\u0301\u0302",
    "\u20dd",
    "\ufffc",
    "\u0489 ",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_any_script_is_accepted(name: str) -> None:
    assert flaw_of(unicodedata.normalize("NFC", name)) is None


@pytest.mark.parametrize(("kind", "mark"), [(kind, mark) for kind, marks in DECEIVING.items() for mark in marks])
def test_a_character_that_deceives_is_refused_with_its_kind_and_place(kind: str, mark: str) -> None:
    assert flaw_of(f"Ada{mark} Example") == Flaw(kind, 4)
    assert flaw_of(mark) == Flaw(kind, 1)


@pytest.mark.parametrize("text", BLANK)
def test_a_text_without_a_visible_character_is_blank(text: str) -> None:
    assert flaw_of(text) == Flaw("blank-text", 0)


@pytest.mark.parametrize("name", ["‌علی", "علی‌", "علی‌‌رضا", "A‌da", "علی‌ Ada", "علی ‌رضا", "1‌2"])
def test_a_joiner_is_refused_where_it_joins_nothing(name: str) -> None:
    flaw = flaw_of(name)
    assert flaw is not None
    assert flaw.kind == "text-invisible"


def test_a_text_in_another_unicode_form_is_brought_to_nfc() -> None:
    assert in_nfc("Jose\u0301") == "Jos\u00e9"
    assert flaw_of("Jose\u0301") is None


def test_line_breaks_are_accepted_in_multi_line_texts() -> None:
    assert flaw_of("First.\nSecond.", allowed="\n") is None
    assert flaw_of("First.\nSecond.") == Flaw("text-control", 7)
    assert flaw_of("\n \n", allowed="\n") == Flaw("blank-text", 0)


@given(st.text(max_size=12))
def test_no_text_breaks_the_check_and_every_flaw_has_its_sentence(text: str) -> None:
    flaw = flaw_of(text)
    if flaw is None:
        assert not any(unicodedata.category(mark) in ("Cc", "Cs", "Co", "Zl", "Zp") for mark in text)
        assert text.strip()
    else:
        assert flaw.kind in SAYS
