"""The request of a school that takes part in a cycle or leaves it."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from enrollment.field_types import Id, Reason, Wire
from enrollment.rules.model import MAX_SEATS


class GradeInput(Wire):
    """A grade that a school takes part with or leaves, and the seats that it commits, if any."""

    grade: Annotated[Id, Field(examples=["KG"])]
    seats: Annotated[int | None, Field(ge=0, le=MAX_SEATS, examples=[40])] = None


class ParticipationIn(Wire):
    """A school takes part and accepts the agreement in force, or leaves."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "in", "agreement": "2027-1", "grades": [{"grade": "KG", "seats": 40}, {"grade": "01"}]},
                {"status": "out", "grades": [{"grade": "01"}], "reason": "The building is not ready"},
            ]
        }
    )

    status: Literal["in", "out"]
    agreement: Annotated[
        Id | None, Field(description="The accepted version of the agreement; required with `in`.", examples=["1"])
    ] = None
    grades: Annotated[
        list[GradeInput] | None,
        Field(min_length=1, max_length=50, description="null: every grade that both the school and the cycle have."),
    ] = None
    reason: Annotated[Reason | None, Field(description="Why the school leaves; required once the cycle is open.")] = (
        None
    )
