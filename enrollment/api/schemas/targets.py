"""Match and enrollment targets on the wire."""

from typing import Annotated

from pydantic import Field

from enrollment.field_types import Wire


class AcceptanceOut(Wire):
    """How many offers were accepted before, and whose offers they were."""

    offered: int
    accepted: int
    of: Annotated[str, Field(description="`program`, `school` or `grade`, in the cycle below.")]
    cycle: str


class TargetsOut(Wire):
    """A program's targets, its seats, and the chance that over-offers overflow."""

    program: str
    match: int
    enrollment: Annotated[int, Field(description="The number of children that the school plans to enroll.")]
    over_offer: int
    today: Annotated[int, Field(description="The target that counts today, after the main round.")]
    offered: Annotated[int, Field(description="Offers that are open.")]
    accepted: int
    free: Annotated[int, Field(description="Vacancies that no child has filled.")]
    overflow: Annotated[int, Field(description="Accepted seats beyond the enrollment target.")]
    acceptance: Annotated[
        AcceptanceOut | None, Field(description="Null: there are too few answers to say how many families accept.")
    ]
    expected: Annotated[
        float | None, Field(description="How many offers will probably be accepted, by past acceptance.")
    ]
    chance_of_overflow: Annotated[
        float | None,
        Field(description="The chance, from 0 to 1, that more children accept than the enrollment target allows."),
    ]


class OverflowOut(Wire):
    """Programs with more accepted seats than their schools plan to enroll."""

    cycle: str
    data: list[TargetsOut]
