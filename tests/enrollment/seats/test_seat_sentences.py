"""What families and the public read about seats is easy to read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from enrollment.cycles.models import Cycle
from enrollment.directory.names import ProgramName
from enrollment.languages import CATALOGUES
from enrollment.moments import moments_of
from enrollment.seats.models import Offer, Vacancy
from enrollment.seats.offer_sentences import offer_in_words
from enrollment.seats.offer_stories import OfferStory
from enrollment.seats.sentences import LEFT_EMPTY, OPENED, REMOVED, vacancy_in_words
from enrollment.seats.vacancies import OUTSIDE_CLASS
from lottery.explain.language import Language
from lottery.market.rules import GENERAL
from reading_grade import too_hard

ENGLISH = Language("en", CATALOGUES)
MADE = datetime(2027, 4, 20, 21, 0, tzinfo=UTC)
DEADLINE = datetime(2027, 5, 3, 21, 0, tzinfo=UTC)


MOMENT = moments_of(Cycle(time_zone="America/New_York"), ENGLISH)
LINCOLN = ProgramName("lincoln-kg", "Kindergarten", "lincoln", "Lincoln School")
ADAMS = ProgramName("adams-kg", "Adams School, Kindergarten", "adams", "Adams School")


def story(offer: Offer, *, former: bool = False, ran_out: bool = False, silence: str = "decline") -> OfferStory:
    offer.made_at, offer.answer_by = MADE, DEADLINE
    replaced = offer.status == "replaced"
    return OfferStory(
        offer=offer,
        seat=LINCOLN,
        replaces=Offer() if former else None,
        former=ADAMS if former else None,
        replaced_by=Offer() if replaced else None,
        next=ADAMS if replaced else None,
        silence=silence,
        time_zone="America/New_York",
        ran_out=ran_out,
        waits=True,
    )


def stories() -> Iterator[OfferStory]:
    for former in (False, True):
        for closed_at in (MADE, MADE + timedelta(days=1), DEADLINE):
            for source in ("backfill", "outside"):
                yield story(Offer(status="accepted", source=source, closed_at=closed_at), former=former)
        yield story(Offer(status="open", source="backfill"), former=former)
    for silence in ("accept", "decline"):
        yield story(Offer(status="open", source="main"), ran_out=True, silence=silence)
    for status in ("declined", "expired", "replaced", "withdrawn"):
        yield story(Offer(status=status, source="main", closed_at=DEADLINE))


def vacancies() -> Iterator[Vacancy]:
    for opened_by in OPENED:
        yield Vacancy(opened_by=opened_by, status="open")
        for filled_class in ("sibling", GENERAL, OUTSIDE_CLASS):
            yield Vacancy(opened_by=opened_by, status="filled", filled_class=filled_class)
        for why in LEFT_EMPTY:
            yield Vacancy(opened_by=opened_by, status="left-empty", why=why, rules_version=12)
        for why in REMOVED:
            yield Vacancy(opened_by=opened_by, status="removed", why=why)


@pytest.mark.parametrize("told", list(stories()), ids=lambda told: told.offer.status)
def test_a_family_reads_an_offer_easily(told: OfferStory) -> None:
    text = offer_in_words(told, MOMENT, ENGLISH)
    assert too_hard(text) == [], text


@pytest.mark.parametrize(
    "vacancy", list(vacancies()), ids=lambda vacancy: f"{vacancy.opened_by}-{vacancy.status}-{vacancy.why}"
)
def test_the_public_reads_a_vacancy_easily(vacancy: Vacancy) -> None:
    text = vacancy_in_words(vacancy, ENGLISH)
    assert too_hard(text) == [], text


def test_an_offer_names_its_deadline_as_people_write_it() -> None:
    text = offer_in_words(story(Offer(status="open", source="main")), MOMENT, ENGLISH)
    assert text == (
        f"Your child has been offered a seat at Lincoln School, Kindergarten. Please answer before {MOMENT(DEADLINE)}. "
        "If you do not answer, your child loses the seat."
    )


def test_a_child_who_moves_up_from_an_accepted_seat_is_not_asked_to_answer() -> None:
    text = offer_in_words(
        story(Offer(status="accepted", source="backfill", closed_at=MADE), former=True), MOMENT, ENGLISH
    )
    assert text == (
        f"On {MOMENT(MADE)}, your child moved up from Adams School, Kindergarten to a seat at Lincoln School, "
        "Kindergarten. The seat at Adams School, Kindergarten was accepted, so the new seat is accepted too. You do "
        "not need to answer. Your child stays on the waitlists for higher choices."
    )


def test_a_vacancy_says_who_filled_it() -> None:
    vacancy = Vacancy(opened_by="declined", status="filled", filled_class="sibling")
    assert vacancy_in_words(vacancy, ENGLISH) == (
        "A family declined this seat. Filled by a child with sibling priority."
    )
