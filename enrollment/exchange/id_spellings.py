"""Find out whether a roster spells SIS ids otherwise than the applications do, with or without leading zeros.

Spreadsheets drop the zeros in front of a number. Then every child seems to be without an application.
"""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Child
from enrollment.cycles.models import Cycle
from enrollment.exchange.rosters import Roster

AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class OtherSpelling:
    """The number of digits with which most ids match, and how many match so and as they are."""

    digits: int
    tried: int
    matching: int
    would_match: int


def other_spelling(session: Session, cycle: Cycle, roster: Roster) -> OtherSpelling | None:
    """Return the number of digits with which more ids of the roster match; None if no other number does.

    Of several numbers with as many matches, the smallest is returned.
    """
    wanted = {digest for spellings in roster.spellings.values() for digest in spellings.values()}
    known = _known(session, cycle, sorted(wanted | roster.spellings.keys()))
    matching = sum(digest in known for digest in roster.spellings)
    found = Counter(
        digits
        for spellings in roster.spellings.values()
        for digits, digest in sorted(spellings.items())
        if digest in known
    )
    if not found:
        return None
    digits, would_match = max(found.items(), key=lambda item: (item[1], -item[0]))
    if would_match <= matching:
        return None
    return OtherSpelling(digits, len(roster.spellings), matching, would_match)


def _known(session: Session, cycle: Cycle, digests: list[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for start in range(0, len(digests), AT_ONCE):
        query = select(Child.sis_digest).where(
            Child.cycle_id == cycle.id, Child.sis_digest.in_(digests[start : start + AT_ONCE])
        )
        found.update(digest for digest in session.scalars(query) if digest is not None)
    return found
