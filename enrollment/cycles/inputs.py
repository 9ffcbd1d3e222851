"""The settings of a cycle, as administrators send them."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints

from enrollment.field_types import Id, Normalized, Reason, Resource, Text, Time, Wire, between, plain_text
from enrollment.time_zones import TimeZone

MAX_AGREEMENT = 50_000
MAX_NAMES = 100
MAX_CYCLE_ID = 40
"""Round ids begin with the cycle's id, and every id has at most 64 characters."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _plain_lines(text: str) -> str:
    return plain_text(text, allowed="\n")


CalendarTime = Annotated[Time, between(EARLIEST, LATEST), Field(examples=["2027-01-31T23:59:00-05:00"])]
"""A time in a calendar, between the years 2000 and 2200."""

Lines = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_AGREEMENT), Normalized, AfterValidator(_plain_lines)
]
"""Text that a person writes, with line breaks."""

Names = Annotated[list[Id], Field(max_length=MAX_NAMES)]


class Policy(Wire):
    """The grades of a cycle and the rules of its match. They are fixed when the cycle opens."""

    grades: Annotated[
        list[Id],
        Field(
            min_length=1,
            max_length=MAX_NAMES,
            description="The grades, youngest first. You may add grades later, but you cannot remove an offered grade.",
            examples=[["PK4", "KG", "01", "02"]],
        ),
    ]
    tie_break: Annotated[
        Literal["single", "multiple"],
        Field(description="single: each child has one lottery number. multiple: one number for each program."),
    ] = "single"
    late: Annotated[
        Literal["after", "within", "equal"],
        Field(
            description="Where late applicants stand. after: after all on-time applicants. within: after the on-time "
            "applicants of the same class. equal: as if they were on time. Children who apply after the main round "
            "stand behind all of these: with after, behind all, otherwise within their class."
        ),
    ] = "after"
    twins: Annotated[Literal["separate", "share"], Field(description="Whether twins share one lottery number.")] = (
        "separate"
    )
    sibling_order: Annotated[
        Names,
        Field(
            description="The order in which grades are matched when siblings matter. List every grade once. "
            "An empty list means oldest first.",
            examples=[["02", "01", "KG", "PK4"]],
        ),
    ] = Field(default_factory=list)
    most_ranks: Annotated[
        int | None, Field(ge=1, le=1000, description="The most programs that a ranking may have. Null: no limit.")
    ] = None
    school_facts: Annotated[
        Names,
        Field(description="Facts about a child at one school. Rules may use them.", examples=[["sibling"]]),
    ] = Field(default_factory=list)
    child_facts: Annotated[
        Names, Field(description="Facts about a child. Rules may use them.", examples=[["ell", "frl"]])
    ] = Field(default_factory=list)


class Calendar(Wire):
    """The calendar of a cycle. A window includes the time it opens, and excludes the time it ends."""

    time_zone: TimeZone
    opens_at: Annotated[CalendarTime, Field(description="The cycle accepts applications and rankings from this time.")]
    deadline: Annotated[
        CalendarTime, Field(description="Rankings before this time are on time. The database's clock decides.")
    ]
    late_until: Annotated[
        CalendarTime | None,
        Field(description="The cycle accepts late rankings until this time. Null: it accepts none."),
    ] = None
    results_at: CalendarTime | None = None
    answer_by: Annotated[CalendarTime | None, Field(description="Families answer their offers before this time.")] = (
        None
    )
    backfill_opens: CalendarTime | None = None
    backfill_until: CalendarTime | None = None
    transfers_frozen_from: Annotated[
        CalendarTime | None,
        Field(description="From this time, only a hardship lets a child change schools outside the lottery."),
    ] = None
    transfers_frozen_until: CalendarTime | None = None


class Terms(Wire):
    """The name of a cycle, the meaning of no answer, and the agreement with schools."""

    name: Annotated[Text, Field(examples=["School year 2027-28"])]
    silence: Annotated[
        Literal["accept", "decline"], Field(description="What happens to an offer that the family does not answer.")
    ] = "decline"
    agreement_version: Annotated[Id, Field(examples=["2027-1"])]
    agreement: Annotated[Lines, Field(examples=["A school that takes part keeps its rules as published."])]


class CycleChangeIn(Resource, Terms, Calendar, Policy):
    """A cycle, as an administrator changes it."""

    shown: ClassVar = frozenset({"id", "phase", "main_round", "running_round", "zones_vintage"})

    reason: Annotated[
        Reason | None, Field(description="Why you change the cycle. Required once the cycle has opened.")
    ] = None


class CycleIn(Terms, Calendar, Policy):
    """A cycle, as an administrator creates it."""

    id: Annotated[
        Id,
        Field(
            max_length=MAX_CYCLE_ID,
            description="At most 40 characters, because the ids of rounds begin with it.",
            examples=["2027"],
        ),
    ]
