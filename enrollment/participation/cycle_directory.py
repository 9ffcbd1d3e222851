"""The directory as a cycle shows it: which schools and programs take part, and which do not, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.directory.changes import point_of
from enrollment.directory.models import Offering, Participation, Program, School
from enrollment.directory.schemas import OfferedGradeOut, ProgramInCycle, SchoolInCycle, Sector, Takes
from enrollment.zones.models import Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What of the directory is asked for; None: all."""

    grade: str | None = None
    school: str | None = None
    sector: Sector | None = None
    zone: str | None = None


def schools_in(cycle: Cycle, filters: Filters) -> Select[School]:
    """Select the schools of a cycle's directory: those with a program at one of its grades."""
    grades = cycle.grades if filters.grade is None else [filters.grade]
    with_program = exists().where(
        Program.school_id == School.id, Program.grade.in_(grades), Program.grade.in_(cycle.grades)
    )
    return select(School).where(with_program, *_of_school(cycle, filters))


def programs_in(cycle: Cycle, filters: Filters) -> Select[Program, School, Offering | None]:
    """Select the programs at a cycle's grades, each with its school and whether it is offered."""
    offered = and_(Offering.cycle_id == cycle.id, Offering.program_id == Program.id)
    asked = (
        select(Program, School, Offering)
        .join(School, School.id == Program.school_id)
        .outerjoin(Offering, offered)
        .where(Program.grade.in_(cycle.grades), *_of_school(cycle, filters))
    )
    if filters.grade is not None:
        asked = asked.where(Program.grade == filters.grade)
    return cast("Select[Program, School, Offering | None]", asked)


def show_schools(session: Session, cycle: Cycle, schools: Sequence[School]) -> Mapping[str, SchoolInCycle]:
    """Show schools as a cycle does, by id."""
    ids = [school.id for school in schools]
    grades = _grades(session, cycle, ids)
    zones = _zones(session, cycle, ids)
    return {school.id: _school_shown(school, grades.get(school.id, []), zones.get(school.id, [])) for school in schools}


def show_program(program: Program, school: School, offering: Offering | None) -> ProgramInCycle:
    """Show a program as a cycle does."""
    return ProgramInCycle(
        id=program.id,
        school=program.school_id,
        grade=program.grade,
        track=program.track,
        name=program.name,
        school_name=school.name,
        sector=school.sector,
        takes_part=offering is not None and offering.status == "in",
        status="undecided" if offering is None else _takes(offering.status),
        reason=None if offering is None else offering.reason,
        seats=None if offering is None else offering.seats,
        rules_version=None if offering is None else offering.rules_version,
    )


def _of_school(cycle: Cycle, filters: Filters) -> list[ColumnElement[bool]]:
    asked: list[ColumnElement[bool]] = []
    if filters.school is not None:
        asked.append(School.id == filters.school)
    if filters.sector is not None:
        asked.append(School.sector == filters.sector)
    if filters.zone is not None:
        own = [Zone.cycle_id == cycle.id, Zone.id == filters.zone, Zone.school_id == School.id]
        if filters.grade is not None:
            own.append(or_(Zone.grades.is_(None), Zone.grades.any_() == filters.grade))
        asked.append(exists().where(*own))
    return asked


def _grades(session: Session, cycle: Cycle, schools: Sequence[str]) -> Mapping[str, list[OfferedGradeOut]]:
    said = and_(
        Participation.cycle_id == cycle.id,
        Participation.school_id == Program.school_id,
        Participation.grade == Program.grade,
    )
    rows = session.execute(
        select(Program.school_id, Program.grade, Participation.status, Participation.reason)
        .outerjoin(Participation, said)
        .where(Program.school_id.in_(schools), Program.grade.in_(cycle.grades))
        .distinct()
    ).all()
    found: dict[str, list[OfferedGradeOut]] = {}
    for school, grade, status, reason in sorted(rows, key=lambda row: cycle.grades.index(row.grade)):
        shown = OfferedGradeOut(grade=grade, status=_takes(status), reason=reason)
        found.setdefault(school, []).append(shown)
    return found


def _zones(session: Session, cycle: Cycle, schools: Sequence[str]) -> Mapping[str, list[str]]:
    rows = session.execute(
        select(Zone.school_id, Zone.id)
        .where(Zone.cycle_id == cycle.id, Zone.school_id.in_(schools))
        .distinct()
        .order_by(Zone.id)
    )
    found: dict[str, list[str]] = {}
    for school, zone in rows:
        found.setdefault(school or "", []).append(zone)
    return found


def _school_shown(school: School, grades: list[OfferedGradeOut], zones: list[str]) -> SchoolInCycle:
    return SchoolInCycle(
        id=school.id,
        operator=school.operator_id,
        name=school.name,
        sector=school.sector,
        nces_id=school.nces_id,
        point=point_of(school),
        takes_part=any(shown.status == "in" for shown in grades),
        grades=grades,
        zones=zones,
    )


def _takes(status: str | None) -> Takes:
    return "undecided" if status is None else "in" if status == "in" else "out"
