"""Cycles in answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from enrollment.cycles.locks import Phase
from enrollment.field_types import Wire
from enrollment.stored_values import StoredTexts


class CycleCalendarOut(Wire):
    """The calendar of a cycle, as stored."""

    time_zone: Annotated[
        str, Field(description="The IANA name of the zone of the cycle's calendar days.", examples=["America/New_York"])
    ]
    opens_at: datetime
    deadline: datetime
    late_until: datetime | None
    results_at: datetime | None
    answer_by: datetime | None
    backfill_opens: datetime | None
    backfill_until: datetime | None
    transfers_frozen_from: datetime | None
    transfers_frozen_until: datetime | None


class CycleOut(CycleCalendarOut):
    """A cycle."""

    id: str
    name: str
    grades: StoredTexts
    tie_break: Literal["single", "multiple"]
    late: Literal["after", "within", "equal"]
    twins: Literal["separate", "share"]
    sibling_order: StoredTexts
    most_ranks: Annotated[int | None, Field(description="The most programs that a ranking may have. Null: no limit.")]
    school_facts: Annotated[StoredTexts, Field(description="Facts about a child at one school. Rules may use them.")]
    child_facts: Annotated[StoredTexts, Field(description="Facts about a child. Rules may use them.")]
    silence: Literal["accept", "decline"]
    agreement_version: str
    agreement: str
    phase: Annotated[Phase, Field(description="The phase of the cycle now.")]
    main_round: Annotated[
        str | None, Field(description="The main round, once it is frozen. From then on participation is fixed.")
    ]
    running_round: Annotated[
        str | None, Field(description="The round that is frozen, and neither published nor voided.")
    ]
    zones_vintage: Annotated[str | None, Field(description="The newest vintage among the zones of the cycle.")]


class CycleSummaryOut(CycleCalendarOut):
    """A cycle in a list."""

    id: str
    name: str
    grades: StoredTexts
    phase: Phase
