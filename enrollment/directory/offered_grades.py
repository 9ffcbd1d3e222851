"""The grades in which schools have offered programs."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.directory.models import Offering


def offered_grades(session: Session, cycle: str) -> frozenset[str]:
    """Return the grades of all programs that schools have offered in a cycle, also of those that left."""
    return frozenset(session.scalars(select(Offering.grade).where(Offering.cycle_id == cycle).distinct()))
