"""Results on the wire: for partners, for schools, for anyone."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from enrollment.field_types import Wire
from enrollment.stored_values import StoredFields

HIDDEN = "null where it would be of fewer than 10 children, or give such a number away."


class PlacementOut(Wire):
    """A seat."""

    program: str
    program_name: str
    school: str
    school_name: str
    group: Annotated[str, Field(description="The seat group: `open`, or one of the program's reserves.")]
    choice: Annotated[int | None, Field(description="Which place of the ranking; null: a held seat not ranked.")]


class ResultOut(Wire):
    """What a round gave a child."""

    round: str
    kind: Literal["main", "backfill"]
    published_at: datetime
    reference: str
    ticket: str
    placement: PlacementOut | None
    excluded: Annotated[str | None, Field(description="Why the child was not in the round, if it was not.")]
    detail: Annotated[str, Field(description="The same in a sentence.")]


class WaitingOut(Wire):
    """A place on a waitlist."""

    program: str
    program_name: str
    group: str
    place: int
    waiting: Annotated[int, Field(description="How many stand on this list.")]
    drawn: Annotated[
        bool, Field(description="false: the child is new, and its place may change when its number is drawn.")
    ] = True


class WaitlistsOut(Wire):
    """A child's places on waitlists: as they stand now, or as a round left them."""

    round: Annotated[str | None, Field(description="The round that was asked for; null: now.")]
    reference: str
    places: list[WaitingOut]


class ExplanationOut(Wire):
    """Why a child got what it got: in sentences, and the facts that they are made of."""

    round: str
    reference: str
    ticket: str
    language: str
    direction: Literal["ltr", "rtl"]
    lines: list[str]
    facts: dict[str, JsonValue]


class NameOut(Wire):
    """Who a placed child is, for the school that it is placed at."""

    given_name: str
    family_name: str
    birth_date: str


class StandsAt(Wire):
    """Where one child stands at one seat group, and why."""

    ticket: str
    group: str
    priority_class: Annotated[str, Field(description="The class in which it stands there.")]
    reason: Annotated[str, Field(description="Why it is in that class, in a sentence.")]
    late: bool
    meets: Annotated[bool, Field(description="Whether it is of those for whom the seats are: reserved, or eligible.")]


class PlacedAt(StandsAt):
    """A child with a seat at a program."""

    child: Annotated[NameOut | None, Field(description="Not for auditors.")]
    partner: str | None


class WaitsAt(Wire):
    """A child on the waitlist of a seat group."""

    ticket: str
    group: str
    place: int
    priority_class: Annotated[str, Field(description="The class in which it stands there.")]
    reason: Annotated[str, Field(description="Why it is in that class, in a sentence.")]
    drawn: Annotated[
        bool, Field(description="false: the child is new, and its place may change when its number is drawn.")
    ] = True


class ApplicantsAt(Wire):
    """A program's applicants: before the freeze by class, after the publishing those with a seat."""

    program: str
    round: Annotated[str | None, Field(description="null: nothing is published yet, and this is a preview.")]
    by_class: Annotated[dict[str, int], Field(description="How many stand in which class of the open seats.")]
    applicants: list[PlacedAt]


class WaitlistAt(Wire):
    """A program's waitlists, in order: as they stand now, or as a round left them."""

    program: str
    round: Annotated[str | None, Field(description="The round that was asked for; null: now.")]
    waiting: list[WaitsAt]


class LastOut(Wire):
    """Where the last one admitted to a full group stood."""

    holder: bool
    meets: bool
    late: bool
    priority_class: str
    number: Annotated[str | None, Field(description="The first four hex digits; lower is better.")]
    position: int | None


class CutoffOut(Wire):
    """One seat group's line of the published cutoffs."""

    program: str
    group: str
    seats: int
    filled: Annotated[int | None, Field(description=HIDDEN)]
    waiting: Annotated[int | None, Field(description=HIDDEN)]
    last: Annotated[LastOut | None, Field(description="null where the group is not full, or is too small.")]


class CutoffsOut(Wire):
    """A published round's cutoffs."""

    round: str
    cutoffs: list[CutoffOut]


class FrozenRulesOut(Wire):
    """A program's rules as they were in force in a round."""

    program: str
    version: int
    market: Annotated[StoredFields, Field(description="As they stand in the frozen market.")]
    sentences: list[str]
    why_not: Annotated[
        str | None, Field(description="What keeps it from filling seats in a backfill round; null: it fills.")
    ]
    why_not_detail: Annotated[str | None, Field(description="The same in a sentence.")]


class ChoiceOut(Wire):
    """How many children have their nth choice."""

    choice: Annotated[int | None, Field(description="null: a held seat that was not ranked.")]
    applicants: Annotated[int | None, Field(description=HIDDEN)]


class GradeReportOut(Wire):
    """One grade's line of the report."""

    grade: str
    applicants: Annotated[int | None, Field(description=HIDDEN)]
    placed: Annotated[int | None, Field(description=HIDDEN)]
    first_choice: Annotated[int | None, Field(description=HIDDEN)]
    seats: int


class ReportOut(Wire):
    """A published round in numbers; every share can be taken of the numbers that stand here."""

    round: str
    applicants: int
    placed: int
    unplaced: int
    seats: int
    by_choice: list[ChoiceOut]
    by_grade: list[GradeReportOut]
