"""Every table of the service, known to `Table.metadata` once this is imported."""

import enrollment.access.models
import enrollment.applicants.models
import enrollment.audit.models
import enrollment.cycles.models
import enrollment.failures
import enrollment.notify.models
import enrollment.rankings.models
import enrollment.rounds.models
import enrollment.schools.models
import enrollment.seats.models
import enrollment.worker_status  # noqa: F401
from enrollment.settings import settings_of_environment


def address_of_environment() -> str:
    """Return the database's address as the environment has it."""
    return settings_of_environment().database_url
