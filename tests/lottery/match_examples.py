"""Settings for properties of matches."""

from hypothesis import HealthCheck, settings


def examples(count: int) -> settings:
    slow_machine = (HealthCheck.too_slow, HealthCheck.data_too_large)
    return settings(max_examples=count, deadline=None, suppress_health_check=slow_machine)
