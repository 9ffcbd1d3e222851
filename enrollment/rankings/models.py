"""The table of all versions of rankings, with drafts."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Table


class RankingVersion(Table):
    """One version of a ranking, as the partner sent it. A withdrawal is a version without programs."""

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
    """The programs, first choice first."""
    submitted: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """The list that the family submitted, if an answer to an offer removed programs from it since. None: `programs`."""
    actor: Mapped[str]
    confirmation: Mapped[str | None] = mapped_column(unique=True)
    salt: Mapped[bytes | None] = mapped_column(LargeBinary)
    leaf_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The leaf hash of its log entry."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
