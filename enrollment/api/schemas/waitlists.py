"""Waitlists on the wire: a child's places, a child's history, and a program's waitlists."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from enrollment.field_types import Wire


class MoveReasonOut(Wire):
    """A reason for a move on a waitlist."""

    code: str
    priority_class: Annotated[str | None, Field(description="The priority class that the reason is about.")]
    children: Annotated[int, Field(description="The number of children that the reason is about.")]
    detail: Annotated[str, Field(description="The reason in a sentence for the family.")]


class WaitlistMoveOut(Wire):
    """A move of a child on a waitlist, with its reasons."""

    program: str
    program_name: str
    school_name: str
    group: str
    at: datetime
    was: Annotated[int | None, Field(description="The former number. Null: the child was not on the waitlist.")]
    became: Annotated[int | None, Field(description="The new number. Null: the child left the waitlist.")]
    detail: Annotated[str, Field(description="The move in a sentence for the family.")]
    reasons: list[MoveReasonOut]


class WaitlistPlaceOut(Wire):
    """A child's place on a waitlist."""

    program: str
    program_name: str
    school_name: str
    group: str
    place: int
    waiting: Annotated[
        int | None, Field(description="The number of children on this waitlist. Null if few children wait.")
    ]
    drawn: Annotated[
        bool, Field(description="False: the child is new. The place may change when the lottery number is drawn.")
    ] = True
    detail: Annotated[str, Field(description="The place in a sentence for the family.")]


class WaitlistsOut(Wire):
    """A child's places on waitlists: live, or as a round left them."""

    round: Annotated[str | None, Field(description="The round that was asked for. Null: live waitlists.")]
    at: Annotated[
        datetime, Field(description="The time at which the places hold: now, or when the round's results came out.")
    ]
    reference: str
    places: list[WaitlistPlaceOut]


class WaitingChildOut(Wire):
    """A child on the waitlist of a seat group."""

    ticket: str
    group: str
    place: int
    priority_class: Annotated[str, Field(description="The child's priority class in the group.")]
    reason: Annotated[str, Field(description="The reason for the priority class, in a sentence.")]
    late: Annotated[
        bool, Field(description="True: the child was late for the main round, or applied later and this counts here.")
    ]
    drawn_in: Annotated[
        str | None, Field(description="The round that drew the child's lottery number. Null: no number is drawn yet.")
    ]
    drawn: Annotated[
        bool, Field(description="False: the child is new. The place may change when the lottery number is drawn.")
    ] = True


class ProgramWaitlistOut(Wire):
    """A program's waitlists in order: live, or as a round left them."""

    program: str
    round: Annotated[str | None, Field(description="The round that was asked for. Null: live waitlists.")]
    waiting: list[WaitingChildOut]
