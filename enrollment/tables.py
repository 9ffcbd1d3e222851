"""Every table of the service, known to `Table.metadata` once this is imported."""

from enrollment.settings import settings_of_environment


def address_of_environment() -> str:
    """Return the database's address as the environment has it."""
    return settings_of_environment().database_url
