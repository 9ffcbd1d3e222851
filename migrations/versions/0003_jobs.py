"""Jobs: procrastinate's own tables and functions, as its version of the lock file has them."""

from alembic import op
from procrastinate import App, SyncPsycopgConnector
from sqlalchemy import text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. Later versions of procrastinate bring migrations of their own, which then get a revision here."""
    schema = App(connector=SyncPsycopgConnector()).schema_manager.get_schema()
    op.get_bind().exec_driver_sql(schema.replace("%", "%%"))


def downgrade() -> None:
    """Go back: everything that begins with procrastinate_."""
    bind = op.get_bind()
    for kind, found in {
        "TABLE": "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'procrastinate\\_%'",
        "FUNCTION": "SELECT oid::regprocedure FROM pg_proc WHERE proname LIKE 'procrastinate\\_%'",
        "TYPE": "SELECT t.typname FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid "
        "WHERE t.typname LIKE 'procrastinate\\_%' AND t.typtype IN ('e', 'c') AND coalesce(c.relkind, 'c') = 'c'",
    }.items():
        for (name,) in bind.execute(text(found)).all():
            bind.execute(text(f"DROP {kind} IF EXISTS {name} CASCADE"))
