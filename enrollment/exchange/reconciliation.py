"""Compare a roster with the seats of a cycle: who is at a school without an offer, which seats nobody has come for.

A row is looked at in this order, and the first that fits is what it counts as:

1. the child holds a seat (an open or accepted offer) at the school: `matched`, or `other_grade` if it is of another
   grade; with grades asked for, only if one of the two grades is among them;
2. the grade is not among those asked for, or the school does not take part with it: not compared;
3. the child holds a seat at another school: without an offer here, `other-school`;
4. the child has been at the school since before the cycle opened, as the row says: it `stayed`, and needs no offer;
5. everybody else is without an offer, with the reason.

So a child that stayed on without applying is listed only where the roster does not say since when it is there (a CSV
column `enrolled_on`, `beginDate` of a OneRoster 1.2 role): the roster must show why no offer is needed, and silence is
no proof. What is counted as `stayed` is the school's own word, and stands beside each school, where a number that is
too high for its entry grade is seen.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeAlias, TypeVar

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child
from enrollment.cycles.models import Cycle
from enrollment.directory.models import Participation, Program
from enrollment.exchange.rosters import Enrolled, Roster
from enrollment.exchange.schemas import (
    MAX_LISTED,
    EnrolledWithoutOffer,
    Listed,
    NotCompared,
    OtherGrade,
    Reconciliation,
    SchoolCounts,
    SeatNotEnrolled,
    WhyWithout,
)
from enrollment.seats.models import LIVE, Offer

Shown = TypeVar("Shown")

AT_ONCE: Final = 5000

CLOSED: Final[Mapping[str, WhyWithout]] = {"declined": "declined", "expired": "expired", "withdrawn": "withdrawn"}
"""What an offer that is given up says; one that another seat took the place of (`replaced`) says nothing."""

Became: TypeAlias = Literal["matched", "other_grade", "without_offer", "stayed", "grade_not_asked", "not_taking_part"]


class _List(Generic[Shown]):
    """Keeps the first rows of a list, and counts the rest."""

    def __init__(self) -> None:
        self._data: list[Shown] = []
        self._more = 0

    def add(self, row: Shown) -> None:
        if len(self._data) < MAX_LISTED:
            self._data.append(row)
        else:
            self._more += 1

    def listed(self) -> Listed[Shown]:
        return Listed(data=self._data, more=self._more)


@dataclass(frozen=True, slots=True)
class _Seat:
    """A seat that a child was offered."""

    program: str
    school: str
    grade: str
    status: str


@dataclass(frozen=True, slots=True)
class _Child:
    """A child that the cycle knows."""

    ticket: str
    applies: bool
    """Whether it has an application that is not withdrawn."""
    seats: list[_Seat]
    """All that it was ever offered, the oldest first."""

    @property
    def held(self) -> _Seat | None:
        """Return the seat that it holds."""
        return next((seat for seat in self.seats if seat.status in LIVE), None)

    def why_not_at(self, school: str) -> WhyWithout:
        """Return why it holds no seat at a school, given that it holds none anywhere."""
        if not self.applies:
            return "withdrawn"
        last = next((seat for seat in reversed(self.seats) if seat.school == school and seat.status in CLOSED), None)
        return CLOSED[last.status] if last else "no-offer"


def reconcile(session: Session, cycle: Cycle, roster: Roster, *, grades: Collection[str] | None) -> Reconciliation:
    """Compare a roster with a cycle's seats.

    Args:
        session: a transaction.
        cycle: whose seats.
        roster: what the schools say.
        grades: only seats of these grades of the cycle, and only children in one of them; None: all.
    """
    comparing = _Comparing(session, cycle, grades)
    for start in range(0, len(roster.enrolled), AT_ONCE):
        comparing.compare_all(roster.enrolled[start : start + AT_ONCE])
    comparing.look_for_empty_seats()
    return comparing.reconciliation(roster)


class _Comparing:
    """Compares one roster, and keeps what comes of it."""

    def __init__(self, session: Session, cycle: Cycle, grades: Collection[str] | None) -> None:
        self._session, self._cycle, self._grades = session, cycle, grades
        self._opened = cycle.opens_at.date()
        self._taking_part = _grades_by_school(session, cycle)
        self._at: dict[bytes, list[str]] = {}
        self._became = Counter[Became]()
        self._by_school: dict[str, Counter[Became]] = {}
        self._empty_at = Counter[str]()
        self._reasons = Counter[WhyWithout]()
        self._without = _List[EnrolledWithoutOffer]()
        self._other_grade = _List[OtherGrade]()
        self._empty = _List[SeatNotEnrolled]()

    def compare_all(self, rows: Sequence[Enrolled]) -> None:
        """Compare some rows, for which the children are read at once."""
        children = _children(self._session, self._cycle, [row.child for row in rows])
        for row in rows:
            became = self._compare(row, children.get(row.child))
            self._became[became] += 1
            self._by_school.setdefault(row.school, Counter())[became] += 1
            self._at.setdefault(row.child, []).append(row.school)

    def _compare(self, row: Enrolled, child: _Child | None) -> Became:
        asked = self._is_asked(row.grade)
        held = child.held if child else None
        if child and held and held.school == row.school and (asked or self._is_asked(held.grade)):
            return self._at_its_seat(row, child, held)
        if not asked:
            return "grade_not_asked"
        if not any(_is_same(row.grade, grade) for grade in self._taking_part.get(row.school, ())):
            return "not_taking_part"
        if held is None and row.since is not None and row.since < self._opened:
            return "stayed"
        self._without_offer(row, child, held)
        return "without_offer"

    def _is_asked(self, grade: str) -> bool:
        return self._grades is None or any(_is_same(grade, asked) for asked in self._grades)

    def _at_its_seat(self, row: Enrolled, child: _Child, held: _Seat) -> Became:
        if _is_same(row.grade, held.grade):
            return "matched"
        self._other_grade.add(
            OtherGrade(
                file=row.file,
                line=row.line,
                school=row.school,
                grade=row.grade,
                ticket=child.ticket,
                program=held.program,
                seat_grade=held.grade,
            )
        )
        return "other_grade"

    def _without_offer(self, row: Enrolled, child: _Child | None, held: _Seat | None) -> None:
        reason: WhyWithout = "no-application"
        if held:
            reason = "other-school"
        elif child:
            reason = child.why_not_at(row.school)
        self._reasons[reason] += 1
        self._without.add(
            EnrolledWithoutOffer(
                file=row.file,
                line=row.line,
                school=row.school,
                grade=row.grade,
                ticket=child.ticket if child else None,
                reason=reason,
                seat_at=held.school if held else None,
            )
        )

    def look_for_empty_seats(self) -> None:
        """List the accepted seats at the roster's schools whose children are not on their rolls."""
        asked = (
            select(Offer.program_id, Program.school_id, Child.tag, Child.sis_digest)
            .join(Child, Child.id == Offer.child_id)
            .join(Program, Program.id == Offer.program_id)
            .where(
                Offer.cycle_id == self._cycle.id,
                Offer.status == "accepted",
                Program.school_id.in_(sorted(self._by_school)),
            )
            .order_by(Offer.program_id, Child.tag)
        )
        if self._grades is not None:
            asked = asked.where(Program.grade.in_(sorted(self._grades)))
        for program, school, tag, digest in self._session.execute(asked).yield_per(AT_ONCE):
            schools = [] if digest is None else self._at.get(digest, [])
            if school not in schools:
                self._empty_at[school] += 1
                self._empty.add(
                    SeatNotEnrolled(
                        ticket=tag.hex(),
                        program=program,
                        school=school,
                        reason="no-sis-id" if digest is None else "elsewhere" if schools else "not-on-roster",
                        enrolled_at=schools[0] if schools else None,
                    )
                )

    def reconciliation(self, roster: Roster) -> Reconciliation:
        """Return all that came of it."""
        left_out = roster.left_out
        return Reconciliation(
            cycle=self._cycle.id,
            format=roster.format,
            rows=len(roster.enrolled) + sum(left_out.values()),
            children=len(self._at),
            matched=self._became["matched"],
            not_compared=NotCompared(
                not_taking_part=self._became["not_taking_part"],
                grade_not_asked=self._became["grade_not_asked"],
                stayed=self._became["stayed"],
                repeated=left_out.get("repeated", 0),
                ended=left_out.get("ended", 0),
                not_active=left_out.get("not_active", 0),
                not_a_school=left_out.get("not_a_school", 0),
            ),
            without_offer_by_reason=dict(sorted(self._reasons.items())),
            without_offer=self._without.listed(),
            other_grade=self._other_grade.listed(),
            seats_not_enrolled=self._empty.listed(),
            schools=[self._counts(school) for school in sorted(self._by_school)],
        )

    def _counts(self, school: str) -> SchoolCounts:
        became = self._by_school[school]
        return SchoolCounts(
            school=school,
            rows=became.total(),
            matched=became["matched"],
            other_grade=became["other_grade"],
            without_offer=became["without_offer"],
            stayed=became["stayed"],
            not_compared=became["grade_not_asked"] + became["not_taking_part"],
            seats_not_enrolled=self._empty_at[school],
        )


