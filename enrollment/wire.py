"""Shapes that many features have on the wire: strict, frozen, nothing unknown taken."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

MOST_TEXT = 500


class Wire(BaseModel):
    """A body as it is sent or answered."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _plain_text(text: str) -> str:
    if not unicodedata.is_normalized("NFC", text) or any(unicodedata.category(mark) in ("Cc", "Cs") for mark in text):
        raise PydanticCustomError("plain_text", "must be NFC text without control characters")
    return text


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
"""An id: of a cycle, a school, a program, a partner's applicant."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=MOST_TEXT), AfterValidator(_plain_text)]
"""Words of a person."""

Named = Annotated[
    str, StringConstraints(min_length=1, max_length=MOST_TEXT, pattern=r"\S"), AfterValidator(_plain_text)
]
"""Words that name something, so that blanks alone will not do."""

Reason = Annotated[
    str,
    StringConstraints(min_length=3, max_length=MOST_TEXT, pattern=r"\S"),
    AfterValidator(_plain_text),
    Field(description="Why; it stands in the public log, so it names no child.", examples=["Snow closed the schools"]),
]

Time = Annotated[AwareDatetime, Field(strict=False)]
"""A time with its offset from UTC, RFC 3339."""
