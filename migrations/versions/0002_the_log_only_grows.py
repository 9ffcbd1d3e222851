"""The log only grows: its tables refuse UPDATE, DELETE and TRUNCATE."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("log_entry", "log_leaf", "log_node")


def upgrade() -> None:
    """Go forward. ENABLE ALWAYS: the triggers also hold where replication switches others off."""
    op.execute(
        """
        CREATE FUNCTION refuse_change_of_log() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the log only grows: % of % is refused', TG_OP, TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation';
        END $$
        """
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change_of_log()"
        )
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_log()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER only_grows")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER never_emptied")


def downgrade() -> None:
    """Go back."""
    for table in TABLES:
        op.execute(f"DROP TRIGGER only_grows ON {table}")
        op.execute(f"DROP TRIGGER never_emptied ON {table}")
    op.execute("DROP FUNCTION refuse_change_of_log()")
