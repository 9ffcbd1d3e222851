"""Every sentence is there in every language, with its values, plural forms and direction."""

import string
from collections.abc import Sequence
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import enrollment
import lottery
from lottery.explain.language import Language, UnknownLanguage, languages

TRANSLATIONS = [code for code in languages() if code != "en"]
PACKAGES = [Path(lottery.__file__).parent, Path(enrollment.__file__ or "").parent]
KEYWORDS = {"say": None, "sentence": None, "count": (1, 2)}

every_catalogue = pytest.mark.parametrize("code", TRANSLATIONS)
every_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


def sentences(package: Path) -> list[str | tuple[str, ...]]:
    """Find every sentence said in a package's code."""
    found = extract_from_dir(str(package), [("**.py", "python")], keywords=KEYWORDS)
    return [message for _, _, message, _, _ in found]


def catalogue(package: Path, code: str) -> Catalog:
    with (package / "locale" / f"{code}.po").open("rb") as source:
        return read_po(source, locale=code)


def forms_of(texts: str | Sequence[str] | None) -> list[str]:
    """Return a message's or a translation's forms; one where there is no plural."""
    return [texts] if isinstance(texts, str) else list(texts or ())


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@every_package
def test_there_is_english_spanish_and_arabic(package: Path) -> None:
    assert languages(package / "locale") == ["ar", "en", "es"]


@every_package
def test_the_code_says_many_sentences(package: Path) -> None:
    assert len(sentences(package)) > 50


@every_package
@every_catalogue
def test_no_sentence_is_missing_empty_or_left_over(package: Path, code: str) -> None:
    said = {forms_of(message)[0] for message in sentences(package)}
    messages = [message for message in catalogue(package, code) if message.id]

    assert {forms_of(message.id)[0] for message in messages} == said
    for message in messages:
        assert all(form.strip() for form in forms_of(message.string)), message.id
        assert not message.fuzzy, message.id


@every_package
@every_catalogue
def test_every_plural_has_as_many_forms_as_the_language(package: Path, code: str) -> None:
    translation = catalogue(package, code)
    for message in translation:
        if not isinstance(message.id, str):
            assert len(forms_of(message.string)) == translation.num_plurals, message.id


@every_package
@every_catalogue
def test_every_translation_keeps_the_values_of_its_sentence(package: Path, code: str) -> None:
    """A plural form may leave the number out, as where a language has a word for two."""
    for message in catalogue(package, code):
        *_, longest = forms_of(message.id)
        for form in forms_of(message.string) if message.id else ():
            left_out = {"number", "zones"} if len(forms_of(message.string)) > 1 else set()
            assert placeholders(form) <= placeholders(longest), form
            assert placeholders(longest) - placeholders(form) <= left_out, form


@pytest.mark.parametrize(
    ("number", "seats"),
    [
        (0, "لا مقاعد هنا لجميع الأطفال"),
        (1, "مقعد واحد لجميع الأطفال"),
        (2, "مقعدان لجميع الأطفال"),
        (3, "3 مقاعد لجميع الأطفال"),
        (10, "10 مقاعد لجميع الأطفال"),
        (11, "11 مقعدًا لجميع الأطفال"),
        (45, "45 مقعدًا لجميع الأطفال"),
        (99, "99 مقعدًا لجميع الأطفال"),
        (100, "100 مقعد لجميع الأطفال"),
        (102, "102 مقعد لجميع الأطفال"),
        (103, "103 مقاعد لجميع الأطفال"),
        (111, "111 مقعدًا لجميع الأطفال"),
    ],
)
def test_arabic_counts_in_six_forms(number: int, seats: str) -> None:
    one, many = "{number} seat for all children.", "{number} seats for all children."

    assert Language("ar").count(one, many, number) == f"{seats}."


def test_arabic_runs_from_right_to_left_and_names_keep_their_own_direction() -> None:
    assert Language("ar").direction == "rtl"
    assert Language("ar").name("oak-kg") == "\u2068oak-kg\u2069"
    assert Language("es").direction == "ltr"
    assert Language("es").name("oak-kg") == "oak-kg"


def test_numbers_are_written_as_the_language_writes_them() -> None:
    sentence = "had lottery number {number}"

    assert Language("en").say(sentence, number=12345) == "had lottery number 12,345"
    assert Language("es").say(sentence, number=12345) == "tenía el número 12,345 en el sorteo"


def test_a_value_with_braces_is_said_as_it_is() -> None:
    assert Language("en").say("has the label “{flag}”", flag="{number}") == "has the label “{number}”"


@pytest.mark.parametrize("code", ["xx", "../es", "EN", ""])
def test_a_language_without_sentences_is_refused_with_those_there_are(code: str) -> None:
    with pytest.raises(UnknownLanguage, match="ar, en, es"):
        Language(code)
