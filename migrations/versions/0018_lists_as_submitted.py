"""Keep the list that a family submitted where an answer to an offer removed programs from it."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column("ranking_version", sa.Column("submitted", sa.ARRAY(sa.Text()), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("ranking_version", "submitted")
