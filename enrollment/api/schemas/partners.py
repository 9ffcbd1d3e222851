"""Partners, their secrets and access tokens on the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from enrollment.field_types import Wire
from enrollment.stored_values import StoredTexts

MAX_FORM_FIELD = 2_000


class AccessTokenIn(BaseModel):
    """The form of RFC 6749, section 4.4.2; the client id and secret may be sent by HTTP Basic instead."""

    grant_type: Annotated[str, Field(max_length=100, examples=["client_credentials"])]
    scope: Annotated[str, Field(max_length=MAX_FORM_FIELD)] = ""
    client_id: Annotated[str, Field(max_length=MAX_FORM_FIELD)] = ""
    client_secret: Annotated[str, Field(max_length=MAX_FORM_FIELD)] = ""


class AccessTokenOut(Wire):
    """A partner's access token (RFC 6749, section 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: Annotated[int, Field(description="Seconds until the token expires.")]
    scope: str


class SecretOut(Wire):
    """A partner's secret. The service shows the secret itself once, when it is made."""

    id: uuid.UUID
    made_at: datetime
    secret: Annotated[str | None, Field(description="Shown only in the answer that makes the secret.")] = None


class PartnerOut(Wire):
    """A partner."""

    id: str
    name: str
    scopes: StoredTexts
    active: bool
    secrets: list[SecretOut]
