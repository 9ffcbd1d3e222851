"""Times and days as people read them."""

from datetime import UTC, date, datetime

import pytest

from enrollment.dates import ZonedTime, day_in_words, time_in_words
from enrollment.languages import CATALOGUES, in_language
from enrollment.time_zones import day_in, time_zones
from lottery.explain.language import Language

FRIDAY = datetime(2027, 3, 12, 22, tzinfo=UTC)


def said(time: datetime, zone: str, code: str = "en") -> str:
    return time_in_words(ZonedTime(time, zone), Language(code, CATALOGUES))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("en", "Friday, March 12, 2027, 5:00 p.m. Eastern Time"),
        ("es", "viernes, 12 de marzo de 2027, 5:00 p. m., hora oriental"),
        ("ar", "الجمعة، 12 مارس 2027، 5:00 م، التوقيت الشرقي لأمريكا الشمالية"),
    ],
)
def test_a_time_has_its_weekday_and_the_name_of_its_zone(code: str, words: str) -> None:
    assert said(FRIDAY, "America/New_York", code) == words


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("America/Chicago", "Friday, March 12, 2027, 4:00 p.m. Central Time"),
        ("America/Indiana/Indianapolis", "Friday, March 12, 2027, 5:00 p.m. Eastern Time"),
        ("US/Eastern", "Friday, March 12, 2027, 5:00 p.m. Eastern Time"),
        ("America/Phoenix", "Friday, March 12, 2027, 3:00 p.m. Mountain Standard Time"),
        ("Pacific/Kiritimati", "Saturday, March 13, 2027, 12:00 p.m. Line Islands Time"),
        ("Etc/UTC", "Friday, March 12, 2027, 10:00 p.m. Coordinated Universal Time"),
    ],
)
def test_a_zone_has_the_name_that_people_there_use(zone: str, words: str) -> None:
    assert said(FRIDAY, zone) == words


def test_an_hour_that_comes_twice_is_told_apart() -> None:
    first, second = datetime(2027, 11, 7, 5, 30, tzinfo=UTC), datetime(2027, 11, 7, 6, 30, tzinfo=UTC)
    assert said(first, "America/New_York") == "Sunday, November 7, 2027, 1:30 a.m. Eastern Daylight Time"
    assert said(second, "America/New_York") == "Sunday, November 7, 2027, 1:30 a.m. Eastern Standard Time"


def test_the_first_and_the_last_of_all_times_have_words() -> None:
    for zone in ("America/New_York", "Pacific/Kiritimati"):
        for time, year in ((datetime.min.replace(tzinfo=UTC), 1), (datetime.max.replace(tzinfo=UTC), 9999)):
            assert f", {year}, " in said(time, zone)
            assert day_in(zone, time).year == year


def test_every_zone_has_words_in_every_language() -> None:
    for zone in time_zones():
        for code in ("en", "es", "ar"):
            assert "2027" in said(FRIDAY, zone, code)


def test_a_sentence_writes_its_days_in_the_language_of_the_reader() -> None:
    day = date(2027, 3, 12)
    assert in_language("en")("{day}", day=day) == "Friday, March 12, 2027"
    assert day_in_words(day, Language("es", CATALOGUES)) == "viernes, 12 de marzo de 2027"
