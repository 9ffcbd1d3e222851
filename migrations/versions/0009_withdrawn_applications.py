"""Erase the personal data of applications that were withdrawn before the service did so itself."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.execute("DELETE FROM person USING applicant a WHERE a.id = person.applicant_id AND a.withdrawn_at IS NOT NULL")


def downgrade() -> None:
    """Go back. The tables are the same, and what was erased stays erased."""
