"""Offers, vacancies, waitlists and placements outside the lottery on the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Id, Text, Wire

OfferStatus = Literal["open", "accepted", "declined", "expired", "replaced", "withdrawn"]

VacancyStatus = Literal["open", "left-empty", "filled", "removed"]

ReasonCode = Literal[
    "court-order",
    "safety",
    "hardship",
    "special-education",
    "present-seat",
    "administrative-error",
    "transfer",
]
"""Why a child is placed outside the lottery."""

IN_ANY_SEASON = frozenset({"court-order", "safety", "hardship"})
"""Reasons for which a child may change schools while other transfers are frozen."""


class OfferOut(Wire):
    """An offered seat, and what became of it."""

    id: uuid.UUID
    reference: str
    program: str
    program_name: str
    group: str
    choice: Annotated[int | None, Field(description="Which place of the ranking; null: it was not ranked.")]
    source: Literal["main", "backfill", "outside"]
    round: str | None
    made_at: datetime
    answer_by: Annotated[datetime, Field(description="Before it an open offer is to be answered, by our clock.")]
    status: Annotated[
        OfferStatus, Field(description="`replaced`: a seat that the family ranked higher took its place.")
    ]
    closed_at: datetime | None
    if_silent: Annotated[Literal["accept", "decline"], Field(description="What it means if nobody answers.")]
    detail: Annotated[str, Field(description="The same in a sentence.")]


class OffersOut(Wire):
    """A child's offers, the newest first; at most one of them is open or accepted."""

    data: list[OfferOut]


class ReasonOut(Wire):
    """A reason for a move on a waitlist."""

    code: str
    priority_class: Annotated[str | None, Field(description="The class that it is about.")]
    children: Annotated[int, Field(description="How many children did it.")]
    detail: str


class MoveOut(Wire):
    """A move on a waitlist, and why."""

    program: str
    group: str
    at: datetime
    was: Annotated[int | None, Field(description="null: it was not on it.")]
    became: Annotated[int | None, Field(description="null: it is not on it any more.")]
    detail: str
    reasons: list[ReasonOut]


class VacancyOut(Wire):
    """A seat that opened, and what its school's own rule made of it."""

    school: str
    program: str
    number: int
    group: str
    opened_at: datetime
    opened_by: str
    status: VacancyStatus
    decided_at: datetime | None
    round: str | None
    rules_version: Annotated[int | None, Field(description="The version of the program's rules that decided.")]
    rule_of: Annotated[
        str | None, Field(description="Whose rule left it empty: `operator:…`, `school:…`, `program:…`, or `default`.")
    ]
    why: str | None
    filled_class: Annotated[str | None, Field(description="In which priority class the child stood that fills it.")]
    filled_group: str | None
    detail: Annotated[str, Field(description="The same in a sentence.")]


class VacancyCount(Wire):
    """A school's vacancies in numbers."""

    school: str
    opened: int
    open: int
    left_empty: int
    filled: int
    removed: int
    by_why: Annotated[dict[str, int], Field(description="Those left empty or removed, by what of the rule says so.")]


class VacancyCounts(Wire):
    """All schools' vacancies in numbers."""

    cycle: str
    data: list[VacancyCount]


class SeatedChild(Wire):
    """Who a child is, for the school that it has a seat at."""

    given_name: str
    family_name: str
    birth_date: str


class SeatAt(Wire):
    """A seat that a program gave, and what became of it."""

    ticket: str
    group: str
    priority_class: str
    source: Literal["main", "backfill", "outside"]
    status: OfferStatus
    made_at: datetime
    answer_by: datetime
    closed_at: datetime | None
    partner: str | None
    child: Annotated[SeatedChild | None, Field(description="null for auditors, and where the application is gone.")]


class PlacementIn(Wire):
    """A placement outside the lottery, as the first administrator asks for it."""

    cycle: Id
    ticket: Annotated[Id, Field(description="The child's, as its application shows it.")]
    program: Id
    group: Annotated[Id, Field(description="The seat group.")] = "open"
    reason_code: ReasonCode
    document: Annotated[
        Text, Field(description="Where the paper is; it names no child.", examples=["Court file 12-77"])
    ]
    beyond_seats: Annotated[
        bool, Field(description="Whether a seat is added where none is free; it is counted in public.")
    ] = False


class AdministrativePlacementOut(Wire):
    """A placement outside the lottery."""

    id: uuid.UUID
    cycle: str
    ticket: str
    program: str
    school: str
    group: str
    reason_code: str
    document: str
    beyond_seats: bool
    status: Literal["asked", "approved", "refused"]
    asked_by: str
    asked_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    offer: uuid.UUID | None


class PlacementCount(Wire):
    """How many children a school was given outside the lottery."""

    school: str
    placements: int
    beyond_seats: Annotated[int, Field(description="Those for whom a seat was added.")]


class PlacementCounts(Wire):
    """Placements outside the lottery, for anybody to see."""

    cycle: str
    data: list[PlacementCount]
    by_reason: Annotated[dict[str, int], Field(description="Of the whole city.")]


class Acceptance(Wire):
    """How many of those who were offered a seat took it, and of what that is known."""

    offered: int
    accepted: int
    of: Annotated[str, Field(description="`program`, `school` or `grade`, of an earlier cycle or this one.")]
    cycle: str


class TargetsOut(Wire):
    """A program's targets, how its seats stand, and how likely over-offers are to overflow."""

    program: str
    match: int
    enrollment: Annotated[int, Field(description="How many children the school means to enroll.")]
    over_offer: int
    today: Annotated[int, Field(description="The target that counts today after the main round.")]
    offered: Annotated[int, Field(description="Offers that are open.")]
    accepted: int
    free: Annotated[int, Field(description="Vacancies that nobody fills.")]
    overflow: Annotated[int, Field(description="Accepted seats beyond the enrollment target.")]
    acceptance: Annotated[Acceptance | None, Field(description="null: nobody was ever asked there.")]
    expected: Annotated[float | None, Field(description="How many accept, by past acceptance.")]
    chance_of_overflow: Annotated[
        float | None, Field(description="That more accept than the enrollment target, by past acceptance: 0 to 1.")
    ]


class OverflowOut(Wire):
    """Programs with more accepted seats than they mean to enroll."""

    cycle: str
    data: list[TargetsOut]
