"""Two demos or services at once: the second is refused, and a process that gets a signal leaves no process behind."""

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from enrollment.demo.servers import new_database
from people import SECRET
from processes import Started, free_port, run, started

# A worker that is told to end may be in the middle of a statement.
pytestmark = pytest.mark.postgresql_errors("canceling statement due to user request")

UP = "A city of"
"""The demo prints this when its service is ready."""


@pytest.fixture(autouse=True)
def as_from_a_terminal() -> Iterator[None]:
    """Let started processes notice a closed terminal, even if the tests themselves ignore it."""
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGHUP, hangup)
    signal.signal(signal.SIGINT, interrupt)


@pytest.fixture
def try_words(tmp_path: Path) -> tuple[str, ...]:
    """Return the words of `enrollment try`, without folder and port."""
    password = tmp_path / "password"
    password.write_text("an invented password", encoding="utf-8")
    return ("enrollment", "try", "--administrator", "ann", "--password-file", str(password))


@pytest.fixture
def taken_port() -> Iterator[str]:
    """Return a port that another program uses."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield str(listening.getsockname()[1])


def demo_words(folder: Path) -> tuple[str, ...]:
    return ("enrollment.demo", "--size", "town", "--folder", str(folder), "--port", free_port())


def service_settings(database: str) -> dict[str, str]:
    return {"DATABASE_URL": database, "ENROLLMENT_SECRET": SECRET}


def test_a_second_demo_in_a_folder_is_refused_and_the_first_continues_until_a_signal(
    tmp_path: Path, try_words: tuple[str, ...]
) -> None:
    folder = tmp_path / "city"
    with started(folder, *demo_words(folder)) as first:
        first.until_it_says(UP)
        for words in (demo_words(folder), (*try_words, "--folder", str(folder), "--port", "0")):
            code, told = run(tmp_path / "second", *words)
            assert code == 2
            assert f"{folder} is in use by a demo (process {first.process.pid}, http://127.0.0.1:" in told
            assert "End that process, or choose another folder with --folder." in told
            assert len(told.splitlines()) == 1
        first.until_it_says("The cycle opens")
        code, _ = first.end_by(signal.SIGTERM)
        assert code == -signal.SIGTERM
        first.until_nothing_is_left()


def test_a_killed_demo_leaves_no_process_and_the_next_demo_in_the_folder_works(tmp_path: Path) -> None:
    folder = tmp_path / "city"
    with started(folder, *demo_words(folder)) as killed:
        killed.until_it_says(UP)
        killed.end_by(signal.SIGKILL)
        killed.until_nothing_is_left()
    with started(folder, *demo_words(folder)) as following:
        following.until_it_says(UP)
        code, _ = following.end_by(signal.SIGINT)
        assert code == -signal.SIGINT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_demo_that_gets_a_signal_while_it_starts_ends_by_that_signal_and_leaves_no_process(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "city"
    with started(folder, *demo_words(folder)) as demo:
        demo.until_it_says("The service starts")
        code, told = demo.end_by(number)
        assert (code, told) == (-number, "")
        demo.until_nothing_is_left()


def test_two_demos_on_one_server_have_separate_databases_and_drop_them(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", server)
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    with new_database(folders[0]) as first, psycopg.connect(first, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept ()")
        with new_database(folders[1]) as second:
            assert first != second
        connection.execute("SELECT FROM kept")
    with psycopg.connect(server) as connection:
        found = connection.execute(
            "SELECT FROM pg_database WHERE datname = ANY(%s)",
            [[(folder / "database-name").read_text(encoding="ascii") for folder in folders]],
        )
        assert found.fetchall() == []


def test_a_demo_at_a_port_in_use_does_nothing_and_says_what_to_do(tmp_path: Path, taken_port: str) -> None:
    folder = tmp_path / "city"
    code, told = run(folder, "enrollment.demo", "--folder", str(folder), "--port", taken_port)
    assert (code, told) == (2, f"scripts/demo: {in_use(taken_port)}")
    assert not folder.exists()


def in_use(port: str) -> str:
    return f"port {port} is in use by another program. Choose another port with --port, or stop that program.\n"


def test_try_at_a_port_in_use_does_nothing_and_says_what_to_do(
    tmp_path: Path, taken_port: str, try_words: tuple[str, ...]
) -> None:
    folder = tmp_path / "city"
    code, told = run(folder, *try_words, "--folder", str(folder), "--port", taken_port)
    assert (code, told) == (2, f"enrollment: {in_use(taken_port)}")
    assert not folder.exists()


@pytest.mark.parametrize("processes", ["1", "2"])
def test_serving_at_a_port_in_use_is_refused_in_one_line(tmp_path: Path, taken_port: str, processes: str) -> None:
    words = ("enrollment", "serve", "--port", taken_port, "--processes", processes)
    code, told = run(tmp_path, *words, **service_settings("postgresql://nobody@127.0.0.1:1/nothing"))
    assert (code, told) == (2, f"enrollment: {in_use(taken_port)}")


def test_a_second_try_in_a_folder_is_refused_and_the_first_ends_with_all_its_processes(
    tmp_path: Path, try_words: tuple[str, ...]
) -> None:
    folder = tmp_path / "city"
    words = (*try_words, "--folder", str(folder), "--port", "0")
    with started(folder, *words) as first:
        address = first.until_it_says("Press Ctrl-C to stop").split()[5].rstrip(".")
        code, told = run(tmp_path / "second", *words)
        assert code == 2
        assert f"by enrollment try (process {first.process.pid}, {address})" in told
        assert httpx.get(f"{address}/readyz", timeout=60).is_success
        code, _ = first.end_by(signal.SIGTERM)
        assert code == -signal.SIGTERM
        first.until_nothing_is_left()


def test_a_killed_try_leaves_no_postgresql_and_the_next_try_finds_its_data(
    tmp_path: Path, try_words: tuple[str, ...]
) -> None:
    folder = tmp_path / "city"
    words = (*try_words, "--folder", str(folder), "--port", "0")
    with started(folder, *words) as killed:
        killed.until_it_says("Press Ctrl-C to stop")
        killed.end_by(signal.SIGKILL)
        killed.until_nothing_is_left()
    with started(folder, *words) as following:
        address = following.until_it_says("Press Ctrl-C to stop").split()[5].rstrip(".")
        signed_in = httpx.post(
            f"{address}/v1/sessions",
            json={"id": "ann", "password": "an invented password"},
            headers={"Idempotency-Key": "once"},
            timeout=60,
        )
        assert signed_in.is_success, signed_in.text
        code, _ = following.end_by(signal.SIGHUP)
        assert code == -signal.SIGHUP


def test_a_folder_that_cannot_be_made_is_reported_in_one_line(tmp_path: Path, try_words: tuple[str, ...]) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "city"
    for words in (demo_words(folder), (*try_words, "--folder", str(folder), "--port", "0")):
        code, told = run(tmp_path / "run", *words)
        assert code == 2
        assert re.fullmatch(r"(enrollment|scripts/demo): .*file/city.*\n", told)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_web_server_ends_by_the_signal_that_it_gets_with_all_its_processes(
    tmp_path: Path, database: str, number: signal.Signals, processes: str
) -> None:
    with Serving(tmp_path, database, processes) as server:
        code, told = server.end_by(number)
        assert code == -number
        assert "Traceback" not in told
        server.until_nothing_is_left()


def test_web_processes_end_when_their_parent_is_killed(tmp_path: Path, database: str) -> None:
    with Serving(tmp_path, database, "2") as server:
        server.end_by(signal.SIGKILL)
        server.until_nothing_is_left()


class Serving:
    """A web server that runs until the block ends."""

    def __init__(self, folder: Path, database: str, processes: str) -> None:
        words = ("enrollment", "serve", "--port", "0", "--processes", processes)
        self._opened = started(folder, *words, **service_settings(database))

    def __enter__(self) -> Started:
        begun = self._opened.__enter__()
        address = begun.until_it_says("The service is running at").split()[-1].rstrip(".")
        assert httpx.get(f"{address}/readyz", timeout=120).is_success
        return begun

    def __exit__(self, *raised: object) -> None:
        self._opened.__exit__(None, None, None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_worker_ends_by_the_signal_that_it_gets(tmp_path: Path, database: str, number: signal.Signals) -> None:
    with started(tmp_path, "enrollment", "worker", **service_settings(database)) as worker:
        until_a_worker_is_there(database)
        code, told = worker.end_by(number)
    assert code == -number
    assert "Traceback" not in told


def until_a_worker_is_there(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(500_000):
            if connection.execute("SELECT FROM procrastinate_workers").fetchone() is not None:
                return
    pytest.fail("no worker came up")


def test_a_signal_that_nohup_ignores_stays_ignored(tmp_path: Path, database: str) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what this process ignores, those that it starts ignore
    try:
        with Serving(tmp_path, database, "1") as server:
            os.kill(server.process.pid, signal.SIGHUP)
            code, _ = server.end_by(signal.SIGTERM)
            assert code == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGHUP, before)
