"""Keep a child's ranking as submitted where the frozen market has only a part of it."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column("frozen_row", sa.Column("submitted", sa.ARRAY(sa.Text()), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("frozen_row", "submitted")
