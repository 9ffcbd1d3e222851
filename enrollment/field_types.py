"""Field types that many features share on the wire."""

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from enrollment.plain_text import flaw_of

MAX_TEXT = 500


class Wire(BaseModel):
    """A request or response body: strict, frozen, without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def plain_text(text: str, *, allowed: str = "") -> str:
    """Return a text without deceptive characters. `allowed` lists control characters that it may have.

    Raises:
        PydanticCustomError: with the flaw and its position.
    """
    flaw = flaw_of(text, allowed=allowed)
    if flaw is not None:
        raise PydanticCustomError("plain_text", "must be plain text", {"flaw": flaw.kind, "number": flaw.place})
    return text


MAX_ID = 64

Id = Annotated[str, StringConstraints(pattern=rf"^[A-Za-z0-9._:-]{{1,{MAX_ID}}}$")]
"""An id, for example of a cycle, a school or a program."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT), AfterValidator(plain_text)]
"""Text that a person wrote, with at least one visible character (see `enrollment.plain_text`)."""

Reason = Annotated[
    str,
    StringConstraints(min_length=3, max_length=MAX_TEXT),
    AfterValidator(plain_text),
    Field(
        description="The reason. It appears in the public log, so do not name a child.",
        examples=["Snow closed the schools"],
    ),
]

Time = Annotated[AwareDatetime, Field(strict=False)]
"""A time with its UTC offset (RFC 3339)."""
