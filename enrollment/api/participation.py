"""Routes of participation: a school takes part in a cycle or leaves it."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.idempotency import IdempotentRoute
from enrollment.api.schemas.participation import GradeParticipationOut, ParticipationOut
from enrollment.cycles.locks import lock_cycle_before_freeze, read_cycle
from enrollment.cycles.models import Cycle
from enrollment.database import InTransaction
from enrollment.directory.models import Offering, Participation, Program, School
from enrollment.directory.school_access import ActsForSchool
from enrollment.field_types import Id
from enrollment.participation.inputs import ParticipationIn
from enrollment.participation.participation import put_participation, version_of_participation
from enrollment.preconditions import SHOWS_ETAG, IfMatchAlways, refuse_stale, show_version
from enrollment.problems import NotFound
from enrollment.rules.in_force import Act
from enrollment.rules.levels import lock_rules

router = APIRouter(route_class=IdempotentRoute, tags=["schools"])


@router.get("/v1/cycles/{cycle}/schools/{school}/participation", openapi_extra=SHOWS_ETAG)
def read_participation(
    session: InTransaction, response: Response, cycle: Annotated[Id, Path()], school: Annotated[Id, Path()]
) -> ParticipationOut:
    """Read a school's participation, the agreement in force and the committed seats. Open to everybody."""
    if session.get(School, school) is None:
        raise NotFound
    show_version(response, version_of_participation(session, cycle, school))
    return _shown(session, read_cycle(session, cycle).cycle, school)


@router.put("/v1/cycles/{cycle}/schools/{school}/participation", openapi_extra=SHOWS_ETAG)
def change_participation(
    session: InTransaction,
    acting: ActsForSchool,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    school: Annotated[Id, Path()],
    body: ParticipationIn,
    if_match: IfMatchAlways = None,
) -> ParticipationOut:
    """Take part with some or all grades, or leave. Both are possible until the freeze of the main round.

    A school without rules of its own uses its operator's rules, or else the defaults: every child can get a seat, and
    the lottery number decides. Seats of a grade become the seats of its program. Grades that you leave out do not
    change. Once the cycle is open, leaving needs a reason.
    """
    cycle_now = lock_cycle_before_freeze(session, cycle)
    lock_rules(session, cycle)
    refuse_stale(if_match, version_of_participation(session, cycle, school))
    act = Act(actor=acting.actor, staff=acting.staff.id, reason=body.reason)
    put_participation(session, cycle_now, school, body, act)
    show_version(response, version_of_participation(session, cycle, school))
    return _shown(session, cycle_now.cycle, school)


def _shown(session: Session, cycle: Cycle, school: str) -> ParticipationOut:
    programs = session.scalars(select(Program).where(Program.school_id == school).order_by(Program.id)).all()
    rows = {
        row.grade: row
        for row in session.scalars(
            select(Participation).where(Participation.cycle_id == cycle.id, Participation.school_id == school)
        )
    }
    seats: dict[str, int] = {}
    for grade, offered in session.execute(
        select(Offering.grade, Offering.seats).where(
            Offering.cycle_id == cycle.id,
            Offering.school_id == school,
            Offering.status == "in",
            Offering.seats.is_not(None),
        )
    ):
        seats[grade] = seats.get(grade, 0) + (offered or 0)
    had = {program.grade for program in programs} | rows.keys()
    grades = [
        _grade_shown(grade, rows.get(grade), [program.id for program in programs if program.grade == grade], seats)
        for grade in cycle.grades
        if grade in had
    ]
    return ParticipationOut(
        cycle=cycle.id,
        school=school,
        agreement=cycle.agreement_version,
        agreement_text=cycle.agreement,
        fixed_by=cycle.main_round,
        grades=grades,
    )


def _grade_shown(
    grade: str, row: Participation | None, programs: list[str], seats: dict[str, int]
) -> GradeParticipationOut:
    if row is None:
        return GradeParticipationOut(
            grade=grade, status="never asked", agreement=None, programs=programs, seats=None, reason=None, at=None
        )
    return GradeParticipationOut(
        grade=grade,
        status="in" if row.status == "in" else "out",
        agreement=row.agreement_version,
        programs=programs,
        seats=seats.get(grade),
        reason=row.reason,
        at=row.at,
    )
