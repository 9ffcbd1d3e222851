"""Partners, staff, sessions, second factors on the wire."""

import uuid
from base64 import urlsafe_b64decode
from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from enrollment.field_types import Id, Text, Wire
from enrollment.stored_values import StoredTexts

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

Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    Field(description="12 to 128 characters, and not easily guessed.", examples=["an invented password"]),
]
TypedCode = Annotated[str, StringConstraints(min_length=1, max_length=64)]
AppCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$"), Field(examples=["123456"])]

Needs = Literal["second-factor", "second-factor-setup"]


class AccessTokenOut(Wire):
    """A partner's access token (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Field(description="Seconds.")]
    scope: str


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


class SecretOut(Wire):
    """A partner's secret; the secret itself is shown once, when it is made."""

    id: uuid.UUID
    made_at: datetime
    secret: Annotated[str | None, Field(description="Only in the answer that makes it.")] = None


class PartnerOut(Wire):
    """A partner."""

    id: str
    name: str
    scopes: StoredTexts
    active: bool
    secrets: list[SecretOut]


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


class AcceptInvitation(Wire):
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


class AccessDecision(Wire):
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


class SignIn(Wire):
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


class StaffTokenOut(Wire):
    """A session or a personal token; the token itself is shown once, when it is made."""

    id: uuid.UUID
    kind: str
    name: str
    scopes: StoredTexts
    expires_at: datetime
    token: Annotated[str | None, Field(description="Only in the answer that makes it.")] = None


class SessionOpened(StaffTokenOut):
    """A new session."""

    needs: Annotated[
        Needs | None,
        Field(
            description="What the session lacks before it can do anything else: a proof with `second-factor` at "
            "/v1/presence, or the setting up of one at /v1/second-factors."
        ),
    ]
    device: Annotated[str | None, Field(description="Keep it on this device and send it when you sign in again.")]


class _FromBrowser(Wire):
    """What `navigator.credentials` answers, as `toJSON()` writes it; what it has besides is not looked at."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


Base64Url = Annotated[str, StringConstraints(min_length=1, max_length=16_384, pattern=r"^[A-Za-z0-9_-]+={0,2}$")]


class MadeByAuthenticator(_FromBrowser):
    """What an authenticator answers when it makes a passkey."""

    client_data: Annotated[Base64Url, Field(alias="clientDataJSON")]
    attestation: Annotated[Base64Url, Field(alias="attestationObject")]


class SignedByAuthenticator(_FromBrowser):
    """What an authenticator answers when it uses a passkey."""

    client_data: Annotated[Base64Url, Field(alias="clientDataJSON")]
    authenticator_data: Annotated[Base64Url, Field(alias="authenticatorData")]
    signature: Base64Url
    user_handle: Annotated[Base64Url | None, Field(alias="userHandle")] = None


class PasskeyMade(_FromBrowser):
    """A passkey as the browser made it."""

    id: Base64Url
    raw_id: Annotated[Base64Url, Field(alias="rawId")]
    type: Literal["public-key"]
    response: MadeByAuthenticator


class PasskeyAnswer(_FromBrowser):
    """A passkey's signature of the challenge."""

    id: Base64Url
    raw_id: Annotated[Base64Url, Field(alias="rawId")]
    type: Literal["public-key"]
    response: SignedByAuthenticator

    def credential_id(self) -> bytes:
        """Return the credential's id; an unusable one is nobody's."""
        try:
            return urlsafe_b64decode(self.raw_id.rstrip("=") + "==")
        except ValueError:
            return b""


class PasskeyIn(Wire):
    """A passkey to be added, and how its owner calls it."""

    name: Annotated[Text, Field(examples=["Blue key"])]
    credential: PasskeyMade


class AppConfirmation(Wire):
    """What the authenticator app shows now."""

    code: AppCode


class FactorAdded(Wire):
    """The session's new token, and recovery codes with the first second factor."""

    recovery_codes: Annotated[list[str] | None, Field(description="With your first second factor; shown once.")]
    token: Annotated[str, Field(description="Use it from now on. The session's former token has ended.")]


class Proof(Wire):
    """A proof of presence: one of these. The password alone counts only where there is no second factor."""

    code: Annotated[AppCode | None, Field(description="What your authenticator app shows now.")] = None
    recovery_code: Annotated[TypedCode | None, Field(description="One of your recovery codes; each works once.")] = None
    passkey: PasskeyAnswer | None = None
    password: Annotated[str | None, StringConstraints(min_length=1, max_length=200)] = None

    @property
    def kinds(self) -> list[str]:
        """Return which proofs are there."""
        kinds = ("code", "recovery_code", "passkey", "password")
        return [kind for kind in kinds if getattr(self, kind) is not None]


class PresenceOut(Wire):
    """Until when the proof of presence holds, and the session's new token."""

    until: datetime
    token: Annotated[str, Field(description="Use it from now on. The session's former token has ended.")]


class FactorOut(Wire):
    """A second factor."""

    id: uuid.UUID
    kind: Literal["app", "passkey"]
    name: str | None
    made_at: datetime


class FactorsOut(Wire):
    """Your second factors, and how many recovery codes are left."""

    data: list[FactorOut]
    recovery_codes_left: int


class AppOut(Wire):
    """The secret for an authenticator app, as text and as the address for a QR code."""

    secret: Annotated[str | None, Field(description="Only in this answer.")]
    uri: Annotated[str | None, Field(description="Only in this answer.")]


class RecoveryCodesOut(Wire):
    """Recovery codes: print them. Each works once, when you have lost your second factor."""

    recovery_codes: Annotated[
        list[str] | None, Field(description="With your first second factor, or when you ask for new ones; shown once.")
    ]


Options = dict[str, JsonValue]
"""What a browser is to hand to `navigator.credentials`."""


class SecurityEventOut(Wire):
    """An event of the security log."""

    place: int
    at: datetime
    event: str
    account: str | None
    about: dict[str, JsonValue]
    address: Annotated[str | None, Field(description="A keyed hash: the same address has the same one.")]
