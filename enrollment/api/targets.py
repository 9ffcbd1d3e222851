"""A program's match and enrollment targets, and the programs that overflow."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query

from enrollment.access.guards import ReadsRecords
from enrollment.access.idempotency import IdempotentRoute
from enrollment.api.schemas.targets import OverflowOut, TargetsOut
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.directory.models import Program
from enrollment.directory.school_access import ReadsProgram
from enrollment.field_types import Id, WholeNumber
from enrollment.problems import NotFound
from enrollment.seats.acceptance import ProposedTargets, Targets, overflowing, targets_of

router = APIRouter(route_class=IdempotentRoute, tags=["targets"])

MAX_TARGET = 100_000

ProposedTarget = Annotated[int | None, Query(ge=0, le=MAX_TARGET), WholeNumber]


@router.get("/v1/cycles/{cycle}/programs/{program}/targets")
def read_targets(
    session: InTransaction,
    _: ReadsProgram,
    *,
    cycle: Annotated[Id, Path()],
    program: Annotated[Id, Path()],
    match: ProposedTarget = None,
    enrollment: ProposedTarget = None,
) -> TargetsOut:
    """Read a program's targets and seats. Send `match` or `enrollment` to see the effect of other targets."""
    cycle_now = read_cycle(session, cycle)
    found = session.get(Program, program)
    proposed = ProposedTargets(match, enrollment)
    targets = targets_of(session, cycle_now.cycle, found, proposed, cycle_now.now) if found else None
    if targets is None:
        raise NotFound
    return _show_targets(targets)


@router.get("/v1/cycles/{cycle}/overflow")
def list_overflow(session: InTransaction, _: ReadsRecords, cycle: Annotated[Id, Path()]) -> OverflowOut:
    """List programs where more children accepted than the school plans to enroll. No child loses a seat."""
    cycle_now = read_cycle(session, cycle)
    data = [_show_targets(targets) for targets in overflowing(session, cycle_now.cycle, cycle_now.now)]
    return OverflowOut(cycle=cycle, data=data)


def _show_targets(targets: Targets) -> TargetsOut:
    return TargetsOut.model_validate(asdict(targets))
