"""The public results of a round: cutoffs and the report, without small numbers."""

import json
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.field_types import Wire
from enrollment.problems import Conflict, sentence
from enrollment.results.extracts import last_of
from enrollment.results.suppression import SMALLEST, suppress
from enrollment.rounds.models import CutoffRow, Round

HIDDEN = "Null if the number is below 10, or would reveal such a number."

DIGITS = 4
"""The published digits of a cutoff's lottery number."""


class ReportUnreadable(Conflict):
    """The stored report has an unknown form."""

    title = sentence("Report cannot be read")
    detail = sentence(
        "This version cannot read the stored report of the round. Ask the administrators to compare the database with "
        "a backup."
    )


class LastAdmittedOut(Wire):
    """The standing of the last child who got a seat in a full group."""

    holder: bool
    meets: bool
    late: bool
    priority_class: str
    number: Annotated[
        str | None, Field(description="The first four hex digits of the lottery number. Lower numbers come first.")
    ]
    position: int | None


class CutoffOut(Wire):
    """The public cutoff of a seat group."""

    program: str
    group: str
    seats: int
    filled: Annotated[int | None, Field(description=HIDDEN)]
    waiting: Annotated[int | None, Field(description=HIDDEN)]
    last: Annotated[LastAdmittedOut | None, Field(description="Null if the group is small or not full.")]


class ChoiceReportOut(Wire):
    """The number of children with a seat at their nth choice."""

    choice: Annotated[int | None, Field(description="Null: held seats that were not ranked.")]
    applicants: Annotated[int | None, Field(description=HIDDEN)]


class GradeReportOut(Wire):
    """The counts of one grade."""

    grade: str
    applicants: Annotated[int | None, Field(description=HIDDEN)]
    placed: Annotated[int | None, Field(description=HIDDEN)]
    first_choice: Annotated[int | None, Field(description=HIDDEN)]
    seats: int


class ReportOut(Wire):
    """The counts of a published round. Every share can be worked out from them."""

    round: str
    applicants: int
    placed: int
    unplaced: int
    seats: int
    by_choice: list[ChoiceReportOut]
    by_grade: list[GradeReportOut]


def public_cutoffs(session: Session, round_: Round) -> list[CutoffOut]:
    """Return a round's cutoffs without small numbers, and with shortened lottery numbers."""
    rows = session.scalars(
        select(CutoffRow)
        .where(CutoffRow.round_id == round_.id)
        .order_by(CutoffRow.program_id.collate("C"), CutoffRow.seat_group.collate("C"))
    ).all()
    filled = suppress({(row.program_id, row.seat_group): row.filled for row in rows})
    waiting = suppress({(row.program_id, row.seat_group): row.waiting for row in rows})
    return [
        CutoffOut(
            program=row.program_id,
            group=row.seat_group,
            seats=row.seats,
            filled=filled[row.program_id, row.seat_group],
            waiting=waiting[row.program_id, row.seat_group],
            last=_public_last(row) if filled[row.program_id, row.seat_group] is not None else None,
        )
        for row in rows
    ]


def _public_last(row: CutoffRow) -> LastAdmittedOut | None:
    last = last_of(row)
    if last is None or row.filled < SMALLEST:
        return None
    return LastAdmittedOut(
        holder=last.holder,
        meets=last.meets,
        late=last.late,
        priority_class=last.class_,
        number=last.number[:DIGITS] if last.number else None,
        position=last.position,
    )


def public_report(round_: Round) -> ReportOut:
    """Return a round's report without small numbers.

    Raises:
        ReportUnreadable: if the stored report has an unknown form.
    """
    try:
        return _public_report(round_)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ReportUnreadable from None


def _public_report(round_: Round) -> ReportOut:
    report = json.loads(json.dumps(round_.report))
    choices = suppress({count["choice"]: count["applicants"] for count in report["by_choice"]})
    return ReportOut(
        round=round_.id,
        applicants=report["applicants"],
        placed=report["placed"],
        unplaced=report["unplaced"],
        seats=report["seats"],
        by_choice=[ChoiceReportOut(choice=choice, applicants=number) for choice, number in choices.items()],
        by_grade=_public_grades({counts["name"]: counts for counts in report["by_grade"]}),
    )


def _public_grades(grades: "dict[str, dict[str, int]]") -> list[GradeReportOut]:
    few_left = {name for name, counts in grades.items() if 0 < counts["applicants"] - counts["placed"] < SMALLEST}
    applicants = suppress({name: counts["applicants"] for name, counts in grades.items()})
    placed = suppress({name: counts["placed"] for name, counts in grades.items()}, telling=few_left)
    first_choice = suppress({name: counts["first_choice"] for name, counts in grades.items()})
    return [
        GradeReportOut(
            grade=name,
            applicants=applicants[name],
            placed=placed[name],
            first_choice=first_choice[name],
            seats=counts["seats"],
        )
        for name, counts in grades.items()
    ]
