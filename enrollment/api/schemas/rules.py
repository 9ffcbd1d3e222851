"""Requests and answers about rules."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, JsonValue

from enrollment.api.schemas.rules_lint import RulesFindingOut
from enrollment.field_types import Reason, Resource, Wire
from enrollment.rules.model import Origin, RulesInput
from enrollment.stored_values import StoredFields


class RulesIn(Resource):
    """The rules of a level; once the cycle is open, with the reason for the change."""

    shown: ClassVar = frozenset({"cycle", "level", "subject", "status", "change", "findings"})

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

    rules: RulesInput
    reason: Annotated[Reason | None, Field(description="Required once the cycle is open.")] = None


class RulesDifferenceOut(Wire):
    """A part of the rules that a change changes, in the reader's language."""

    part: Annotated[str, Field(examples=["neighborhood"])]
    was: list[str]
    would_be: list[str]


class RulesReadBackOut(Wire):
    """A change in words, for programs to which it does the same."""

    programs: list[str]
    sentences: Annotated[list[str], Field(description="The parts that the change has, as they would be.")]
    differences: Annotated[list[RulesDifferenceOut], Field(description="What differs from the rules in force.")]


class ProgramRulesIn(RulesIn):
    """The rules of a program; once the cycle is open, with the reason for the change."""

    shown: ClassVar = frozenset(
        {"cycle", "program", "came_from", "market", "sentences", "version", "findings", "missing", "change"}
    )

    own: Annotated[
        RulesInput | None,
        Field(
            description="The program's own rules, as GET shows them beside the resolved `rules`. Send `own` only "
            "together with the `rules` of the same GET; then `own` is saved."
        ),
    ] = None


class RulesChangeOut(Wire):
    """A change of rules that waits for an administrator, or that an administrator approved or refused."""

    id: uuid.UUID
    level: str
    subject: str
    rules: StoredFields
    status: Annotated[str, Field(examples=["proposed"])]
    actor: Annotated[str, Field(description="The role that proposed the change.", examples=["staff:school:lincoln"])]
    reason: str | None
    at: datetime
    decided_by: Annotated[str | None, Field(description="The role that approved or refused the change.")]
    decided_at: datetime | None
    decision_reason: str | None
    findings: Annotated[
        list[RulesFindingOut],
        Field(description="Rules of the change that cannot do what they say; empty once refused."),
    ]
    read_back: Annotated[
        list[RulesReadBackOut],
        Field(description="The change in words, against the rules in force; empty once it is decided."),
    ]


class LevelRulesOut(Wire):
    """The rules of one level now."""

    cycle: str
    level: str
    subject: str
    rules: StoredFields
    status: Annotated[Literal["in force", "nothing said"], Field(description="Whether the level has rules of its own.")]
    change: Annotated[
        RulesChangeOut | None,
        Field(description="The change that waits, or the last change if an administrator refused it."),
    ]
    findings: Annotated[list[RulesFindingOut], Field(description="Rules in force that cannot do what they say.")]


class ProgramRulesOut(Wire):
    """A program's own rules, and its resolved rules with the parts of its school and operator."""

    cycle: str
    program: str
    own: StoredFields
    rules: StoredFields
    came_from: Mapping[str, Origin]
    market: Annotated[
        Mapping[str, JsonValue] | None,
        Field(description="The rules in market form; null while the program has no seats."),
    ]
    sentences: Annotated[list[str], Field(description="The rules in words, in the reader's language.")]
    version: Annotated[
        int | None, Field(description="The version of the rules in force; null while the program does not take part.")
    ]
    missing: Annotated[list[str], Field(description="Parts that are still missing, such as seats.")]
    change: Annotated[
        RulesChangeOut | None,
        Field(description="The change that waits, or the last change if an administrator refused it."),
    ]
    findings: Annotated[
        list[RulesFindingOut], Field(description="Resolved rules that cannot do what they say; pointers into `rules`.")
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


class DecisionIn(Wire):
    """The reason why an administrator approves or refuses."""

    reason: Reason
