"""Give each cycle a time zone, in which its calendar days are taken.

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


def downgrade() -> None:
    """Go back."""
    op.drop_column("cycle", "time_zone")
