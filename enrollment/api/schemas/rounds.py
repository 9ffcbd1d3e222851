"""Rounds on the wire."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from enrollment.field_types import Reason, Wire
from enrollment.rounds.creation import RoundSeatIn
from enrollment.stored_values import StoredFields

TWO_WEEKS_IN_MINUTES = 14 * 24 * 60

RoundState = Literal["open", "frozen", "drawn", "matched", "published", "void"]


class RoundIn(Wire):
    """A round to make. Nothing is frozen yet."""

    kind: Literal["main", "backfill"] = "main"
    seat: Annotated[
        RoundSeatIn | None,
        Field(description="The only seat that a backfill round fills. Null: the round fills every free seat."),
    ] = None


class RoundCalendarOut(Wire):
    """A cycle's calendar of backfill rounds."""

    cycle: str
    every: Literal["day", "week"]
    first_at: Annotated[
        datetime,
        Field(description="The first round. Later rounds have the same time of day in the cycle's time zone."),
    ]
    next_at: datetime
    time_zone: Annotated[str, Field(description="The cycle's time zone.", examples=["America/New_York"])]
    dice_in_minutes: int
    asked_by: str
    approved_by: Annotated[str | None, Field(description="Null: the calendar waits for a second administrator.")]
    last_at: datetime | None
    last_told: Annotated[
        str | None, Field(description="The last round that the calendar made, or the code of why it made no round.")
    ]


class FreezeIn(Wire):
    """The time of the public dice."""

    dice_in_minutes: Annotated[
        int,
        Field(
            ge=0,
            le=TWO_WEEKS_IN_MINUTES,
            description="The time from the freeze to the public roll of the dice. An earlier draw is refused.",
            examples=[24 * 60],
        ),
    ]


class DrawIn(Wire):
    """The dice that were rolled in public."""

    dice: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=3_000)] | None,
        Field(
            description="The digits of at least 20 ten-sided dice. Spaces and hyphens do not count. Leave the dice out "
            "for a round that draws no lottery numbers.",
            examples=["31415 92653 58979 32384"],
        ),
    ] = None


class VoidIn(Wire):
    """The reason to void a round."""

    reason: Reason


class RoundSeatOut(Wire):
    """The only seat that a round fills."""

    program: str
    vacancy: int


class RoundOut(Wire):
    """A round as everybody can see it."""

    id: str
    cycle: str
    kind: Literal["main", "backfill"]
    attempt: int
    state: RoundState
    made_at: datetime
    frozen_at: datetime | None
    seat: Annotated[
        RoundSeatOut | None, Field(description="The only seat that the round fills. Null: every free seat.")
    ]
    by_calendar: Annotated[bool, Field(description="True: the calendar made the round.")]
    draws: Annotated[
        bool | None, Field(description="True: the round draws lottery numbers. Null: the round is not frozen yet.")
    ]
    dice_at: Annotated[datetime | None, Field(description="The time of the public roll of the dice.")]
    drawn_at: datetime | None
    matched_at: datetime | None
    published_at: datetime | None
    voided_at: datetime | None
    void_reason: str | None
    log_size: Annotated[int | None, Field(description="The number of log entries at the freeze.")]
    snapshot_root: Annotated[str | None, Field(description="RFC 6962 root over the frozen applicants' leaves, in hex.")]
    market_digest: Annotated[
        str | None,
        Field(
            description="`sha256:` and the SHA-256 of the bytes that GET …/market downloads, as in the log's manifest."
        ),
    ]
    freeze: Annotated[str | None, Field(description="Leaf hash of the freeze's log entry, in hex.")]
    dice: str | None
    seed: Annotated[
        str | None, Field(description="The seed of every lottery number, in hex. It follows from freeze and dice.")
    ]
    outcome_digest: Annotated[
        str | None,
        Field(
            description="`sha256:` and the SHA-256 of the bytes that GET …/outcome downloads, as in the log's manifest."
        ),
    ]


class RoundReviewOut(Wire):
    """The facts that administrators and auditors check before a round is published."""

    round: RoundOut
    match_asked_by: str | None
    published_by: str | None
    void_asked_by: str | None
    void_approved_by: str | None
    waiting: Annotated[bool, Field(description="True: the match waits for a worker, or runs now.")]
    complaint: Annotated[
        str | None, Field(description="The reason why the match failed. The outcome was not stored then.")
    ]
    gates: Annotated[list[StoredFields], Field(description="The checks before publishing, each with its problem.")]
    excluded: Annotated[dict[str, int], Field(description="The number of children left out of the round, by reason.")]
    report: Annotated[StoredFields | None, Field(description="The full report. The public report hides small numbers.")]


class RehearsalOut(Wire):
    """The totals of a rehearsal. No child's result is kept."""

    id: uuid.UUID
    round: str
    state: Literal["waiting", "done", "failed"]
    at: datetime
    totals: StoredFields | None
    reason: Annotated[str | None, Field(description="The reason why the rehearsal failed. Null: it did not fail.")]
