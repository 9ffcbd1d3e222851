"""A PostgreSQL for the tests, and a new database for each of them, so that commits, locks and triggers are real."""

import fcntl
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from enrollment.embedded import embedded_postgresql, log_of
from enrollment.migrate import upgrade
from people import Service
from postgresql_log import LOG, PREFIX, LogReader

TEMPLATE = "enrollment_template"


def _run_folder() -> Path:
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"enrollment-tests-{run}"
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def server(pytestconfig: pytest.Config) -> Iterator[str]:
    """Return the address of a PostgreSQL with a migrated template database, one for all workers."""
    if address := os.environ.get("DATABASE_URL"):
        _have_template(address)
        yield address
        return
    folder = _run_folder() / "postgresql"
    with embedded_postgresql(folder) as address:
        pytestconfig.stash[LOG] = LogReader(log_of(folder))
        _have_template(address)
        yield address


def _have_template(address: str) -> None:
    folder = _run_folder()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / "template"
        if not made.exists():
            _make_template(address)
            made.touch()


def _make_template(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(TEMPLATE)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    upgrade(database_of(address, TEMPLATE))


def database_of(address: str, name: str) -> str:
    """Return the address of another database of the same server."""
    before, _, after = address.partition("?")
    return f"{before.rpartition('/')[0]}/{name}" + (f"?{after}" if after else "")


@contextmanager
def new_database(server: str, template: str) -> Iterator[str]:
    """Yield the address of a new database that begins as another one of the server, to which nobody is connected."""
    name = f"{PREFIX}{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(made.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield database_of(server, name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """Return the address of a new, migrated, empty database."""
    with new_database(server, TEMPLATE) as address:
        yield address


@pytest.fixture
def service(database: str) -> Iterator[Service]:
    """Return the whole service on a new database, to be asked over HTTP in this process."""
    with Service(database) as opened:
        yield opened
