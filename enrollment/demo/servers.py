"""Start and stop the demo's service: PostgreSQL, web processes, a worker."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from psycopg import sql
from sqlalchemy import make_url

from enrollment.embedded import embedded_postgresql
from enrollment.web_server import CannotListen, listen

EMBEDDED_DATABASE = "enrollment_demo"
USUAL_PORT = 8000
WEB_PROCESSES = 2
START_SECONDS = 60
END_SECONDS = 40
"""How long a process may take to end before it is killed. Running requests take less time than that."""

Process = subprocess.Popen[bytes]


class DidNotStart(RuntimeError):
    """The service did not start. The message names its log."""


class ServiceEnded(RuntimeError):
    """A process of the service ended unexpectedly. The message names its log."""


def listen_at(port: int | None) -> socket.socket:
    """Return a socket that listens at a port. None: port 8000 if it is free, otherwise any free port.

    Raises:
        CannotListen: if the port is in use.
    """
    if port is not None:
        return listen("127.0.0.1", port)
    try:
        return listen("127.0.0.1", USUAL_PORT)
    except CannotListen:
        return listen("127.0.0.1", 0)


@contextmanager
def new_database(folder: Path) -> Iterator[str]:
    """Create the demo's database on the server of DATABASE_URL, or on an embedded PostgreSQL.

    The block drops the database from a server when it ends. An embedded database stays in the folder.
    """
    server = os.environ.get("DATABASE_URL")
    if server is None:
        with embedded_postgresql(folder / "postgresql") as embedded:
            _make_database(embedded, EMBEDDED_DATABASE)
            yield _address(embedded, EMBEDDED_DATABASE)
        return
    name = _name_on_server(folder)
    _make_database(server, name)
    try:
        yield _address(server, name)
    finally:
        _drop_database(server, name)


def _name_on_server(folder: Path) -> str:
    """Return the name of this folder's database on a shared server. The name is the same in every run."""
    name_file = folder / "database-name"
    if not name_file.exists() or not name_file.stat().st_size:
        name_file.write_text(f"enrollment_demo_{secrets.token_hex(6)}", encoding="ascii")
    return name_file.read_text(encoding="ascii")


def _make_database(server: str, name: str) -> None:
    _drop_database(server, name)
    with psycopg.connect(_address(server, None), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _drop_database(server: str, name: str) -> None:
    with psycopg.connect(_address(server, None), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _address(server: str, database: str | None) -> str:
    """Return the address of a database on a server. None: the database that the server's address names."""
    url = make_url(server).set(drivername="postgresql")
    return (url if database is None else url.set(database=database)).render_as_string(hide_password=False)


def settings_of(database: str, address: str) -> dict[str, str]:
    """Return the environment variables of the service."""
    return {
        **os.environ,
        "DATABASE_URL": database,
        "ENROLLMENT_SECRET": secrets.token_hex(32),
        "ENROLLMENT_PUBLIC_URL": address,
        "ENROLLMENT_CONNECTIONS": "12",
        "ENROLLMENT_SESSION_HOURS": "24",
        "ENROLLMENT_SESSION_IDLE_MINUTES": "1440",
    }


def run_command(environment: dict[str, str], *words: str) -> None:
    """Run an `enrollment` command, and wait for the command to end.

    Raises:
        DidNotStart: if the command fails.
    """
    command = [sys.executable, "-m", "enrollment", *words]
    if subprocess.run(command, env=environment, check=False, start_new_session=True).returncode != 0:
        raise DidNotStart(f"`enrollment {words[0]}` failed. Read the lines above.")


@contextmanager
def running(environment: dict[str, str], folder: Path, listening: socket.socket) -> Iterator[Sequence[Process]]:
    """Run web processes on a socket, and a worker, until the block ends. They also end if this process is killed.

    Raises:
        DidNotStart: if the service does not start.
    """
    log = folder / "service.log"
    web = ("serve", "--descriptor", str(listening.fileno()), "--processes", str(WEB_PROCESSES))
    with log.open("wb") as stream:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "enrollment", *words, "--end-with-input"],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                pass_fds=descriptors,
                start_new_session=True,  # Ctrl-C reaches only the demo, which then ends them
            )
            for words, descriptors in ((web, [listening.fileno()]), (("worker",), []))
        ]
        host, port = listening.getsockname()
        listening.close()
        try:
            _wait_until_ready(f"http://{host}:{port}", processes, log)
            yield processes
        finally:
            _end(processes)


def _end(processes: Sequence[Process]) -> None:
    for process in processes:
        process.terminate()
    until = time.monotonic() + END_SECONDS
    for process in processes:
        try:
            process.wait(max(0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()


def stay(processes: Sequence[Process], folder: Path) -> None:
    """Wait until a signal ends the demo.

    Raises:
        ServiceEnded: if a process of the service ends unexpectedly.
    """
    while all(process.poll() is None for process in processes):
        time.sleep(1)
    raise ServiceEnded(f"a process of the service ended. Read its log: {folder / 'service.log'}")


def _wait_until_ready(address: str, processes: Sequence[Process], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and all(process.poll() is None for process in processes):
        try:
            if httpx.get(f"{address}/readyz", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise DidNotStart(f"the service did not start. Read its log: {log}")
