"""Inputs of the access features: partners, accounts, invitations, credentials, passkeys."""

from base64 import urlsafe_b64decode
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from enrollment.access.scopes import PartnerScope, StaffScope
from enrollment.field_types import Id, OptionalId, Resource, Text, Wire

Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    Field(description="12 to 128 characters that are not easy to guess.", examples=["an invented password"]),
]
TypedCode = Annotated[str, StringConstraints(min_length=1, max_length=64)]
AppCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$"), Field(examples=["123456"])]


class PartnerIn(Wire):
    """A new partner."""

    id: Annotated[
        Id, Field(description="The partner's id, which is also its OAuth client id.", examples=["city-portal"])
    ]
    name: Annotated[Text, Field(examples=["City portal"])]
    scopes: Annotated[
        list[PartnerScope],
        Field(min_length=1, max_length=10, examples=[["applications:read", "applications:write", "results:read"]]),
    ]


class PartnerChangeIn(Resource):
    """A change of a partner."""

    shown: ClassVar = frozenset({"id", "secrets"})

    name: Text
    scopes: Annotated[list[PartnerScope], Field(min_length=1, max_length=10)]
    active: Annotated[bool, Field(description="Set to false to stop the partner's tokens at once.")]


class RoleIn(Wire):
    """A role: administrator, auditor, or staff of one operator or one school."""

    role: Annotated[Literal["administrator", "auditor", "operator", "school"], Field(examples=["school"])]
    operator: Annotated[OptionalId, Field(description="Only for the role `operator`.")] = None
    school: Annotated[OptionalId, Field(description="Only for the role `school`.", examples=["lincoln"])] = None

    @model_validator(mode="after")
    def _fits(self) -> "RoleIn":
        named = {"operator": self.operator is not None, "school": self.school is not None}
        if named != {"operator": self.role == "operator", "school": self.role == "school"}:
            raise PydanticCustomError("role", "names the operator with the role operator, the school with school")
        return self


class StaffIn(Wire):
    """A new staff account. Its owner sets the password."""

    id: Annotated[Id, Field(description="The name with which the owner signs in.", examples=["lincoln.office"])]
    name: Annotated[Text, Field(examples=["Lincoln school, office"])]
    roles: Annotated[list[RoleIn], Field(min_length=1, max_length=50)]


class StaffChangeIn(Resource):
    """A change of a staff account that one administrator may make."""

    shown: ClassVar = frozenset({"id", "confirmed_at"})

    name: Text
    roles: Annotated[list[RoleIn], Field(min_length=1, max_length=50)]
    active: Annotated[bool, Field(description="Set to false to end the account's sessions and tokens at once.")]


class InvitationAcceptanceIn(Wire):
    """The owner's invitation code and new password."""

    id: Annotated[Id, Field(examples=["lincoln.office"])]
    invitation_code: Annotated[TypedCode, Field(examples=["ABCD-EFGH-JKMN-PQRS-TVWX"])]
    second_code: Annotated[
        TypedCode | None, Field(description="The second part of the code, if two administrators each gave you one.")
    ] = None
    password: Password


class AccessChangeIn(Wire):
    """An access change that takes two administrators."""

    what: Annotated[
        Literal["make", "roles", "reset", "close"],
        Field(
            description="`make` makes an account. `roles` sets its roles. `reset` removes its password and second "
            "factors, and reopens a closed account. `close` closes it."
        ),
    ]
    staff: Annotated[Id, Field(description="The account id.", examples=["carla"])]
    name: Annotated[Text | None, Field(description="Only for `make`.")] = None
    roles: Annotated[
        list[RoleIn],
        Field(
            max_length=50, default_factory=list, description="All roles of the account. Only for `make` and `roles`."
        ),
    ]
    reason: Annotated[
        Text, Field(description="The reason, for administrators to read.", examples=["Carla joins the office"])
    ]


class SessionIn(Wire):
    """A name and a password."""

    id: Annotated[Id, Field(examples=["lincoln.office"])]
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    code: Annotated[
        AppCode | None, Field(description="The code that your authenticator app shows, if you have one.")
    ] = None
    device: Annotated[
        str | None,
        StringConstraints(max_length=100),
        Field(description="The `device` of an earlier sign-in. It lets you sign in while others try wrong passwords."),
    ] = None


class PasswordChangeIn(Wire):
    """Your current and new passwords."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    new_password: Password


class PersonalTokenIn(Wire):
    """A token for a program. It allows no more than its owner may do."""

    name: Annotated[Text, Field(examples=["nightly report"])]
    scopes: Annotated[list[StaffScope], Field(min_length=1, max_length=20)]
    days: Annotated[int, Field(ge=1, le=366, description="Days until the token expires.")] = 30


class _FromBrowser(Wire):
    """The result of `navigator.credentials`, as `toJSON()` writes it. Unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


Base64Url = Annotated[str, StringConstraints(min_length=1, max_length=16_384, pattern=r"^[A-Za-z0-9_-]+={0,2}$")]


class PasskeyAttestationIn(_FromBrowser):
    """The authenticator's answer when it makes a passkey."""

    client_data: Annotated[Base64Url, Field(alias="clientDataJSON")]
    attestation: Annotated[Base64Url, Field(alias="attestationObject")]


class PasskeyAssertionIn(_FromBrowser):
    """The authenticator's answer when it uses a passkey."""

    client_data: Annotated[Base64Url, Field(alias="clientDataJSON")]
    authenticator_data: Annotated[Base64Url, Field(alias="authenticatorData")]
    signature: Base64Url
    user_handle: Annotated[Base64Url | None, Field(alias="userHandle")] = None


class PasskeyCredentialIn(_FromBrowser):
    """A passkey that the browser made."""

    id: Base64Url
    raw_id: Annotated[Base64Url, Field(alias="rawId")]
    type: Literal["public-key"]
    response: PasskeyAttestationIn


class PasskeyProofIn(_FromBrowser):
    """A passkey's signature of the challenge."""

    id: Base64Url
    raw_id: Annotated[Base64Url, Field(alias="rawId")]
    type: Literal["public-key"]
    response: PasskeyAssertionIn

    def credential_id(self) -> bytes:
        """Return the credential's id, or empty bytes if it is malformed."""
        try:
            return urlsafe_b64decode(self.raw_id.rstrip("=") + "==")
        except ValueError:
            return b""


class PasskeyIn(Wire):
    """A passkey to add, and the name that its owner gives it."""

    name: Annotated[Text, Field(examples=["Blue key"])]
    credential: PasskeyCredentialIn


class ProofIn(Wire):
    """A proof of presence: exactly one of the fields. A password counts only for an account without a second factor."""

    code: Annotated[AppCode | None, Field(description="The code that your authenticator app shows now.")] = None
    recovery_code: Annotated[TypedCode | None, Field(description="One of your recovery codes. Each works once.")] = None
    passkey: PasskeyProofIn | None = None
    password: Annotated[str | None, StringConstraints(min_length=1, max_length=200)] = None

    @property
    def kinds(self) -> list[str]:
        """Return the names of the proofs that were sent."""
        kinds = ("code", "recovery_code", "passkey", "password")
        return [kind for kind in kinds if getattr(self, kind) is not None]
