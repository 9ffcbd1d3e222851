"""The table of cycles."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Table


class Cycle(Table):
    """One enrollment season."""

    __tablename__ = "cycle"
    __table_args__ = (
        CheckConstraint("opens_at < deadline", name="opens_before_deadline"),
        CheckConstraint("late_until IS NULL OR late_until >= deadline", name="late_after_deadline"),
        CheckConstraint(
            "(backfill_opens IS NULL) = (backfill_until IS NULL) AND backfill_opens < backfill_until",
            name="backfill_window",
        ),
        CheckConstraint(
            "(transfers_frozen_from IS NULL) = (transfers_frozen_until IS NULL) "
            "AND transfers_frozen_from < transfers_frozen_until",
            name="transfers_window",
        ),
        CheckConstraint("most_ranks IS NULL OR most_ranks > 0", name="most_ranks"),
        CheckConstraint("tie_break IN ('single', 'multiple')", name="tie_break"),
        CheckConstraint("late IN ('after', 'within', 'equal')", name="late"),
        CheckConstraint("twins IN ('separate', 'share')", name="twins"),
        CheckConstraint("silence IN ('accept', 'decline')", name="silence"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    grades: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """The grades offered, youngest first."""
    time_zone: Mapped[str]
    """The IANA name of the zone in which calendar days are taken."""
    opens_at: Mapped[datetime]
    deadline: Mapped[datetime]
    late_until: Mapped[datetime | None]
    """The cycle accepts late rankings until this time. None: it accepts none."""
    results_at: Mapped[datetime | None]
    answer_by: Mapped[datetime | None]
    backfill_opens: Mapped[datetime | None]
    backfill_until: Mapped[datetime | None]
    transfers_frozen_from: Mapped[datetime | None]
    transfers_frozen_until: Mapped[datetime | None]
    """In this window, only a hardship lets a child change schools outside the lottery."""
    tie_break: Mapped[str] = mapped_column(server_default="single")
    late: Mapped[str] = mapped_column(server_default="after")
    twins: Mapped[str] = mapped_column(server_default="separate")
    sibling_order: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    """The order in which grades are matched when siblings matter. Empty: oldest first."""
    most_ranks: Mapped[int | None]
    silence: Mapped[str] = mapped_column(server_default="decline")
    """What happens to an offer that the family does not answer."""
    agreement_version: Mapped[str]
    agreement: Mapped[str]
    """The full text that a school accepts when it takes part."""
    school_facts: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Facts about a child at one school, such as `sibling`. Rules may use them."""
    child_facts: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Facts about a child, such as `ell`. Rules may use them."""
    main_round: Mapped[str | None]
    """The main round once it is frozen, and not void. From then on participation is fixed."""
    running_round: Mapped[str | None]
    """The round that is frozen, and neither published nor void. Meanwhile nothing that a match reads changes."""
    zones_version: Mapped[int] = mapped_column(server_default="0")
    """The number of times that zones were imported. An index of the zones is cached under it."""
    zones_vintage: Mapped[str | None]
    """The newest vintage among the zones. None: the cycle has no zones."""
    sis_key: Mapped[str | None]
    """The id of the secret for the digests of SIS ids. None: the cycle is older than this column."""
    version: Mapped[int] = mapped_column(server_default="1")
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
