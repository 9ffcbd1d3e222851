"""The tables of previews."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Document, Table


class Preview(Table):
    """A comparison of proposed rules with the rules in force. No child is named in it."""

    __tablename__ = "preview"
    __table_args__ = (
        CheckConstraint("level IN ('operator', 'school', 'program')", name="level"),
        CheckConstraint("state IN ('waiting', 'done', 'failed')", name="state"),
        CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name="reason"),
        CheckConstraint("(state = 'done') = (result IS NOT NULL)", name="result"),
        Index("uq_preview_waiting", "cycle_id", "owner", unique=True, postgresql_where="state = 'waiting'"),
        Index(None, "at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    level: Mapped[str]
    subject_id: Mapped[str]
    """The operator's, school's or program's id."""
    owner: Mapped[str]
    """The school or the operator whose previews are limited: `school:lincoln`."""
    basis: Mapped[str]
    """The cycle whose rankings are used."""
    proposal: Mapped[Document]
    """The proposed rules of the level, and whether programs that are out are counted as if they took part."""
    draws: Mapped[int]
    drawn: Mapped[int] = mapped_column(server_default="0")
    state: Mapped[str] = mapped_column(server_default="waiting")
    asked_by: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]
    result: Mapped[Document | None]
    reason: Mapped[Document | None]
    """The reason why it failed: a sentence from the catalogs, and the values in it."""


class PreviewGrouping(Table):
    """How rules of a shown preview group the children who rank a program.

    A later preview of the program is hidden if its groups differ from these groups by a few children only. Otherwise
    the difference of the two previews would tell about these children.
    """

    __tablename__ = "preview_grouping"
    __table_args__ = (UniqueConstraint("cycle_id", "basis", "scope", "digest"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    basis: Mapped[str]
    scope: Mapped[str]
    """A program, or `school:…` or `operator:…` for several programs together."""
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    groups: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
