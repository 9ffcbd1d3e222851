"""Changing a cycle over HTTP: it is here because a grade may not be lost that schools offer."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind
from enrollment.access.guards import Administers
from enrollment.api.cycles import show_cycle
from enrollment.cycles.changes import change_cycle
from enrollment.cycles.locks import lock_cycle, read_cycle
from enrollment.cycles.schemas import CycleChangeIn, CycleOut
from enrollment.database import InTransaction
from enrollment.directory.models import Offering
from enrollment.field_types import Id
from enrollment.preconditions import IfMatch, refuse_stale

router = APIRouter()


@router.put("/v1/cycles/{cycle}", tags=["cycles"])
def put_cycle(
    session: InTransaction,
    staff: Administers,
    *,
    response: Response,
    cycle: Annotated[Id, Path()],
    body: CycleChangeIn,
    if_match: IfMatch = None,
) -> CycleOut:
    """Change a cycle; send all of it.

    Once it has opened a reason is asked for, the policy stays, and grades and facts may only be added. A deadline may
    be moved to a time still to come until the main round is frozen; that is an entry of its own in the log.
    """
    held = lock_cycle(session, cycle)
    refuse_stale(if_match, held.cycle.version)
    change_cycle(
        session,
        held,
        body,
        grades_offered=_grades_offered(session, cycle),
        actor=staff.actor_for(RoleKind.ADMINISTRATOR),
    )
    return show_cycle(read_cycle(session, cycle), response)


def _grades_offered(session: Session, cycle_id: str) -> frozenset[str]:
    return frozenset(session.scalars(select(Offering.grade).where(Offering.cycle_id == cycle_id).distinct()))
