"""Number notices in the order in which they are committed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NUMBER_BY_ID = """
    UPDATE notice SET number = ordered.number
    FROM (SELECT id, row_number() OVER (PARTITION BY cycle_id, partner_id ORDER BY id) AS number FROM notice) ordered
    WHERE notice.id = ordered.id
"""
"""Until now a list was ordered by id: what a partner has read stays in that order."""


def upgrade() -> None:
    """Go forward."""
    op.add_column("notice", sa.Column("number", sa.BigInteger(), nullable=True))
    op.execute(NUMBER_BY_ID)
    op.create_index("uq_notice_number", "notice", ["cycle_id", "partner_id", "number"], unique=True)
    op.create_index("ix_notice_not_numbered", "notice", ["id"], unique=False, postgresql_where="number IS NULL")
    op.drop_index(op.f("ix_notice_cycle_id_partner_id_id"), table_name="notice")


def downgrade() -> None:
    """Go back."""
    op.create_index(op.f("ix_notice_cycle_id_partner_id_id"), "notice", ["cycle_id", "partner_id", "id"], unique=False)
    op.drop_index("ix_notice_not_numbered", table_name="notice", postgresql_where="number IS NULL")
    op.drop_index("uq_notice_number", table_name="notice")
    op.drop_column("notice", "number")
