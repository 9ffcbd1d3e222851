"""Shapes that many features have on the wire: strict, frozen, nothing unknown taken."""

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from enrollment.plain_text import flaw_of

MAX_TEXT = 500


class Wire(BaseModel):
    """A body as it is sent or answered."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def plain_text(text: str, *, allowed: str = "") -> str:
    """Return a text if a reader can trust what it shows; `allowed` are control characters that it may have.

    Raises:
        PydanticCustomError: saying what is wrong with the text, and where.
    """
    flaw = flaw_of(text, allowed=allowed)
    if flaw is not None:
        raise PydanticCustomError("plain_text", "must be plain text", {"flaw": flaw.kind, "number": flaw.place})
    return text


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
"""An id: of a cycle, a school, a program, a partner's applicant."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(plain_text)]
"""Words of a person, with something in them that can be seen (`enrollment.plain_text`)."""

Reason = Annotated[
    str,
    StringConstraints(min_length=3, max_length=MAX_TEXT),
    AfterValidator(plain_text),
    Field(description="Why; it stands in the public log, so it names no child.", examples=["Snow closed the schools"]),
]

Time = Annotated[AwareDatetime, Field(strict=False)]
"""A time with its offset from UTC, RFC 3339."""
