"""Search every table for a text."""

from sqlalchemy import text

from enrollment.database import transaction
from people import Service


def tables_with(service: Service, *words: str) -> set[str]:
    """Return the tables, whoever made them, that have one of some words in a row, as text or as bytes."""
    told = [*words, *(word.encode().hex() for word in words)]
    having = set()
    with transaction(service.sessions) as session:
        tables = session.scalars(
            text("SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = current_schema()")
        )
        for table in tables.all():
            rows = session.scalars(text(f"SELECT t::text FROM {table} t"))  # noqa: S608 - names from the catalogue
            if any(word in row for row in rows for word in told):
                having.add(table)
    return having
