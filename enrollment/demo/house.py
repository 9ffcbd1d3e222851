"""The service of the demo as a deployment has it: PostgreSQL, web processes, a worker."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from psycopg import sql

from enrollment.embedded import start_postgresql

DATABASE = "enrollment_demo"
WEB_PROCESSES = 2
START_SECONDS = 60


class DidNotStart(RuntimeError):
    """The service did not come up; the message says where its log is."""


class PortTaken(RuntimeError):
    """Something else listens at the port."""


def free_port(wanted: int | None) -> int:
    """Return the port to listen at: the one wanted, or 8000 if it is free, or another.

    Raises:
        PortTaken: if the one wanted is taken.
    """
    for port in [wanted] if wanted is not None else [8000, 0]:
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listening.getsockname()[1])
    raise PortTaken(f"something else listens at port {wanted}; choose another with --port")


def new_database(folder: Path) -> str:
    """Start PostgreSQL, the embedded one unless DATABASE_URL is set, and make the demo's database anew."""
    server = os.environ.get("DATABASE_URL") or start_postgresql(folder / "postgresql")
    with psycopg.connect(server, autocommit=True) as connection:
        name = sql.Identifier(DATABASE)
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    before, _, after = server.partition("?")
    return f"{before.rpartition('/')[0]}/{DATABASE}" + (f"?{after}" if after else "")


def settings_of(database: str, address: str) -> dict[str, str]:
    """Return the environment of the service."""
    return {
        **os.environ,
        "DATABASE_URL": database,
        "ENROLLMENT_SECRET": secrets.token_hex(32),
        "ENROLLMENT_PUBLIC_URL": address,
        "ENROLLMENT_CONNECTIONS": "12",
        "ENROLLMENT_SESSION_HOURS": "24",
        "ENROLLMENT_SESSION_IDLE_MINUTES": "1440",
    }


def enrollment(environment: dict[str, str], *words: str) -> None:
    """Run an `enrollment` command to its end."""
    subprocess.run([sys.executable, "-m", "enrollment", *words], env=environment, check=True)


@contextmanager
def running(environment: dict[str, str], folder: Path, port: int) -> Iterator[None]:
    """Run the service and a worker; both end with the block.

    Raises:
        DidNotStart: if they do not come up.
    """
    log = folder / "service.log"
    with log.open("wb") as stream:
        web = ("serve", "--port", str(port), "--processes", str(WEB_PROCESSES))
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "enrollment", *words], env=environment, stdout=stream, stderr=stream
            )
            for words in (web, ("worker",))
        ]
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}", processes, log)
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()


def _wait_until_ready(address: str, processes: list["subprocess.Popen[bytes]"], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and all(process.poll() is None for process in processes):
        try:
            if httpx.get(f"{address}/readyz", timeout=5).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise DidNotStart(f"the service did not come up; see {log}")
