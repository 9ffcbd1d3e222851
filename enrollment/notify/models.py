"""The notices' table."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Document, Table


class Notice(Table):
    """Something that a partner is to tell a family, by ids only; of each subject once."""

    __tablename__ = "notice"
    __table_args__ = (
        CheckConstraint(
            "event IN ('offer.made', 'offer.expiring', 'offer.expired', 'waitlist.moved', 'results.published')",
            name="event",
        ),
        UniqueConstraint("event", "subject"),
        Index("uq_notice_number", "cycle_id", "partner_id", "number", unique=True),
        Index("ix_notice_not_numbered", "id", postgresql_where="number IS NULL"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """Identifies, and orders nothing: ids commit out of order."""
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    partner_id: Mapped[str] = mapped_column(ForeignKey("partner.id"))
    event: Mapped[str]
    subject: Mapped[str]
    """What makes it one: the offer, the round with the partner, the move of a waitlist."""
    about: Mapped[Document]
    """Ids: reference, program, offer, times."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    number: Mapped[int | None] = mapped_column(BigInteger)
    """From 1 in the partner's list of a cycle, in the order of commits; None: not readable yet."""
