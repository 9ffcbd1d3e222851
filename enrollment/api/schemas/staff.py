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
    confirmed_at: Annotated[datetime | None, Field(description="When the owner last accepted an invitation.")]


class InvitationOut(Wire):
    """An invitation for the owner of an account. Hand over its code in person or by a safe channel."""

    staff: str
    invitation_code: Annotated[str | None, Field(description="Shown only in the answer that makes the invitation.")]
    expires_at: datetime


class NewStaffOut(StaffOut):
    """A new account and its invitation code. The owner sets the password with the code."""

    invitation_code: Annotated[str | None, Field(description="Shown only in the answer that makes the invitation.")]


class AccessDecisionIn(Wire):
    """The reason for approving or refusing an access change."""

    reason: Annotated[Text, Field(description="The reason, for administrators to read.", examples=["Carla called me"])]


class AccessChangeOut(Wire):
    """An access change and its state."""

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
            description="Your part of the owner's code: the first part when you request the change, the second when "
            "you approve it. Shown only in that answer."
        ),
    ] = None
