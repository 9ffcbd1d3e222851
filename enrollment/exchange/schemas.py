"""What a roster and the seats of a cycle say of each other, on the wire: tickets and lines, never a name or an id."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from enrollment.exchange.rosters import Format
from enrollment.field_types import Wire

Shown = TypeVar("Shown")

WhyWithout = Literal["no-application", "no-offer", "declined", "expired", "withdrawn", "other-school"]
WhyEmpty = Literal["not-on-roster", "elsewhere", "no-sis-id"]

MAX_LISTED = 10_000


class Listed(Wire, Generic[Shown]):
    """The first of a long list, and how many more there are."""

    data: list[Shown]
    more: Annotated[int, Field(description="How many further rows there are that are not listed.")]


class RosterRowOut(Wire):
    """A row of the roster, by its place in what was sent."""

    file: Annotated[str, Field(examples=["roles.csv"])]
    line: Annotated[int, Field(description="On which line of the file the row begins; the header is on line 1.")]
    school: str
    grade: Annotated[str, Field(description="As the roster has it.")]


class EnrolledWithoutOffer(RosterRowOut):
    """A child on a school's roll that holds no seat there."""

    ticket: Annotated[str | None, Field(description="Null: the cycle has no application with this SIS id.")]
    reason: Annotated[
        WhyWithout,
        Field(
            description="`no-application`: the cycle knows no child with this SIS id; `no-offer`: it was never offered "
            "a seat at this school; `declined`, `expired`, `withdrawn`: what became of the last one that it was "
            "offered there, or `withdrawn`: its application; `other-school`: it holds a seat at another."
        ),
    ]
    seat_at: Annotated[str | None, Field(description="With `other-school`: the school where the seat is.")]


class OtherGrade(RosterRowOut):
    """A child that holds a seat at the school where it is, in another grade than it is in."""

    ticket: str
    program: str
    seat_grade: str


class SeatNotEnrolled(Wire):
    """An accepted seat at a school on the roster, whose child is not on that school's roll."""

    ticket: str
    program: str
    school: str
    reason: Annotated[
        WhyEmpty,
        Field(
            description="`not-on-roster`: the child is on no school's roll here; `elsewhere`: on another's; "
            "`no-sis-id`: its application came without a SIS id, so no roster can tell."
        ),
    ]
    enrolled_at: Annotated[str | None, Field(description="With `elsewhere`: that school.")]


class NotCompared(Wire):
    """Rows that ask for no offer in this cycle, by why."""

    not_taking_part: Annotated[int, Field(description="The school does not take part in the cycle with that grade.")]
    grade_not_asked: Annotated[int, Field(description="The grade is none of those that `grade` asked for.")]
    stayed: Annotated[
        int, Field(description="Without an offer, and at the school since before the cycle opened, as the row says.")
    ]
    repeated: Annotated[int, Field(description="The same child at the same school again.")]
    ended: Annotated[int, Field(description="OneRoster: the role has ended.")]
    not_active: Annotated[int, Field(description="OneRoster 1.1: the student is not active.")]
    not_a_school: Annotated[int, Field(description="OneRoster: it is a district or the like that the row names.")]


class SchoolCounts(Wire):
    """One school's rows and seats in numbers."""

    school: str
    rows: Annotated[int, Field(description="Children on its roll.")]
    matched: int
    other_grade: int
    without_offer: int
    stayed: int
    not_compared: Annotated[int, Field(description="It does not take part with the grade, or it was not asked for.")]
    seats_not_enrolled: int


class Reconciliation(Wire):
    """A roster compared with the seats of a cycle.

    `rows` are `matched` + `other_grade` + `without_offer` + all of `not_compared`: each row is in one of them.
    """

    cycle: str
    format: Format
    rows: Annotated[int, Field(description="Rows that say that a child is at a school.")]
    children: Annotated[int, Field(description="Children on the roll of some school.")]
    matched: Annotated[int, Field(description="Rows of children who hold a seat at that school in that grade.")]
    not_compared: NotCompared
    without_offer_by_reason: dict[WhyWithout, int]
    without_offer: Listed[EnrolledWithoutOffer]
    other_grade: Listed[OtherGrade]
    seats_not_enrolled: Listed[SeatNotEnrolled]
    schools: list[SchoolCounts]
