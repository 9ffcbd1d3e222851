"""Rounds, what was frozen for them, and what came of them."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Document, Documents, Table


class Round(Table):
    """A main or backfill round, and how far it has come."""

    __tablename__ = "round"
    __table_args__ = (
        CheckConstraint("kind IN ('main', 'backfill')", name="kind"),
        CheckConstraint("state IN ('open', 'frozen', 'drawn', 'matched', 'published', 'void')", name="state"),
        CheckConstraint("published_by IS NULL OR published_by <> asked_by", name="two_people"),
        CheckConstraint("void_approved_by IS NULL OR void_approved_by <> void_asked_by", name="two_people_void"),
        Index("uq_round_main", "cycle_id", unique=True, postgresql_where="kind = 'main' AND state <> 'void'"),
        Index(
            "uq_round_running",
            "cycle_id",
            unique=True,
            postgresql_where="state IN ('open', 'frozen', 'drawn', 'matched')",
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    kind: Mapped[str]
    attempt: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="open")
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    calendar_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("round_calendar.id"))
    """The calendar that made it; None: an administrator did."""
    only_program: Mapped[str | None]
    """The program that a round for one seat is for."""
    only_vacancy: Mapped[int | None]
    draws: Mapped[bool | None]
    """Whether some number hangs on its seed: a new child, or a program with a fresh order; set by the freeze."""
    asked_by: Mapped[str | None]
    """The administrator who asked for the match's publishing: who ran it."""
    asked_at: Mapped[datetime | None]
    dice_at: Mapped[datetime | None]
    """When the dice are rolled in public, as named in the freeze."""
    frozen_at: Mapped[datetime | None]
    log_size: Mapped[int | None]
    head: Mapped[str | None] = mapped_column(Text, deferred=True)
    """The market's first canonical line: everything but applicants."""
    market_digest: Mapped[str | None]
    snapshot_root: Mapped[bytes | None] = mapped_column(LargeBinary)
    freeze_leaf: Mapped[bytes | None] = mapped_column(LargeBinary)
    dice: Mapped[str | None]
    seed: Mapped[bytes | None] = mapped_column(LargeBinary)
    drawn_at: Mapped[datetime | None]
    matched_at: Mapped[datetime | None]
    outcome: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    """The outcome file's bytes, compressed (zlib)."""
    outcome_digest: Mapped[str | None]
    report: Mapped[Document | None] = mapped_column(deferred=True)
    gates: Mapped[Documents | None]
    complaint: Mapped[str | None]
    """What the verifier or a gate had against the match; nothing else of it is stored then."""
    result_leaf: Mapped[bytes | None] = mapped_column(LargeBinary)
    published_at: Mapped[datetime | None]
    published_by: Mapped[str | None]
    voided_at: Mapped[datetime | None]
    void_asked_by: Mapped[str | None]
    void_asked_at: Mapped[datetime | None]
    void_approved_by: Mapped[str | None]
    void_reason: Mapped[str | None]


class FrozenRow(Table):
    """An applicant's line of a frozen market, and the salt of its leaf in the snapshot."""

    __tablename__ = "frozen_row"

    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
    """In hex: the ticket."""
    household: Mapped[str | None] = mapped_column(index=True)
    late: Mapped[bool]
    drawn_in: Mapped[str]
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    line: Mapped[str] = mapped_column(Text)


class FrozenProgram(Table):
    """A program of a frozen market, with the version of the rules that it was made from."""

    __tablename__ = "frozen_program"

    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(primary_key=True)
    rules_version: Mapped[int]
    document: Mapped[str] = mapped_column(Text)
    """As it stands in the market."""
    seats_said: Mapped[int | None]
    """How many seats it may have filled in the end, by its rules on the day of the freeze."""
    why_not: Mapped[str | None]
    """What of its school's rule keeps it from filling seats in a backfill round; None: it fills."""


class Exclusion(Table):
    """A tag of the log that is not in the frozen market, and why."""

    __tablename__ = "exclusion"

    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]


class Placed(Table):
    """A placement of a matched round."""

    __tablename__ = "placement"
    __table_args__ = (Index(None, "round_id", "program_id"),)

    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
    program_id: Mapped[str]
    seat_group: Mapped[str]
    choice: Mapped[int | None]
    priority_class: Mapped[str | None]
    """In which class the child stood there."""


class WaitingPlace(Table):
    """A place on the waitlist of a seat group, from 1."""

    __tablename__ = "waiting_place"
    __table_args__ = (Index(None, "round_id", "tag"),)

    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(primary_key=True)
    seat_group: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    tag: Mapped[str]


class CutoffRow(Table):
    """Who was last admitted to a seat group."""

    __tablename__ = "cutoff"

    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(primary_key=True)
    seat_group: Mapped[str] = mapped_column(primary_key=True)
    seats: Mapped[int]
    filled: Mapped[int]
    waiting: Mapped[int]
    """How many stand on its waitlist."""
    last: Mapped[Document | None]


class Rehearsal(Table):
    """A match with a random seed and no consequence; totals only."""

    __tablename__ = "rehearsal"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'done', 'failed')", name="state"),
        CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name="reason"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), index=True)
    state: Mapped[str] = mapped_column(server_default="waiting")
    asked_by: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    totals: Mapped[Document | None] = mapped_column(JSONB)
    reason: Mapped[Document | None]
    """Why it failed: a sentence as the catalogs have it, and its values."""


class RoundCalendar(Table):
    """Backfill rounds that come by themselves, nightly or weekly, once two administrators want them."""

    __tablename__ = "round_calendar"
    __table_args__ = (
        CheckConstraint("every IN ('day', 'week')", name="every"),
        CheckConstraint("approved_by IS NULL OR approved_by <> asked_by", name="two_people"),
        Index("uq_round_calendar_live", "cycle_id", unique=True, postgresql_where="stopped_at IS NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    every: Mapped[str]
    next_at: Mapped[datetime]
    dice_in_minutes: Mapped[int]
    """Where a round needs dice: how long after the freeze they are rolled."""
    asked_by: Mapped[str]
    asked_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    approved_by: Mapped[str | None]
    stopped_at: Mapped[datetime | None]
    last_at: Mapped[datetime | None]
    last_told: Mapped[str | None]
    """What became of the last one: the round's id, or why there was none."""
