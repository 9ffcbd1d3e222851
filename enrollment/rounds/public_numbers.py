"""Keep what the public sees of a round's numbers: decided once at publishing, and read by every public answer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import TypeAdapter
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.directory.models import Program
from enrollment.rounds.models import CutoffRow, Round
from enrollment.rounds.suppression import GradeNumbers, GroupNumbers, RoundNumbers, Shown, decide
from enrollment.seats.models import Vacancy
from enrollment.stored_values import fields_of, objects_of
from lottery.market.model import Kind

NOTHING = Shown()


@dataclass(frozen=True, slots=True)
class SeatTotals:
    """The city's vacancies, counted when a round was published."""

    by_status: Mapping[str, int]
    by_why: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PublicNumbers:
    """What the public sees of a round's numbers. `vacancies` is None if the city's totals are hidden."""

    shown: Shown
    vacancies: SeatTotals | None = None


_STORED = TypeAdapter(PublicNumbers)


def decide_public_numbers(session: Session, round_: Round) -> None:
    """Decide what the public sees of a round that is being published, after its vacancies are up to date."""
    shown = _decide(session, round_)
    vacancies = _count_vacancies(session, round_.cycle_id) if shown.totals else None
    stored: object = _STORED.dump_python(PublicNumbers(shown, vacancies), mode="json")
    round_.public_numbers = cast("Mapping[str, object]", stored)


def public_numbers(session: Session, round_: Round) -> PublicNumbers:
    """Return what the public sees of a published round. A round published by an earlier version is decided anew."""
    if round_.public_numbers is None:
        return PublicNumbers(_decide(session, round_))
    return _STORED.validate_python(round_.public_numbers)


def _decide(session: Session, round_: Round) -> Shown:
    """Decide about a main round. A backfill round shows the city's totals at most, and only next to the main round's.

    From one round to the next, only a few children move. So numbers by school, grade or choice would single them out.
    """
    if round_.kind == Kind.MAIN:
        return decide(_numbers(session, round_))
    main = session.scalars(
        select(Round).where(
            Round.cycle_id == round_.cycle_id, Round.kind == Kind.MAIN.value, Round.state == "published"
        )
    ).one_or_none()
    return Shown(totals=public_numbers(session, main).shown.totals) if main else NOTHING


def _numbers(session: Session, round_: Round) -> RoundNumbers:
    rows = session.execute(
        select(CutoffRow, Program.grade)
        .join(Program, Program.id == CutoffRow.program_id)
        .where(CutoffRow.round_id == round_.id)
        .order_by(CutoffRow.program_id.collate("C"), CutoffRow.seat_group.collate("C"))
    )
    report = fields_of(round_.report)
    return RoundNumbers(
        applicants=_number(report, "applicants"),
        placed=_number(report, "placed"),
        groups=[
            GroupNumbers((row.program_id, row.seat_group), grade, row.seats, row.filled, row.waiting)
            for row, grade in rows
        ],
        grades=[
            GradeNumbers(str(counts["name"]), *(_number(counts, name) for name in ("applicants", "placed", "seats")))
            for counts in objects_of(report["by_grade"])
        ],
        by_choice={
            None if counts["choice"] is None else _number(counts, "choice"): _number(counts, "applicants")
            for counts in objects_of(report["by_choice"])
        },
    )


def _number(fields: Mapping[str, object], name: str) -> int:
    found = fields[name]
    if not isinstance(found, int):
        raise TypeError(name)
    return found


def _count_vacancies(session: Session, cycle: str) -> SeatTotals:
    rows: Sequence[tuple[str, str | None, int]] = [
        (status, why, number)
        for status, why, number in session.execute(
            select(Vacancy.status, Vacancy.why, func.count())
            .where(Vacancy.cycle_id == cycle)
            .group_by(Vacancy.status, Vacancy.why)
        )
    ]
    by_status: Counter[str] = Counter()
    by_why: Counter[str] = Counter()
    for status, why, number in rows:
        by_status[status] += number
        if why is not None:
            by_why[why] += number
    return SeatTotals(dict(sorted(by_status.items())), dict(sorted(by_why.items())))
