"""Ages by grade: an impossible birth date is refused, an unlikely one gets a warning.

A child's age is counted on 1 September, the first day of the school year that the cycle is for.
"""

from dataclasses import replace
from datetime import date

from enrollment.problems import Conflict, Fault, sentence

USUAL_AGES = {
    "PK3": 3,
    "PR": 3,
    "PK": 4,
    "PK4": 4,
    "TK": 4,
    "KG": 5,
    **{f"{grade:02}": grade + 5 for grade in range(1, 13)},
}
"""The usual age in years on 1 September. Other grades are a city's own, so any school age may be right there."""

YOUNGER, OLDER = 3, 8
"""Years below and above the usual age that a school can still place in a grade."""
USUAL_YOUNGER, USUAL_OLDER = 1, 2
"""Years below and above the usual age that are no surprise: a late birthday, a repeated grade."""
MAX_AGE = 22
"""The age until which a state may offer school."""


class BirthDateImpossible(Conflict):
    """No child with this birth date can be in the grade."""

    title = sentence("Birth date does not fit the grade")
    detail = sentence("Nothing was stored. Correct the birth date or the grade, then send the application again.")


def refuse_impossible_age(birth_date: date, grade: str, begins: date, *, at: str = "/child/birth_date") -> None:
    """Refuse a birth date with which no child can be in a grade.

    Args:
        birth_date: the child's birth date.
        grade: the grade.
        begins: the first day of the school year that counts.
        at: the pointer to what is wrong in the request.

    Raises:
        BirthDateImpossible: with the range of birth dates.
    """
    usual = USUAL_AGES.get(grade)
    youngest = 0 if usual is None else usual - YOUNGER
    oldest = MAX_AGE if usual is None else min(usual + OLDER, MAX_AGE)
    fault = _fault(birth_date, grade, begins, youngest=youngest, oldest=oldest, code="birth-date-impossible")
    if fault is not None:
        raise BirthDateImpossible(faults=[replace(fault, pointer=at)])


def unlikely_age(birth_date: date, grade: str, begins: date) -> Fault | None:
    """Return a warning about a birth date that is possible but unlikely for a grade, or None."""
    usual = USUAL_AGES.get(grade)
    if usual is None:
        return None
    youngest, oldest = usual - USUAL_YOUNGER, usual + USUAL_OLDER
    return _fault(birth_date, grade, begins, youngest=youngest, oldest=oldest, code="birth-date-unlikely")


def _fault(birth_date: date, grade: str, begins: date, *, youngest: int, oldest: int, code: str) -> Fault | None:
    """Return a fault if a child is younger or older than a range of ages on the first day that counts."""
    first, last = begins.replace(year=begins.year - oldest - 1, day=2), begins.replace(year=begins.year - youngest)
    if first <= birth_date <= last:
        return None
    detail = sentence("must be from {first} to {last} for grade {grade}; correct the birth date or the grade")
    if code == "birth-date-unlikely":
        detail = sentence(
            "is unusual for grade {grade}: most children in this grade were born from {first} to {last}; check "
            "the birth date"
        )
    values: dict[str, str | int] = {"first": first.isoformat(), "last": last.isoformat(), "grade": grade}
    return Fault("/child/birth_date", code, detail, values)
