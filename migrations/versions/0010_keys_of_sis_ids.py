"""Keep with each cycle which secret its digests of SIS ids are keyed with; `enrollment migrate` fills it in."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column("cycle", sa.Column("sis_key", sa.String(), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("cycle", "sis_key")
