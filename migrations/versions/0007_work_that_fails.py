"""Work that fails: notes of it, what each worker does, and why a rehearsal could not be run."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "work_failure",
        sa.Column("work", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("work", "subject", name=op.f("pk_work_failure")),
    )
    op.create_table(
        "worker_pass",
        sa.Column("worker", sa.Uuid(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("works", sa.Boolean(), nullable=False),
        sa.Column("last_pass", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_success", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("worker", "part", name=op.f("pk_worker_pass")),
    )
    op.add_column(
        "rehearsal", sa.Column("reason", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.create_check_constraint(op.f("ck_rehearsal_state"), "rehearsal", "state IN ('waiting', 'done', 'failed')")
    op.create_check_constraint(op.f("ck_rehearsal_reason"), "rehearsal", "(state = 'failed') = (reason IS NOT NULL)")


def downgrade() -> None:
    """Go back; a rehearsal that failed waits again."""
    op.drop_constraint(op.f("ck_rehearsal_reason"), "rehearsal")
    op.drop_constraint(op.f("ck_rehearsal_state"), "rehearsal")
    op.execute("UPDATE rehearsal SET state = 'waiting' WHERE state = 'failed'")
    op.drop_column("rehearsal", "reason")
    op.drop_table("worker_pass")
    op.drop_table("work_failure")
