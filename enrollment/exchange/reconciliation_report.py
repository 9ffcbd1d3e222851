"""The report of a reconciliation: tickets and line numbers, never a name or a SIS id."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from enrollment.exchange.roster_days import DayReason
from enrollment.exchange.rosters import Format
from enrollment.field_types import Wire

Row = TypeVar("Row")

WhyWithout = Literal["no-application", "no-offer", "declined", "expired", "withdrawn", "other-school"]
WhyEmpty = Literal["not-on-roster", "elsewhere", "no-sis-id"]

MAX_LISTED = 10_000


class ListOut(Wire, Generic[Row]):
    """The first rows of a long list, and the number of rows that were left out."""

    data: list[Row]
    more: Annotated[int, Field(description="The number of rows that were left out.")]


class RosterRowOut(Wire):
    """A row of the roster: its file and line."""

    file: Annotated[str, Field(examples=["roles.csv"])]
    line: Annotated[int, Field(description="The line where the row begins. The header is on line 1.")]
    school: str
    grade: Annotated[str, Field(description="The grade in the roster.")]


class EnrolledWithoutOfferOut(RosterRowOut):
    """A child who is enrolled at a school without holding a seat there."""

    ticket: Annotated[str | None, Field(description="Null: no application in this cycle has this SIS id.")]
    reason: Annotated[
        WhyWithout,
        Field(
            description="`no-application`: no child in this cycle has this SIS id. `no-offer`: the child was never "
            "offered a seat at this school. `declined`, `expired`: the status of the child's last offer there. "
            "`withdrawn`: the offer or the application was withdrawn. `other-school`: the child holds a seat at "
            "another school."
        ),
    ]
    seat_at: Annotated[str | None, Field(description="With `other-school`: the school where the child holds a seat.")]


class OtherGradeOut(RosterRowOut):
    """A child who is enrolled in another grade than the grade of the child's seat at the school."""

    ticket: str
    program: str
    seat_grade: str


class SeatNotEnrolledOut(Wire):
    """An accepted seat at a school on the roster, whose child is not enrolled at the school."""

    ticket: str
    program: str
    school: str
    reason: Annotated[
        WhyEmpty,
        Field(
            description="`not-on-roster`: the roster does not list the child. `elsewhere`: the roster lists the child "
            "at another school. `no-sis-id`: the application has no SIS id, so the roster cannot show the child."
        ),
    ]
    enrolled_at: Annotated[str | None, Field(description="With `elsewhere`: the school where the child is enrolled.")]


class RosterFaultOut(Wire):
    """A place in the roster that could not be read, or that was read although it departs from its format."""

    pointer: Annotated[str, Field(description="/file/line/field", examples=["/roster.csv/7/grade"])]
    code: str
    detail: str


class OtherSpellingOut(Wire):
    """Ids of digits that match more children if they are read with another number of digits."""

    sis_id_digits: Annotated[int, Field(description="Send this value as the parameter `sis_id_digits`.")]
    tried: Annotated[int, Field(description="All-digit ids that were tried, at most 5,000.")]
    matching: Annotated[int, Field(description="How many of them match a child in this cycle without a change.")]
    would_match: Annotated[int, Field(description="How many of them would match with that many digits.")]
    detail: str


class DayNotUsedOut(Wire):
    """A date that proves nothing, because no child of the grade can have begun or left school then."""

    file: Annotated[str, Field(examples=["roles.csv"])]
    line: int
    field: Annotated[str, Field(description="The column: enrolled_on, beginDate or endDate.", examples=["beginDate"])]
    reason: Annotated[
        DayReason,
        Field(
            description="`before-school-years`: earlier than a child of this grade can have begun school, which is 7 "
            "years before the cycle opened for kindergarten, and a year more for each higher grade. "
            "`after-school-years`: more than 2 years after the cycle opened."
        ),
    ]


class NotComparedOut(Wire):
    """Rows that need no offer in this cycle, counted by reason."""

    not_taking_part: Annotated[int, Field(description="The school does not take part in the cycle with this grade.")]
    grade_not_asked: Annotated[int, Field(description="The grade is not one of the grades in the parameter `grade`.")]
    stayed: Annotated[
        int, Field(description="Children without an offer whose enrollment began before the cycle opened.")
    ]
    repeated: Annotated[int, Field(description="A child who is listed again at the same school.")]
    ended: Annotated[int, Field(description="OneRoster: the role has ended.")]
    not_active: Annotated[int, Field(description="OneRoster 1.1: the student is not active.")]
    not_a_school: Annotated[
        int, Field(description="OneRoster: the row names a district or another organization that is not a school.")
    ]
    secondary_role: Annotated[
        int, Field(description="OneRoster 1.2: a second school of a child who has a primary one.")
    ]
    unreadable: Annotated[int, Field(description="Rows with a fault. `left_out` lists the faults.")]


class SchoolRosterOut(Wire):
    """One school's rows and seats in numbers."""

    school: str
    rows: Annotated[int, Field(description="Children who are enrolled at the school.")]
    matched: int
    other_grade: int
    without_offer: int
    stayed: int
    not_compared: Annotated[
        int,
        Field(description="Rows of grades that the school does not offer in this cycle, or that were not asked for."),
    ]
    seats_not_enrolled: int


class ReconciliationOut(Wire):
    """A roster compared with the seats of a cycle.

    Each row counts once: `rows` = `matched` + `other_grade` + `without_offer` + all counts in `not_compared`.
    A row that cannot be read is left out, and the others are compared.
    """

    cycle: str
    format: Format
    rows: Annotated[int, Field(description="Rows that list a child at a school.")]
    children: Annotated[int, Field(description="Children who are enrolled at any school.")]
    matched: Annotated[int, Field(description="Rows of children who hold a seat at that school in that grade.")]
    not_compared: NotComparedOut
    left_out: Annotated[
        ListOut[RosterFaultOut],
        Field(description="Faults of rows that could not be read. The other rows were compared."),
    ]
    notes: Annotated[list[RosterFaultOut], Field(description="Departures from the format that did no harm.")]
    other_spelling: Annotated[
        OtherSpellingOut | None,
        Field(description="A reading of the SIS ids that matches more children; null: the ids match as they are."),
    ]
    without_offer_by_reason: dict[WhyWithout, int]
    without_offer: ListOut[EnrolledWithoutOfferOut]
    other_grade: ListOut[OtherGradeOut]
    seats_not_enrolled: ListOut[SeatNotEnrolledOut]
    days_not_used: Annotated[
        ListOut[DayNotUsedOut], Field(description="Dates that were read as if their fields were empty.")
    ]
    schools: list[SchoolRosterOut]
