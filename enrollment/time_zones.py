"""Time zones of cycles: the names that the service takes, and the calendar day of a time.

A day in a rule, a file or a sentence is a day in the cycle's zone, whatever zone the server, the process or the
database session has.
"""

from datetime import date, datetime
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

UTC_NAME = "Etc/UTC"
"""The zone of cycles that are older than their zones."""

WITHOUT_PLACE = ("Etc/", "SystemV/", "posix/", "right/")
"""Parts of the zone database that name no place: fixed offsets, and the same zones once more."""


@cache
def time_zones() -> frozenset[str]:
    """Return the names of zones that a cycle may have: an area and a place, such as America/New_York, and Etc/UTC.

    Names without a place, such as EST or localtime, are an abbreviation or the machine's own zone.
    """
    places = {name for name in available_timezones() if "/" in name and not name.startswith(WITHOUT_PLACE)}
    return frozenset({*places, UTC_NAME})


def _known(name: str) -> str:
    if name not in time_zones():
        raise PydanticCustomError("time_zone", "must be the IANA name of a time zone, such as America/New_York")
    return name


TimeZone = Annotated[
    str,
    AfterValidator(_known),
    Field(
        description="The time zone of the cycle's schools: an IANA name such as America/New_York. Each calendar day in "
        "rules and files is a day in this zone. Times in JSON stay in UTC.",
        examples=["America/New_York"],
    ),
]
"""The IANA name of a time zone."""


def local_time(zone: str, time: datetime) -> datetime:
    """Return a time in a zone. The first and the last of all times, which a stored time may be, stay as they are."""
    try:
        return time.astimezone(ZoneInfo(zone))
    except OverflowError:
        return time


def day_in(zone: str, time: datetime) -> date:
    """Return the calendar day of a time in a zone."""
    return local_time(zone, time).date()
