"""Previews on the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Wire
from enrollment.rules.model import Level

HIDDEN_NUMBER = "Null: hidden, because it would tell about fewer than 10 children."


class PreviewNumberOut(Wire):
    """A number of children, on average over the draws and rounded to whole children."""

    before: Annotated[int, Field(description="Under the rules in force.")]
    after: Annotated[int, Field(description="Under the proposal.")]
    difference: int
    margin: Annotated[
        int, Field(description="The margin of error of the difference, draw by draw, with 95 % confidence; rounded up.")
    ]


HiddenNumber = Annotated[PreviewNumberOut | None, Field(description=HIDDEN_NUMBER)]


class PreviewSeatsOut(Wire):
    """The seats that the main round fills."""

    before: int
    after: int


class PreviewLineOut(Wire):
    """The children with a seat who are in one class, meet one reserve's condition, live in one zone or have a flag."""

    name: Annotated[str | None, Field(description="Null among zones: small zones and no zone, together.")]
    children: HiddenNumber


class PreviewTotalsOut(Wire):
    """Who would come: to one program, or to all tried programs together."""

    seats: PreviewSeatsOut
    filled: Annotated[PreviewNumberOut | None, Field(description=f"Filled seats. {HIDDEN_NUMBER}")]
    waiting: Annotated[PreviewNumberOut | None, Field(description=f"Children on the waitlist. {HIDDEN_NUMBER}")]
    classes: Annotated[list[PreviewLineOut], Field(description="By priority class.")]
    reserves: Annotated[
        list[PreviewLineOut],
        Field(description="By reserve: children who meet its condition, in a reserved seat or another seat."),
    ]
    zones: Annotated[list[PreviewLineOut], Field(description="By zone.")]
    flags: Annotated[list[PreviewLineOut], Field(description="By fact about the child.")]


class PreviewProgramOut(PreviewTotalsOut):
    """Who would come to one program."""

    program: str


class PreviewOthersOut(Wire):
    """The effect on all other programs, in totals."""

    filled: Annotated[PreviewNumberOut | None, Field(description=f"Seats filled there. {HIDDEN_NUMBER}")]
    with_a_seat: Annotated[
        PreviewNumberOut | None, Field(description=f"Children with a seat anywhere. {HIDDEN_NUMBER}")
    ]
    first_choice: Annotated[
        PreviewNumberOut | None, Field(description=f"Children with their first choice. {HIDDEN_NUMBER}")
    ]


class PreviewOutcomeOut(Wire):
    """The proposal against the rules in force. A neighborhood reserve is shown in both orders of filling."""

    order: Annotated[
        Literal["open-seats-first", "reserved-seats-first"] | None,
        Field(description="The seats that are filled first; null: the proposal has no such order."),
    ]
    proposed: Annotated[bool, Field(description="True: the order of the proposal.")]
    programs: list[PreviewProgramOut]
    together: Annotated[
        PreviewTotalsOut | None, Field(description="All tried programs together; null: one program, or hidden.")
    ]
    others: Annotated[
        PreviewOthersOut | None, Field(description="Null: hidden, because it would tell about one school or a few.")
    ]


class PreviewLeftOutOut(Wire):
    """The parts of the rankings that the preview leaves out."""

    programs: Annotated[list[str], Field(description="Ranked programs that do not take part in this cycle.")]
    children: Annotated[
        int | None, Field(description="Children who rank no program of this cycle. Null: fewer than 10.")
    ]
    zones: Annotated[list[str], Field(description="Zones of children that this cycle does not have.")]


class PreviewBasisOut(Wire):
    """The rankings behind a preview."""

    cycle: Annotated[str, Field(description="The cycle of the rankings.")]
    children: Annotated[int | None, Field(description="Children whose rankings count. Null: fewer than 10.")]
    left_out: PreviewLeftOutOut


class PreviewHiddenOut(Wire):
    """Programs without numbers, and why."""

    program: Annotated[str | None, Field(description="Null: all tried programs together.")]
    reason: Literal["few-rankings", "small-group", "few-differences", "limit"]
    detail: Annotated[str, Field(description="The reason in words, in the reader's language.")]
    groups: Annotated[list[str], Field(description="New classes and reserves that fewer than 10 children meet.")]


class PreviewResultOut(Wire):
    """What a preview found."""

    basis: PreviewBasisOut
    hidden: list[PreviewHiddenOut]
    outcomes: list[PreviewOutcomeOut]


class PreviewOut(Wire):
    """A preview: its state, its progress and then its result. It has no consequence."""

    id: uuid.UUID
    cycle: str
    level: Level
    subject: str
    state: Literal["waiting", "done", "failed"]
    at: datetime
    draws: int
    drawn: Annotated[int, Field(description="The draws that are done.")]
    result: PreviewResultOut | None
    reason: Annotated[str | None, Field(description="Why the preview failed; null: it did not fail.")]
