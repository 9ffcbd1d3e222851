"""How Alembic runs a migration: one transaction, a short wait for locks, the service's tables and no others."""

from alembic import context
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool

import enrollment.tables
from enrollment.database import Table

LOCK_TIMEOUT = "5s"
"""A migration that waits longer for a lock would make every request behind it wait; it gives up instead."""


def _ours(name: str | None, kind: str, _: object) -> bool:
    return kind != "table" or name in Table.metadata.tables


def run() -> None:
    """Run the migrations on the address that was given, or the one of the environment."""
    url = context.config.attributes.get("url") or enrollment.tables.address_of_environment()
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        context.configure(
            connection=connection,
            target_metadata=Table.metadata,
            include_name=_ours,
            compare_server_default=True,
            transactional_ddl=True,
        )
        context.run_migrations()
    engine.dispose()


run()
