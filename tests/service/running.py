"""The real service as a process of its own, to be killed at any moment."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from acting import SECRET

MOST_LOOKS = 3_000
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
def running(database: str) -> Iterator[Running]:
    """Serve a database, with a worker inside, on a free port; yield once it is ready."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    environment = {
        **os.environ,
        "DATABASE_URL": database,
        "ENROLLMENT_SECRET": SECRET,
        "ENROLLMENT_WORKER_INSIDE": "true",
        "ENROLLMENT_STALLED_AFTER": "2",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "enrollment", "serve", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    started = Running(process, f"http://127.0.0.1:{port}")
    try:
        _wait_until_ready(started)
        yield started
    finally:
        started.kill()


def _wait_until_ready(started: Running) -> None:
    with httpx.Client(base_url=started.address, transport=httpx.HTTPTransport(retries=8), timeout=10) as client:
        for _ in range(MOST_LOOKS):
            if started.process.poll() is not None:
                break
            try:
                if client.get("/readyz").is_success:
                    return
            except httpx.ConnectError:
                continue
    raise RuntimeError("the service did not come up")
