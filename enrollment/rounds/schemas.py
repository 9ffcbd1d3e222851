"""Rounds on the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from enrollment.field_types import Id, Reason, Time, Wire
from enrollment.stored_values import StoredFields

TWO_WEEKS = 14 * 24 * 60

State = Literal["open", "frozen", "drawn", "matched", "published", "void"]


class SeatOfRound(Wire):
    """The seat that a round for one seat is for."""

    program: Id
    vacancy: Annotated[int, Field(ge=1, le=1_000_000, description="Its number in the program's ledger of vacancies.")]


class RoundIn(Wire):
    """A round to be made; nothing is fixed by it."""

    kind: Literal["main", "backfill"] = "main"
    seat: Annotated[
        SeatOfRound | None, Field(description="For a backfill round of one seat; null: every seat that is free.")
    ] = None


class CalendarIn(Wire):
    """Backfill rounds that come by themselves."""

    every: Literal["day", "week"]
    first_at: Annotated[Time, Field(description="When the first one is made and frozen.")]
    dice_in_minutes: Annotated[
        int,
        Field(
            ge=0, le=TWO_WEEKS, description="Where a round draws numbers: how long after its freeze dice are rolled."
        ),
    ]


class RoundCalendarOut(Wire):
    """A cycle's calendar of backfill rounds."""

    cycle: str
    every: Literal["day", "week"]
    next_at: datetime
    dice_in_minutes: int
    asked_by: str
    approved_by: Annotated[str | None, Field(description="null: it waits for a second administrator.")]
    last_at: datetime | None
    last_told: Annotated[
        str | None, Field(description="The round that was made last, or the code of why there was none.")
    ]


class FreezeIn(Wire):
    """How the draw follows."""

    dice_in_minutes: Annotated[
        int,
        Field(
            ge=0,
            le=TWO_WEEKS,
            description="When the dice are rolled in public, after the freeze; until then no draw is taken.",
            examples=[24 * 60],
        ),
    ]


class DrawIn(Wire):
    """The dice, as they were rolled in public."""

    dice: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=3_000)] | None,
        Field(
            description="Digits of ten-sided dice, at least 20; spaces and hyphens between them do not count. Left out "
            "for a round that draws no numbers.",
            examples=["31415 92653 58979 32384"],
        ),
    ] = None


class VoidIn(Wire):
    """Why a round shall be void."""

    reason: Reason


class SeatOut(Wire):
    """The one seat that a round is for."""

    program: str
    vacancy: int


class RoundOut(Wire):
    """A round, as anybody may see it."""

    id: str
    cycle: str
    kind: Literal["main", "backfill"]
    attempt: int
    state: State
    made_at: datetime
    frozen_at: datetime | None
    seat: Annotated[SeatOut | None, Field(description="The one seat that it is for; null: all that are free.")]
    by_calendar: Annotated[bool, Field(description="Whether the calendar made it.")]
    draws: Annotated[bool | None, Field(description="Whether some number hangs on its seed; known from the freeze on.")]
    dice_at: Annotated[datetime | None, Field(description="When the dice are to be rolled in public.")]
    drawn_at: datetime | None
    matched_at: datetime | None
    published_at: datetime | None
    voided_at: datetime | None
    void_reason: str | None
    log_size: Annotated[int | None, Field(description="Entries that the log had at the freeze.")]
    snapshot_root: Annotated[str | None, Field(description="RFC 6962 root over the frozen applicants' leaves, in hex.")]
    market_digest: str | None
    freeze: Annotated[str | None, Field(description="Leaf hash of the freeze's entry in the log, in hex.")]
    dice: str | None
    seed: Annotated[str | None, Field(description="Of freeze and dice, in hex: every number hangs on it.")]
    outcome_digest: str | None


class RoundReview(Wire):
    """What administrators and auditors look at before a round is published, and ever after."""

    round: RoundOut
    match_asked_by: str | None
    published_by: str | None
    void_asked_by: str | None
    void_approved_by: str | None
    waiting: Annotated[bool, Field(description="Whether the match waits for a worker, or is being done.")]
    complaint: Annotated[str | None, Field(description="What the verifier has against the match; nothing is stored.")]
    gates: Annotated[list[StoredFields], Field(description="Each with what it has against publishing.")]
    excluded: Annotated[dict[str, int], Field(description="How many tickets are left out of the market, by reason.")]
    report: Annotated[StoredFields | None, Field(description="In full; the public one hides small cells.")]


class RehearsalOut(Wire):
    """A rehearsal: totals only, and never the result."""

    id: uuid.UUID
    round: str
    state: Literal["waiting", "done", "failed"]
    at: datetime
    totals: StoredFields | None
    reason: Annotated[str | None, Field(description="Why it failed; None otherwise.")]


class Finding(Wire):
    """Something to see to, or to know, before a freeze."""

    code: str
    blocks: Annotated[bool, Field(description="Whether the freeze is refused for it.")]
    number: int
    about: Annotated[str | None, Field(description="The program, school or ticket, where it is about one.")]
    detail: str


class Readiness(Wire):
    """How ready a cycle is for its next freeze."""

    cycle: str
    kind: Literal["main", "backfill"]
    ready: bool
    applicants: int
    excluded: dict[str, int]
    programs: int
    seats: int
    findings: list[Finding]
