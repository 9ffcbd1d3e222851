"""The real service as a process of its own, to be killed at any moment."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from people import METRICS_TOKEN, SECRET

MAX_LOOKS = 3_000
"""Looks until it is up, or a job is done; each takes a few milliseconds at least."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that serves and works at once, and where."""

    process: "subprocess.Popen[bytes]"
    address: str

    def kill(self) -> None:
        """End it as a power cut would: nothing of it runs on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(
    database: str,
    *,
    settings: Mapping[str, str] | None = None,
    log: Path | None = None,
    open_files: int | None = None,
    processes: int = 1,
) -> Iterator[Running]:
    """Serve a database, with a worker inside, on a free port; yield once it is ready.

    Args:
        database: its address.
        settings: environment variables beside those that every test has.
        log: a file for what the service writes to standard error.
        open_files: how many files the process may open, if fewer than usual.
        processes: how many web processes there are.
    """
    several = ("--processes", str(processes)) if processes > 1 else ()
    with starting(database, *several, settings=settings, log=log, open_files=open_files) as started:
        _wait_until_ready(started)
        yield started


@contextmanager
def starting(
    database: str,
    *words: str,
    settings: Mapping[str, str] | None = None,
    log: Path | None = None,
    open_files: int | None = None,
) -> Iterator[Running]:
    """Serve a database likewise, and yield at once, whether or not it is ready."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    serving = ("serve", "--port", str(port), *words)
    process = start(database, *serving, settings=settings, log=log, open_files=open_files)
    started = Running(process, f"http://127.0.0.1:{port}")
    try:
        yield started
        if "--processes" in words and process.poll() is None:
            process.terminate()  # its web processes end before the database goes
            process.wait()
    finally:
        started.kill()


def start(
    database: str,
    *words: str,
    settings: Mapping[str, str] | None = None,
    log: Path | None = None,
    open_files: int | None = None,
) -> "subprocess.Popen[bytes]":
    """Start the command line on a database, to be ended by the caller."""
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "ENROLLMENT_SECRET": SECRET,
        "ENROLLMENT_WORKER_INSIDE": "true",
        "ENROLLMENT_STALLED_AFTER": "2",
        "ENROLLMENT_METRICS_TOKEN": METRICS_TOKEN,
        **(settings or {}),
    }
    command = [sys.executable, "-m", "enrollment", *words]
    if open_files is not None:
        command = ["sh", "-c", f'ulimit -n {open_files} && exec "$@"', "sh", *command]
    with (log or Path(os.devnull)).open("wb") as stream:
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=stream)


def _wait_until_ready(started: Running) -> None:
    with httpx.Client(base_url=started.address, transport=httpx.HTTPTransport(retries=8), timeout=10) as client:
        for _ in range(MAX_LOOKS):
            if started.process.poll() is not None:
                break
            try:
                if client.get("/readyz").is_success:
                    return
            except httpx.ConnectError:
                continue
    raise RuntimeError("the service did not come up")
