"""Zones that staff set for a child in place of the zones of the address."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child
from enrollment.applicants.settled_facts import commit_facts
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.zones.models import Zone

OVERRIDE = "override"


class UnknownZones(Conflict):
    """The cycle does not have these zones."""

    title = sentence("Zones not found in this cycle")
    detail = sentence("Send zones that GET /v1/cycles/{cycle}/zones lists.")


def override_zones(
    session: Session, cycle: str, ticket: str, zones: Sequence[str], *, actor: str, reason: str
) -> Applicant:
    """Set a child's zones, with a reason.

    Raises:
        NotFound: if no active application in the cycle has this ticket.
        UnknownZones: listing the zones that the cycle does not have.
    """
    applicant, child = _lock_by_ticket(session, cycle, ticket)
    _refuse_unknown_zones(session, cycle, zones)
    applicant.zones, applicant.zone_method = sorted(set(zones)), OVERRIDE
    applicant.version += 1
    commit_facts(session, applicant, child, actor=actor, basis="override", reason=reason)
    return applicant


def _lock_by_ticket(session: Session, cycle: str, ticket: str) -> tuple[Applicant, Child]:
    row = session.execute(
        select(Applicant, Child)
        .join(Child, Child.id == Applicant.child_id)
        .where(
            Applicant.cycle_id == cycle,
            func.encode(Child.tag, "hex") == ticket,
            Applicant.withdrawn_at.is_(None),
        )
        .with_for_update(key_share=True, of=[Child, Applicant])
    ).one_or_none()
    if row is None:
        raise NotFound
    applicant, child = row
    return applicant, child


def _refuse_unknown_zones(session: Session, cycle: str, zones: Sequence[str]) -> None:
    known = set(session.scalars(select(Zone.id).where(Zone.cycle_id == cycle)))
    faults = [
        Fault(f"/zones/{place}", "unknown-zone", sentence("{zone} is not a zone of this cycle"), {"zone": zone})
        for place, zone in enumerate(zones)
        if zone not in known
    ]
    if faults:
        raise UnknownZones(faults=faults, cycle=cycle)
