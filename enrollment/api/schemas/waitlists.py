"""A child's history on waitlists on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from enrollment.field_types import Wire


class MoveReasonOut(Wire):
    """A reason for a move on a waitlist."""

    code: str
    priority_class: Annotated[str | None, Field(description="The priority class that the reason is about.")]
    children: Annotated[int, Field(description="The number of children that the reason is about.")]
    detail: Annotated[str, Field(description="The reason in a sentence for the family.")]


class WaitlistMoveOut(Wire):
    """A move of a child on a waitlist, with its reasons."""

    program: str
    group: str
    at: datetime
    was: Annotated[int | None, Field(description="The former number. Null: the child was not on the waitlist.")]
    became: Annotated[int | None, Field(description="The new number. Null: the child left the waitlist.")]
    detail: Annotated[str, Field(description="The move in a sentence for the family.")]
    reasons: list[MoveReasonOut]
