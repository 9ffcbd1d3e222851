"""Let administrators change zones after the opening, and say which round a placement mends."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

EVENTS = (
    "event IN ('offer.made', 'offer.expiring', 'offer.expired', 'waitlist.moved', 'results.published', "
    "'offer.moved', 'deadline.moved', 'round.voided'"
)


def upgrade() -> None:
    """Go forward."""
    _make_zones_change()
    _make_proposed_zone()
    op.drop_constraint(op.f("ck_notice_event"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_event"), "notice", EVENTS + ", 'zones.changed', 'grade.corrected')")
    op.add_column("outside_placement", sa.Column("mends_round", sa.String(), nullable=True))
    op.create_foreign_key(
        op.f("fk_outside_placement_mends_round_round"), "outside_placement", "round", ["mends_round"], ["id"]
    )
    op.create_check_constraint(
        op.f("ck_outside_placement_mends"),
        "outside_placement",
        "(reason_code = 'round-error') = (mends_round IS NOT NULL)",
    )


def _make_zones_change() -> None:
    op.create_table(
        "zones_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cycle_id", sa.String(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.String(), nullable=True),
        sa.CheckConstraint("status IN ('proposed', 'approved', 'refused')", name=op.f("ck_zones_change_status")),
        sa.CheckConstraint(
            "decided_by IS NULL OR status = 'refused' OR decided_by <> proposed_by",
            name=op.f("ck_zones_change_two_people"),
        ),
        sa.CheckConstraint("(status = 'proposed') = (decided_by IS NULL)", name=op.f("ck_zones_change_decided")),
        sa.CheckConstraint("btrim(reason) <> ''", name=op.f("ck_zones_change_reason")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycle.id"], name=op.f("fk_zones_change_cycle_id_cycle")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zones_change")),
    )
    op.create_index(
        "uq_zones_change_proposed",
        "zones_change",
        ["cycle_id"],
        unique=True,
        postgresql_where=sa.text("status = 'proposed'"),
    )


def _make_proposed_zone() -> None:
    op.create_table(
        "proposed_zone",
        sa.Column("change_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("school_id", sa.String(), nullable=True),
        sa.Column("grades", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("vintage", sa.String(), nullable=False),
        sa.Column("shape", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["change_id"], ["zones_change.id"], name=op.f("fk_proposed_zone_change_id_zones_change")
        ),
        sa.ForeignKeyConstraint(["school_id"], ["school.id"], name=op.f("fk_proposed_zone_school_id_school")),
        sa.PrimaryKeyConstraint("change_id", "id", "part", name=op.f("pk_proposed_zone")),
    )
    op.create_index(op.f("ix_proposed_zone_school_id"), "proposed_zone", ["school_id"])


def downgrade() -> None:
    """Go back. Placements that mend a round become administrative errors; families' notices of new zones go."""
    op.drop_constraint(op.f("ck_outside_placement_mends"), "outside_placement", type_="check")
    op.drop_column("outside_placement", "mends_round")
    op.execute("UPDATE outside_placement SET reason_code = 'administrative-error' WHERE reason_code = 'round-error'")
    op.execute("DELETE FROM notice WHERE event IN ('zones.changed', 'grade.corrected')")
    op.drop_constraint(op.f("ck_notice_event"), "notice", type_="check")
    op.create_check_constraint(op.f("ck_notice_event"), "notice", EVENTS + ")")
    op.drop_table("proposed_zone")
    op.drop_table("zones_change")
