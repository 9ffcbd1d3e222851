"""Staff accounts, and access changes that take two administrators."""

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response, status
from sqlalchemy import select

from enrollment.access import access_changes, accounts
from enrollment.access.client_addresses import address_of
from enrollment.access.guards import ManagesAccess, PresentToManageAccess, ReadsRecords
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.access.inputs import AccessChangeIn, InvitationAcceptanceIn, StaffChangeIn, StaffIn
from enrollment.access.invitations import accept_invitation, invitation_expiry
from enrollment.access.models import AccessChange, StaffAccount
from enrollment.api.schemas.staff import (
    AccessChangeOut,
    AccessDecisionIn,
    InvitationOut,
    NewStaffOut,
    RoleOut,
    StaffOut,
)
from enrollment.database import InTransaction
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.preconditions import SHOWS_ETAG, IfMatchAlways, refuse_stale, show_version
from enrollment.problems import NotFound
from enrollment.stored_values import fields_of, objects_of

router = APIRouter(route_class=IdempotentRoute, tags=["access"])


@router.get("/v1/staff")
def list_staff(session: InTransaction, _: ManagesAccess, paging: Paging) -> Page[StaffOut]:
    """List the staff accounts."""
    found = paging.read(session, select(StaffAccount), by=[StaffAccount.id])
    return found.show(lambda staff: _staff_out(session, staff))


@router.post("/v1/staff", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent], openapi_extra=SHOWS_ETAG)
def create_staff(
    request: Request, session: InTransaction, by: PresentToManageAccess, response: Response, body: StaffIn
) -> NewStaffOut:
    """Make a staff account with roles. Hand the code to the owner, who sets the password.

    An administrator account takes two administrators: request it at `/v1/access-changes`.
    """
    staff, code = accounts.make_staff(session, body, by=by, settings=request.app.state.settings)
    show_version(response, staff.version)
    return NewStaffOut(**_staff_out(session, staff).model_dump(), invitation_code=code)


@router.get("/v1/staff/{staff}", openapi_extra=SHOWS_ETAG)
def read_staff(session: InTransaction, _: ManagesAccess, response: Response, staff: Annotated[Id, Path()]) -> StaffOut:
    """Read a staff account."""
    found = session.get(StaffAccount, staff)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _staff_out(session, found)


@router.put("/v1/staff/{staff}", openapi_extra=SHOWS_ETAG)
def change_staff(
    session: InTransaction,
    by: PresentToManageAccess,
    response: Response,
    staff: Annotated[Id, Path()],
    body: StaffChangeIn,
    if_match: IfMatchAlways = None,
) -> StaffOut:
    """Change a staff account. Closing an account ends its sessions and tokens.

    A change of an administrator role, or of a closed account, takes two administrators: request it at
    `/v1/access-changes`.
    """
    found = accounts.lock_for_change(session, staff, by=by)
    refuse_stale(if_match, found.version)
    accounts.change_staff(session, found, body, by=by)
    show_version(response, found.version)
    return _staff_out(session, found)


@router.post("/v1/staff/{staff}/invitation", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def invite_staff(
    request: Request, session: InTransaction, by: PresentToManageAccess, staff: Annotated[Id, Path()]
) -> InvitationOut:
    """Make a new code for an account that its owner has not confirmed. The earlier code stops working."""
    found, code = accounts.invite_again(session, staff, by=by, settings=request.app.state.settings)
    return InvitationOut(staff=found.id, invitation_code=code, expires_at=invitation_expiry(session, found.id))


@router.post("/v1/staff/{staff}/unlock", status_code=status.HTTP_204_NO_CONTENT, dependencies=[Idempotent])
def unlock_staff(session: InTransaction, by: PresentToManageAccess, staff: Annotated[Id, Path()]) -> None:
    """Unlock another person's account after too many wrong passwords or codes."""
    accounts.unlock(session, staff, by=by)


@router.post("/v1/invitations/accept", status_code=status.HTTP_204_NO_CONTENT, operation_id="acceptInvitation")
def accept(request: Request, session: InTransaction, body: InvitationAcceptanceIn) -> None:
    """Set the password of your account with the code that an administrator gave you. Then sign in."""
    accept_invitation(session, body, address=address_of(request))


@router.get("/v1/access-changes")
def list_access_changes(
    session: InTransaction,
    _: ReadsRecords,
    paging: Paging,
    only: Annotated[
        Literal["asked", "approved", "refused", "expired"] | None,
        Query(alias="status", description="Only changes with this status."),
    ] = None,
) -> Page[AccessChangeOut]:
    """List the access changes that take two administrators, by id."""
    query = access_changes.changes_with_status(only)
    return paging.read(session, query, by=[AccessChange.id]).show(_change_now)


@router.post("/v1/access-changes", status_code=status.HTTP_202_ACCEPTED, dependencies=[Idempotent])
def request_access_change(session: InTransaction, by: PresentToManageAccess, body: AccessChangeIn) -> AccessChangeOut:
    """Request an access change that takes two administrators. It takes effect when a second administrator approves it.

    If the owner will need a code, the answer has its first part. Hand that part to the owner after the approval.
    """
    change, code = access_changes.ask_for_change(session, body, by=by)
    return _change_out(change, code=code)


@router.post("/v1/access-changes/{change}/approve", dependencies=[Idempotent])
def approve_access_change(
    request: Request,
    session: InTransaction,
    by: PresentToManageAccess,
    change: Annotated[uuid.UUID, Path()],
    body: AccessDecisionIn,
) -> AccessChangeOut:
    """Approve an access change as the second administrator. The answer has the second part of the owner's code."""
    settings = request.app.state.settings
    found, code = access_changes.approve_change(session, change, by=by, reason=body.reason, settings=settings)
    return _change_out(found, code=code)


@router.post("/v1/access-changes/{change}/refuse", dependencies=[Idempotent])
def refuse_access_change(
    session: InTransaction, by: PresentToManageAccess, change: Annotated[uuid.UUID, Path()], body: AccessDecisionIn
) -> AccessChangeOut:
    """Refuse an access change, or withdraw your own request. Access stays the same."""
    return _change_out(access_changes.refuse_change(session, change, by=by, reason=body.reason))


def _staff_out(session: InTransaction, staff: StaffAccount) -> StaffOut:
    roles = [
        RoleOut(role=role.kind.value, operator=role.operator, school=role.school)
        for role in accounts.roles_of(session, staff.id)
    ]
    return StaffOut(id=staff.id, name=staff.name, roles=roles, active=staff.active, confirmed_at=staff.confirmed_at)


def _change_now(change: AccessChange, status_: str) -> AccessChangeOut:
    return _change_out(change, status_=status_)


def _change_out(change: AccessChange, *, code: str | None = None, status_: str | None = None) -> AccessChangeOut:
    about = fields_of(change.about)
    return AccessChangeOut.model_validate(
        {
            "id": change.id,
            "what": change.what,
            "staff": change.staff_id,
            "name": about.get("name"),
            "roles": objects_of(about.get("roles")),
            "reason": change.reason,
            "asked_by": change.asked_by,
            "asked_at": change.asked_at,
            "expires_at": change.expires_at,
            "status": status_ or change.status,
            "decided_by": change.decided_by,
            "decided_at": change.decided_at,
            "decision_reason": change.decision_reason,
            "invitation_code": code,
        }
    )
