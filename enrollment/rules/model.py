"""The rules that a school, its operator or a program sets. Each level inherits the parts that it leaves out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from enrollment.field_types import Day, Id, OptionalId, Wire
from enrollment.problems import Conflict, sentence
from enrollment.rules.conditions import ConditionInput

NEIGHBORHOOD = "neighborhood"
"""The class or the reserve that the neighborhood rule makes."""

MAX_SEATS = 100_000
MAX_PARTS = 50
MAX_NAMES = 500

Level = Literal["operator", "school", "program"]
"""A level that has rules of its own."""

Origin = Literal["default", "operator", "school", "program"]
"""The level that a part of resolved rules comes from."""


class LaterTargetInput(Wire):
    """A target that replaces the earlier target from one day on, such as the first day of school."""

    name: Annotated[Id, Field(examples=["first-day"])]
    begins: Annotated[Day, Field(description="The first day of this target.")]
    seats: Annotated[int, Field(ge=0, le=MAX_SEATS)]


class SeatsInput(Wire):
    """How many seats the match may fill, and how many children the school plans to enroll."""

    match: Annotated[
        int, Field(ge=0, le=MAX_SEATS, description="The match target: seats that the main round fills.", examples=[40])
    ]
    enrollment: Annotated[
        int | None,
        Field(ge=0, le=MAX_SEATS, description="The enrollment target; null: the match target without the over-offer."),
    ] = None
    over_offer: Annotated[
        int | None,
        Field(
            ge=0,
            le=MAX_SEATS,
            description="Seats of the match target that the school offers beyond its plan, because some families "
            "decline. The school does not refill these seats; null: none.",
        ),
    ] = None
    later: Annotated[
        list[LaterTargetInput] | None,
        Field(
            max_length=MAX_PARTS,
            description="Targets that begin on later days. A backfill round uses the target that began last.",
        ),
    ] = None

    @property
    def refilled(self) -> int:
        """Return how many seats of the match target the school refills: all except the over-offer."""
        return self.match - (self.over_offer or 0)

    @property
    def to_enroll(self) -> int:
        """Return how many children the school plans to enroll."""
        return self.refilled if self.enrollment is None else self.enrollment

    def target_on(self, day: date) -> int:
        """Return how many seats may be filled at the end of a backfill round on that day."""
        begun = [target for target in self.later or [] if target.begins <= day]
        return max(begun, key=lambda target: target.begins).seats if begun else self.refilled


class ClassInput(Wire):
    """A priority class. Children in an earlier class of the list come before all others."""

    name: Annotated[Id, Field(examples=["sibling"])]
    when: ConditionInput


class NoNeighborhood(Wire):
    """A child's address does not matter."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rule": "none"}]})

    rule: Literal["none"]


class NeighborhoodPriority(Wire):
    """Children of the neighborhood are a priority class."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rule": "priority", "before": "sibling"}]})

    rule: Literal["priority"]
    zones: Annotated[list[Id] | None, Field(max_length=MAX_NAMES, description="null: the school's own zones.")] = None
    before: Annotated[
        OptionalId,
        Field(description="The class that comes right after the neighborhood; null: the neighborhood is last."),
    ] = None


class NeighborhoodReserve(Wire):
    """Some seats go to the neighborhood first. The order of filling matters more than the percentage."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"rule": "reserve", "percent": 50, "filled": "open-seats-first"}]}
    )

    rule: Literal["reserve"]
    percent: Annotated[int, Field(ge=0, le=100)]
    filled: Literal["open-seats-first", "reserved-seats-first"]
    zones: Annotated[list[Id] | None, Field(max_length=MAX_NAMES, description="null: the school's own zones.")] = None


class NeighborhoodGuarantee(Wire):
    """Children of the neighborhood come first at every seat. The classes decide inside the neighborhood and outside."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"rule": "guarantee", "when_more_than_seats": "raise-seats"}]}
    )

    rule: Literal["guarantee"]
    zones: Annotated[list[Id] | None, Field(max_length=MAX_NAMES, description="null: the school's own zones.")] = None
    when_more_than_seats: Annotated[
        Literal["raise-seats", "will-not-raise"] | None,
        Field(
            description="What the school does if more neighborhood children rank the school than it has seats. The "
            "readiness check uses this answer."
        ),
    ] = None


class NeighborhoodOnly(Wire):
    """Only children of the neighborhood can get a seat."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rule": "only"}]})

    rule: Literal["only"]
    zones: Annotated[list[Id] | None, Field(max_length=MAX_NAMES, description="null: the school's own zones.")] = None


