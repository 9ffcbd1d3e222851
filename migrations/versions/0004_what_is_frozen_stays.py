"""What was frozen stays as it is, and so does what came of it: rows by trigger, the round's own columns too."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = ("frozen_row", "frozen_program", "exclusion", "placement", "waiting_place", "cutoff")

ONCE_SET = (
    "frozen_at", "dice_at", "log_size", "head", "market_digest", "snapshot_root", "freeze_leaf",
    "dice", "seed", "drawn_at", "outcome", "outcome_digest", "report", "gates", "matched_at", "result_leaf",
    "published_at", "published_by", "voided_at",
)  # fmt: skip


def upgrade() -> None:
    """Go forward. ENABLE ALWAYS: the triggers also hold where replication switches others off."""
    op.execute(
        """
        CREATE FUNCTION refuse_change_of_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'what was frozen stays: % of % is refused', TG_OP, TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation';
        END $$
        """
    )
    changed = " OR ".join(
        f"(OLD.{column} IS NOT NULL AND NEW.{column} IS DISTINCT FROM OLD.{column})" for column in ONCE_SET
    )
    op.execute(
        f"""
        CREATE FUNCTION refuse_change_of_round() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' OR OLD.state IN ('published', 'void') OR {changed} THEN
                RAISE EXCEPTION 'what a round has done stays: % of % is refused', TG_OP, OLD.id
                    USING ERRCODE = 'restrict_violation';
            END IF;
            RETURN NEW;
        END $$
        """
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change_of_frozen()"
        )
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_frozen()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER stays")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER never_emptied")
    op.execute(
        "CREATE TRIGGER stays BEFORE UPDATE OR DELETE ON round FOR EACH ROW EXECUTE FUNCTION refuse_change_of_round()"
    )
    op.execute("ALTER TABLE round ENABLE ALWAYS TRIGGER stays")


def downgrade() -> None:
    """Go back."""
    op.execute("DROP TRIGGER stays ON round")
    for table in TABLES:
        op.execute(f"DROP TRIGGER stays ON {table}")
        op.execute(f"DROP TRIGGER never_emptied ON {table}")
    op.execute("DROP FUNCTION refuse_change_of_round()")
    op.execute("DROP FUNCTION refuse_change_of_frozen()")
