"""Answers about operators, schools and programs."""

from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Wire
from enrollment.stored_values import PointOut, StoredTexts


class OperatorOut(Wire):
    """An operator."""

    id: str
    name: str


class SchoolOut(Wire):
    """A school."""

    id: str
    operator: str
    name: str
    sector: str
    nces_id: str | None
    point: PointOut | None


class ProgramOut(Wire):
    """A program."""

    id: str
    school: str
    grade: str
    track: str | None
    name: str


ParticipationStatus = Literal["in", "out", "undecided"]


class OfferedGradeOut(Wire):
    """Whether a school takes part in a cycle with a grade."""

    grade: str
    status: Annotated[ParticipationStatus, Field(description="`undecided`: it has not said yet.")]
    reason: Annotated[str | None, Field(description="Why it is out, where it gave a reason.")]


class SchoolInCycleOut(SchoolOut):
    """A school as a cycle shows it."""

    takes_part: Annotated[bool, Field(description="Whether it takes part with any grade.")]
    grades: Annotated[list[OfferedGradeOut], Field(description="The cycle's grades at which it has programs.")]
    zones: Annotated[StoredTexts, Field(description="Its own zones.")]


class ProgramInCycleOut(ProgramOut):
    """A program as a cycle shows it."""

    school_name: str
    sector: str
    takes_part: bool
    status: ParticipationStatus
    reason: Annotated[str | None, Field(description="Why it is out, where it left.")]
    seats: Annotated[int | None, Field(description="Seats that the match may fill.")]
    rules_version: Annotated[int | None, Field(description="The version of its rules in force; null: none yet.")]