def _is_same(rostered: str, grade: str) -> bool:
    """Say whether a roster's grade is one of ours: OneRoster has PK only for what the city may call PK3 or PK4."""
    return rostered == grade or (rostered == "PK" and grade.startswith("PK"))


def _grades_by_school(session: Session, cycle: Cycle) -> dict[str, list[str]]:
    """Return the grades with which each school takes part."""
    found: dict[str, list[str]] = {}
    asked = select(Participation.school_id, Participation.grade).where(
        Participation.cycle_id == cycle.id, Participation.status == "in"
    )
    for school, grade in session.execute(asked):
        found.setdefault(school, []).append(grade)
    return found


def _children(session: Session, cycle: Cycle, digests: Sequence[bytes]) -> dict[bytes, _Child]:
    """Return those of some children whom the cycle knows, with every seat that they were offered."""
    applies = exists().where(Applicant.child_id == Child.id, Applicant.withdrawn_at.is_(None))
    asked = (
        select(Child.sis_digest, Child.tag, applies, Offer.status, Offer.program_id, Program.school_id, Program.grade)
        .outerjoin(Offer, Offer.child_id == Child.id)
        .outerjoin(Program, Program.id == Offer.program_id)
        .where(Child.cycle_id == cycle.id, Child.sis_digest.in_(digests))
        .order_by(Offer.made_at, Offer.id)
    )
    found: dict[bytes, _Child] = {}
    for digest, tag, applying, status, program, school, grade in session.execute(asked):
        child = found.setdefault(digest or b"", _Child(tag.hex(), applying, []))
        if status is not None:
            child.seats.append(_Seat(program, school, grade, status))
    return found
