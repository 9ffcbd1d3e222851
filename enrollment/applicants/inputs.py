"""Applications and claims, as partners and staff send them."""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from enrollment.field_types import (
    BlankIsNone,
    Day,
    Email,
    Id,
    LanguageTag,
    OptionalId,
    Phone,
    Reason,
    Resource,
    Text,
    TextOrEmpty,
    Wire,
    between,
)

Basis = Literal["verified", "imported", "override"]


class ChildIn(Wire):
    """The child. The service stores these fields apart, and no match reads them."""

    given_name: Annotated[Text, Field(examples=["Ada"])]
    family_name: Annotated[
        TextOrEmpty, Field(description="Empty or left out: the child has one name.", examples=["Example"])
    ] = ""
    birth_date: Annotated[Day, between(date(1990, 1, 1), date(2100, 1, 1)), Field(examples=["2022-03-01"])]


class GuardianIn(Wire):
    """A guardian of the child."""

    name: Text
    relation: Text | None = None
    email: Email | None = None
    phone: Phone | None = None


class PointIn(Wire):
    """A point in degrees (WGS84)."""

    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]


class AddressIn(Wire):
    """An address where the child lives, with its point if the partner knows it."""

    text: Text
    postal_code: Text | None = None
    point: PointIn | None = None


OUTSIDE = "outside:"
"""Begins the id of a school that is not in the directory."""


class ApplicantIn(Resource):
    """An application, under the partner's own reference."""

    shown: ClassVar = frozenset(
        {
            "cycle",
            "reference",
            "ticket",
            "zones",
            "zone_method",
            "zone_vintage",
            "claims",
            "ranking_version",
            "version",
            "warnings",
        }
    )

    grade: Annotated[Id, Field(examples=["KG"])]
    child: ChildIn
    attends: Annotated[
        OptionalId,
        Field(
            description="The id of the child's present school in the directory. For another school, write `outside:` "
            "and an id of your own, such as `outside:little-stars`.",
            examples=["lincoln"],
        ),
    ] = None
    guardians: Annotated[list[GuardianIn], Field(default_factory=list, max_length=10)]
    addresses: Annotated[
        list[AddressIn],
        Field(default_factory=list, max_length=2, description="One or two addresses. The zones of both count."),
    ]
    household: Annotated[OptionalId, Field(description="The partner's own id of the household.")] = None
    household_code: Annotated[
        OptionalId,
        Field(description="The code of a household from another application. Send it instead of household."),
    ] = None
    together: Annotated[bool, Field(description="True: prefer the school where a brother or sister is placed.")] = False
    language: Annotated[
        LanguageTag, Field(description="The language tag (BCP 47) of the family's language.", examples=["es"])
    ] = "en"
    sis_id: Annotated[
        Text | None,
        BlankIsNone,
        Field(
            description="The child's id in the student information system. The service keeps a digest only. A blank "
            "id counts as missing."
        ),
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
        OptionalId, Field(description="The school where the fact is true. Null: the fact is about the child.")
    ] = None


class ClaimDecisionIn(Wire):
    """The basis of a decision, and the reason for it."""

    basis: Annotated[Basis, Field(examples=["verified"])]
    reason: Reason
