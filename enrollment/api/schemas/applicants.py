"""Applications in requests and answers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from enrollment.api.schemas.children import ChildOut
from enrollment.api.schemas.claims import ClaimOut
from enrollment.field_types import Id, Reason, Wire
from enrollment.stored_values import StoredPoint, StoredText, StoredTexts


class GuardianOut(BaseModel):
    """A guardian of the child, as stored."""

    model_config = ConfigDict(frozen=True)

    name: StoredText = None
    relation: StoredText = None
    email: StoredText = None
    phone: StoredText = None


class AddressOut(BaseModel):
    """An address where the child lives, as stored."""

    model_config = ConfigDict(frozen=True)

    text: StoredText = None
    postal_code: StoredText = None
    point: StoredPoint = None


class ApplicantWarningOut(Wire):
    """A field of an application that is possible but unlikely."""

    pointer: str
    code: str
    detail: str


class ApplicantOut(Wire):
    """An application, as its partner sees it."""

    cycle: str
    reference: str
    ticket: Annotated[
        str, Field(description="The child's id in the lottery of this cycle. The lottery number is made from it.")
    ]
    grade: str
    child: ChildOut
    attends: str | None
    guardians: list[GuardianOut]
    addresses: list[AddressOut]
    zones: StoredTexts
    zone_method: Annotated[str, Field(description="point, border, no zone, no address, or override.")]
    zone_vintage: str | None
    household_code: Annotated[
        str | None, Field(description="With this code, another guardian's application can join the household.")
    ]
    together: bool
    language: str
    claims: list[ClaimOut]
    ranking_version: int | None
    warnings: Annotated[
        list[ApplicantWarningOut], Field(description="Fields to check with the family. A warning stops nothing.")
    ]
    version: int


class ApplicantSummaryOut(Wire):
    """An application without names."""

    reference: str
    ticket: str
    grade: str
    ranking_version: int | None
    withdrawn: bool


class TransferCodeOut(Wire):
    """The code that moves an application to another partner. The service shows it once."""

    transfer_code: str | None


class TransferIn(Wire):
    """The family's code, and your own reference for the child."""

    code: Annotated[str, StringConstraints(min_length=8, max_length=100)]
    reference: Id


class GradeCorrectionIn(Wire):
    """The right grade of an application."""

    grade: Id
    reason: Reason


class GradeCorrectionOut(Wire):
    """An application with its corrected grade."""

    ticket: str
    grade: str
    draft: Annotated[
        int | None,
        Field(description="The version of the draft that keeps the former ranking; null: no ranking was in force."),
    ]
    programs: Annotated[list[str], Field(description="The programs of the former ranking. None of them counts now.")]


class ZonesOverrideIn(Wire):
    """The zones that replace the zones of the child's address."""

    zones: Annotated[list[Id], Field(max_length=50)]
    reason: Reason
