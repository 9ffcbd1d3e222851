"""The table of notices."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Document, Table


class Notice(Table):
    """News that a partner tells a family. It has ids only, and each subject has one notice of an event."""

    __tablename__ = "notice"
    __table_args__ = (
        CheckConstraint(
            "event IN ('offer.made', 'offer.expiring', 'offer.expired', 'waitlist.moved', 'results.published', "
            "'offer.moved', 'deadline.moved', 'round.voided', 'zones.changed', 'grade.corrected')",
            name="event",
        ),
        UniqueConstraint("event", "subject"),
        Index("uq_notice_number", "cycle_id", "partner_id", "number", unique=True),
        Index("ix_notice_not_numbered", "id", postgresql_where="number IS NULL"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """The id. It gives no order, because ids commit out of order."""
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    partner_id: Mapped[str] = mapped_column(ForeignKey("partner.id"))
    event: Mapped[str]
    subject: Mapped[str]
    """The subject of the notice: an offer, a round with the partner, or a move on a waitlist."""
    about: Mapped[Document]
    """The ids and times that the notice is about."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    number: Mapped[int | None] = mapped_column(BigInteger)
    """The number in the partner's list of a cycle, from 1, in the order of commits. None: not readable yet."""
