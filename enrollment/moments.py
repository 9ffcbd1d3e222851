"""Say moments of a cycle in words, in its time zone."""

from collections.abc import Callable
from datetime import datetime

from enrollment.cycles.models import Cycle
from enrollment.dates import ZonedTime, time_in_words
from lottery.explain.language import Language

Moment = Callable[[datetime], str]
"""Says a moment in words."""


def moments_of(cycle: Cycle, language: Language) -> Moment:
    """Return a function that says moments in the cycle's time zone, in the reader's language."""
    zone = cycle.time_zone
    return lambda at: time_in_words(ZonedTime(at, zone), language)
