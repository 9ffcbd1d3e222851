"""A school's rules as a school says them. Every part may be left out; it is then inherited."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from enrollment.field_types import Id, Wire
from enrollment.problems import Conflict, sentence

NEIGHBORHOOD = "neighborhood"
"""The class or the reserve that the neighborhood rule makes."""

MAX_SEATS = 100_000
MAX_PARTS = 50
MAX_NAMES = 500

Condition = Annotated[
    dict[str, JsonValue],
    Field(description="A test on settled facts (lottery/README.md).", examples=[{"at_school": "sibling"}]),
]

Level = Literal["default", "operator", "school", "program"]


class LaterTarget(Wire):
    """A target that takes the place of the one before it on a day: for a second round, the first day of school."""

    name: Annotated[Id, Field(examples=["first-day"])]
    begins: Annotated[date, Field(strict=False, description="The first day on which it counts.")]
    seats: Annotated[int, Field(ge=0, le=MAX_SEATS)]


class Seats(Wire):
    """How many seats the match may fill, and how many children the school means to enroll in the end."""

    match: Annotated[
        int, Field(ge=0, le=MAX_SEATS, description="The match target: seats that the main round fills.", examples=[40])
    ]
    enrollment: Annotated[
        int | None, Field(ge=0, le=MAX_SEATS, description="The enrollment target; null: what the match target says.")
    ] = None
    over_offer: Annotated[
        int | None,
        Field(
            ge=0,
            le=MAX_SEATS,
            description="How many seats of the match target are offered beyond what the school means to enroll, since "
            "some families decline. They are not filled again; null: none.",
        ),
    ] = None
    later: Annotated[
        list[LaterTarget] | None,
        Field(max_length=MAX_PARTS, description="Targets of later days; a backfill round goes by the newest begun."),
    ] = None

    @property
    def refilled(self) -> int:
        """Return how many seats of the match target are filled again when they open: all but the over-offers."""
        return self.match - (self.over_offer or 0)

    @property
    def to_enroll(self) -> int:
        """Return how many children the school means to enroll."""
        return self.refilled if self.enrollment is None else self.enrollment

    def target_on(self, day: date) -> int:
        """Return how many seats a backfill round of that day may have filled at its end."""
        begun = [target for target in self.later or [] if target.begins <= day]
        return max(begun, key=lambda target: target.begins).seats if begun else self.refilled


class ClassInput(Wire):
    """A priority class: who meets an earlier one of the list comes before who does not."""

    name: Annotated[Id, Field(examples=["sibling"])]
    when: Condition


class NoNeighborhood(Wire):
    """Where a child lives does not count."""

    rule: Literal["none"]


class NeighborhoodPriority(Wire):
    """Children of the neighborhood are a priority class."""

    rule: Literal["priority"]
    zones: Annotated[list[Id] | None, Field(max_length=MAX_NAMES, description="null: the school's own zones.")] = None
    before: Annotated[Id | None, Field(description="The class it comes right before; null: after them all.")] = None


class NeighborhoodReserve(Wire):
    """Some seats are for the neighborhood first. Which seats are filled first decides more than the percent does."""

    rule: Literal["reserve"]
    percent: Annotated[int, Field(ge=0, le=100)]
    filled: Literal["open-seats-first", "reserved-seats-first"]
    zones: Annotated[list[Id] | None, Field(max_length=MAX_NAMES, description="null: the school's own zones.")] = None


class NeighborhoodGuarantee(Wire):
    """Children of the neighborhood come first at every seat."""

    rule: Literal["guarantee"]
    zones: Annotated[list[Id] | None, Field(max_length=MAX_NAMES, description="null: the school's own zones.")] = None
    when_more_than_seats: Annotated[
        Literal["raise-seats", "will-not-raise"] | None,
        Field(description="What the school does if more of them rank it than it has seats; readiness asks."),
    ] = None


class NeighborhoodOnly(Wire):
    """Nobody else is considered."""

    rule: Literal["only"]
    zones: Annotated[list[Id] | None, Field(max_length=MAX_NAMES, description="null: the school's own zones.")] = None


Neighborhood = Annotated[
    NoNeighborhood | NeighborhoodPriority | NeighborhoodReserve | NeighborhoodGuarantee | NeighborhoodOnly,
    Field(discriminator="rule"),
]


class ReserveInput(Wire):
    """Seats for which those who meet a condition come first (open) or alone (closed)."""

    name: Id
    seats: Annotated[int | None, Field(ge=0, le=MAX_SEATS)] = None
    percent: Annotated[int | None, Field(ge=0, le=100)] = None
    when: Condition
    overflow: Literal["open", "closed"] = "open"
    classes: Annotated[list[ClassInput] | None, Field(max_length=MAX_PARTS, description="null: the program's own.")] = (
        None
    )

    @model_validator(mode="after")
    def _has_one_size(self) -> "ReserveInput":
        if (self.seats is None) == (self.percent is None):
            raise PydanticCustomError("one_size", "must have exactly one of seats and percent")
        return self


class RankedInput(Wire):
    """A screened school's own order, best first, by ticket."""

    ranked: Annotated[list[Id], Field(max_length=MAX_SEATS)]


