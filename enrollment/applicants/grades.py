"""The grades for which families apply."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant


def grades_applied_for(session: Session, cycle: str) -> frozenset[str]:
    """Return the grades of a cycle's active applications."""
    return frozenset(
        session.scalars(
            select(Applicant.grade).where(Applicant.cycle_id == cycle, Applicant.withdrawn_at.is_(None)).distinct()
        )
    )
