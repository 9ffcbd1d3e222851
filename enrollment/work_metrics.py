"""Metrics of work that is done apart from requests: jobs, failures, and how far the log's sequencer is behind."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from anyio import to_thread
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy.orm import Session, sessionmaker

from enrollment.database import transaction
from enrollment.health import failures_by_work, job_counts, oldest_unsealed

FRESH_SECONDS = 15
"""How long an answer of the database is shown before it is asked again: it has to look through the whole log."""

WAIT_SECONDS = 2
"""How long whoever reads the metrics waits for the database; then the former figures are shown."""


class WorkMetrics:
    """What the database knows of work, as gauges; asked over a connection that no request uses.

    Args:
        sessions: where the database is asked.
        registry: where the gauges are shown.
    """

    def __init__(self, sessions: "sessionmaker[Session]", registry: CollectorRegistry) -> None:
        self._sessions = sessions
        self._looked_at = -float(FRESH_SECONDS)
        self._looking: asyncio.Task[None] | None = None
        self._shown: dict[int, set[tuple[str, ...]]] = {}
        self._unsealed = Gauge(
            "enrollment_oldest_unsealed_seconds",
            "Age of the oldest entry without a place in the log.",
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self._jobs = Gauge(
            "enrollment_jobs",
            "Jobs by kind and state.",
            ["kind", "state"],
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self._failures = Gauge(
            "enrollment_work_failures",
            "Work that failed and is not done.",
            ["work"],
            registry=registry,
            multiprocess_mode="livemostrecent",
        )

    async def refresh(self) -> None:
        """Bring the gauges up to date, unless they are fresh, or the database takes too long."""
        if self._looking is None and time.monotonic() - self._looked_at >= FRESH_SECONDS:
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=WAIT_SECONDS)

    async def _look(self) -> None:
        try:
            await to_thread.run_sync(self._ask)
        except Exception as error:  # noqa: BLE001 - metrics are shown whatever the database says
            structlog.get_logger().warning("metrics of work are old", error=type(error).__name__)
        finally:
            self._looked_at, self._looking = time.monotonic(), None

    def _ask(self) -> None:
        with transaction(self._sessions) as session:
            age, jobs, failures = oldest_unsealed(session), job_counts(session), failures_by_work(session)
        self._unsealed.set(age.total_seconds() if age else 0)
        self._show(self._jobs, {(count.name, count.state): count.number for count in jobs})
        self._show(self._failures, {(work,): number for work, number in failures.items()})

    def _show(self, gauge: Gauge, numbers: Mapping[tuple[str, ...], int]) -> None:
        """Set a gauge; what was there before and is gone now is zero."""
        shown = self._shown.setdefault(id(gauge), set())
        for labels in shown - numbers.keys():
            gauge.labels(*labels).set(0)
        for labels, number in numbers.items():
            gauge.labels(*labels).set(number)
        shown.update(numbers)
