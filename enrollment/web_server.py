"""The web server: its socket, its processes and their end."""

import errno
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from enrollment.app import create_app_from_environment
from enrollment.http_protocol import GuardedProtocol, raise_file_limit
from enrollment.signals import ENDING, noted_signals

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 15

GRACE_SECONDS = 20
"""Seconds that requests in progress may take when the server ends."""


class CannotListen(RuntimeError):
    """The server cannot listen on the address."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, so that no other program gets the port. Port 0 picks a free port.

    Raises:
        CannotListen: if the address cannot be used. The message says what to do.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListen(_reason(error, host, port)) from None


def _reason(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} is in use by another program. Choose another port with --port, or stop that program."
        case errno.EACCES:
            return f"only the system administrator may use port {port}. Choose port 1024 or higher with --port."
        case _:
            return f"{host} is not an address of this machine. Choose another address with --host."


def address_of(listening: socket.socket) -> str:
    """Return the address of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_web(listening: socket.socket, *, processes: int) -> None:
    """Serve the API on a socket until a signal. Settings come from the environment."""
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="enrollment-metrics-") as folder:
        if processes > 1:
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)  # the processes share their metrics
        _serve(_config(processes), listening)


def _config(processes: int) -> uvicorn.Config:
    return uvicorn.Config(
        "enrollment.web_server:web_app",
        factory=True,
        workers=processes,
        http=GuardedProtocol,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _serve(config: uvicorn.Config, listening: socket.socket) -> None:
    if config.workers == 1:
        _serve_here(config, listening)
    else:
        _serve_in_processes(config, listening)


def _serve_here(config: uvicorn.Config, listening: socket.socket) -> None:
    server = _Server(config)
    with noted_signals(lambda number: server.handle_exit(number, None)):
        server.run(sockets=[listening])
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)


class _Server(uvicorn.Server):
    """A server whose signals are handled outside, because uvicorn ignores a closed terminal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _serve_in_processes(config: uvicorn.Config, listening: socket.socket) -> None:
    before = {number: signal.getsignal(number) for number in ENDING}
    supervisor = _Supervisor(config, sockets=[listening])  # uvicorn sets its own handlers
    if before[signal.SIGHUP] is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor.run()
    for number, handler in before.items():
        signal.signal(number, handler)
    if supervisor.received is None:
        raise SystemExit(STARTUP_FAILURE)
    signal.raise_signal(supervisor.received)


class _Supervisor(Multiprocess):
    """Several web processes that end on any ending signal."""

    received: int | None = None

    def handle_signals(self) -> None:
        """Handle the signals since the last look. By default uvicorn would restart when the terminal is closed."""
        self.received = next((number for number in self.signal_queue if number in ENDING), None)
        if self.received is not None:
            self.should_exit.set()
        else:
            super().handle_signals()


def web_app() -> FastAPI:
    """Return the app of a web process. A child process ends with its parent."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent handles it, and ends its children
        threading.Thread(target=_end_with, args=(parent,), daemon=True, name="end with parent").start()
    return create_app_from_environment()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
