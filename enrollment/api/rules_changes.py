"""Routes of changes of rules that wait for an administrator, and how answers show them."""

import uuid
from collections.abc import Mapping
from typing import Annotated, cast

from fastapi import APIRouter, Path, Request
from pydantic import JsonValue
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind
from enrollment.access.guards import Administers, PresentToAdminister, ReadsRecords
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.api.schemas.rules import (
    DecisionIn,
    RulesChangeOut,
    RulesDifferenceOut,
    RulesReadBackOut,
)
from enrollment.api.schemas.rules_lint import RulesFindingOut, findings_shown
from enrollment.cycles.locks import CycleNow, read_cycle
from enrollment.database import InTransaction
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import in_language
from enrollment.paging import Page, Paging
from enrollment.rules.differences import read_back_change
from enrollment.rules.in_force import Approval
from enrollment.rules.levels import (
    Subject,
    pending_changes,
    read_stored_rules,
)
from enrollment.rules.lint import lint_level
from enrollment.rules.model import Level
from enrollment.rules.models import RulesVersion
from enrollment.rules.proposals import approve, lock_proposal, refuse

router = APIRouter(route_class=IdempotentRoute, tags=["rules"])

Document = Mapping[str, JsonValue]


@router.get("/v1/cycles/{cycle}/rules-changes")
def list_rules_changes(
    session: InTransaction, _: ReadsRecords, paging: Paging, request: Request, cycle: Annotated[Id, Path()]
) -> Page[RulesChangeOut]:
    """List the changes of rules that wait for an administrator, by level and id."""
    cycle_now = read_cycle(session, cycle)
    page = paging.read(session, pending_changes(cycle), by=[RulesVersion.level, RulesVersion.subject_id])
    return page.show(lambda change: change_shown(session, request, cycle_now, change))


@router.post("/v1/rules-changes/{change}/approve", dependencies=[Idempotent])
def approve_rules_change(
    session: InTransaction,
    staff: PresentToAdminister,
    request: Request,
    change: Annotated[uuid.UUID, Path()],
    body: DecisionIn,
) -> RulesChangeOut:
    """Approve a proposed change and put it in force. The administrator who proposed it cannot approve it.

    Every program that the change affects gets a new version of its rules, with the reasons of both people.
    """
    cycle_now, proposed = lock_proposal(session, change)
    approval = Approval(actor=staff.actor_for(RoleKind.ADMINISTRATOR), reason=body.reason)
    approve(session, cycle_now, proposed, staff=staff.id, approval=approval)
    return change_shown(session, request, cycle_now, proposed)


@router.post("/v1/rules-changes/{change}/refuse", dependencies=[Idempotent])
def refuse_rules_change(
    session: InTransaction,
    staff: Administers,
    request: Request,
    change: Annotated[uuid.UUID, Path()],
    body: DecisionIn,
) -> RulesChangeOut:
    """Refuse a proposed change. The earlier rules stay in force, and answers show the reason for the refusal."""
    cycle_now, proposed = lock_proposal(session, change)
    refuse(session, proposed, Approval(actor=staff.actor_for(RoleKind.ADMINISTRATOR), reason=body.reason))
    return change_shown(session, request, cycle_now, proposed)


def change_shown(session: Session, request: Request, cycle_now: CycleNow, row: RulesVersion) -> RulesChangeOut:
    """Return a change as answers show it, read back in sentences while it waits."""
    return RulesChangeOut(
        id=row.id,
        level=row.level,
        subject=row.subject_id,
        rules=cast("Document", row.said),
        status=row.status,
        actor=row.actor,
        reason=row.reason,
        at=row.at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        decision_reason=row.decision_reason,
        findings=[] if row.status == "refused" else findings_of(session, request, cycle_now, row),
        read_back=_read_back(session, request, cycle_now, row) if row.status == "proposed" else [],
    )


def _read_back(session: Session, request: Request, cycle_now: CycleNow, row: RulesVersion) -> list[RulesReadBackOut]:
    subject = Subject(row.cycle_id, cast("Level", row.level), row.subject_id)
    rules = read_stored_rules(row.said)
    return [
        RulesReadBackOut(
            programs=list(one.programs),
            sentences=list(one.sentences),
            differences=[
                RulesDifferenceOut(part=part.part, was=list(part.was), would_be=list(part.would_be))
                for part in one.differences
            ],
        )
        for one in read_back_change(session, cycle_now.cycle, subject, rules, reader_language(request))
    ]


def findings_of(session: Session, request: Request, cycle_now: CycleNow, row: RulesVersion) -> list[RulesFindingOut]:
    """Return what lint finds in a level's rules, in the reader's language."""
    subject = Subject(row.cycle_id, cast("Level", row.level), row.subject_id)
    rules = read_stored_rules(row.said)
    found = lint_level(session, cycle_now.cycle, subject, rules, today=cycle_now.today)
    return findings_shown(found, in_language(reader_language(request)))
