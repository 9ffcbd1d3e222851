"""Participation and rules on the wire."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue

from enrollment.field_types import Id, Reason, Wire
from enrollment.rules.model import MAX_SEATS, Level, RulesPart
from enrollment.stored_values import StoredFields


class GradeInput(Wire):
    """A grade that a school takes part with or leaves, and the seats that it commits, if it says them here."""

    grade: Annotated[Id, Field(examples=["KG"])]
    seats: Annotated[int | None, Field(ge=0, le=MAX_SEATS, examples=[40])] = None


class ParticipationIn(Wire):
    """Take part, by accepting the agreement in force, or leave."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"status": "in", "agreement": "2027-1", "grades": [{"grade": "KG", "seats": 40}, {"grade": "01"}]},
                {"status": "out", "grades": [{"grade": "01"}], "reason": "The building is not ready"},
            ]
        }
    )

    status: Literal["in", "out"]
    agreement: Annotated[Id | None, Field(description="The version that is accepted; with `in`.", examples=["1"])] = (
        None
    )
    grades: Annotated[
        list[GradeInput] | None,
        Field(min_length=1, max_length=50, description="null: every grade of the cycle that the school has."),
    ] = None
    reason: Annotated[Reason | None, Field(description="Why it leaves; needed once the cycle is open.")] = None


class ParticipationOfGrade(Wire):
    """How a school takes part with one grade."""

    grade: str
    status: Literal["in", "out", "never asked"]
    agreement: str | None
    programs: list[str]
    seats: int | None
    reason: str | None
    at: datetime | None


class ParticipationOut(Wire):
    """How a school takes part in a cycle, and what it commits: both sides see the same."""

    cycle: str
    school: str
    agreement: Annotated[str, Field(description="The version that is accepted now.")]
    agreement_text: str
    fixed_by: Annotated[
        str | None,
        Field(
            description="The main round whose freeze fixed who takes part and with how many seats; null: the "
            "school may still join, leave, and change its seats."
        ),
    ]
    grades: list[ParticipationOfGrade]


class RulesIn(Wire):
    """What a level says of its rules; once the cycle is open, with the reason for the change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rules": {
                        "seats": {"match": 40},
                        "classes": [{"name": "sibling", "when": {"at_school": "sibling"}}],
                        "neighborhood": {"rule": "reserve", "percent": 50, "filled": "open-seats-first"},
                        "backfill": {"last_date": "2027-10-05"},
                    },
                    "reason": "As the school's board decided",
                }
            ]
        }
    )

    rules: RulesPart
    reason: Annotated[Reason | None, Field(description="Needed once the cycle is open.")] = None


class RulesChangeOut(Wire):
    """A change of rules that waits for an administrator, or on which one has decided."""

    id: uuid.UUID
    level: str
    subject: str
    rules: StoredFields
    status: Annotated[str, Field(examples=["proposed"])]
    actor: Annotated[str, Field(description="In what role it was proposed.", examples=["staff:school:lincoln"])]
    reason: str | None
    at: datetime
    decided_by: Annotated[str | None, Field(description="In what role it was decided on.")]
    decided_at: datetime | None
    decision_reason: str | None


class LevelRulesOut(Wire):
    """What one level says now."""

    cycle: str
    level: str
    subject: str
    rules: StoredFields
    status: Annotated[
        Literal["in force", "nothing said"], Field(description="Whether the level says anything that is in force.")
    ]
    change: Annotated[
        RulesChangeOut | None, Field(description="A change that waits, or the last one if it was refused.")
    ]


class ProgramRulesOut(Wire):
    """A program's rules: what it says itself, and what is in force with its school's and operator's part."""

    cycle: str
    program: str
    own: StoredFields
    rules: StoredFields
    came_from: Mapping[str, Level]
    market: Annotated[
        Mapping[str, JsonValue] | None, Field(description="In market form; null while there are no seats.")
    ]
    sentences: Annotated[list[str], Field(description="In words, in the reader's language.")]
    version: Annotated[int | None, Field(description="Of the rules in force; null while it does not take part.")]
    missing: Annotated[list[str], Field(description="Parts that must still be said, such as seats.")]
    change: Annotated[
        RulesChangeOut | None, Field(description="A change that waits, or the last one if it was refused.")
    ]


class RulesVersionOut(Wire):
    """One version of a program's rules in force."""

    version: int
    rules: StoredFields
    came_from: StoredFields
    market: StoredFields
    actor: str
    reason: str | None
    at: datetime
    leaf_hash: str


class Decision(Wire):
    """Why an administrator approves or refuses."""

    reason: Reason
