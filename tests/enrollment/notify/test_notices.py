"""Notices: a reader that continues from its cursor misses no notice, in whatever order they are committed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.database import transaction
from enrollment.migrate import downgrade, upgrade
from enrollment.notify.models import Notice
from enrollment.notify.notice_numbers import number_notices
from enrollment.notify.notices import NewNotice, notify
from lottery.market.canonical import Json
from people import Caller, Service
from rows import add_cycle

NOTICES = "/v1/cycles/2027/notices"
WRITERS, ACTS = 4, 12
MAX_LOOKS = 2_000


@pytest.fixture
def portal(service: Service) -> Caller:
    with transaction(service.sessions) as session:
        add_cycle(session)
    return service.partner("city-portal")


def write(session: Session, subject: str, partner: str = "city-portal") -> None:
    """Write a notice in a transaction."""
    notify(session, [NewNotice("2027", partner, "offer.made", subject, {"reference": subject})])


@contextmanager
def open_session(service: Service) -> Iterator[Session]:
    """Yield a session. The test ends its transaction."""
    session = service.sessions()
    try:
        yield session
    finally:
        session.close()


def number(service: Service) -> None:
    """Run one numbering pass of a worker."""
    with transaction(service.sessions) as session:
        number_notices(session)


def read_to_the_end(partner: Caller, cursor: str | None = None, limit: int = 2) -> tuple[list[str], str]:
    """Return the subjects of all notices after a cursor, in order, and the next cursor."""
    subjects: list[str] = []
    following = cursor
    while True:
        joint = f"&cursor={following}" if following else ""
        page = partner.get(f"{NOTICES}?limit={limit}{joint}").json()
        subjects += [notice["about"]["reference"] for notice in page["data"]]
        following = page["next_cursor"]
        if following is None:
            return subjects, page["resume_cursor"]


def test_a_notice_that_is_committed_late_comes_after_notices_with_later_ids(service: Service, portal: Caller) -> None:
    with open_session(service) as slow, open_session(service) as quick:
        write(slow, "written first")
        write(quick, "committed first")
        quick.commit()
        number(service)
        subjects, cursor = read_to_the_end(portal)
        assert subjects == ["committed first"]
        slow.commit()
    number(service)
    assert read_to_the_end(portal, cursor)[0] == ["written first"]
    assert read_to_the_end(portal)[0] == ["committed first", "written first"]


def test_the_resume_cursor_gives_exactly_the_later_notices(service: Service, portal: Caller) -> None:
    empty = portal.get(NOTICES).json()
    assert (empty["data"], empty["next_cursor"]) == ([], None)
    with transaction(service.sessions) as session:
        for subject in ("a", "b", "c"):
            write(session, subject)
    number(service)
    first, cursor = read_to_the_end(portal, empty["resume_cursor"])
    assert first == ["a", "b", "c"]
    assert read_to_the_end(portal, cursor) == ([], cursor)
    with transaction(service.sessions) as session:
        write(session, "d")
    assert read_to_the_end(portal, cursor) == ([], cursor)  # the notice has no number yet
    number(service)
    assert read_to_the_end(portal, cursor)[0] == ["d"]


def test_the_notices_of_each_partner_have_numbers_without_gaps(service: Service, portal: Caller) -> None:
    network = service.partner("network")
    for subject, partner in (("a", "city-portal"), ("b", "network"), ("c", "network"), ("d", "city-portal")):
        with transaction(service.sessions) as session:
            write(session, subject, partner)
        number(service)
    for reader in (portal, network):
        assert [notice["number"] for notice in reader.get(NOTICES).json()["data"]] == [1, 2]


def test_a_reader_misses_no_notice_while_many_transactions_write(service: Service, portal: Caller) -> None:
    def write_some(writer: int) -> None:
        for act in range(ACTS):
            with transaction(service.sessions) as session:
                write(session, f"{writer}-{act}")
                number(service)  # a numbering pass before this transaction commits
                write(session, f"{writer}-{act}-again")
            number(service)

    with ThreadPoolExecutor(max_workers=WRITERS) as pool:
        writing = [pool.submit(write_some, writer) for writer in range(WRITERS)]
        subjects, cursor = read_to_the_end(portal, limit=7)
        for _ in range(MAX_LOOKS):
            if all(one.done() for one in writing):
                break
            more, cursor = read_to_the_end(portal, cursor, limit=7)
            subjects += more
        for one in writing:
            one.result()
    more, _ = read_to_the_end(portal, cursor)
    assert len(subjects + more) == len(set(subjects + more)) == WRITERS * ACTS * 2
    listed = portal.get(f"{NOTICES}?limit=200").json()["data"]
    assert [notice["number"] for notice in listed] == list(range(1, len(listed) + 1))
    assert [notice["about"]["reference"] for notice in listed] == subjects + more


def test_the_migration_numbers_earlier_notices_in_order(service: Service, portal: Caller) -> None:
    service.partner("network")
    wanted: list[Json] = []
    for place, subject in enumerate("dacb"):
        with transaction(service.sessions) as session:
            write(session, subject)
            write(session, f"theirs {place}", "network")
        wanted.append(subject)
    downgrade(service.database, "0005")
    upgrade(service.database)
    assert read_to_the_end(portal)[0] == wanted
    with transaction(service.sessions) as session:
        numbers = session.scalars(select(Notice.number).where(Notice.partner_id == "network")).all()
    assert sorted(number or 0 for number in numbers) == [1, 2, 3, 4]
