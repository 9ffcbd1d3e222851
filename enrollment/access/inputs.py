"""What the access verbs take: partners, accounts, invitations, credentials, passkeys."""

from base64 import urlsafe_b64decode
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from enrollment.access.scopes import PartnerScope, StaffScope
from enrollment.field_types import Id, Text, Wire

Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    Field(description="12 to 128 characters, and not easily guessed.", examples=["an invented password"]),
]
TypedCode = Annotated[str, StringConstraints(min_length=1, max_length=64)]
AppCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$"), Field(examples=["123456"])]


class PartnerIn(Wire):
    """A partner as an administrator makes it."""

    id: Annotated[Id, Field(description="Also its OAuth client id.", examples=["city-portal"])]
    name: Annotated[Text, Field(examples=["City portal"])]
    scopes: Annotated[
        list[PartnerScope],
        Field(min_length=1, max_length=10, examples=[["applications:read", "applications:write", "results:read"]]),
    ]


class PartnerChangeIn(Wire):
    """What an administrator may change of a partner."""

    name: Text
    scopes: Annotated[list[PartnerScope], Field(min_length=1, max_length=10)]
    active: Annotated[bool, Field(description="False: its tokens stop at once.")]


class RoleIn(Wire):
    """A role: administrator or auditor of everything, or staff of one operator or one school."""

    role: Annotated[Literal["administrator", "auditor", "operator", "school"], Field(examples=["school"])]
    operator: Annotated[Id | None, Field(description="With `operator` only.")] = None
    school: Annotated[Id | None, Field(description="With `school` only.", examples=["lincoln"])] = None

    @model_validator(mode="after")
    def _fits(self) -> "RoleIn":
        named = {"operator": self.operator is not None, "school": self.school is not None}
        if named != {"operator": self.role == "operator", "school": self.role == "school"}:
            raise PydanticCustomError("role", "names the operator with the role operator, the school with school")
        return self


class StaffIn(Wire):
    """A member of the staff as an administrator makes the account. The owner sets the password."""

    id: Annotated[Id, Field(description="The name to sign in with.", examples=["lincoln.office"])]
    name: Annotated[Text, Field(examples=["Lincoln school, office"])]
    roles: Annotated[list[RoleIn], Field(min_length=1, max_length=50)]


class StaffChangeIn(Wire):
    """What an administrator may change of an account alone."""

    name: Text
    roles: Annotated[list[RoleIn], Field(min_length=1, max_length=50)]
    active: Annotated[bool, Field(description="False: the account's sessions and tokens end at once.")]


class InvitationAcceptanceIn(Wire):
    """The owner's code, and the password that the owner chooses."""

    id: Annotated[Id, Field(examples=["lincoln.office"])]
    invitation_code: Annotated[TypedCode, Field(examples=["ABCD-EFGH-JKMN-PQRS-TVWX"])]
    second_code: Annotated[
        TypedCode | None, Field(description="The second part, where two administrators each handed out one.")
    ] = None
    password: Password


class AccessChangeIn(Wire):
    """A change of access that takes two administrators."""

    what: Annotated[
        Literal["make", "roles", "reset", "close"],
        Field(
            description="`make` an account; set its `roles`; `reset` password and second factor, which also reopens a "
            "closed account; `close` it."
        ),
    ]
    staff: Annotated[Id, Field(description="The account.", examples=["carla"])]
    name: Annotated[Text | None, Field(description="With `make` only.")] = None
    roles: Annotated[
        list[RoleIn],
        Field(max_length=50, default_factory=list, description="With `make` and `roles`: all of them."),
    ]
    reason: Annotated[Text, Field(description="Why; for the administrators.", examples=["Carla joins the office"])]


class SessionIn(Wire):
    """A name and a password."""

    id: Annotated[Id, Field(examples=["lincoln.office"])]
    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    code: Annotated[AppCode | None, Field(description="What your authenticator app shows, if you have one.")] = None
    device: Annotated[
        str | None,
        StringConstraints(max_length=100),
        Field(description="`device` of an earlier sign-in: it lets you in while others try wrong passwords."),
    ] = None


class PasswordChangeIn(Wire):
    """Your former password and the new one."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    new_password: Password


class PersonalTokenIn(Wire):
    """A token to act with from a program; it can do no more than its owner."""

    name: Annotated[Text, Field(examples=["nightly report"])]
    scopes: Annotated[list[StaffScope], Field(min_length=1, max_length=20)]
    days: Annotated[int, Field(ge=1, le=366, description="How long it holds.")] = 30


class _FromBrowser(Wire):
    """What `navigator.credentials` answers, as `toJSON()` writes it; what it has besides is not looked at."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


Base64Url = Annotated[str, StringConstraints(min_length=1, max_length=16_384, pattern=r"^[A-Za-z0-9_-]+={0,2}$")]


class PasskeyAttestationIn(_FromBrowser):
    """What an authenticator answers when it makes a passkey."""

    client_data: Annotated[Base64Url, Field(alias="clientDataJSON")]
    attestation: Annotated[Base64Url, Field(alias="attestationObject")]


class PasskeyAssertionIn(_FromBrowser):
    """What an authenticator answers when it uses a passkey."""

    client_data: Annotated[Base64Url, Field(alias="clientDataJSON")]
    authenticator_data: Annotated[Base64Url, Field(alias="authenticatorData")]
    signature: Base64Url
    user_handle: Annotated[Base64Url | None, Field(alias="userHandle")] = None


class PasskeyCredentialIn(_FromBrowser):
    """A passkey as the browser made it."""

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
        """Return the credential's id; an unusable one is nobody's."""
        try:
            return urlsafe_b64decode(self.raw_id.rstrip("=") + "==")
        except ValueError:
            return b""


class PasskeyIn(Wire):
    """A passkey to be added, and how its owner calls it."""

    name: Annotated[Text, Field(examples=["Blue key"])]
    credential: PasskeyCredentialIn


class ProofIn(Wire):
    """A proof of presence: one of these. The password alone counts only where there is no second factor."""

    code: Annotated[AppCode | None, Field(description="What your authenticator app shows now.")] = None
    recovery_code: Annotated[TypedCode | None, Field(description="One of your recovery codes; each works once.")] = None
    passkey: PasskeyProofIn | None = None
    password: Annotated[str | None, StringConstraints(min_length=1, max_length=200)] = None

    @property
    def kinds(self) -> list[str]:
        """Return which proofs are there."""
        kinds = ("code", "recovery_code", "passkey", "password")
        return [kind for kind in kinds if getattr(self, kind) is not None]
