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
    """A session or a personal token. The service shows the token itself once, when it is made."""

    id: uuid.UUID
    kind: str
    name: str
    scopes: StoredTexts
    expires_at: datetime
    token: Annotated[str | None, Field(description="Shown only in the answer that makes the token.")] = None


class SessionOut(StaffTokenOut):
    """A new session."""

    needs: Annotated[
        Needs | None,
        Field(
            description="The next step before the session can do anything else. `second-factor`: prove presence at "
            "/v1/presence. `second-factor-setup`: set up a second factor at /v1/second-factors."
        ),
    ]
    device: Annotated[
        str | None, Field(description="Keep this token on the device, and send it when you sign in again.")
    ]


class AppConfirmationIn(Wire):
    """The code that the authenticator app shows now."""

    code: AppCode


class FactorAddedOut(Wire):
    """The new session token, and the recovery codes that come with the first second factor."""

    recovery_codes: Annotated[list[str] | None, Field(description="Shown once, with your first second factor.")]
    token: Annotated[str, Field(description="Use this token from now on. The earlier session token has ended.")]


class PresenceOut(Wire):
    """When the proof of presence expires, and the new session token."""

    until: datetime
    token: Annotated[str, Field(description="Use this token from now on. The earlier session token has ended.")]


class FactorOut(Wire):
    """A second factor."""

    id: uuid.UUID
    kind: Literal["app", "passkey"]
    name: str | None
    made_at: datetime


class FactorsOut(Wire):
    """Your second factors and the number of unused recovery codes."""

    data: list[FactorOut]
    recovery_codes_left: int


class AppOut(Wire):
    """The secret for an authenticator app, as text and as a URI for a QR code."""

    secret: Annotated[str | None, Field(description="Shown only in this answer.")]
    uri: Annotated[str | None, Field(description="Shown only in this answer.")]


class RecoveryCodesOut(Wire):
    """Recovery codes. Print them. Each code replaces a lost second factor once."""

    recovery_codes: Annotated[
        list[str] | None, Field(description="Shown once, with your first second factor or when you make new codes.")
    ]


PasskeyOptions = dict[str, JsonValue]
"""Options that the browser passes to `navigator.credentials`."""
