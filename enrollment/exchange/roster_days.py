"""Days in rosters: their only form, and the days on which a child of a grade can have begun or left school."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date
from typing import Final, Literal, TypeAlias

CALENDAR_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
"""The only form that a roster may use. Python would also read 20270131 and 2027-W04-7."""

AGES: Final[Mapping[str, int]] = {
    "IT": 2, "PR": 4, "PK": 5, "TK": 5, "KG": 6, **{f"{year:02}": 6 + year for year in range(1, 14)},
}  # fmt: skip
"""The age at which children leave a grade. No child was enrolled longer ago."""

OLDEST: Final = max(AGES.values())
"""For grades without a usual age."""

REPEATED_YEARS: Final = 1
YEARS_AHEAD: Final = 2
"""A roster is of the school year for which the cycle enrolls, or of the year before."""

DayReason: TypeAlias = Literal["before-school-years", "after-school-years"]


@dataclass(frozen=True, slots=True)
class DayNotUsed:
    """A day that proves nothing, such as 1900-01-01 or 0001-01-01, which some systems write for an empty field."""

    file: str
    line: int
    field: str
    reason: DayReason


def day_from(text: str) -> date:
    """Return a day such as 2027-01-31.

    Raises:
        ValueError: if the text has another form, or the calendar has no such day.
    """
    if not CALENDAR_DAY.fullmatch(text):
        raise ValueError("not a calendar day")
    return date.fromisoformat(text)


def why_impossible(day: date, grade: str, *, opened: date) -> DayReason | None:
    """Return why no child of a grade can have begun or left school on a day; None: a child can.

    Args:
        day: the day.
        grade: the child's grade.
        opened: the day on which the cycle opened.
    """
    age = AGES["PK"] if grade.startswith("PK") else AGES.get(grade, OLDEST)
    if day < _years_later(opened, -(age + REPEATED_YEARS)):
        return "before-school-years"
    return "after-school-years" if day > _years_later(opened, YEARS_AHEAD) else None


def _years_later(day: date, years: int) -> date:
    """Return the first day of a day's month, some years later. Every year has that day."""
    return date(min(max(day.year + years, MINYEAR), MAXYEAR), day.month, 1)
