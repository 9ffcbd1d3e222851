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
        Index(None, "cycle_id", "partner_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    partner_id: Mapped[str] = mapped_column(ForeignKey("partner.id"))
    event: Mapped[str]
    subject: Mapped[str]
    """What makes it one: the offer, the round with the partner, the move of a waitlist."""
    about: Mapped[Document]
    """Ids: reference, program, offer, times."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
