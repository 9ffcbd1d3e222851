"""What families and the public read about seats is easy to read."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from enrollment.languages import CATALOGUES
from enrollment.seats.models import Offer, Vacancy
from enrollment.seats.sentences import LEFT_EMPTY, OFFER, OPENED, REMOVED, offer_in_words, vacancy_in_words
from enrollment.seats.vacancies import OUTSIDE_CLASS
from lottery.explain.language import Language
from lottery.market.rules import GENERAL
from reading_grade import too_hard

ENGLISH = Language("en", CATALOGUES)
DEADLINE = datetime(2027, 5, 3, 21, 0, tzinfo=UTC)


def offers() -> Iterator[Offer]:
    for status in OFFER:
        yield Offer(status=status, answer_by=DEADLINE)


def vacancies() -> Iterator[Vacancy]:
    for opened_by in OPENED:
        yield Vacancy(opened_by=opened_by, status="open")
        for filled_class in ("sibling", GENERAL, OUTSIDE_CLASS):
            yield Vacancy(opened_by=opened_by, status="filled", filled_class=filled_class)
        for why in LEFT_EMPTY:
            yield Vacancy(opened_by=opened_by, status="left-empty", why=why, rules_version=12)
        for why in REMOVED:
            yield Vacancy(opened_by=opened_by, status="removed", why=why)


@pytest.mark.parametrize("offer", list(offers()), ids=lambda offer: offer.status)
def test_a_family_reads_an_offer_easily(offer: Offer) -> None:
    text = offer_in_words(offer, "America/New_York", ENGLISH)
    assert too_hard(text) == [], text


@pytest.mark.parametrize(
    "vacancy", list(vacancies()), ids=lambda vacancy: f"{vacancy.opened_by}-{vacancy.status}-{vacancy.why}"
)
def test_the_public_reads_a_vacancy_easily(vacancy: Vacancy) -> None:
    text = vacancy_in_words(vacancy, ENGLISH)
    assert too_hard(text) == [], text


def test_an_offer_names_its_deadline_as_people_write_it() -> None:
    text = offer_in_words(Offer(status="open", answer_by=DEADLINE), "America/New_York", ENGLISH)
    assert text == (
        "Your child has been offered a seat. Please answer before Monday, May 3, 2027, 5:00 p.m. Eastern Time."
    )


def test_a_vacancy_says_who_filled_it() -> None:
    vacancy = Vacancy(opened_by="declined", status="filled", filled_class="sibling")
    assert vacancy_in_words(vacancy, ENGLISH) == (
        "A family declined this seat. Filled by a child with sibling priority."
    )
