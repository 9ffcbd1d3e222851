"""Metrics of background work: jobs, failures, and the lag of the log sequencer."""

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
"""Seconds between two queries, because a query scans the whole log."""

WAIT_SECONDS = 2
"""Seconds that a metrics request waits for the database. Then it shows the earlier figures."""


class WorkMetrics:
    """Gauges of background work, read over a separate connection.

    Args:
        sessions: opens the transactions.
        registry: the metrics registry.
    """

    def __init__(self, sessions: "sessionmaker[Session]", registry: CollectorRegistry) -> None:
        self._sessions = sessions
        self._looked_at = -float(FRESH_SECONDS)
        self._looking: asyncio.Task[None] | None = None
        self._shown: dict[int, set[tuple[str, ...]]] = {}
        self._unsealed = Gauge(
            "enrollment_oldest_unsealed_seconds",
            "Age of the oldest entry without an index in the log.",
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
            "Failed pieces of work.",
            ["work"],
            registry=registry,
            multiprocess_mode="livemostrecent",
        )

    async def refresh(self) -> None:
        """Update the gauges, unless they are fresh or the database takes too long."""
        if self._looking is None and time.monotonic() - self._looked_at >= FRESH_SECONDS:
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=WAIT_SECONDS)

    async def _look(self) -> None:
        try:
            await to_thread.run_sync(self._ask)
        except Exception as error:  # noqa: BLE001 - metrics must answer despite any database error
            structlog.get_logger().warning("work metrics are outdated", error=type(error).__name__)
        finally:
            self._looked_at, self._looking = time.monotonic(), None

    def _ask(self) -> None:
        with transaction(self._sessions) as session:
            age, jobs, failures = oldest_unsealed(session), job_counts(session), failures_by_work(session)
        self._unsealed.set(age.total_seconds() if age else 0)
        self._show(self._jobs, {(count.name, count.state): count.number for count in jobs})
        self._show(self._failures, {(work,): number for work, number in failures.items()})

    def _show(self, gauge: Gauge, numbers: Mapping[tuple[str, ...], int]) -> None:
        """Set a gauge, and set labels that are gone to zero."""
        shown = self._shown.setdefault(id(gauge), set())
        for labels in shown - numbers.keys():
            gauge.labels(*labels).set(0)
        for labels, number in numbers.items():
            gauge.labels(*labels).set(number)
        shown.update(numbers)
