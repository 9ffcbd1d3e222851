"""Previews of proposed rules, and how the previews that were shown group children."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    document = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())
    op.create_table(
        "preview",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("proposal", document, nullable=False),
        sa.Column("draws", sa.Integer(), nullable=False),
        sa.Column("drawn", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.String(), server_default="waiting", nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", document, nullable=True),
        sa.Column("reason", document, nullable=True),
        sa.CheckConstraint("level IN ('operator', 'school', 'program')", name=op.f("ck_preview_level")),
        sa.CheckConstraint("state IN ('waiting', 'done', 'failed')", name=op.f("ck_preview_state")),
        sa.CheckConstraint("(state = 'failed') = (reason IS NOT NULL)", name=op.f("ck_preview_reason")),
        sa.CheckConstraint("(state = 'done') = (result IS NOT NULL)", name=op.f("ck_preview_result")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_preview_cycle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preview")),
    )
    op.create_index(op.f("ix_preview_at"), "preview", ["at"])
    op.create_index(
        "uq_preview_waiting",
        "preview",
        ["cycle_id", "owner"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "preview_grouping",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("groups", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_preview_grouping_cycle_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preview_grouping")),
        sa.UniqueConstraint(
            "cycle_id", "basis", "scope", "digest", name=op.f("uq_preview_grouping_cycle_id_basis_scope_digest")
        ),
    )


def downgrade() -> None:
    """Go back; previews are lost."""
    op.drop_table("preview_grouping")
    op.drop_table("preview")
