"""Applications and claims, as partners and staff send them."""

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from enrollment.field_types import Id, Reason, Text, Wire, plain_text

Contact = Annotated[str, StringConstraints(min_length=3, max_length=254), AfterValidator(plain_text)]
Degrees = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, strict=False)]
Basis = Literal["verified", "imported", "override"]


class ChildIn(Wire):
    """The child. The service stores these fields apart, and no match reads them."""

    given_name: Annotated[Text, Field(examples=["Ada"])]
    family_name: Annotated[Text, Field(examples=["Example"])]
    birth_date: Annotated[date, Field(strict=False, ge=date(1990, 1, 1), le=date(2100, 1, 1), examples=["2022-03-01"])]


class GuardianIn(Wire):
    """A guardian of the child."""

    name: Text
    relation: Text | None = None
    email: Contact | None = None
    phone: Contact | None = None


class PointIn(Wire):
    """A point in degrees (WGS84)."""

    longitude: Degrees
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, strict=False)]


class AddressIn(Wire):
    """An address where the child lives, with its point if the partner knows it."""

    text: Text
    postal_code: Text | None = None
    point: PointIn | None = None


class ApplicantIn(Wire):
    """An application, under the partner's own reference."""

    grade: Annotated[Id, Field(examples=["KG"])]
    child: ChildIn
    attends: Annotated[Id | None, Field(description="The id of the child's present school.")] = None
    guardians: Annotated[list[GuardianIn], Field(default_factory=list, max_length=10)]
    addresses: Annotated[
        list[AddressIn],
        Field(default_factory=list, max_length=2, description="One or two addresses. The zones of both count."),
    ]
    household: Annotated[Id | None, Field(description="The partner's own id of the household.")] = None
    household_code: Annotated[
        Id | None,
        Field(description="The code of a household from another application. Send it instead of household."),
    ] = None
    together: Annotated[bool, Field(description="True: prefer the school where a brother or sister is placed.")] = False
    language: Annotated[Id, Field(examples=["es"])] = "en"
    sis_id: Annotated[
        Text | None,
        Field(description="The child's id in the student information system. The service keeps a digest only."),
    ] = None

    @model_validator(mode="after")
    def _has_one_household(self) -> "ApplicantIn":
        if self.household is not None and self.household_code is not None:
            raise PydanticCustomError("one_household", "must have household or household_code, not both")
        return self


class ClaimIn(Wire):
    """A fact that may give priority."""

    fact: Annotated[Id, Field(examples=["sibling"])]
    school: Annotated[
        Id | None, Field(description="The school where the fact is true. Null: the fact is about the child.")
    ] = None


class ClaimDecisionIn(Wire):
    """The basis of a decision, and the reason for it."""

    basis: Annotated[Basis, Field(examples=["verified"])]
    reason: Reason
