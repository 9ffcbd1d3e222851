"""Do several things at once, and wait until one of them waits for a lock."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx2
import pytest
from sqlalchemy import text

from enrollment.database import transaction
from people import Service

MAX_LOOKS = 100_000

Act = Callable[[], httpx2.Response]


def at_once(*acts: Act) -> list[httpx2.Response]:
    """Do acts at the same time; return their answers."""
    ready = Barrier(len(acts))

    def act(one: Act) -> httpx2.Response:
        ready.wait()
        return one()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def statuses(answers: Sequence[httpx2.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def until_somebody_waits(service: Service) -> None:
    """Return once another connection waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(MAX_LOOKS):
        with transaction(service.sessions) as session:
            if session.execute(waiting).scalar_one():
                return
    pytest.fail("nobody waits for a lock")
