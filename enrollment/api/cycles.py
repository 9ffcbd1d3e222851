"""Cycles over HTTP. Changing one is with the schools, because it asks what they offer."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response, status
from sqlalchemy import select

from enrollment.access.callers import RoleKind
from enrollment.access.derived_keys import id_of_secret
from enrollment.access.guards import Administers
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.cycles.changes import CALENDAR, POLICY, TERMS, make_cycle
from enrollment.cycles.locks import CycleNow, phase_at, read_cycle
from enrollment.cycles.models import Cycle
from enrollment.cycles.schemas import CycleIn, CycleListed, CycleOut
from enrollment.database import InTransaction, clock
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.preconditions import show_version

router = APIRouter(route_class=IdempotentRoute)


@router.get("/v1/cycles", tags=["cycles"])
def list_cycles(session: InTransaction, paging: Paging) -> Page[CycleListed]:
    """List the cycles with their calendars."""
    now = clock(session)
    return paging.read(session, select(Cycle), by=[Cycle.id]).show(
        lambda cycle: CycleListed(
            id=cycle.id,
            name=cycle.name,
            grades=cycle.grades,
            phase=phase_at(cycle, now),
            **{name: getattr(cycle, name) for name in CALENDAR},
        )
    )


@router.post("/v1/cycles", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent], tags=["cycles"])
def add_cycle(
    session: InTransaction, staff: Administers, request: Request, response: Response, body: CycleIn
) -> CycleOut:
    """Make a cycle; until it opens everything of it may be changed."""
    sis_key = id_of_secret(request.app.state.settings)
    held = make_cycle(session, body, actor=staff.actor_for(RoleKind.ADMINISTRATOR), sis_key=sis_key)
    response.headers["Location"] = f"/v1/cycles/{held.cycle.id}"
    return show_cycle(held, response)


@router.get("/v1/cycles/{cycle}", tags=["cycles"])
def read_one_cycle(session: InTransaction, response: Response, cycle: Annotated[Id, Path()]) -> CycleOut:
    """Read a cycle: calendar, policy, the agreement that schools accept, and what it is doing now."""
    return show_cycle(read_cycle(session, cycle), response)


def show_cycle(held: CycleNow, response: Response) -> CycleOut:
    """Show a cycle, with its ETag."""
    cycle = held.cycle
    show_version(response, cycle.version)
    return CycleOut(
        id=cycle.id,
        phase=held.phase,
        main_round=cycle.main_round,
        running_round=cycle.running_round,
        zones_vintage=cycle.zones_vintage,
        **{name: getattr(cycle, name) for name in (*CALENDAR, *POLICY, *TERMS)},
    )
