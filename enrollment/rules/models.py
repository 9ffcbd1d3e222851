"""The rules in every version."""

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
    """What one level (operator, school, program) says of its rules in a cycle; every save is a version."""

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
    """A program's rules in force, resolved, in one version: what the log has, and the freeze takes the last of."""

    __tablename__ = "program_rules"
    __table_args__ = (ForeignKeyConstraint(["cycle_id", "program_id"], ["offering.cycle_id", "offering.program_id"]),)

    cycle_id: Mapped[str] = mapped_column(primary_key=True)
    program_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    rules: Mapped[Document]
    """As the school says them, every part resolved."""
    came_from: Mapped[dict[str, str]] = mapped_column(JSONB)
    market: Mapped[Document]
    """The same in market form, for a main round."""
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary)
    """Of the entry that told of them."""
    actor: Mapped[str]
    reason: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
