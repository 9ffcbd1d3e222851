"""Results on the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from enrollment.api.schemas.offers import OfferSource, OfferStatus
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


class SeatNowOut(Wire):
    """The seat that a child holds now."""

    offer: uuid.UUID
    program: str
    program_name: str
    school: str
    school_name: str
    group: str
    source: OfferSource
    since: Annotated[datetime, Field(description="The time at which the child got the seat.")]
    needs_answer: bool
    answer_by: Annotated[
        datetime | None, Field(description="The deadline to answer. Null: there is nothing to answer.")
    ]
    replaces: Annotated[
        str | None, Field(description="The program of the seat that the child left for this seat, if any.")
    ]


class ChildNowOut(Wire):
    """What holds for a child now. It is the same for every round that you ask for."""

    at: Annotated[datetime, Field(description="The time of this answer, by the service's clock.")]
    status: Annotated[
        Literal["no-seat", "offered", "accepted", "declined", "expired", "withdrawn"],
        Field(
            description="`offered` and `accepted`: the child holds `seat`. `declined`, `expired` and `withdrawn`: the "
            "child holds no seat, and this is what happened to the last seat. `no-seat`: the child never had a seat."
        ),
    ]
    since: Annotated[datetime | None, Field(description="The time of the last change of the status.")]
    seat: SeatNowOut | None
    waits_at: Annotated[list[str], Field(description="The programs on whose waitlists the child is.")]
    detail: Annotated[str, Field(description="What holds now, in sentences for the family.")]


class NotListedOut(Wire):
    """A ranked program that takes children from its school's own list, which misses the child."""

    program: str
    program_name: str


class ResultOut(Wire):
    """The result of a round for a child: what the round gave, and what holds now."""

    round: str
    kind: Literal["main", "backfill"]
    published_at: datetime
    reference: str
    ticket: str
    placement: Annotated[
        PlacementOut | None,
        Field(description="The seat that the round gave. The child may have lost it since: see `now`."),
    ]
    placement_status: Annotated[
        OfferStatus | None, Field(description="What became of that seat by now. Null: the round gave no seat.")
    ]
    excluded: Annotated[
        str | None, Field(description="The reason why the child was not in the round. Null: the child was in it.")
    ]
    not_listed: Annotated[
        list[NotListedOut],
        Field(description="The ranked programs that did not consider the child: the school did not list the child."),
    ]
    round_detail: Annotated[str, Field(description="What the round gave, with the time, in sentences for the family.")]
    now: ChildNowOut
    detail: Annotated[str, Field(description="`round_detail`, then the detail of `now`.")]


class ExplanationOut(Wire):
    """The reasons for a child's result, in sentences and as facts. Places on waitlists are those after the round."""

    round: str
    published_at: datetime
    reference: str
    ticket: str
    language: str
    direction: Literal["ltr", "rtl"]
    lines: list[str]
    facts: dict[str, JsonValue]
    now: ChildNowOut


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
    listed: Annotated[
        bool,
        Field(description="False: the school has a list of its own, and the child is not on it."),
    ]
    child: Annotated[ChildNameOut | None, Field(description="Null for auditors.")]
    partner: str | None
    seat_status: Annotated[
        OfferStatus | None,
        Field(description="What became of the seat by now. Null: this is a preview, and no seat was given."),
    ]


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
        Field(description="The code of why the program fills no seats in a backfill round. Null: it fills free seats."),
    ]
    why_not_detail: Annotated[str | None, Field(description="The same in a sentence.")]
