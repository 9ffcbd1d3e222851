"""Results on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from enrollment.field_types import Wire
from enrollment.results.public_results import CutoffOut
from enrollment.stored_values import StoredFields


class PlacementOut(Wire):
    """A seat that a round gave to a child."""

    program: str
    program_name: str
    school: str
    school_name: str
    group: Annotated[str, Field(description="The seat group: `open`, or a reserve of the program.")]
    choice: Annotated[
        int | None,
        Field(description="The choice's number in the ranking as submitted. Null: a held seat that was not ranked."),
    ]


class ResultOut(Wire):
    """The result of a round for a child."""

    round: str
    kind: Literal["main", "backfill"]
    published_at: datetime
    reference: str
    ticket: str
    placement: PlacementOut | None
    excluded: Annotated[
        str | None, Field(description="The reason why the child was not in the round. Null: the child was in it.")
    ]
    detail: Annotated[str, Field(description="The result in a sentence for the family.")]


class ExplanationOut(Wire):
    """The reasons for a child's result, in sentences and as facts."""

    round: str
    reference: str
    ticket: str
    language: str
    direction: Literal["ltr", "rtl"]
    lines: list[str]
    facts: dict[str, JsonValue]


class ChildNameOut(Wire):
    """The identity of a placed child, for the child's school."""

    given_name: str
    family_name: str
    birth_date: str


class ProgramApplicantOut(Wire):
    """A child at a program."""

    ticket: str
    group: str
    priority_class: Annotated[str, Field(description="The child's priority class in the group.")]
    reason: Annotated[str, Field(description="The reason for the priority class, in a sentence.")]
    late: Annotated[
        bool, Field(description="True: the child was late for the main round, or applied later and this counts here.")
    ]
    drawn_in: Annotated[
        str | None, Field(description="The round that drew the child's lottery number. Null: no number is drawn yet.")
    ]
    meets: Annotated[
        bool, Field(description="True: the child is eligible, and meets the condition of the reserve if there is one.")
    ]
    child: Annotated[ChildNameOut | None, Field(description="Null for auditors.")]
    partner: str | None


class ProgramApplicantsOut(Wire):
    """A program's children: those who rank it before the freeze, those with a seat after the round is published."""

    program: str
    round: Annotated[str | None, Field(description="Null: no round is published yet, and this is a preview.")]
    by_class: Annotated[dict[str, int], Field(description="The number of children in each priority class.")]
    applicants: list[ProgramApplicantOut]


class CutoffsOut(Wire):
    """The cutoffs of a published round."""

    round: str
    cutoffs: list[CutoffOut]


class FrozenRulesOut(Wire):
    """A program's rules in a round."""

    program: str
    version: int
    market: Annotated[StoredFields, Field(description="The rules in market form.")]
    sentences: list[str]
    why_not: Annotated[
        str | None,
        Field(description="The code of why the program fills no seats in a backfill round. Null: it fills seats."),
    ]
    why_not_detail: Annotated[str | None, Field(description="The same in a sentence.")]
