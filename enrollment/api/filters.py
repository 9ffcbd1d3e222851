"""Refuse unknown values in the filters of lists, so that a misspelled id does not give an empty list."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from enrollment.cycles.grades import refuse_other_grades
from enrollment.cycles.models import Cycle
from enrollment.directory.models import Program, School
from enrollment.participation.cycle_directory import Filters
from enrollment.problems import BadRequest, Fault, sentence
from enrollment.zones.models import Zone


class UnknownFilterValue(BadRequest):
    """A filter has a value that does not exist."""

    title = sentence("Unknown filter value")
    detail = sentence("Correct each listed parameter, or leave it out to see the whole list.")


def refuse_unknown_values(
    session: Session, cycle: str, *, school: str | None = None, program: str | None = None, zone: str | None = None
) -> None:
    """Refuse a school, a program or a zone that does not exist; None is no filter.

    Raises:
        UnknownFilterValue: with a fault for each.
    """
    faults = []
    if school is not None and not _exists(session, School.id == school):
        detail = sentence("is not a school in the directory; GET /v1/schools lists every school")
        faults.append(Fault("school", "unknown-school", detail, place="query"))
    if program is not None and not _exists(session, Program.id == program):
        detail = sentence("is not a program in the directory; GET /v1/programs lists every program")
        faults.append(Fault("program", "unknown-program", detail, place="query"))
    if zone is not None and not _exists(session, (Zone.cycle_id == cycle) & (Zone.id == zone)):
        detail = sentence("is not a zone of this cycle; GET /v1/cycles/{cycle}/zones lists every zone")
        faults.append(Fault("zone", "unknown-zone", detail, {"cycle": cycle}, place="query"))
    if faults:
        raise UnknownFilterValue(faults=faults)


def refuse_unknown_filters(session: Session, cycle: Cycle, filters: Filters) -> None:
    """Refuse a grade, a school or a zone that does not exist.

    Raises:
        GradeNotInCycle: if the cycle does not have the grade.
        UnknownFilterValue: if the school or the zone does not exist.
    """
    refuse_other_grades(cycle, filters.grade)
    refuse_unknown_values(session, cycle.id, school=filters.school, zone=filters.zone)


def _exists(session: Session, condition: ColumnElement[bool]) -> bool:
    return session.execute(select(1).where(condition).limit(1)).first() is not None
