"""Rankings in every version, drafts too."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Table


class RankingVersion(Table):
    """One version of a family's ranking, as it was sent; a withdrawal is a version without programs."""

    __tablename__ = "ranking_version"
    __table_args__ = (
        CheckConstraint("kind IN ('draft', 'submitted', 'withdrawn')", name="kind"),
        CheckConstraint("(kind = 'draft') = (confirmation IS NULL)", name="confirmation"),
        CheckConstraint("(kind = 'draft') = (salt IS NULL)", name="salt"),
    )

    applicant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("applicant.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    programs: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Best first."""
    late: Mapped[bool]
    """Whether the database had it after the deadline."""
    actor: Mapped[str]
    confirmation: Mapped[str | None] = mapped_column(unique=True)
    salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    leaf_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of the entry that told of it."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
