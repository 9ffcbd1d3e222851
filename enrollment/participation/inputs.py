"""The request of a school that takes part in a cycle or leaves it."""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from enrollment.field_types import Id, OptionalId, Reason, Resource
from enrollment.rules.model import MAX_SEATS


class GradeInput(Resource):
    """A grade that a school takes part with or leaves, and the seats that it commits, if any."""

    shown: ClassVar = frozenset({"agreement", "programs", "at"})

    grade: Annotated[Id, Field(examples=["KG"])]
    seats: Annotated[int | None, Field(ge=0, le=MAX_SEATS, examples=[40])] = None
    status: Annotated[
        Literal["in", "out", "never asked"] | None,
        Field(description="The status of this grade, if the body has no status for all grades."),
    ] = None
    reason: Annotated[
        Reason | None, Field(description="Why the school leaves with this grade, if it is not the reason of the body.")
    ] = None


class ParticipationIn(Resource):
    """A school takes part and accepts the agreement in force, or leaves.

    With `status`, every grade gets that status. Without it, each grade has a status, as GET shows it.
    """

    shown: ClassVar = frozenset({"cycle", "school", "agreement_text", "fixed_by"})

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "in", "agreement": "2027-1", "grades": [{"grade": "KG", "seats": 40}, {"grade": "01"}]},
                {"status": "out", "grades": [{"grade": "01"}], "reason": "The building is not ready"},
            ]
        }
    )

    status: Annotated[
        Literal["in", "out"] | None, Field(description="The status of every grade; without it, see each grade.")
    ] = None
    agreement: Annotated[
        OptionalId, Field(description="The accepted version of the agreement; required with `in`.", examples=["1"])
    ] = None
    grades: Annotated[
        list[GradeInput] | None,
        Field(min_length=1, max_length=50, description="null: every grade that both the school and the cycle have."),
    ] = None
    reason: Annotated[Reason | None, Field(description="Why the school leaves; required once the cycle is open.")] = (
        None
    )

    @model_validator(mode="after")
    def _has_status(self) -> "ParticipationIn":
        if self.status is None and (not self.grades or any(grade.status is None for grade in self.grades)):
            raise PydanticCustomError("no_status", "must have status, or a status in each of its grades")
        return self
