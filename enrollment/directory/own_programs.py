"""Find the programs that a member of the staff may see."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind, Staff
from enrollment.directory.models import Program, School


def programs_seen(session: Session, staff: Staff) -> set[str]:
    """Return the programs of the schools and operators that a member of the staff works for."""
    schools = [role.school for role in staff.roles if role.kind is RoleKind.SCHOOL and role.school]
    operators = [role.operator for role in staff.roles if role.kind is RoleKind.OPERATOR and role.operator]
    return set(
        session.scalars(
            select(Program.id)
            .join(School, School.id == Program.school_id)
            .where(School.id.in_(schools) | School.operator_id.in_(operators))
        )
    )
