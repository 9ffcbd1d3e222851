"""School years of cycles: a cycle is for the school year that begins after its deadline.

A school year begins on 1 September. A cycle's school year is the one that begins in the first September after the month
in which the cycle's deadline is, in the cycle's time zone.
"""

from datetime import date, datetime

from enrollment.time_zones import day_in

MIN_YEAR, MAX_YEAR = 1900, 2300
"""School years beyond every cycle."""


def school_year_of(deadline: datetime, zone: str) -> date:
    """Return the first day of the school year of a cycle, from its deadline and its time zone."""
    day = day_in(zone, deadline)
    year = day.year if day.month < 9 else day.year + 1  # noqa: PLR2004 - September
    return date(min(max(year, MIN_YEAR), MAX_YEAR), 9, 1)
