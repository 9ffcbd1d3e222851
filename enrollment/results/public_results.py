"""The public results of a round: cutoffs and the report, as views of what was decided when it was published."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.field_types import Wire
from enrollment.problems import Conflict, sentence
from enrollment.results.extracts import last_of
from enrollment.rounds.models import CutoffRow, Round
from enrollment.rounds.public_numbers import PublicNumbers, SeatTotals, public_numbers
from enrollment.rounds.suppression import Shown
from enrollment.stored_values import fields_of, objects_of
from lottery.market.model import Kind

HIDDEN = "Null if the number is below 10, or would help to work out such a number."

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
    seats: int


class VacancyTotalsOut(Wire):
    """The whole city's vacancies, counted when the round was published."""

    opened: int
    open: int
    left_empty: int
    filled: int
    removed: int
    by_why: Annotated[dict[str, int], Field(description="Seats left empty or removed, by reason.")]


class ReportOut(Wire):
    """The counts of a published round. A backfill round has none by choice and by grade."""

    round: str
    applicants: int
    placed: Annotated[int | None, Field(description=HIDDEN)]
    unplaced: Annotated[int | None, Field(description=HIDDEN)]
    seats: Annotated[int | None, Field(description="Null in a backfill round whose numbers are hidden.")]
    by_choice: list[ChoiceReportOut]
    by_grade: list[GradeReportOut]
    vacancies: Annotated[
        VacancyTotalsOut | None,
        Field(description="The totals of the vacancy ledger. Null if they would help to work out a hidden number."),
    ]


def public_cutoffs(session: Session, round_: Round) -> list[CutoffOut]:
    """Return a main round's cutoffs without small numbers, and with shortened lottery numbers.

    A backfill round has no public cutoffs: next to the main round's, they would describe the few children who moved.
    """
    if round_.kind != Kind.MAIN:
        return []
    rows = session.scalars(
        select(CutoffRow)
        .where(CutoffRow.round_id == round_.id)
        .order_by(CutoffRow.program_id.collate("C"), CutoffRow.seat_group.collate("C"))
    ).all()
    shown = public_numbers(session, round_).shown
    return [_public_cutoff(row, shown) for row in rows]


def _public_cutoff(row: CutoffRow, shown: Shown) -> CutoffOut:
    key = (row.program_id, row.seat_group)
    return CutoffOut(
        program=row.program_id,
        group=row.seat_group,
        seats=row.seats,
        filled=row.filled if key in shown.groups else None,
        waiting=row.waiting if key in shown.waiting else None,
        last=_public_last(row) if key in shown.groups else None,
    )


def _public_last(row: CutoffRow) -> LastAdmittedOut | None:
    last = last_of(row)
    if last is None:
        return None
    return LastAdmittedOut(
        holder=last.holder,
        meets=last.meets,
        late=last.late,
        priority_class=last.class_,
        number=last.number[:DIGITS] if last.number else None,
        position=last.position,
    )


def public_report(session: Session, round_: Round) -> ReportOut:
    """Return a round's report without small numbers.

    Raises:
        ReportUnreadable: if the stored report has an unknown form.
    """
    try:
        return _public_report(round_, public_numbers(session, round_))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ReportUnreadable from None


def _public_report(round_: Round, public: PublicNumbers) -> ReportOut:
    report, shown, is_main = fields_of(round_.report), public.shown, round_.kind == Kind.MAIN
    grades = objects_of(report["by_grade"])
    return ReportOut.model_validate(
        {
            "round": round_.id,
            "applicants": report["applicants"],
            "placed": report["placed"] if shown.totals else None,
            "unplaced": report["unplaced"] if shown.totals else None,
            "seats": report["seats"] if shown.totals or is_main else None,
            "by_choice": [_public_choice(count, shown) for count in objects_of(report["by_choice"]) if is_main],
            "by_grade": [_public_grade(counts, shown, only=len(grades) == 1) for counts in grades if is_main],
            "vacancies": _public_vacancies(public.vacancies) if public.vacancies else None,
        }
    )


def _public_vacancies(totals: SeatTotals) -> dict[str, object]:
    return {
        "opened": sum(totals.by_status.values()),
        "open": totals.by_status.get("open", 0),
        "left_empty": totals.by_status.get("left-empty", 0),
        "filled": totals.by_status.get("filled", 0),
        "removed": totals.by_status.get("removed", 0),
        "by_why": totals.by_why,
    }


def _public_choice(count: Mapping[str, object], shown: Shown) -> dict[str, object]:
    return {"choice": count["choice"], "applicants": count["applicants"] if count["choice"] in shown.choices else None}


def _public_grade(counts: Mapping[str, object], shown: Shown, *, only: bool) -> dict[str, object]:
    """Return a grade's counts. The applicants of the only grade are all applicants, and the log counts these."""
    is_shown = counts["name"] in shown.grades
    return {
        "grade": counts["name"],
        "applicants": counts["applicants"] if is_shown or only else None,
        "placed": counts["placed"] if is_shown else None,
        "seats": counts["seats"],
    }
