"""Every table of the service, for Alembic: importing this module adds all tables to `Table.metadata`."""

import enrollment.app as _  # noqa: F401 - the app imports every feature
from enrollment.settings import settings_of_environment


def address_of_environment() -> str:
    """Return the database address from the environment."""
    return settings_of_environment().database_url
