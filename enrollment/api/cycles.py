"""Routes of cycles."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response, status
from sqlalchemy import select

from enrollment.access.callers import RoleKind
from enrollment.access.derived_keys import id_of_secret
from enrollment.access.guards import Administers
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.api.schemas.cycles import CycleOut, CycleSummaryOut
from enrollment.applicants.grades import grades_applied_for
from enrollment.cycles import changes, locks
from enrollment.cycles.changes import CALENDAR, POLICY, TERMS, GradesInUse
from enrollment.cycles.inputs import CycleChangeIn, CycleIn
from enrollment.cycles.locks import CycleNow, phase_at
from enrollment.cycles.models import Cycle
from enrollment.database import InTransaction, clock
from enrollment.directory.offered_grades import offered_grades
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.preconditions import SHOWS_ETAG, IfMatchAlways, refuse_stale, show_version
from enrollment.seats.moved_deadlines import Deadlines, follow_moved_deadlines

router = APIRouter(route_class=IdempotentRoute, tags=["cycles"])


@router.get("/v1/cycles")
def list_cycles(session: InTransaction, paging: Paging) -> Page[CycleSummaryOut]:
    """List the cycles with their calendars."""
    now = clock(session)
    return paging.read(session, select(Cycle), by=[Cycle.id]).show(
        lambda cycle: CycleSummaryOut(
            id=cycle.id,
            name=cycle.name,
            grades=cycle.grades,
            phase=phase_at(cycle, now),
            **{name: getattr(cycle, name) for name in CALENDAR},
        )
    )


@router.post("/v1/cycles", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent], openapi_extra=SHOWS_ETAG)
def create_cycle(
    session: InTransaction, staff: Administers, request: Request, response: Response, body: CycleIn
) -> CycleOut:
    """Create a cycle. You may change all its settings until it opens."""
    sis_key = id_of_secret(request.app.state.settings)
    cycle_now = changes.make_cycle(session, body, actor=staff.actor_for(RoleKind.ADMINISTRATOR), sis_key=sis_key)
    response.headers["Location"] = f"/v1/cycles/{cycle_now.cycle.id}"
    return _show_cycle(cycle_now, response)


@router.get("/v1/cycles/{cycle}", openapi_extra=SHOWS_ETAG)
def read_cycle(session: InTransaction, response: Response, cycle: Annotated[Id, Path()]) -> CycleOut:
    """Read a cycle: its calendar, its policy, its agreement with schools, and its phase now."""
    return _show_cycle(locks.read_cycle(session, cycle), response)


@router.put("/v1/cycles/{cycle}", openapi_extra=SHOWS_ETAG)
def change_cycle(
    session: InTransaction,
    staff: Administers,
    *,
    response: Response,
    cycle: Annotated[Id, Path()],
    body: CycleChangeIn,
    if_match: IfMatchAlways = None,
) -> CycleOut:
    """Change a cycle. Send all its settings.

    Once the cycle has opened, give a reason. The policy is then fixed, except that you may add grades and facts,
    and until the main round is frozen remove grades that no school offers and no family applies for. You may move the
    deadline to a future time until the main round is frozen. The log has a separate entry for that. A new
    time zone moves calendar days, such as last dates in rules, but no deadline and no offer.
    """
    cycle_now = locks.lock_cycle(session, cycle)
    refuse_stale(if_match, cycle_now.cycle.version)
    before = Deadlines.of(cycle_now.cycle)
    changes.change_cycle(
        session,
        cycle_now,
        body,
        grades_in_use=GradesInUse(offered_grades(session, cycle), grades_applied_for(session, cycle)),
        actor=staff.actor_for(RoleKind.ADMINISTRATOR),
    )
    follow_moved_deadlines(session, cycle_now, before)
    return _show_cycle(locks.read_cycle(session, cycle), response)


def _show_cycle(cycle_now: CycleNow, response: Response) -> CycleOut:
    """Show a cycle, with its ETag."""
    cycle = cycle_now.cycle
    show_version(response, cycle.version)
    return CycleOut(
        id=cycle.id,
        phase=cycle_now.phase,
        main_round=cycle.main_round,
        running_round=cycle.running_round,
        zones_vintage=cycle.zones_vintage,
        **{name: getattr(cycle, name) for name in (*CALENDAR, *POLICY, *TERMS)},
    )
