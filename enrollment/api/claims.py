"""Routes of claims."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response, status
from sqlalchemy.orm import Session

from enrollment.access.callers import RoleKind, Staff
from enrollment.access.guards import AnyStaff, Decides, ReadsApplications, WritesApplications
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.access.security_log import record_names_read
from enrollment.api.filters import refuse_unknown_values
from enrollment.api.schemas.children import ChildOut, show_child
from enrollment.api.schemas.claims import ClaimOut, ClaimStatus, ClaimToDecideOut, show_claim
from enrollment.applicants import claims
from enrollment.applicants.applications import find_applicant, lock_active_applicant
from enrollment.applicants.inputs import ClaimDecisionIn, ClaimIn
from enrollment.applicants.models import Applicant, Child, Claim, Person
from enrollment.audit.reads import record_read
from enrollment.cycles.locks import lock_cycle_between_rounds, read_cycle
from enrollment.database import InTransaction
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.preconditions import SHOWS_ETAG, IfMatch, show_version

router = APIRouter(route_class=IdempotentRoute, tags=["claims"])

CLAIMS = "/v1/cycles/{cycle}/applicants/{reference}/claims"


@router.post(CLAIMS, status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def create_claim(
    session: InTransaction,
    partner: WritesApplications,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    body: ClaimIn,
) -> ClaimOut:
    """Claim a fact that gives priority. The fact counts once it is approved.

    A school approves facts about a child at that school. An administrator approves facts about the child.
    """
    cycle_now = lock_cycle_between_rounds(session, cycle)
    applicant = lock_active_applicant(session, partner, cycle=cycle, reference=reference)
    return show_claim(claims.make_claim(session, cycle_now.cycle, applicant, body, actor=partner.actor))


@router.get(CLAIMS)
def list_claims(
    session: InTransaction,
    partner: ReadsApplications,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> Page[ClaimOut]:
    """List the claims of one of your applications."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    return paging.read(session, claims.claims_of(applicant), by=[Claim.id]).show(show_claim)


@router.get("/v1/cycles/{cycle}/claims")
def list_claims_to_decide(
    session: InTransaction,
    staff: AnyStaff,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    school: Annotated[Id | None, Query(description="Only claims at this school.")] = None,
    status: Annotated[ClaimStatus | None, Query(description="Only claims with this status.")] = None,
) -> Page[ClaimToDecideOut]:
    """List the claims at your schools, with the information for a decision. Administrators and auditors see all."""
    read_cycle(session, cycle)
    _record_read(session, staff, cycle)
    refuse_unknown_values(session, cycle, school=school)
    query = claims.claims_for(staff, cycle, school=school, status=status)
    return paging.read(session, query, by=[Claim.id]).show(lambda claim: _show_claim_to_decide(session, claim, staff))


@router.post("/v1/claims/{claim}/approve", dependencies=[Idempotent], openapi_extra=SHOWS_ETAG)
def approve_claim(
    session: InTransaction,
    staff: Decides,
    response: Response,
    *,
    claim: uuid.UUID,
    body: ClaimDecisionIn,
    if_match: IfMatch = None,
) -> ClaimOut:
    """Approve a claim. From now on it counts.

    A claim is decided once. To change the decision, send the version of the claim as If-Match.
    """
    return _decide(session, staff, response, claim, "approved", body, if_match)


@router.post("/v1/claims/{claim}/deny", dependencies=[Idempotent], openapi_extra=SHOWS_ETAG)
def deny_claim(
    session: InTransaction,
    staff: Decides,
    response: Response,
    *,
    claim: uuid.UUID,
    body: ClaimDecisionIn,
    if_match: IfMatch = None,
) -> ClaimOut:
    """Deny a claim. It does not count.

    A claim is decided once. To change the decision, send the version of the claim as If-Match.
    """
    return _decide(session, staff, response, claim, "denied", body, if_match)


def _decide(
    session: Session,
    staff: Staff,
    response: Response,
    claim_id: uuid.UUID,
    status: str,
    body: ClaimDecisionIn,
    if_match: str | None,
) -> ClaimOut:
    claim = claims.lock_claim(session, staff, claim_id, if_match=if_match)
    actor = staff.actor_for(RoleKind.SCHOOL, RoleKind.OPERATOR, RoleKind.ADMINISTRATOR)
    claims.decide_claim(session, claim, status, body, actor=actor)
    show_version(response, claim.version)
    return show_claim(claim)


def _record_read(session: Session, staff: Staff, cycle: str) -> None:
    """Record that an auditor read the claims, or that other staff read children's names."""
    if staff.is_(RoleKind.AUDITOR):
        record_read(session, cycle=cycle, actor="staff:auditor", what="claims", reader=staff.id)
    else:
        record_names_read(session, staff, "claims", cycle=cycle)


def _show_claim_to_decide(session: Session, claim: Claim, staff: Staff) -> ClaimToDecideOut:
    applicant = session.get_one(Applicant, claim.applicant_id)
    return ClaimToDecideOut(
        claim=show_claim(claim),
        ticket=session.get_one(Child, applicant.child_id).tag.hex(),
        grade=applicant.grade,
        child=None if staff.is_(RoleKind.AUDITOR) else _child_if_stored(session, applicant),
    )


def _child_if_stored(session: Session, applicant: Applicant) -> ChildOut | None:
    """Show the child. None: the application was withdrawn, so the names are erased."""
    person = session.get(Person, applicant.id)
    return show_child(person) if person else None
