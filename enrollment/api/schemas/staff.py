"""Staff accounts, invitations and access changes on the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Text, Wire


class RoleOut(Wire):
    """A role of an account."""

    role: Literal["administrator", "auditor", "operator", "school"]
    operator: str | None
    school: str | None


class StaffOut(Wire):
    """A member of the staff."""

    id: str
    name: str
    roles: list[RoleOut]
    active: bool
    confirmed_at: Annotated[datetime | None, Field(description="When the owner last took up an invitation.")]


class InvitationOut(Wire):
    """An invitation for the owner of an account, to be handed over in person or on a safe way."""

    staff: str
    invitation_code: Annotated[str | None, Field(description="Only in the answer that makes it.")]
    expires_at: datetime


class NewStaffOut(StaffOut):
    """A new account, and the code with which its owner sets the password."""

    invitation_code: Annotated[str | None, Field(description="Only in the answer that makes it.")]


class AccessDecisionIn(Wire):
    """Why a change of access is approved or refused."""

    reason: Annotated[Text, Field(description="Why; for the administrators.", examples=["Carla called me"])]


class AccessChangeOut(Wire):
    """A change of access, and what became of it."""

    id: uuid.UUID
    what: str
    staff: str
    name: str | None
    roles: list[RoleOut]
    reason: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    status: Literal["asked", "approved", "refused", "expired"]
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    invitation_code: Annotated[
        str | None,
        Field(
            description="Your part of the owner's code: the first part when you ask, the second when you approve. Only "
            "in that answer."
        ),
    ] = None
