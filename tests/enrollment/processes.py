"""The project's commands as processes of their own: what they say, how they end, and what they leave behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

MAX_LOOKS = 3_000
"""Looks at all processes of the machine; each takes some milliseconds at least."""

MAX_SECONDS = 240
"""For a process to end on a busy machine, before it counts as hung."""


@dataclass(frozen=True, slots=True)
class Started:
    """A command that runs, and the folder that it and all it starts have in their words or environment."""

    process: "subprocess.Popen[str]"
    folder: Path

    def until_it_says(self, text: str) -> str:
        """Read what it says up to a line with a text, and return that line."""
        told = []
        for line in self.process.stdout or ():
            told.append(line)
            if text in line:
                return line
        pytest.fail(f"it ended and never said {text!r}, but:\n{''.join(told)}")

    def end_by(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal to it alone; return its exit code and what else it said."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """Wait until it has ended, and all that may write where it writes; return its exit code and what it said."""
        told, _ = self.process.communicate(timeout=MAX_SECONDS)
        return self.process.returncode, told

    def until_nothing_is_left(self) -> None:
        """Look until no process is there that this one started."""
        left: list[psutil.Process] = []
        for _ in range(MAX_LOOKS):
            left = self._left()
            if not left:
                return
        pytest.fail(f"left behind: {[process.info['cmdline'] for process in left]}")

    def _left(self) -> list[psutil.Process]:
        found = psutil.process_iter(["cmdline", "environ", "status"])
        return [one for one in found if one.pid != os.getpid() and _mentions(one, str(self.folder))]


def _mentions(process: psutil.Process, folder: str) -> bool:
    if process.info["status"] == psutil.STATUS_ZOMBIE:
        return False
    in_words = any(folder in word for word in process.info["cmdline"] or ())
    return in_words or (process.info["environ"] or {}).get("STARTED_FOR") == folder


@contextmanager
def started(folder: Path, *words: str, **environment: str) -> Iterator[Started]:
    """Start a module's command; whatever of it still runs after the block is killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        env={**without_database(), "STARTED_FOR": str(folder), "PYTHONUNBUFFERED": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    begun = Started(process, folder)
    try:
        yield begun
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
        begun.until_nothing_is_left()


def run(folder: Path, *words: str, **environment: str) -> tuple[int, str]:
    """Run a module's command to its end; return its exit code and what it said."""
    with started(folder, *words, **environment) as begun:
        return begun.ended()


def without_database() -> Mapping[str, str]:
    """Return this process's environment without the address of a database."""
    return {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}


def free_port() -> str:
    """Return a port that nothing listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return str(listening.getsockname()[1])