NeighborhoodInput = Annotated[
    NoNeighborhood | NeighborhoodPriority | NeighborhoodReserve | NeighborhoodGuarantee | NeighborhoodOnly,
    Field(discriminator="rule"),
]


class OverflowToInput(Wire):
    """Only other children who meet a condition can get the seats that a reserve's own children leave."""

    to: ConditionInput


class ReserveInput(Wire):
    """Seats for children who meet a condition. They come first, and `overflow` says who can get seats that are left."""

    name: Id
    seats: Annotated[int | None, Field(ge=0, le=MAX_SEATS)] = None
    percent: Annotated[int | None, Field(ge=0, le=100)] = None
    when: ConditionInput
    overflow: Annotated[
        Literal["open", "closed"] | OverflowToInput,
        Field(
            description="Who else can get these seats, after the children who meet the condition: everybody (open), "
            "nobody (closed), or only children who meet another condition."
        ),
    ] = "open"
    classes: Annotated[
        list[ClassInput] | None, Field(max_length=MAX_PARTS, description="null: the program's own classes.")
    ] = None

    @model_validator(mode="after")
    def _has_one_size(self) -> "ReserveInput":
        if (self.seats is None) == (self.percent is None):
            raise PydanticCustomError("one_size", "must have either seats or percent, not both")
        return self


class RankedInput(Wire):
    """A screened school's own order of applicants, by ticket, best first."""

    ranked: Annotated[list[Id], Field(max_length=MAX_SEATS)]


class BackfillInput(Wire):
    """The rule for seats that open after the main round."""

    never: bool = False
    entry_grades: Annotated[
        list[Id], Field(max_length=MAX_PARTS, description="Grades that always refill open seats.")
    ] = Field(default_factory=list)
    grades: Annotated[
        list[Id] | None, Field(max_length=MAX_PARTS, description="Other grades that refill open seats; null: all.")
    ] = None
    last_date: Annotated[
        Day | None,
        Field(description="The last day to refill seats. Seats that open later stay empty."),
    ] = None
    last_date_by_grade: dict[Id, Day] = Field(default_factory=dict)
    vacated_reserved_seats: Literal["keep", "release"] = "keep"
    order: Literal["waitlist", "reverse", "fresh"] = "waitlist"
    at_most: Annotated[
        int | None, Field(ge=0, le=MAX_SEATS, description="The most open seats to fill in one round; null: all.")
    ] = None
    hours_to_answer: Annotated[int, Field(ge=1, le=24 * 60)] = 48


class RulesInput(Wire):
    """The rules of one level: an operator for its schools, a school for its programs, or a program for itself."""

    seats: SeatsInput | None = None
    eligible: ConditionInput | None = None
    classes: Annotated[list[ClassInput] | None, Field(max_length=MAX_PARTS)] = None
    neighborhood: NeighborhoodInput | None = None
    reserves: Annotated[list[ReserveInput] | None, Field(max_length=MAX_PARTS)] = None
    precedence: Annotated[
        list[Id] | None,
        Field(
            max_length=MAX_PARTS,
            description="The order in which seat groups are filled. Name every reserve and `open`, each once.",
        ),
    ] = None
    tie_break: Literal["single", "multiple"] | RankedInput | None = None
    backfill: BackfillInput | None = None


class StoredRulesUnreadable(Conflict):
    """The database has rules in a form that this version cannot read."""

    title = sentence("Stored rules cannot be read")
    detail = sentence(
        "An earlier version stored rules in a form that this version cannot read. Save the rules of the operator, the "
        "school and the program again, then repeat the request."
    )


PARTS = tuple(RulesInput.model_fields)


@dataclass(frozen=True, slots=True)
class ResolvedRules:
    """Rules with a value for every part, and the origin of each part. Seats, precedence and tie-break may be empty."""

    rules: RulesInput
    came_from: Mapping[str, Origin]


DEFAULTS = RulesInput(
    eligible={"everyone": True},
    classes=[],
    neighborhood=NoNeighborhood(rule="none"),
    reserves=[],
    backfill=BackfillInput(),
)


def resolve(*, operator: RulesInput | None, school: RulesInput | None, program: RulesInput | None) -> ResolvedRules:
    """Take each part from the nearest level that has it: the program, its school, the operator, the defaults."""
    levels: list[tuple[Origin, RulesInput | None]] = [
        ("program", program),
        ("school", school),
        ("operator", operator),
        ("default", DEFAULTS),
    ]
    came_from: dict[str, Origin] = {}
    resolved = RulesInput()
    for part in PARTS:
        for level, rules in levels:
            value = getattr(rules, part) if rules else None
            if value is not None:
                resolved = resolved.model_copy(update={part: value})
                came_from[part] = level
                break
    return ResolvedRules(resolved, came_from)
