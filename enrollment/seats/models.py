"""Offers, the ledger of vacancies, live waitlists, placements outside the lottery."""

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Documents, Table

LIVE = ("open", "accepted")
"""An offer that is one of these is a seat that its child holds."""


class Offer(Table):
    """A seat given to a child: offered, then accepted, or given up. While it is live the child holds the seat."""

    __tablename__ = "offer"
    __table_args__ = (
        CheckConstraint(
            "status IN ('open', 'accepted', 'declined', 'expired', 'replaced', 'withdrawn')", name="status"
        ),
        CheckConstraint("source IN ('main', 'backfill', 'outside')", name="source"),
        CheckConstraint("(source = 'outside') = (round_id IS NULL)", name="source_round"),
        CheckConstraint("(status = 'open') = (closed_at IS NULL)", name="closed"),
        Index("uq_offer_live", "child_id", unique=True, postgresql_where="status IN ('open', 'accepted')"),
        Index("ix_offer_due", "answer_by", postgresql_where="status = 'open'"),
        Index(None, "cycle_id", "program_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    child_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("child.id"), index=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("program.id"))
    seat_group: Mapped[str]
    priority_class: Mapped[str]
    """In which class the child stood when it was placed; `outside-the-lottery` for a placement outside."""
    choice: Mapped[int | None]
    source: Mapped[str]
    round_id: Mapped[str | None] = mapped_column(ForeignKey("round.id"))
    made_at: Mapped[datetime]
    answer_by: Mapped[datetime]
    remind_at: Mapped[datetime]
    reminded_at: Mapped[datetime | None]
    status: Mapped[str]
    closed_at: Mapped[datetime | None]
    """When it was answered, or ran out, or another took its place."""
    version: Mapped[int] = mapped_column(server_default="1")


class SeatChange(Table):
    """What became of a child's seat, and what opens the entry that commits to it. Only grows."""

    __tablename__ = "seat_change"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    child_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("child.id"), index=True)
    program_id: Mapped[str]
    seat_group: Mapped[str]
    was: Mapped[str]
    became: Mapped[str]
    cause: Mapped[str]
    reason_code: Mapped[str]
    round_id: Mapped[str | None]
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary, index=True)
    at: Mapped[datetime]


class Vacancy(Table):
    """A seat that opened, and what the school's own rule made of it. Nothing says who sat there, or who came."""

    __tablename__ = "vacancy"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'left-empty', 'filled', 'removed')", name="status"),
        CheckConstraint(
            "opened_by IN ('not-filled', 'declined', 'expired', 'withdrawn', 'moved', 'outside', 'seats-added')",
            name="opened_by",
        ),
        CheckConstraint("(status = 'filled') = (filled_class IS NOT NULL)", name="filled"),
        CheckConstraint("status NOT IN ('left-empty', 'removed') OR why IS NOT NULL", name="why"),
        Index(None, "cycle_id", "status"),
    )

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("program.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1 in its program and cycle."""
    seat_group: Mapped[str]
    opened_at: Mapped[datetime]
    opened_by: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="open")
    decided_at: Mapped[datetime | None]
    round_id: Mapped[str | None]
    """The round that decided last."""
    rules_version: Mapped[int | None]
    """The version of the school's rules that the decision was made by."""
    rule_of: Mapped[str | None]
    """Whose rule it is: the operator's, the school's, or the program's own, by level and id."""
    why: Mapped[str | None]
    """What of the rule left it empty."""
    filled_class: Mapped[str | None]
    filled_group: Mapped[str | None]
    """The seat group in which it was filled: another one where a reserve released it."""


class WaitlistPlace(Table):
    """A child's place on the waitlist of a seat group, as things stand now."""

    __tablename__ = "waitlist_place"

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("program.id"), primary_key=True)
    seat_group: Mapped[str] = mapped_column(primary_key=True)
    child_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("child.id"), primary_key=True, index=True)
    place: Mapped[int]
    priority_class: Mapped[str | None]
    """None: as the round left it, and not looked at since."""
    drawn: Mapped[bool]
    """False: the child is new, and its number is drawn in the next round."""


class WaitlistMove(Table):
    """A change of a child's place on a waitlist, and why. Only grows."""

    __tablename__ = "waitlist_move"
    __table_args__ = (Index(None, "child_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    program_id: Mapped[str]
    seat_group: Mapped[str]
    child_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("child.id"))
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    was: Mapped[int | None]
    became: Mapped[int | None]
    reasons: Mapped[Documents]
    """Each with its code, the class that it is about, and how many children."""


class WaitlistLook(Table):
    """How far in the log a cycle's waitlists have been looked after."""

    __tablename__ = "waitlist_look"

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    log_size: Mapped[int] = mapped_column(BigInteger)


class OutsidePlacement(Table):
    """A placement that no round made: asked for with a reason and a document, approved by a second administrator."""

    __tablename__ = "outside_placement"
    __table_args__ = (
        CheckConstraint("status IN ('asked', 'approved', 'refused')", name="status"),
        CheckConstraint("decided_by IS NULL OR status = 'refused' OR decided_by <> asked_by", name="two_people"),
        CheckConstraint("(status = 'asked') = (decided_by IS NULL)", name="decided"),
        CheckConstraint("btrim(document) <> ''", name="document"),
        UniqueConstraint("offer_id"),
        Index("uq_outside_placement_asked", "child_id", unique=True, postgresql_where="status = 'asked'"),
        Index(None, "cycle_id", "school_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    child_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("child.id"))
    program_id: Mapped[str] = mapped_column(ForeignKey("program.id"))
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id"))
    seat_group: Mapped[str]
    reason_code: Mapped[str]
    document: Mapped[str]
    """Where the paper is: a court's file number, a form's."""
    beyond_seats: Mapped[bool]
    """Whether it may add a seat where none is free."""
    status: Mapped[str]
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]
    offer_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("offer.id"))
