"""Administrative placements: requested and approved by two administrators, and counted in public."""

import uuid
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path, Query, status
from sqlalchemy.orm import Session

from enrollment.access.guards import Places, PresentToPlace, ReadsRecords
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.api.schemas.placements import (
    AdministrativePlacementOut,
    PlacementCountsOut,
    PlacementStatus,
    SchoolPlacementsOut,
)
from enrollment.api.schemas.rules import DecisionIn
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.results.published_rounds import published
from enrollment.seats import administrative_placements as placements
from enrollment.seats import placement_requests
from enrollment.seats.models import OutsidePlacement
from enrollment.seats.placement_requests import PlacementIn

router = APIRouter(route_class=IdempotentRoute, tags=["placements"])

PLACEMENTS = "/v1/cycles/{cycle}/placements"

PlacementId = Annotated[uuid.UUID, Path(alias="placement")]


@router.post("/v1/placements", status_code=status.HTTP_202_ACCEPTED, dependencies=[Idempotent])
def request_placement(session: InTransaction, staff: PresentToPlace, body: PlacementIn) -> AdministrativePlacementOut:
    """Request an administrative placement. The child is placed when a second administrator approves."""
    if body.mends_round is not None:
        published(session, body.cycle, body.mends_round)
    placement = placement_requests.request_placement(session, body, staff=staff)
    return _show_one(session, placement)


@router.post("/v1/placements/{placement}/approve", dependencies=[Idempotent])
def approve_placement(
    session: InTransaction, staff: PresentToPlace, placement_id: PlacementId, body: DecisionIn
) -> AdministrativePlacementOut:
    """Approve a placement, as a second administrator. The placement is logged and counted in public."""
    placement = placements.approve_placement(session, placement_id, staff=staff, reason=body.reason)
    return _show_one(session, placement)


@router.post("/v1/placements/{placement}/refuse", dependencies=[Idempotent])
def refuse_placement(
    session: InTransaction, staff: Places, placement_id: PlacementId, body: DecisionIn
) -> AdministrativePlacementOut:
    """Refuse a placement, or take back your own request. No seat changes."""
    placement = placements.refuse_placement(session, placement_id, staff=staff, reason=body.reason)
    return _show_one(session, placement)


@router.get(PLACEMENTS)
def list_placements(
    session: InTransaction,
    _: ReadsRecords,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    only: Annotated[PlacementStatus | None, Query(alias="status", description="Only this status.")] = None,
) -> Page[AdministrativePlacementOut]:
    """List administrative placements: who requested and approved each, and where the document is filed."""
    read_cycle(session, cycle)
    found = paging.read(session, placements.select_placements(cycle, only), by=[OutsidePlacement.id])
    mending = placements.count_by_round(session, cycle)
    return found.show(lambda placement, tag: _show_placement(placement, tag, mending))


@router.get(f"{PLACEMENTS}/counts")
def count_placements(session: InTransaction, cycle: Annotated[Id, Path()]) -> PlacementCountsOut:
    """Count each school's administrative placements, in public."""
    read_cycle(session, cycle)
    return PlacementCountsOut(
        cycle=cycle,
        data=[
            SchoolPlacementsOut(school=school, placements=number, beyond_seats=added)
            for school, number, added in placements.count_by_school(session, cycle)
        ],
        by_reason=placements.count_by_reason(session, cycle),
        by_round=placements.count_by_round(session, cycle),
    )


def _show_one(session: Session, placement: OutsidePlacement) -> AdministrativePlacementOut:
    tag = placements.placement_tag(session, placement)
    return _show_placement(placement, tag, placements.count_by_round(session, placement.cycle_id))


def _show_placement(placement: OutsidePlacement, tag: bytes, mending: Mapping[str, int]) -> AdministrativePlacementOut:
    return AdministrativePlacementOut.model_validate(
        {
            "id": placement.id,
            "cycle": placement.cycle_id,
            "ticket": tag.hex(),
            "program": placement.program_id,
            "school": placement.school_id,
            "group": placement.seat_group,
            "reason_code": placement.reason_code,
            "document": placement.document,
            "beyond_seats": placement.beyond_seats,
            "status": placement.status,
            "asked_by": placement.asked_by,
            "asked_at": placement.asked_at,
            "decided_by": placement.decided_by,
            "decided_at": placement.decided_at,
            "decision_reason": placement.decision_reason,
            "offer": placement.offer_id,
            "mends_round": placement.mends_round,
            "mending": placement.mends_round and mending.get(placement.mends_round, 0),
        }
    )
