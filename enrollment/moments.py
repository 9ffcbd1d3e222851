"""Say a moment in words, as families read it: the day, the time, and the zone."""

from collections.abc import Callable
from datetime import UTC, datetime

from babel.dates import format_date, format_time

from enrollment.cycles.models import Cycle
from lottery.explain.language import Language

Moment = Callable[[datetime], str]
"""Says a moment in words."""


def moments_of(_cycle: Cycle, language: Language) -> Moment:
    """Return a function that says moments of a cycle in the reader's language."""

    def moment(at: datetime) -> str:
        day = format_date(at.astimezone(UTC), "full", locale=language.locale)
        return f"{day}, {format_time(at, 'short', tzinfo=UTC, locale=language.locale)} (UTC)"

    return moment
