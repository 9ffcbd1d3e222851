"""The database address for Alembic."""

from enrollment.settings import settings_of_environment


def address_of_environment() -> str:
    """Return the database address from the environment."""
    return settings_of_environment().database_url
