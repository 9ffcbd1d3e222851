"""Sessions, tokens and second factors on the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from enrollment.access.inputs import AppCode
from enrollment.access.sign_in import Needs
from enrollment.field_types import Wire
from enrollment.stored_values import StoredTexts


class StaffTokenOut(Wire):
    """A session or a personal token; the token itself is shown once, when it is made."""

    id: uuid.UUID
    kind: str
    name: str
    scopes: StoredTexts
    expires_at: datetime
    token: Annotated[str | None, Field(description="Only in the answer that makes it.")] = None


class SessionOut(StaffTokenOut):
    """A new session."""

    needs: Annotated[
        Needs | None,
        Field(
            description="What the session lacks before it can do anything else: a proof with `second-factor` at "
            "/v1/presence, or the setting up of one at /v1/second-factors."
        ),
    ]
    device: Annotated[str | None, Field(description="Keep it on this device and send it when you sign in again.")]


class AppConfirmationIn(Wire):
    """What the authenticator app shows now."""

    code: AppCode


class FactorAddedOut(Wire):
    """The session's new token, and recovery codes with the first second factor."""

    recovery_codes: Annotated[list[str] | None, Field(description="With your first second factor; shown once.")]
    token: Annotated[str, Field(description="Use it from now on. The session's former token has ended.")]


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


PasskeyOptions = dict[str, JsonValue]
"""What a browser is to hand to `navigator.credentials`."""
