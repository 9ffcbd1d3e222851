"""Partners, staff, tokens on the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from enrollment.stored import StoredTexts
from enrollment.wire import Id, Text, Wire

PartnerScope = Literal["catalog:read", "applications:read", "applications:write", "results:read", "offers:write"]
StaffScope = Literal[
    "records:read",
    "schools:write",
    "claims:decide",
    "catalog:write",
    "access:manage",
    "rounds:run",
    "rounds:publish",
    "placements:write",
]

Password = Annotated[str, StringConstraints(min_length=12, max_length=200)]


class AccessTokenShown(Wire):
    """A partner's access token (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Field(description="Seconds.")]
    scope: str


class PartnerBody(Wire):
    """A partner as an administrator makes it."""

    id: Annotated[Id, Field(description="Also its OAuth client id.", examples=["city-portal"])]
    name: Annotated[Text, Field(examples=["City portal"])]
    scopes: Annotated[
        list[PartnerScope],
        Field(min_length=1, max_length=10, examples=[["applications:read", "applications:write", "results:read"]]),
    ]


class PartnerChange(Wire):
    """What an administrator may change of a partner."""

    name: Text
    scopes: Annotated[list[PartnerScope], Field(min_length=1, max_length=10)]
    active: Annotated[bool, Field(description="False: its tokens stop at once.")]


class SecretShown(Wire):
    """A partner's secret; the secret itself is shown once, when it is made."""

    id: uuid.UUID
    made_at: datetime
    secret: Annotated[str | None, Field(description="Only in the answer that makes it.")] = None


class PartnerShown(Wire):
    """A partner."""

    id: str
    name: str
    scopes: StoredTexts
    active: bool
    secrets: list[SecretShown]


class RoleBody(Wire):
    """A role: administrator or auditor of everything, or staff of one operator or one school."""

    role: Annotated[Literal["administrator", "auditor", "operator", "school"], Field(examples=["school"])]
    operator: Annotated[Id | None, Field(description="With `operator` only.")] = None
    school: Annotated[Id | None, Field(description="With `school` only.", examples=["lincoln"])] = None

    @model_validator(mode="after")
    def _fits(self) -> "RoleBody":
        named = {"operator": self.operator is not None, "school": self.school is not None}
        if named != {"operator": self.role == "operator", "school": self.role == "school"}:
            raise PydanticCustomError("role", "names the operator with the role operator, the school with school")
        return self


class StaffBody(Wire):
    """A member of the staff as an administrator makes the account."""

    id: Annotated[Id, Field(description="The name to sign in with.", examples=["lincoln.office"])]
    name: Annotated[Text, Field(examples=["Lincoln school, office"])]
    password: Annotated[Password, Field(examples=["an-invented-password"])]
    roles: Annotated[list[RoleBody], Field(min_length=1, max_length=50)]


class StaffChange(Wire):
    """What an administrator may change of an account; a new password ends every session and token of it."""

    name: Text
    roles: Annotated[list[RoleBody], Field(min_length=1, max_length=50)]
    active: bool
    password: Password | None = None


class RoleShown(Wire):
    """A role of an account."""

    role: Literal["administrator", "auditor", "operator", "school"]
    operator: str | None
    school: str | None


class StaffShown(Wire):
    """A member of the staff."""

    id: str
    name: str
    roles: list[RoleShown]
    active: bool


class SignIn(Wire):
    """A name and a password."""

    id: Annotated[Id, Field(examples=["lincoln.office"])]
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class PersonalTokenBody(Wire):
    """A token to act with from a program; it can do no more than its owner."""

    name: Annotated[Text, Field(examples=["nightly report"])]
    scopes: Annotated[list[StaffScope], Field(min_length=1, max_length=20)]
    days: Annotated[int, Field(ge=1, le=366, description="How long it holds.")] = 30


class StaffTokenShown(Wire):
    """A session or a personal token; the token itself is shown once, when it is made."""

    id: uuid.UUID
    kind: str
    name: str
    scopes: StoredTexts
    expires_at: datetime
    token: Annotated[str | None, Field(description="Only in the answer that makes it.")] = None
