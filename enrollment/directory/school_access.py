"""Access to a school, a program or an operator, as types for the signatures of routes. Checked before the body."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Security
from fastapi.security import SecurityScopes
from sqlalchemy import select

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.guards import AnyStaff, refuse_scopes, refuse_stranger
from enrollment.database import InTransaction
from enrollment.directory.models import Operator, Program, School
from enrollment.field_types import Id


@dataclass(frozen=True, slots=True)
class Acting:
    """A member of the staff, and the log's name for their role in this request."""

    staff: Staff
    actor: str


def _acting(staff: Staff, *, operator: str, school: str | None) -> Acting:
    if staff.is_administrator:
        return Acting(staff, "staff:administrator")
    if school is None or staff.acts_for_operator(operator):
        return Acting(staff, f"staff:operator:{operator}")
    return Acting(staff, f"staff:school:{school}")


def for_school(
    wanted: SecurityScopes, staff: AnyStaff, session: InTransaction, school: Annotated[Id, Path()]
) -> Acting:
    """Allow the school's own staff, its operator's staff and administrators to act for a school.

    Raises:
        NotFound: to everybody else, as if the school did not exist.
    """
    operator = session.scalar(select(School.operator_id).where(School.id == school))
    refuse_stranger(allowed=operator is not None and staff.acts_for_school(school, operator=operator))
    refuse_scopes(staff.scopes, wanted)
    return _acting(staff, operator=operator or "", school=school)


def for_operator(
    wanted: SecurityScopes, staff: AnyStaff, session: InTransaction, operator: Annotated[Id, Path()]
) -> Acting:
    """Allow the operator's own staff and administrators to act for an operator.

    Raises:
        NotFound: to everybody else.
    """
    refuse_stranger(allowed=session.get(Operator, operator) is not None and staff.acts_for_operator(operator))
    refuse_scopes(staff.scopes, wanted)
    return _acting(staff, operator=operator, school=None)


def for_program(
    wanted: SecurityScopes, staff: AnyStaff, session: InTransaction, program: Annotated[Id, Path()]
) -> Acting:
    """Allow staff who may act for a program's school.

    Raises:
        NotFound: to everybody else.
    """
    found = session.execute(
        select(School.id, School.operator_id).join(Program, Program.school_id == School.id).where(Program.id == program)
    ).one_or_none()
    refuse_stranger(allowed=found is not None and staff.acts_for_school(found[0], operator=found[1]))
    refuse_scopes(staff.scopes, wanted)
    return _acting(staff, operator=found[1] if found else "", school=found[0] if found else None)


def to_read_program(staff: AnyStaff, session: InTransaction, program: Annotated[Id, Path()]) -> Staff:
    """Allow auditors, and staff who may act for a program's school, to read the program's records.

    Raises:
        NotFound: to everybody else.
    """
    found = session.execute(
        select(School.id, School.operator_id).join(Program, Program.school_id == School.id).where(Program.id == program)
    ).one_or_none()
    allowed = found is not None and (staff.is_(RoleKind.AUDITOR) or staff.acts_for_school(found[0], operator=found[1]))
    refuse_stranger(allowed=allowed)
    return staff


ActsForSchool = Annotated[Acting, Security(for_school, scopes=["schools:write"])]
ActsForOperator = Annotated[Acting, Security(for_operator, scopes=["schools:write"])]
ActsForProgram = Annotated[Acting, Security(for_program, scopes=["schools:write"])]
ReadsProgram = Annotated[Staff, Depends(to_read_program)]
