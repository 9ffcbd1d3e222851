"""Answers about a school's participation in a cycle."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Wire


class GradeParticipationOut(Wire):
    """A school's participation with one grade."""

    grade: str
    status: Literal["in", "out", "never asked"]
    agreement: str | None
    programs: list[str]
    seats: int | None
    reason: str | None
    at: datetime | None


class ParticipationOut(Wire):
    """A school's participation in a cycle and the seats that it commits. Everybody sees the same answer."""

    cycle: str
    school: str
    agreement: Annotated[str, Field(description="The version of the agreement in force.")]
    agreement_text: str
    fixed_by: Annotated[
        str | None,
        Field(
            description="The main round whose freeze fixed participation and seats; null: the school can still join, "
            "leave and change its seats."
        ),
    ]
    grades: list[GradeParticipationOut]
