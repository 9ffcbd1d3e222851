"""Stop storing whether a ranking was late, which follows from the deadline of now; allow more kinds of notices."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

EVENTS = "'offer.made', 'offer.expiring', 'offer.expired', 'waitlist.moved', 'results.published'"
NEW_EVENTS = f"{EVENTS}, 'offer.moved', 'deadline.moved', 'round.voided'"


def upgrade() -> None:
    """Go forward."""
    op.drop_column("ranking_version", "late")
    _allow(NEW_EVENTS)


def downgrade() -> None:
    """Go back. Each ranking is late or not by the deadline of now, and notices of the new kinds are lost."""
    op.execute("DELETE FROM notice WHERE event IN ('offer.moved', 'deadline.moved', 'round.voided')")
    _allow(EVENTS)
    op.add_column("ranking_version", sa.Column("late", sa.Boolean(), nullable=True))
    op.execute(
        "UPDATE ranking_version SET late = ranking_version.at >= c.deadline FROM applicant a JOIN cycle c "
        "ON c.id = a.cycle_id WHERE a.id = ranking_version.applicant_id"
    )
    op.alter_column("ranking_version", "late", nullable=False)


def _allow(events: str) -> None:
    op.drop_constraint(op.f("ck_notice_event"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_event"), "notice", f"event IN ({events})")
