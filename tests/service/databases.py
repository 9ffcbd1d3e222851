"""A PostgreSQL for the tests, and a new database for each of them, so that commits, locks and triggers are real."""

import fcntl
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from acting import Service
from enrollment.embedded import start_postgresql
from enrollment.migrating import upgrade

TEMPLATE = "enrollment_template"


def _run_folder() -> Path:
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"enrollment-tests-{run}"
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def server() -> str:
    """Return the address of a PostgreSQL with a migrated template database, one for all workers."""
    folder = _run_folder()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        address = os.environ.get("DATABASE_URL") or start_postgresql(folder / "postgresql")
        made = folder / "template"
        if not made.exists():
            _make_template(address)
            made.touch()
    return address


def _make_template(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(TEMPLATE)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    upgrade(database_of(address, TEMPLATE))


def database_of(address: str, name: str) -> str:
    """Return the address of another database of the same server."""
    before, _, after = address.partition("?")
    return f"{before.rpartition('/')[0]}/{name}" + (f"?{after}" if after else "")


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """Return the address of a new, migrated, empty database."""
    name = f"enrollment_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE))
        )
    yield database_of(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def service(database: str) -> Iterator[Service]:
    """Return the whole service on a new database, to be asked over HTTP in this process."""
    with Service(database) as opened:
        yield opened
