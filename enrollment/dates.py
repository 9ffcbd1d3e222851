"""Write times and days as people read them, with the weekday and the name of the time zone.

The names are CLDR's, from babel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Literal

from babel import Locale
from babel.core import get_global
from babel.dates import NO_INHERITANCE_MARKER, format_date, format_time, get_timezone_name

from enrollment.time_zones import local_time
from lottery.explain.language import Language

CLOCK = {"en": "en_CA", "es": "es"}
"""The locale whose clock has the spelling that people here expect: 5:00 p.m., and in Spanish 5:00 p. m."""

HALF_A_YEAR = 184

Variant = Literal["generic", "standard", "daylight"]


@dataclass(frozen=True, slots=True)
class ZonedTime:
    """A time with the zone in which people read it."""

    at: datetime
    zone: str

    def __str__(self) -> str:
        """Return the time in UTC, for logs and exceptions."""
        return self.at.astimezone(UTC).isoformat().replace("+00:00", "Z")


Value = str | int | date | ZonedTime
"""What fills a place in a sentence. Days and times are written in the reader's language."""


def time_in_words(time: ZonedTime, language: Language) -> str:
    """Return a time such as "Friday, March 12, 2027, 5:00 p.m. Eastern Time"."""
    local = local_time(time.zone, time.at)
    clock = format_time(local, "h:mm a", tzinfo=local.tzinfo, locale=CLOCK.get(language.code, language.locale))
    return language.say(
        "{day}, {time} {zone}",
        day=day_in_words(local.date(), language),
        time=clock.replace("\u202f", " ").replace("\xa0", " "),
        zone=_zone_in_words(local, time.zone, language.locale),
    )


def day_in_words(day: date, language: Language) -> str:
    """Return a day such as "Friday, March 12, 2027"."""
    return format_date(day, "full", locale=language.locale)


def values_in_words(values: Mapping[str, Value], language: Language) -> dict[str, str | int]:
    """Return the values of a sentence, with days and times in words."""
    return {name: _in_words(value, language) for name, value in values.items()}


def values_to_store(values: Mapping[str, Value]) -> dict[str, str | int]:
    """Return the values of a sentence as JSON has them, with days and times in ISO form."""
    return {name: value if isinstance(value, str | int) else str(value) for name, value in values.items()}


def _in_words(value: Value, language: Language) -> str | int:
    if isinstance(value, ZonedTime):
        return time_in_words(value, language)
    return day_in_words(value, language) if isinstance(value, date) else value


def _zone_in_words(local: datetime, zone: str, locale: Locale) -> str:
    """Return the name of a zone, such as Eastern Time.

    A zone that keeps one time all year has the name of its standard time, as in Arizona. An hour that comes twice, when
    summer time ends, has the name that tells the two apart.
    """
    variant: Variant = "generic"
    if not _changes_clocks(local):
        variant = "standard"
    elif _comes_twice(local):
        variant = "daylight" if local.dst() else "standard"
    return _name(zone, variant, locale) or get_timezone_name(local, locale=locale)


def _name(zone: str, variant: Variant, locale: Locale) -> str | None:
    """Return CLDR's name of the zone's metazone, if the language has that variant of the name."""
    found = locale.meta_zones.get(_metazone(zone), {}).get("long", {}).get(variant)
    return None if found in {None, NO_INHERITANCE_MARKER} else str(found)


@cache
def _metazone(zone: str) -> str | None:
    """Return the metazone of a zone. CLDR keeps some zones under an older name, such as America/Indianapolis."""
    aliases, metazones = get_global("zone_aliases"), get_global("meta_zones")
    newest = aliases.get(zone, zone)
    names = [newest, *sorted(old for old, new in aliases.items() if new == newest)]
    return next((str(metazones[name]) for name in names if name in metazones), None)


def _changes_clocks(local: datetime) -> bool:
    """Tell whether the zone has summer time within half a year of a time."""
    days = range(-HALF_A_YEAR, HALF_A_YEAR + 1, 23)
    try:
        moment = local.astimezone(UTC)
        return any((moment + timedelta(days=day)).astimezone(local.tzinfo).dst() for day in days)
    except OverflowError:
        return False  # the first or the last of all times


def _comes_twice(local: datetime) -> bool:
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
