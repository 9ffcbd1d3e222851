"""Claims in answers."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from enrollment.api.schemas.children import ChildOut
from enrollment.applicants.models import Claim
from enrollment.field_types import Wire

ClaimStatus = Literal["pending", "approved", "denied"]


class ClaimOut(Wire):
    """A claim with its decision."""

    id: uuid.UUID
    fact: str
    school: str | None
    status: str
    basis: str | None
    decided_by: Annotated[str | None, Field(description="The role that decided, not the person.")]
    made_at: datetime
    decided_at: datetime | None
    version: Annotated[int, Field(description="To change the decision, send this version as If-Match.")]


class ClaimToDecideOut(Wire):
    """A claim with the information for a decision."""

    claim: ClaimOut
    ticket: str
    grade: str
    child: Annotated[ChildOut | None, Field(description="Null for auditors, and if the application was withdrawn.")]


def show_claim(claim: Claim) -> ClaimOut:
    """Show a claim."""
    return ClaimOut(
        id=claim.id,
        fact=claim.fact,
        school=claim.school_id,
        status=claim.status,
        basis=claim.basis,
        decided_by=claim.decided_by,
        made_at=claim.made_at,
        decided_at=claim.decided_at,
        version=claim.version,
    )
