"""The security log on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, JsonValue

from enrollment.field_types import Wire


class SecurityEventOut(Wire):
    """An event of the security log."""

    place: int
    at: datetime
    event: str
    account: str | None
    about: dict[str, JsonValue]
    address: Annotated[
        str | None, Field(description="A keyed hash of the client address. The same address has the same hash.")
    ]
