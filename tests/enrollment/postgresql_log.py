"""PostgreSQL's log in the tests: after each test, no error line of its databases that the test did not mean.

A test that means some says so: `@pytest.mark.postgresql_errors("duplicate key", ...)`, each a part of such a line.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PREFIX = f"enrollment_{os.getpid()}_"
"""What the names of all databases begin with that this process makes: tests run in parallel on one server."""

ERROR_LINE = re.compile(rf"^\S+ \S+ \S+ \[\d+\] {PREFIX}\w+ ((?:ERROR|FATAL|PANIC): .*)$", re.MULTILINE)

ALWAYS_MEANT = (
    "terminating connection due to administrator command",  # a database was dropped, or a connection ended
    "connection to client lost",  # a process was killed
    "terminating connection because protocol synchronization was lost",  # likewise
    "unexpected EOF on client connection",  # likewise
    f'FATAL:  database "{PREFIX}',  # it was dropped while a process that was killed still connected
)
"""What only a test does to a server."""

NOT_READ = "PostgreSQL's log is not checked: DATABASE_URL names a server whose log is not here"


class LogReader:
    """Reads what a server's log has got since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size

    def new_errors(self) -> list[str]:
        """Return the error lines that came since the last time, of databases that this process made."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            lines = file.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._read += len(whole)
        return [line for line in ERROR_LINE.findall(whole.decode(errors="replace")) if not _has(line, ALWAYS_MEANT)]


LOG = pytest.StashKey[LogReader]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "postgresql_errors(*parts): error lines in PostgreSQL's log that the test means")


def pytest_report_header() -> list[str]:
    """Say why the log is not looked at, where it is not."""
    return [NOT_READ] if "DATABASE_URL" in os.environ else []


@pytest.fixture(autouse=True)
def postgresql_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that PostgreSQL logged an error for which the test did not mean."""
    yield
    reader = request.config.stash.get(LOG, None)
    if reader is None:
        return
    meant = [part for mark in request.node.iter_markers("postgresql_errors") for part in mark.args]
    errors = [line for line in reader.new_errors() if not _has(line, meant)]
    assert not errors, "PostgreSQL logged what this test did not mean:\n" + "\n".join(errors)


def _has(line: str, parts: Iterable[str]) -> bool:
    return any(part in line for part in parts)
