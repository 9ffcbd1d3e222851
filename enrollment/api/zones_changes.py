"""Routes of new zones for a cycle that has opened: a second administrator looks, and approves or refuses."""

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Request

from enrollment.access.guards import Administers, PresentToAdminister, ReadsRecords
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.api.schemas.rules import DecisionIn
from enrollment.api.schemas.zones import (
    ImportFaultOut,
    ZonesChangeDetailOut,
    ZonesChangeOut,
    ZonesEffectOut,
    ZonesProgramEffectOut,
)
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import Say, in_language
from enrollment.paging import Page, Paging
from enrollment.problems import Fault
from enrollment.zone_corrections import proposals
from enrollment.zone_corrections.effects import Effect
from enrollment.zones.models import ZonesChange

router = APIRouter(route_class=IdempotentRoute, tags=["zones"])

ChangeId = Annotated[uuid.UUID, Path(alias="change")]


@router.get("/v1/cycles/{cycle}/zones-changes")
def list_zones_changes(
    session: InTransaction, _: ReadsRecords, paging: Paging, cycle: Annotated[Id, Path()]
) -> Page[ZonesChangeOut]:
    """List the new zones that were proposed after the cycle opened, with the decisions."""
    read_cycle(session, cycle)
    return paging.read(session, proposals.select_changes(cycle), by=[ZonesChange.id]).show(change_shown)


@router.get("/v1/zones-changes/{change}")
def read_zones_change(
    session: InTransaction, _: Administers, request: Request, change_id: ChangeId
) -> ZonesChangeDetailOut:
    """Read proposed zones, and what they would change for whom if they were approved now."""
    change = proposals.read_change(session, change_id)
    tried = proposals.tried_change(session, change) if change.status == "proposed" else None
    return _detail(change, tried.effect if tried else None, request)


@router.post("/v1/zones-changes/{change}/approve", dependencies=[Idempotent])
def approve_zones_change(
    session: InTransaction, staff: PresentToAdminister, request: Request, change_id: ChangeId, body: DecisionIn
) -> ZonesChangeDetailOut:
    """Approve proposed zones, as a second administrator, and put them in force.

    The zones of every application are found again from its stored points, except zones that staff set. The rules of all
    programs are resolved again. The answer says what changed for whom.
    """
    change, effect = proposals.approve_zones(session, change_id, staff=staff, reason=body.reason)
    return _detail(change, effect, request)


@router.post("/v1/zones-changes/{change}/refuse", dependencies=[Idempotent])
def refuse_zones_change(
    session: InTransaction, staff: Administers, change_id: ChangeId, body: DecisionIn
) -> ZonesChangeOut:
    """Refuse proposed zones, or take back your own. The zones in force stay."""
    return change_shown(proposals.refuse_zones(session, change_id, staff=staff, reason=body.reason))


def change_shown(change: ZonesChange) -> ZonesChangeOut:
    """Show new zones without what they change."""
    return ZonesChangeOut.model_validate(
        {
            "id": change.id,
            "cycle": change.cycle_id,
            "sha256": change.sha256.hex(),
            "status": change.status,
            "actor": change.actor,
            "proposed_by": change.proposed_by,
            "reason": change.reason,
            "at": change.at,
            "decided_by": change.decided_by,
            "decided_at": change.decided_at,
            "decision_reason": change.decision_reason,
        }
    )


def _detail(change: ZonesChange, effect: Effect | None, request: Request) -> ZonesChangeDetailOut:
    say = in_language(reader_language(request))
    shown = effect_shown(effect, say) if effect else None
    return ZonesChangeDetailOut(**change_shown(change).model_dump(), effect=shown)


def effect_shown(effect: Effect, say: Say) -> ZonesEffectOut:
    """Show what new zones change."""
    return ZonesEffectOut(
        children=effect.children,
        changed=effect.changed,
        without_zone=effect.without_zone,
        set_by_staff=effect.set_by_staff,
        set_by_staff_lost=effect.set_by_staff_lost,
        programs=[ZonesProgramEffectOut.model_validate(asdict(program)) for program in effect.programs],
        rules=faults_shown(effect.rules, say),
    )


def faults_shown(faults: Sequence[Fault], say: Say) -> list[ImportFaultOut]:
    """Show the faults of a file, or notes about it."""
    return [
        ImportFaultOut(pointer=fault.pointer, code=fault.code, detail=say(fault.detail, **fault.values))
        for fault in faults
    ]
