"""Which grades a school changes when it sends its whole participation, each grade with its own status."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.directory.models import Offering, Participation
from enrollment.participation.inputs import GradeInput, ParticipationIn
from enrollment.problems import Fault, sentence

NEVER_ASKED = "never asked"


@dataclass(frozen=True, slots=True)
class GradesTogether:
    """Grades that get one status for one reason."""

    status: Literal["in", "out"]
    reason: str | None
    places: Sequence[int]
    """Where the grades are in the body."""


def changed_grades(session: Session, cycle: str, school: str, body: ParticipationIn) -> Sequence[GradesTogether]:
    """Return the grades whose status, seats or reason differ from what is stored, in groups."""
    rows = {
        row.grade: row
        for row in session.scalars(
            select(Participation).where(Participation.cycle_id == cycle, Participation.school_id == school)
        )
    }
    seats = _seats_by_grade(session, cycle, school)
    groups: dict[tuple[str, str | None], list[int]] = {}
    for place, grade in enumerate(body.grades or []):
        reason = (grade.reason or body.reason) if grade.status == "out" else body.reason
        if grade.status != NEVER_ASKED and _differs(grade, reason, rows.get(grade.grade), seats.get(grade.grade)):
            groups.setdefault((str(grade.status), reason), []).append(place)
    return [
        GradesTogether(cast("Literal['in', 'out']", status), reason, places)
        for (status, reason), places in groups.items()
    ]


def undecided_faults(session: Session, cycle: str, school: str, body: ParticipationIn) -> Iterator[Fault]:
    """Yield a fault for each grade that has a decision and is sent as if it had none."""
    decided = set(
        session.scalars(
            select(Participation.grade).where(Participation.cycle_id == cycle, Participation.school_id == school)
        )
    )
    for place, grade in enumerate(body.grades or []):
        if grade.status == NEVER_ASKED and grade.grade in decided:
            detail = sentence("the school has already decided about grade {grade}; set the status to in or out")
            yield Fault(f"/grades/{place}/status", "decided", detail, {"grade": grade.grade})


def _differs(grade: GradeInput, reason: str | None, row: Participation | None, seats: int | None) -> bool:
    if row is None or row.status != grade.status:
        return True
    if grade.status == "out":
        return reason is not None and reason != row.reason
    return grade.seats is not None and grade.seats != seats


def _seats_by_grade(session: Session, cycle: str, school: str) -> Mapping[str, int | None]:
    query = (
        select(Offering.grade, func.sum(Offering.seats))
        .where(Offering.cycle_id == cycle, Offering.school_id == school, Offering.status == "in")
        .group_by(Offering.grade)
    )
    return dict(session.execute(query).all())
