"""The tables of rounds: the rounds, their frozen markets, and their outcomes."""

import uuid
from datetime import datetime

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Document, Documents, Table


class Round(Table):
    """A main or backfill round, with its state."""

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
    """The calendar that made the round. None: an administrator made it."""
    only_program: Mapped[str | None]
    """The program of the only seat that the round fills. None: the round fills every free seat."""
    only_vacancy: Mapped[int | None]
    draws: Mapped[bool | None]
    """True: the round draws lottery numbers, for new children or for a fresh order. The freeze sets it."""
    asked_by: Mapped[str | None]
    """The administrator who asked for the match."""
    asked_at: Mapped[datetime | None]
    dice_at: Mapped[datetime | None]
    """The time of the public roll of the dice, which the freeze set."""
    frozen_at: Mapped[datetime | None]
    log_size: Mapped[int | None]
    head: Mapped[str | None] = mapped_column(Text, deferred=True)
    """The market's first canonical line: everything except the applicants."""
    market_digest: Mapped[str | None]
    """The digest of the market's canonical form, as the outcome has it."""
    market_file_digest: Mapped[str | None]
    """The digest of the market file that auditors download. None: the round was frozen before it was kept."""
    snapshot_root: Mapped[bytes | None] = mapped_column(LargeBinary)
    freeze_leaf: Mapped[bytes | None] = mapped_column(LargeBinary)
    dice: Mapped[str | None]
    seed: Mapped[bytes | None] = mapped_column(LargeBinary)
    drawn_at: Mapped[datetime | None]
    matched_at: Mapped[datetime | None]
    outcome: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    """The outcome file's bytes, compressed (zlib)."""
    public_numbers: Mapped[Document | None] = mapped_column(deferred=True)
    """What the public sees of the round's numbers, decided once when the round is published."""
    outcome_digest: Mapped[str | None]
    report: Mapped[Document | None] = mapped_column(deferred=True)
    gates: Mapped[Documents | None]
    complaint: Mapped[str | None]
    """The reason why the match failed. No outcome is stored then."""
    result_leaf: Mapped[bytes | None] = mapped_column(LargeBinary)
    published_at: Mapped[datetime | None]
    published_by: Mapped[str | None]
    voided_at: Mapped[datetime | None]
    void_asked_by: Mapped[str | None]
    void_asked_at: Mapped[datetime | None]
    void_approved_by: Mapped[str | None]
    void_reason: Mapped[str | None]


class FrozenRow(Table):
    """An applicant's line in a frozen market, and the salt of the line's leaf."""

    __tablename__ = "frozen_row"

    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(primary_key=True)
    """The ticket, in hex."""
    household: Mapped[str | None] = mapped_column(index=True)
    late: Mapped[bool]
    drawn_in: Mapped[str]
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    line: Mapped[str] = mapped_column(Text)
    submitted: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """The ranking as submitted, if it has programs that are not in the market. None: the line has the whole ranking."""


class FrozenProgram(Table):
    """A program of a frozen market, with the version of its rules."""

    __tablename__ = "frozen_program"

    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(primary_key=True)
    rules_version: Mapped[int]
    document: Mapped[str] = mapped_column(Text)
    """The program's document in the market."""
    seats_said: Mapped[int | None]
    """The most seats that may be filled in the end, by the rules on the day of the freeze."""
    why_not: Mapped[str | None]
    """The code of why the program fills no seats in a backfill round. None: it fills seats."""


class Exclusion(Table):
    """A tag of the log that is not in the frozen market, with the reason."""

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
    """The priority class of the child at the program."""


class WaitingPlace(Table):
    """A child's place on the waitlist that a round left. The first place is 1."""

    __tablename__ = "waiting_place"
    __table_args__ = (Index(None, "round_id", "tag"),)

    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(primary_key=True)
    seat_group: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    tag: Mapped[str]


class CutoffRow(Table):
    """The standing of the last child who got a seat in a seat group."""

    __tablename__ = "cutoff"

    round_id: Mapped[str] = mapped_column(ForeignKey("round.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(primary_key=True)
    seat_group: Mapped[str] = mapped_column(primary_key=True)
    seats: Mapped[int]
    filled: Mapped[int]
    waiting: Mapped[int]
    """The number of children on the waitlist."""
    last: Mapped[Document | None]


class Rehearsal(Table):
    """A match with a random seed, of which only totals are kept."""

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
    """The reason why it failed: a sentence from the catalogs, and the values in it."""


class RoundCalendar(Table):
    """A calendar of nightly or weekly backfill rounds. Two administrators must want it."""

    __tablename__ = "round_calendar"
    __table_args__ = (
        CheckConstraint("every IN ('day', 'week')", name="every"),
        CheckConstraint("approved_by IS NULL OR approved_by <> asked_by", name="two_people"),
        Index("uq_round_calendar_live", "cycle_id", unique=True, postgresql_where="stopped_at IS NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    every: Mapped[str]
    first_at: Mapped[datetime]
    """The time of the first round. Later rounds have the same time of day in the cycle's time zone."""
    next_at: Mapped[datetime]
    dice_in_minutes: Mapped[int]
    """The minutes from the freeze to the public roll of the dice, for rounds that need dice."""
    asked_by: Mapped[str]
    asked_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    approved_by: Mapped[str | None]
    stopped_at: Mapped[datetime | None]
    last_at: Mapped[datetime | None]
    last_told: Mapped[str | None]
    """The id of the last round that the calendar made, or the code of why it made no round."""
