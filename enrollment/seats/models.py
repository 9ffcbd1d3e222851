"""Tables of offers, vacancies, live waitlists and administrative placements."""

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Documents, Table

LIVE = ("open", "accepted")
"""The statuses of an offer whose seat the child holds."""


class Offer(Table):
    """An offer of a seat to a child. The child holds the seat while the offer is open or accepted."""

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
    """The child's priority class at placement; `outside-the-lottery` for an administrative placement."""
    choice: Mapped[int | None]
    source: Mapped[str]
    round_id: Mapped[str | None] = mapped_column(ForeignKey("round.id"))
    made_at: Mapped[datetime]
    answer_by: Mapped[datetime]
    remind_at: Mapped[datetime]
    reminded_at: Mapped[datetime | None]
    status: Mapped[str]
    closed_at: Mapped[datetime | None]
    """When the offer was answered, expired, or was replaced."""
    version: Mapped[int] = mapped_column(server_default="1")


class SeatChange(Table):
    """A change of a child's seat, with the salt that opens its log entry. Rows are never changed or deleted."""

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
    """A seat that opened, and how the school's rules decided about the seat. No row names a child."""

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
    """The vacancy's number in its program and cycle, from 1."""
    seat_group: Mapped[str]
    opened_at: Mapped[datetime]
    opened_by: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="open")
    decided_at: Mapped[datetime | None]
    round_id: Mapped[str | None]
    """The round of the last decision."""
    rules_version: Mapped[int | None]
    """The version of the program's rules behind the decision."""
    rule_of: Mapped[str | None]
    """The level that set the deciding rule: `operator:…`, `school:…`, `program:…`, or `default`."""
    why: Mapped[str | None]
    """Why the seat stays empty or was removed."""
    filled_class: Mapped[str | None]
    filled_group: Mapped[str | None]
    """The seat group of the child who got the seat. It differs if a reserve released the seat."""


class VacancyChange(Table):
    """What opens a log entry about vacancies: its lines and its salt. Rows are never changed or deleted."""

    __tablename__ = "vacancy_change"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    lines: Mapped[str] = mapped_column(Text)
    """The lines as canonical JSON, as the commitment has them."""
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary, index=True)


class WaitlistPlace(Table):
    """A child's current number on the waitlist of a seat group."""

    __tablename__ = "waitlist_place"

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("program.id"), primary_key=True)
    seat_group: Mapped[str] = mapped_column(primary_key=True)
    child_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("child.id"), primary_key=True, index=True)
    place: Mapped[int]
    priority_class: Mapped[str | None]
    """None: unchanged since the round."""
    drawn: Mapped[bool]
    """False: the child is new, and gets a lottery number in the next round."""


class WaitlistMove(Table):
    """A move of a child on a waitlist, with its reasons. Rows are never changed or deleted."""

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
    """Each reason's code, priority class, and number of children."""


class WaitlistLook(Table):
    """The size of the log up to which a cycle's waitlists are updated."""

    __tablename__ = "waitlist_look"

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    log_size: Mapped[int] = mapped_column(BigInteger)


class OutsidePlacement(Table):
    """An administrative placement: requested by one administrator, and approved or refused by another."""

    __tablename__ = "outside_placement"
    __table_args__ = (
        CheckConstraint("status IN ('asked', 'approved', 'refused')", name="status"),
        CheckConstraint("decided_by IS NULL OR status = 'refused' OR decided_by <> asked_by", name="two_people"),
        CheckConstraint("(status = 'asked') = (decided_by IS NULL)", name="decided"),
        CheckConstraint("btrim(document) <> ''", name="document"),
        CheckConstraint("(reason_code = 'round-error') = (mends_round IS NOT NULL)", name="mends"),
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
    """Where the document is filed, such as a court's file number."""
    beyond_seats: Mapped[bool]
    """Whether to add a seat if no seat is free."""
    status: Mapped[str]
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]
    offer_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("offer.id"))
    mends_round: Mapped[str | None] = mapped_column(ForeignKey("round.id"))
    """The published round whose error the placement mends."""
