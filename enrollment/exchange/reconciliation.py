"""Compare a roster with the seats of a cycle: children without an offer, and seats whose children are not enrolled.

Each row counts once. The first of these rules that fits decides:

1. The child holds a seat (an open or accepted offer) at the school: `matched`, or `other_grade` if the grades differ.
   If grades are asked for, one of the two grades must be among them.
2. The grade is not asked for, or the school does not take part with the grade: not compared.
3. The child holds a seat at another school: without an offer, with the reason `other-school`.
4. The row says that the child was enrolled before the cycle opened: `stayed`, which needs no offer.
5. Every other child is without an offer, with the reason.

A child who stayed without applying is `stayed` only if the roster gives a possible day of enrollment (the CSV column
`enrolled_on`, or `beginDate` of a OneRoster 1.2 role). The school alone vouches for that day. So the report counts
`stayed` for each school, where a number that is too high for an entry grade stands out.
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
from enrollment.exchange.id_spellings import OtherSpelling, other_spelling
from enrollment.exchange.reconciliation_report import (
    MAX_LISTED,
    DayNotUsedOut,
    EnrolledWithoutOfferOut,
    ListOut,
    NotComparedOut,
    OtherGradeOut,
    OtherSpellingOut,
    ReconciliationOut,
    RosterFaultOut,
    SchoolRosterOut,
    SeatNotEnrolledOut,
    WhyWithout,
)
from enrollment.exchange.rosters import Enrolled, Roster
from enrollment.languages import Say
from enrollment.problems import Fault, sentence
from enrollment.seats.models import LIVE, Offer
from enrollment.time_zones import day_in

Row = TypeVar("Row")

AT_ONCE: Final = 5000

OTHER_SPELLING: Final = sentence(
    "Of {tried} SIS ids, {matching} match an application now. With {digits} digits and zeros in front, "
    "{would_match} would match. Send the roster again with ?sis_id_digits={digits}"
)

CLOSED: Final[Mapping[str, WhyWithout]] = {"declined": "declined", "expired": "expired", "withdrawn": "withdrawn"}
"""Reasons by the status of a closed offer. A `replaced` offer gives no reason, because the child got another seat."""

Outcome: TypeAlias = Literal["matched", "other_grade", "without_offer", "stayed", "grade_not_asked", "not_taking_part"]


class _List(Generic[Row]):
    """Keep the first rows of a list, and count the rest."""

    def __init__(self) -> None:
        self._data: list[Row] = []
        self._more = 0

    def add(self, row: Row) -> None:
        if len(self._data) < MAX_LISTED:
            self._data.append(row)
        else:
            self._more += 1

    def report(self) -> ListOut[Row]:
        return ListOut(data=self._data, more=self._more)


@dataclass(frozen=True, slots=True)
class _Seat:
    """A seat that a child was offered."""

    program: str
    school: str
    grade: str
    status: str


@dataclass(frozen=True, slots=True)
class _Child:
    """A child with an application in the cycle, live or withdrawn."""

    ticket: str
    applies: bool
    """Whether the child has an application that is not withdrawn."""
    seats: list[_Seat]
    """Every seat that the child was ever offered, the oldest first."""

    @property
    def held_seat(self) -> _Seat | None:
        """Return the seat that the child holds."""
        return next((seat for seat in self.seats if seat.status in LIVE), None)

    def why_not_at(self, school: str) -> WhyWithout:
        """Return why the child holds no seat at a school. The child holds no seat at any school."""
        if not self.applies:
            return "withdrawn"
        last = next((seat for seat in reversed(self.seats) if seat.school == school and seat.status in CLOSED), None)
        return CLOSED[last.status] if last else "no-offer"


def reconcile(
    session: Session, cycle: Cycle, roster: Roster, *, grades: Collection[str] | None, say: Say
) -> ReconciliationOut:
    """Compare a roster with a cycle's seats.

    Args:
        session: a transaction.
        cycle: the cycle of the seats.
        roster: the schools' enrolled children.
        grades: compare only seats of these grades and children in these grades; None: all grades.
        say: says a sentence in the reader's language.
    """
    reconciliation = _Reconciliation(session, cycle, grades)
    for start in range(0, len(roster.enrolled), AT_ONCE):
        reconciliation.compare(roster.enrolled[start : start + AT_ONCE])
    reconciliation.find_seats_not_enrolled()
    return reconciliation.report(roster, say)


def _shown(fault: Fault, say: Say) -> RosterFaultOut:
    return RosterFaultOut(pointer=fault.pointer, code=fault.code, detail=say(fault.detail, **fault.values))


def _spelling_shown(spelling: OtherSpelling | None, say: Say) -> OtherSpellingOut | None:
    if spelling is None:
        return None
    detail = say(
        OTHER_SPELLING,
        would_match=spelling.would_match,
        tried=spelling.tried,
        digits=spelling.digits,
        matching=spelling.matching,
    )
    return OtherSpellingOut(
        sis_id_digits=spelling.digits,
        tried=spelling.tried,
        matching=spelling.matching,
        would_match=spelling.would_match,
        detail=detail,
    )


class _Reconciliation:
    """The comparison of one roster, and its counts and lists so far."""

    def __init__(self, session: Session, cycle: Cycle, grades: Collection[str] | None) -> None:
        self._session, self._cycle, self._grades = session, cycle, grades
        self._opened = day_in(cycle.time_zone, cycle.opens_at)
        self._taking_part = _grades_by_school(session, cycle)
        self._schools_of: dict[bytes, list[str]] = {}
        self._outcomes = Counter[Outcome]()
        self._by_school: dict[str, Counter[Outcome]] = {}
        self._not_enrolled_at = Counter[str]()
        self._reasons = Counter[WhyWithout]()
        self._without_offer = _List[EnrolledWithoutOfferOut]()
        self._other_grade = _List[OtherGradeOut]()
        self._not_enrolled = _List[SeatNotEnrolledOut]()

    def compare(self, rows: Sequence[Enrolled]) -> None:
        """Compare some rows. Their children are read with one query."""
        children = _children(self._session, self._cycle, [row.child for row in rows])
        for row in rows:
            outcome = self._outcome(row, children.get(row.child))
            self._outcomes[outcome] += 1
            self._by_school.setdefault(row.school, Counter())[outcome] += 1
            self._schools_of.setdefault(row.child, []).append(row.school)

    def _outcome(self, row: Enrolled, child: _Child | None) -> Outcome:
        wanted = self._is_wanted(row.grade)
        seat = child.held_seat if child else None
        if child and seat and seat.school == row.school and (wanted or self._is_wanted(seat.grade)):
            return self._enrolled_at_seat(row, child, seat)
        if not wanted:
            return "grade_not_asked"
        if not any(_is_same(row.grade, grade) for grade in self._taking_part.get(row.school, ())):
            return "not_taking_part"
        if seat is None and row.since is not None and row.since < self._opened:
            return "stayed"
        self._list_without_offer(row, child, seat)
        return "without_offer"

    def _is_wanted(self, grade: str) -> bool:
        return self._grades is None or any(_is_same(grade, wanted) for wanted in self._grades)

    def _enrolled_at_seat(self, row: Enrolled, child: _Child, seat: _Seat) -> Outcome:
        if _is_same(row.grade, seat.grade):
            return "matched"
        self._other_grade.add(
            OtherGradeOut(
                file=row.file,
                line=row.line,
                school=row.school,
                grade=row.grade,
                ticket=child.ticket,
                program=seat.program,
                seat_grade=seat.grade,
            )
        )
        return "other_grade"

    def _list_without_offer(self, row: Enrolled, child: _Child | None, seat: _Seat | None) -> None:
        reason: WhyWithout = "no-application"
        if seat:
            reason = "other-school"
        elif child:
            reason = child.why_not_at(row.school)
        self._reasons[reason] += 1
        self._without_offer.add(
            EnrolledWithoutOfferOut(
                file=row.file,
                line=row.line,
                school=row.school,
                grade=row.grade,
                ticket=child.ticket if child else None,
                reason=reason,
                seat_at=seat.school if seat else None,
            )
        )

    def find_seats_not_enrolled(self) -> None:
        """List the accepted seats at the roster's schools whose children are not enrolled there."""
        query = (
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
            query = query.where(Program.grade.in_(sorted(self._grades)))
        for program, school, tag, digest in self._session.execute(query).yield_per(AT_ONCE):
            schools = [] if digest is None else self._schools_of.get(digest, [])
            if school not in schools:
                self._not_enrolled_at[school] += 1
                self._not_enrolled.add(
                    SeatNotEnrolledOut(
                        ticket=tag.hex(),
                        program=program,
                        school=school,
                        reason="no-sis-id" if digest is None else "elsewhere" if schools else "not-on-roster",
                        enrolled_at=schools[0] if schools else None,
                    )
                )

    def report(self, roster: Roster, say: Say) -> ReconciliationOut:
        """Return the report."""
        left_out = roster.left_out
        faults = roster.faults.of_rows
        return ReconciliationOut(
            cycle=self._cycle.id,
            format=roster.format,
            rows=len(roster.enrolled) + sum(left_out.values()),
            children=len(self._schools_of),
            matched=self._outcomes["matched"],
            not_compared=NotComparedOut(
                not_taking_part=self._outcomes["not_taking_part"],
                grade_not_asked=self._outcomes["grade_not_asked"],
                stayed=self._outcomes["stayed"],
                repeated=left_out.get("repeated", 0),
                ended=left_out.get("ended", 0),
                not_active=left_out.get("not_active", 0),
                not_a_school=left_out.get("not_a_school", 0),
                secondary_role=left_out.get("secondary_role", 0),
                unreadable=left_out.get("unreadable", 0),
            ),
            left_out=ListOut(data=[_shown(fault, say) for fault in faults], more=faults.more),
            notes=[_shown(fault, say) for fault in roster.faults.notes],
            other_spelling=_spelling_shown(other_spelling(self._session, self._cycle, roster), say),
            without_offer_by_reason=dict(sorted(self._reasons.items())),
            without_offer=self._without_offer.report(),
            other_grade=self._other_grade.report(),
            seats_not_enrolled=self._not_enrolled.report(),
            days_not_used=_days_not_used(roster),
            schools=[self._counts(school) for school in sorted(self._by_school)],
        )

    def _counts(self, school: str) -> SchoolRosterOut:
        outcomes = self._by_school[school]
        return SchoolRosterOut(
            school=school,
            rows=outcomes.total(),
            matched=outcomes["matched"],
            other_grade=outcomes["other_grade"],
            without_offer=outcomes["without_offer"],
            stayed=outcomes["stayed"],
            not_compared=outcomes["grade_not_asked"] + outcomes["not_taking_part"],
            seats_not_enrolled=self._not_enrolled_at[school],
        )


def _days_not_used(roster: Roster) -> ListOut[DayNotUsedOut]:
    listed = _List[DayNotUsedOut]()
    for day in roster.days_not_used:
        listed.add(DayNotUsedOut(file=day.file, line=day.line, field=day.field, reason=day.reason))
    return listed.report()


def _is_same(rostered: str, grade: str) -> bool:
    """Say whether a roster's grade is a city's grade. OneRoster's PK stands for any PK grade, such as PK3."""
    return rostered == grade or (rostered == "PK" and grade.startswith("PK"))


def _grades_by_school(session: Session, cycle: Cycle) -> dict[str, list[str]]:
    """Return the grades that each school offers in the cycle."""
    found: dict[str, list[str]] = {}
    query = select(Participation.school_id, Participation.grade).where(
        Participation.cycle_id == cycle.id, Participation.status == "in"
    )
    for school, grade in session.execute(query):
        found.setdefault(school, []).append(grade)
    return found


def _children(session: Session, cycle: Cycle, digests: Sequence[bytes]) -> dict[bytes, _Child]:
    """Return the children with these SIS id digests in the cycle, with every seat that they were offered."""
    applies = exists().where(Applicant.child_id == Child.id, Applicant.withdrawn_at.is_(None))
    query = (
        select(Child.sis_digest, Child.tag, applies, Offer.status, Offer.program_id, Program.school_id, Program.grade)
        .outerjoin(Offer, Offer.child_id == Child.id)
        .outerjoin(Program, Program.id == Offer.program_id)
        .where(Child.cycle_id == cycle.id, Child.sis_digest.in_(digests))
        .order_by(Offer.made_at, Offer.id)
    )
    found: dict[bytes, _Child] = {}
    for digest, tag, applying, status, program, school, grade in session.execute(query):
        child = found.setdefault(digest or b"", _Child(tag.hex(), applying, []))
        if status is not None:
            child.seats.append(_Seat(program, school, grade, status))
    return found
