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


class SchoolWarningOut(Wire):
    """A field of a school that is possible but unusual."""

    pointer: str
    code: str
    detail: str


class CheckedSchoolOut(SchoolOut):
    """A school, with fields to check."""

    warnings: Annotated[list[SchoolWarningOut], Field(description="Fields to check. A warning stops nothing.")]


class ProgramOut(Wire):
    """A program."""

    id: str
    school: str
    grade: str
    track: str | None
    name: str


ParticipationStatus = Literal["in", "out", "undecided"]


class OfferedGradeOut(Wire):
    """A school's decision to take part in a cycle with a grade."""

    grade: str
    status: Annotated[ParticipationStatus, Field(description="`undecided`: the school has not decided yet.")]
    reason: Annotated[str | None, Field(description="Why the school left, if it gave a reason.")]


class SchoolInCycleOut(SchoolOut):
    """A school in a cycle."""

    takes_part: Annotated[bool, Field(description="Whether the school takes part with at least one grade.")]
    grades: Annotated[
        list[OfferedGradeOut], Field(description="The grades of the cycle at which the school has programs.")
    ]
    zones: Annotated[StoredTexts, Field(description="The zones of the school.")]


class ProgramInCycleOut(ProgramOut):
    """A program in a cycle."""

    school_name: str
    sector: str
    takes_part: bool
    status: ParticipationStatus
    reason: Annotated[str | None, Field(description="Why the program left, if it left.")]
    seats: Annotated[int | None, Field(description="The seats that the match may fill.")]
    rules_version: Annotated[
        int | None, Field(description="The version of the rules in force; null: the program has no rules yet.")
    ]
