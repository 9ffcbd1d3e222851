"""The schools and programs of a cycle's directory, and whether they take part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.directory.inputs import Sector
from enrollment.directory.models import Offering, Participation, Program, School
from enrollment.zones.models import Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which part of the directory a reader wants; None: no limit."""

    grade: str | None = None
    school: str | None = None
    sector: Sector | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class GradeOfSchool:
    """A grade at which a school has programs, and what the school decided for it."""

    grade: str
    status: str | None
    """None: the school has not decided."""
    reason: str | None


def schools_in(cycle: Cycle, filters: Filters) -> Select[School]:
    """Select the schools that have a program at one of the cycle's grades."""
    grades = cycle.grades if filters.grade is None else [filters.grade]
    with_program = exists().where(
        Program.school_id == School.id, Program.grade.in_(grades), Program.grade.in_(cycle.grades)
    )
    return select(School).where(with_program, *_school_conditions(cycle, filters))


def programs_in(cycle: Cycle, filters: Filters) -> Select[Program, School, Offering | None]:
    """Select the programs at the cycle's grades, each with its school and its offering."""
    offered = and_(Offering.cycle_id == cycle.id, Offering.program_id == Program.id)
    query = (
        select(Program, School, Offering)
        .join(School, School.id == Program.school_id)
        .outerjoin(Offering, offered)
        .where(Program.grade.in_(cycle.grades), *_school_conditions(cycle, filters))
    )
    if filters.grade is not None:
        query = query.where(Program.grade == filters.grade)
    return cast("Select[Program, School, Offering | None]", query)


def grades_by_school(session: Session, cycle: Cycle, schools: Sequence[str]) -> Mapping[str, list[GradeOfSchool]]:
    """Return the cycle's grades at which each school has programs, in the cycle's order."""
    decided = and_(
        Participation.cycle_id == cycle.id,
        Participation.school_id == Program.school_id,
        Participation.grade == Program.grade,
    )
    rows = session.execute(
        select(Program.school_id, Program.grade, Participation.status, Participation.reason)
        .outerjoin(Participation, decided)
        .where(Program.school_id.in_(schools), Program.grade.in_(cycle.grades))
        .distinct()
    ).all()
    grades: dict[str, list[GradeOfSchool]] = {}
    for school, grade, status, reason in sorted(rows, key=lambda row: cycle.grades.index(row.grade)):
        grades.setdefault(school, []).append(GradeOfSchool(grade, status, reason))
    return grades


def zones_by_school(session: Session, cycle: Cycle, schools: Sequence[str]) -> Mapping[str, list[str]]:
    """Return the ids of each school's own zones, in order."""
    rows = session.execute(
        select(Zone.school_id, Zone.id)
        .where(Zone.cycle_id == cycle.id, Zone.school_id.in_(schools))
        .distinct()
        .order_by(Zone.id)
    )
    zones: dict[str, list[str]] = {}
    for school, zone in rows:
        zones.setdefault(school or "", []).append(zone)
    return zones


def _school_conditions(cycle: Cycle, filters: Filters) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.school is not None:
        conditions.append(School.id == filters.school)
    if filters.sector is not None:
        conditions.append(School.sector == filters.sector)
    if filters.zone is not None:
        own = [Zone.cycle_id == cycle.id, Zone.id == filters.zone, Zone.school_id == School.id]
        if filters.grade is not None:
            own.append(or_(Zone.grades.is_(None), Zone.grades.any_() == filters.grade))
        conditions.append(exists().where(*own))
    return conditions
