"""Tables of the log. They only grow: triggers refuse every UPDATE, DELETE and TRUNCATE."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, LargeBinary, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Table


class LogEntry(Table):
    """An entry as canonical JSON (RFC 8785). Columns repeat the actor and reason for checks."""

    __tablename__ = "log_entry"
    __table_args__ = (
        CheckConstraint("btrim(actor) <> ''", name="actor"),
        CheckConstraint("btrim(reason) <> ''", name="reason"),
        CheckConstraint(
            "reason IS NOT NULL OR type NOT IN ('contact.change', 'deadline.move', 'facts.set', 'round.void')",
            name="reason_given",
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """An id without an order, because ids commit out of order."""
    type: Mapped[str]
    cycle_id: Mapped[str | None]
    actor: Mapped[str]
    reason: Mapped[str | None]
    body: Mapped[str] = mapped_column(Text)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary)
    written_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), index=True)


class LogLeaf(Table):
    """The index of an entry in the log."""

    __tablename__ = "log_leaf"

    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    entry_id: Mapped[int] = mapped_column(ForeignKey("log_entry.id"), unique=True)


class LogNode(Table):
    """The hash of a complete subtree. `index` counts from 0 within its level; level 0 has the leaves."""

    __tablename__ = "log_node"

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