class BackfillInput(Wire):
    """What becomes of seats that open after the main round."""

    never: bool = False
    entry_grades: Annotated[list[Id], Field(max_length=MAX_PARTS, description="Always filled.")] = Field(
        default_factory=list
    )
    grades: Annotated[
        list[Id] | None, Field(max_length=MAX_PARTS, description="Grades that fill besides; null: all.")
    ] = None
    last_date: Annotated[
        Annotated[date, Field(strict=False)] | None, Field(description="After it nothing is filled.")
    ] = None
    last_date_by_grade: dict[Id, Annotated[date, Field(strict=False)]] = Field(default_factory=dict)
    vacated_reserved_seats: Literal["keep", "release"] = "keep"
    order: Literal["waitlist", "reverse", "fresh"] = "waitlist"
    at_most: Annotated[
        int | None, Field(ge=0, le=MAX_SEATS, description="Free seats filled at most in one round; null: all.")
    ] = None
    hours_to_answer: Annotated[int, Field(ge=1, le=24 * 60)] = 48


class RulesPart(Wire):
    """What one level says: an operator for its schools, a school for its programs, or a program for itself."""

    seats: Seats | None = None
    eligible: Condition | None = None
    classes: Annotated[list[ClassInput] | None, Field(max_length=MAX_PARTS)] = None
    neighborhood: Neighborhood | None = None
    reserves: Annotated[list[ReserveInput] | None, Field(max_length=MAX_PARTS)] = None
    precedence: Annotated[
        list[Id] | None,
        Field(max_length=MAX_PARTS, description="The order in which groups are filled, each once, with open."),
    ] = None
    tie_break: Literal["single", "multiple"] | RankedInput | None = None
    backfill: BackfillInput | None = None


class StoredRulesUnreadable(Conflict):
    """Rules in the database have a form that is not read today."""

    title = sentence("Stored rules cannot be read")
    detail = sentence(
        "Rules that were stored earlier have a form that this version does not read. Save the rules of the operator, "
        "the school and the program again, then repeat the request."
    )


PARTS = tuple(RulesPart.model_fields)


@dataclass(frozen=True, slots=True)
class Resolved:
    """Rules with every part settled, but seats, precedence and tie-break may stay open; and where each is from."""

    rules: RulesPart
    came_from: Mapping[str, Level]


DEFAULTS = RulesPart(
    eligible={"everyone": True},
    classes=[],
    neighborhood=NoNeighborhood(rule="none"),
    reserves=[],
    backfill=BackfillInput(),
)


def resolve(*, operator: RulesPart | None, school: RulesPart | None, program: RulesPart | None) -> Resolved:
    """Settle each part by the nearest level that says it: the program, its school, the operator, the defaults."""
    levels: list[tuple[Level, RulesPart | None]] = [
        ("program", program),
        ("school", school),
        ("operator", operator),
        ("default", DEFAULTS),
    ]
    came_from: dict[str, Level] = {}
    settled = RulesPart()
    for part in PARTS:
        for level, said in levels:
            value = getattr(said, part) if said else None
            if value is not None:
                settled = settled.model_copy(update={part: value})
                came_from[part] = level
                break
    return Resolved(settled, came_from)
