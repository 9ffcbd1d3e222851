"""The tables of rules, with every version."""

import uuid
from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Document, Table


class RulesVersion(Table):
    """The rules of one level (operator, school, program) in a cycle. Every save makes a version."""

    __tablename__ = "rules_said"
    __table_args__ = (
        CheckConstraint("level IN ('operator', 'school', 'program')", name="level"),
        CheckConstraint("status IN ('in force', 'proposed', 'refused', 'replaced')", name="status"),
        Index(
            "uq_rules_said_in_force",
            "cycle_id",
            "level",
            "subject_id",
            unique=True,
            postgresql_where="status = 'in force'",
        ),
        Index(
            "uq_rules_said_proposed",
            "cycle_id",
            "level",
            "subject_id",
            unique=True,
            postgresql_where="status = 'proposed'",
        ),
        UniqueConstraint("cycle_id", "level", "subject_id", "version"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    level: Mapped[str]
    subject_id: Mapped[str]
    """The operator's, school's or program's id."""
    version: Mapped[int]
    said: Mapped[Document]
    status: Mapped[str]
    actor: Mapped[str]
    proposed_by: Mapped[str]
    """The account, so that nobody approves their own change."""
    reason: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]


class ProgramRules(Table):
    """One version of a program's resolved rules in force. The log has every version; a freeze takes the newest."""

    __tablename__ = "program_rules"
    __table_args__ = (ForeignKeyConstraint(["cycle_id", "program_id"], ["offering.cycle_id", "offering.program_id"]),)

    cycle_id: Mapped[str] = mapped_column(primary_key=True)
    program_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    rules: Mapped[Document]
    """In the school's form, resolved."""
    came_from: Mapped[dict[str, str]] = mapped_column(JSONB)
    market: Mapped[Document]
    """In market form, for a main round."""
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary)
    """The leaf hash of the log entry for this version."""
    actor: Mapped[str]
    reason: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
