"""Cycles on the wire."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from enrollment.cycles.locks import Phase
from enrollment.field_types import Id, Reason, Text, Time, Wire, plain_text
from enrollment.stored_values import StoredTexts

MAX_AGREEMENT = 50_000
MAX_NAMES = 100
LONGEST_ID = 40
"""Of a cycle. The ids of its rounds add to it, and an id has at most 64 characters."""

FIRST = datetime(2000, 1, 1, tzinfo=UTC)
LAST = datetime(2200, 1, 1, tzinfo=UTC)


def _plain_lines(text: str) -> str:
    return plain_text(text, allowed="\n")


CalendarTime = Annotated[Time, Field(ge=FIRST, le=LAST, examples=["2027-01-31T23:59:00-05:00"])]
"""A time of a calendar, between the years 2000 and 2200."""

Lines = Annotated[str, StringConstraints(min_length=1, max_length=MAX_AGREEMENT), AfterValidator(_plain_lines)]
"""Words of a person, in several lines."""

Names = Annotated[list[Id], Field(max_length=MAX_NAMES)]


class Policy(Wire):
    """What a cycle offers and how its match treats everybody; fixed when it opens."""

    grades: Annotated[
        list[Id],
        Field(
            min_length=1,
            max_length=MAX_NAMES,
            description="Grades offered, youngest first. One may be added later, and none taken away that is offered.",
            examples=[["PK4", "KG", "01", "02"]],
        ),
    ]
    tie_break: Annotated[
        Literal["single", "multiple"],
        Field(description="One lottery number a child for the whole city, or one a program."),
    ] = "single"
    late: Annotated[
        Literal["after", "within", "equal"],
        Field(description="Late rankings stand after all that were on time, after those of their class, or equal."),
    ] = "after"
    twins: Annotated[
        Literal["separate", "share"], Field(description="Whether twins have one lottery number together.")
    ] = "separate"
    sibling_order: Annotated[
        Names,
        Field(
            description="The order in which grades are matched where siblings matter: every grade once, or none, which "
            "means oldest first.",
            examples=[["02", "01", "KG", "PK4"]],
        ),
    ] = Field(default_factory=list)
    most_ranks: Annotated[
        int | None, Field(ge=1, le=1000, description="How many programs a ranking may have; null: any number.")
    ] = None
    school_facts: Annotated[
        Names,
        Field(description="Facts about a child at one school that rules may name.", examples=[["sibling"]]),
    ] = Field(default_factory=list)
    child_facts: Annotated[
        Names, Field(description="Facts about a child that rules may name.", examples=[["ell", "frl"]])
    ] = Field(default_factory=list)


class Calendar(Wire):
    """When what happens; each window begins with its first moment and ends just before its last."""

    opens_at: Annotated[CalendarTime, Field(description="From then on applications and rankings are taken.")]
    deadline: Annotated[CalendarTime, Field(description="Before it rankings are on time, by the database's clock.")]
    late_until: Annotated[
        CalendarTime | None, Field(description="Until then rankings are taken as late; null: none are.")
    ] = None
    results_at: CalendarTime | None = None
    answer_by: Annotated[CalendarTime | None, Field(description="Until when an offer is to be answered.")] = None
    backfill_opens: CalendarTime | None = None
    backfill_until: CalendarTime | None = None
    transfers_frozen_from: Annotated[
        CalendarTime | None,
        Field(description="From then on a child changes schools outside the lottery for a hardship only."),
    ] = None
    transfers_frozen_until: CalendarTime | None = None


class Terms(Wire):
    """What the cycle is called, what silence means, what schools accept."""

    name: Annotated[Text, Field(examples=["School year 2027-28"])]
    silence: Annotated[
        Literal["accept", "decline"], Field(description="What it means when a family does not answer an offer.")
    ] = "decline"
    agreement_version: Annotated[Id, Field(examples=["2027-1"])]
    agreement: Annotated[Lines, Field(examples=["A school that takes part keeps its rules as published."])]


class CycleChangeIn(Terms, Calendar, Policy):
    """A cycle, as an administrator sets it."""

    reason: Annotated[Reason | None, Field(description="Why; asked for once the cycle has opened.")] = None


class CycleIn(Terms, Calendar, Policy):
    """A cycle, as an administrator makes it."""

    id: Annotated[
        Id,
        Field(
            max_length=LONGEST_ID, description="At most 40 characters: a round's id begins with it.", examples=["2027"]
        ),
    ]


class CycleCalendarOut(Wire):
    """When what happens, as stored."""

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
    most_ranks: Annotated[int | None, Field(description="How many programs a ranking may have; null: any number.")]
    school_facts: Annotated[StoredTexts, Field(description="Facts about a child at one school that rules may name.")]
    child_facts: Annotated[StoredTexts, Field(description="Facts about a child that rules may name.")]
    silence: Literal["accept", "decline"]
    agreement_version: str
    agreement: str
    phase: Annotated[Phase, Field(description="What it is doing now.")]
    main_round: Annotated[str | None, Field(description="The main round, once it is frozen: who takes part is fixed.")]
    running_round: Annotated[str | None, Field(description="The round that is frozen and not yet published or void.")]
    zones_vintage: Annotated[str | None, Field(description="The newest vintage among its zones.")]


class CycleListed(CycleCalendarOut):
    """A cycle in the list."""

    id: str
    name: str
    grades: StoredTexts
    phase: Phase
