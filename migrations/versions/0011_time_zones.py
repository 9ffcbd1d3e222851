"""Give each cycle a time zone for its calendar days, and each calendar of rounds its first time.

Until now days were mostly those of UTC, so existing cycles keep it. An administrator sets the zone of the schools with
PUT /v1/cycles/{cycle}; `enrollment migrate` says so.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column("cycle", sa.Column("time_zone", sa.String(), server_default="Etc/UTC", nullable=False))
    op.alter_column("cycle", "time_zone", server_default=None)
    op.add_column("round_calendar", sa.Column("first_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE round_calendar SET first_at = next_at")
    op.alter_column("round_calendar", "first_at", nullable=False)


def downgrade() -> None:
    """Go back."""
    op.drop_column("round_calendar", "first_at")
    op.drop_column("cycle", "time_zone")
