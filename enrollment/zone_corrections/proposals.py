"""Propose, approve and refuse new zones for a cycle that has opened, before the freeze of its main round."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.two_people import refuse_second_person
from enrollment.applicants.zones_again import Found, find_zones_again, put_zones_again
from enrollment.cycles.locks import CycleNow, lock_cycle, lock_cycle_shared, read_cycle
from enrollment.database import clock, copy_rows
from enrollment.fault_list import limited
from enrollment.notify.notices import NewNotice, notify
from enrollment.problems import Conflict, NotFound, sentence
from enrollment.rules.in_force import MAX_FAULTS, Act, Approval, RulesCannotWork
from enrollment.rules.levels import lock_rules
from enrollment.rules.proposals import ReasonNeeded
from enrollment.rules.zone_changes import ZONE_COLUMNS, area_rows, replace_zones
from enrollment.zone_corrections.effects import Effect, effect_of
from enrollment.zones.areas import ZoneIndex, ZoneShape
from enrollment.zones.models import ProposedZone, ZonesChange
from enrollment.zones.points import refuse_fixed


class ZonesChangeWaiting(Conflict):
    """Other new zones wait for a decision."""

    title = sentence("Other new zones are pending")
    detail = sentence(
        "New zones for {cycle} wait for a second administrator. Approve or refuse them, then send the file again."
    )


class OwnZonesChange(Conflict):
    """An administrator tried to approve their own new zones."""

    title = sentence("Approval by a second person needed")
    detail = sentence("You proposed these zones. Ask another administrator to approve them.")


class ZonesChangeDecided(Conflict):
    """An administrator already approved or refused the new zones."""

    title = sentence("Change already decided")
    detail = sentence(
        "An administrator already approved or refused these zones. GET /v1/cycles/{cycle}/zones-changes lists them."
    )


@dataclass(frozen=True, slots=True)
class Tried:
    """New zones, the children's zones in them, and what they change."""

    shapes: Sequence[ZoneShape]
    found: Found
    effect: Effect


def try_zones(session: Session, cycle_now: CycleNow, shapes: Sequence[ZoneShape]) -> Tried:
    """Find what new zones change, without a lock and without a change."""
    found = find_zones_again(session, cycle_now.cycle.id, ZoneIndex(shapes))
    return Tried(shapes, found, effect_of(session, cycle_now.cycle, shapes, found))


def propose_zones(session: Session, cycle_id: str, tried: Tried, *, sha256: bytes, act: Act) -> ZonesChange:
    """Propose new zones, as the first administrator. Nothing changes until a second administrator approves.

    Raises:
        ReasonNeeded: if the act has no reason.
        ZonesFixed: if the main round is frozen.
        RulesCannotWork: if rules need a zone that the file does not have.
        ZonesChangeWaiting: if other new zones wait.
    """
    if act.reason is None:
        raise ReasonNeeded
    cycle_now = lock_cycle_shared(session, cycle_id)
    refuse_fixed(cycle_now)
    lock_rules(session, cycle_id)
    if tried.effect.rules:
        raise RulesCannotWork(faults=limited(tried.effect.rules, MAX_FAULTS))
    row = {
        "id": uuid.uuid4(),
        "cycle_id": cycle_id,
        "sha256": sha256,
        "status": "proposed",
        "actor": act.actor,
        "proposed_by": act.staff,
        "reason": act.reason,
        "at": cycle_now.now,
    }
    asked = insert(ZonesChange).values(row).on_conflict_do_nothing().returning(ZonesChange)
    change = session.scalars(asked).one_or_none()
    if change is None:
        raise ZonesChangeWaiting(cycle=cycle_id)
    copy_rows(session, ProposedZone, ("change_id", *ZONE_COLUMNS[1:]), area_rows(change.id, tried.shapes))
    return change


