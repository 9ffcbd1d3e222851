"""Keep a round's public numbers, the digest of its market file, and what opens the log's entries about vacancies."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column("round", sa.Column("market_file_digest", sa.String(), nullable=True))
    op.add_column("round", sa.Column("public_numbers", JSONB(), nullable=True))
    op.create_table(
        "vacancy_change",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_vacancy_change_cycle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vacancy_change")),
    )
    op.execute(
        "CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON vacancy_change "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change_of_frozen()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON vacancy_change "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_frozen()"
    )
    op.execute("ALTER TABLE vacancy_change ENABLE ALWAYS TRIGGER stays")
    op.execute("ALTER TABLE vacancy_change ENABLE ALWAYS TRIGGER never_emptied")
    op.create_index(op.f("ix_vacancy_change_leaf_hash"), "vacancy_change", ["leaf_hash"])


def downgrade() -> None:
    """Go back."""
    op.drop_table("vacancy_change")
    op.drop_column("round", "public_numbers")
    op.drop_column("round", "market_file_digest")
