"""Count the deadlocks of a database."""

from sqlalchemy import text

from enrollment.database import transaction
from people import Service


def deadlocks(service: Service) -> int:
    """Return how many deadlocks PostgreSQL has ended in the test's database."""
    with transaction(service.sessions) as session:
        session.execute(text("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()"))
        asked = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(session.execute(asked).scalar_one())
