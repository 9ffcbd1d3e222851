"""Administrative placements on the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Wire

PlacementStatus = Literal["asked", "approved", "refused"]


class AdministrativePlacementOut(Wire):
    """An administrative placement: a seat that a child gets outside the lottery."""

    id: uuid.UUID
    cycle: str
    ticket: str
    program: str
    school: str
    group: str
    reason_code: str
    document: str
    beyond_seats: bool
    status: PlacementStatus
    asked_by: str
    asked_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    offer: uuid.UUID | None
    mends_round: Annotated[str | None, Field(description="The published round whose error the placement mends.")]
    mending: Annotated[
        int | None, Field(description="How many approved placements mend that round; null: no round is mended.")
    ]


class SchoolPlacementsOut(Wire):
    """A school's number of administrative placements."""

    school: str
    placements: int
    beyond_seats: Annotated[int, Field(description="Placements that added a seat.")]


class PlacementCountsOut(Wire):
    """All schools' administrative placements in numbers."""

    cycle: str
    data: list[SchoolPlacementsOut]
    by_reason: Annotated[dict[str, int], Field(description="The whole city's placements, by reason.")]
    by_round: Annotated[dict[str, int], Field(description="The placements that mend each published round.")]