def approve_zones(session: Session, change_id: uuid.UUID, *, staff: Staff, reason: str) -> tuple[ZonesChange, Effect]:
    """Put proposed zones in force, as the second administrator, and return what changed.

    The children's zones are found before the cycle is locked. Under the lock, only applications that changed meanwhile
    are looked at again, so that families wait a short time.

    Raises:
        NotFound: if the change does not exist.
        ZonesFixed: if the main round is frozen.
        ZonesChangeDecided, OwnZonesChange: as they say.
        AccountConfirmedLater, SponsorCannotApprove: if the approver's account may belong to the first administrator.
        RulesCannotWork: if rules need a zone that the file does not have.
    """
    change = read_change(session, change_id)
    _refuse_decided(change)
    refuse_second_person(session, staff.id, asked_by=change.proposed_by, begun_at=change.at, same=OwnZonesChange)
    tried = tried_change(session, change)
    cycle_now = lock_cycle(session, change.cycle_id)
    refuse_fixed(cycle_now)
    lock_rules(session, change.cycle_id)
    session.refresh(change)
    _refuse_decided(change)
    cycle = cycle_now.cycle
    found = find_zones_again(session, cycle.id, ZoneIndex(tried.shapes), earlier=tried.found)
    approval = Approval(actor=staff.actor_for(RoleKind.ADMINISTRATOR), reason=reason)
    _decide(session, change, "approved", staff=staff, reason=reason)
    act = Act(actor=change.actor, staff=change.proposed_by, reason=change.reason)
    sha256, actor, why = change.sha256, change.actor, change.reason
    put_zones_again(session, cycle.id, found, actor=actor, reason=why, vintage=_vintage(tried.shapes))
    replace_zones(session, cycle_now, tried.shapes, sha256=sha256, act=act, approval=approval)
    moved = sorted((one for one in found.values() if one.moves), key=lambda one: (one.partner, one.reference))
    notify(
        session,
        [
            NewNotice(
                cycle.id, one.partner, "zones.changed", f"{change_id} {one.tag.hex()}", {"reference": one.reference}
            )
            for one in moved
        ],
    )
    return change, tried.effect


def refuse_zones(session: Session, change_id: uuid.UUID, *, staff: Staff, reason: str) -> ZonesChange:
    """Refuse proposed zones, or take back your own. The zones in force stay.

    Raises:
        NotFound: if the change does not exist.
        ZonesChangeDecided: if the change was already decided.
    """
    change = read_change(session, change_id)
    lock_cycle_shared(session, change.cycle_id)
    lock_rules(session, change.cycle_id)
    session.refresh(change)
    _refuse_decided(change)
    _decide(session, change, "refused", staff=staff, reason=reason)
    return change


def read_change(session: Session, change_id: uuid.UUID) -> ZonesChange:
    """Return new zones, without a lock.

    Raises:
        NotFound: if the change does not exist.
    """
    change = session.get(ZonesChange, change_id)
    if change is None:
        raise NotFound
    return change


def tried_change(session: Session, change: ZonesChange) -> Tried:
    """Find what proposed zones would change now."""
    rows = session.execute(
        select(ProposedZone).where(ProposedZone.change_id == change.id).order_by(ProposedZone.id, ProposedZone.part)
    ).scalars()
    shapes = [
        ZoneShape.from_wkb(
            row.shape, zone=row.id, name=row.name, school=row.school_id, grades=row.grades, vintage=row.vintage
        )
        for row in rows
    ]
    return try_zones(session, read_cycle(session, change.cycle_id), shapes)


def select_changes(cycle: str) -> Select[ZonesChange]:
    """Select the new zones that were proposed for a cycle."""
    return select(ZonesChange).where(ZonesChange.cycle_id == cycle)


def _refuse_decided(change: ZonesChange) -> None:
    if change.status != "proposed":
        raise ZonesChangeDecided(cycle=change.cycle_id)


def _decide(session: Session, change: ZonesChange, status: str, *, staff: Staff, reason: str) -> None:
    """Store a decision. The proposed areas are not needed any more."""
    change.status, change.decided_by, change.decided_at = status, staff.id, clock(session)
    change.decision_reason = reason
    session.flush()
    session.execute(delete(ProposedZone).where(ProposedZone.change_id == change.id))


def _vintage(shapes: Sequence[ZoneShape]) -> str | None:
    return max((shape.vintage for shape in shapes), default=None)
