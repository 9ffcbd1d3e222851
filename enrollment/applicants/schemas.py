"""Applicants and claims on the wire."""

import uuid
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from enrollment.field_types import Id, Reason, Text, Wire, plain_text
from enrollment.stored_values import StoredPoint, StoredText, StoredTexts

Contact = Annotated[str, StringConstraints(min_length=3, max_length=254), AfterValidator(plain_text)]
Degrees = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, strict=False)]
Basis = Literal["verified", "imported", "override"]
ClaimStatus = Literal["pending", "approved", "denied"]


class ChildIn(Wire):
    """The child. These words are stored apart and no match reads them."""

    given_name: Annotated[Text, Field(examples=["Ada"])]
    family_name: Annotated[Text, Field(examples=["Example"])]
    birth_date: Annotated[date, Field(strict=False, ge=date(1990, 1, 1), le=date(2100, 1, 1), examples=["2022-03-01"])]


class Guardian(Wire):
    """Somebody who answers for the child."""

    name: Text
    relation: Text | None = None
    email: Contact | None = None
    phone: Contact | None = None


class PointIn(Wire):
    """A point, WGS84, in degrees."""

    longitude: Degrees
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, strict=False)]


class Address(Wire):
    """Where the child lives, with its point where the partner has one."""

    text: Text
    postal_code: Text | None = None
    point: PointIn | None = None


class ApplicantIn(Wire):
    """An application, under the partner's own reference."""

    grade: Annotated[Id, Field(examples=["KG"])]
    child: ChildIn
    attends: Annotated[Id | None, Field(description="The present school's id.")] = None
    guardians: Annotated[list[Guardian], Field(default_factory=list, max_length=10)]
    addresses: Annotated[
        list[Address],
        Field(default_factory=list, max_length=2, description="Up to two: zones of both count."),
    ]
    household: Annotated[Id | None, Field(description="The partner's own id of the household.")] = None
    household_code: Annotated[
        Id | None, Field(description="Instead: the code of a household that came by another application.")
    ] = None
    together: Annotated[bool, Field(description="Ask first for schools where a brother or sister is placed.")] = False
    language: Annotated[Id, Field(examples=["es"])] = "en"
    sis_id: Annotated[
        Text | None, Field(description="The child's id in the student information system; kept as a digest.")
    ] = None

    @model_validator(mode="after")
    def _has_one_household(self) -> "ApplicantIn":
        if self.household is not None and self.household_code is not None:
            raise PydanticCustomError("one_household", "must have household or household_code, not both")
        return self


class ChildOut(Wire):
    """The child, as stored."""

    given_name: str
    family_name: str
    birth_date: date


class GuardianOut(BaseModel):
    """Somebody who answers for the child, as stored."""

    model_config = ConfigDict(frozen=True)

    name: StoredText = None
    relation: StoredText = None
    email: StoredText = None
    phone: StoredText = None


class AddressOut(BaseModel):
    """Where the child lives, as stored."""

    model_config = ConfigDict(frozen=True)

    text: StoredText = None
    postal_code: StoredText = None
    point: StoredPoint = None


class ClaimOut(Wire):
    """A claim and what was decided."""

    id: uuid.UUID
    fact: str
    school: str | None
    status: str
    basis: str | None
    decided_by: Annotated[str | None, Field(description="The role, not the person.")]
    made_at: datetime
    decided_at: datetime | None
    version: Annotated[int, Field(description="To change a decision, send it as If-Match.")]


class ApplicantOut(Wire):
    """An application as its partner sees it."""

    cycle: str
    reference: str
    ticket: Annotated[str, Field(description="The child's id in the lottery of this cycle; its number hangs on it.")]
    grade: str
    child: ChildOut
    attends: str | None
    guardians: list[GuardianOut]
    addresses: list[AddressOut]
    zones: StoredTexts
    zone_method: Annotated[str, Field(description="point, border, no zone, no address, or override.")]
    zone_vintage: str | None
    household_code: Annotated[str | None, Field(description="Lets another guardian's application join the household.")]
    together: bool
    language: str
    claims: list[ClaimOut]
    ranking_version: int | None
    version: int


class ApplicantListed(Wire):
    """An application without names: a line of the partner's list, and what a transfer answers."""

    reference: str
    ticket: str
    grade: str
    ranking_version: int | None
    withdrawn: bool


class ClaimIn(Wire):
    """A fact that may give priority."""

    fact: Annotated[Id, Field(examples=["sibling"])]
    school: Annotated[Id | None, Field(description="The school where it holds; null: a fact about the child.")] = None


class ClaimDecision(Wire):
    """What a claim was decided on."""

    basis: Annotated[Basis, Field(examples=["verified"])]
    reason: Reason


class ClaimToDecide(Wire):
    """A claim with what is needed to decide on it."""

    claim: ClaimOut
    ticket: str
    grade: str
    child: Annotated[ChildOut | None, Field(description="null for auditors, and where the application was withdrawn.")]


class TransferCode(Wire):
    """The code with which a family moves its application to another partner; shown once."""

    transfer_code: str | None


class TransferIn(Wire):
    """A family's code, and the receiving partner's own reference for the child."""

    code: Annotated[str, StringConstraints(min_length=8, max_length=100)]
    reference: Id


class ZonesOverride(Wire):
    """Zones that staff set against the point's."""

    zones: Annotated[list[Id], Field(max_length=50)]
    reason: Reason
