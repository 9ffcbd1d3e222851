"""Let schools share an NCES id: two campuses, or two schools in one building, often do."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.drop_constraint("uq_school_nces_id", "school", type_="unique")


def downgrade() -> None:
    """Go back. Of the schools that share an NCES id, the first keeps it."""
    op.execute(
        "UPDATE school SET nces_id = NULL WHERE EXISTS "
        "(SELECT FROM school first WHERE first.nces_id = school.nces_id AND first.id < school.id)"
    )
    op.create_unique_constraint("uq_school_nces_id", "school", ["nces_id"])
