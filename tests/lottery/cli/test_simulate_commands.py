"""`lottery simulate`: what it refuses, a table that is whole or not there, and what becomes of a run that is ended."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

import polars as pl
import pytest

from cities import SMALL
from command_line import Captured, exit_code, the_one_line
from lottery.cli.main import main
from lottery.generate.generate import generate
from lottery.market.files import save_market
from lottery.simulate import cluster
from lottery.simulate.table import COLUMNS

SEED = "11" * 32
ENDLESS = 1_000_000
"""Draws that no test waits for."""

PATIENCE = 30
"""Seconds after which a command that should have ended is taken to hang."""

FORMER = "the former table"


def write_market(folder: Path, *, applicants: int = 40) -> str:
    path = folder / "market.json"
    made = generate(replace(SMALL, applicants=applicants))
    save_market(path, made.head, made.applicants)
    return str(path)


def simulate(market: str, table: Path | str, *arguments: str, draws: object = 3) -> list[str]:
    return ["simulate", market, "--draws", str(draws), "--seed", SEED, "-o", str(table), *arguments]


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# ---- the table


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_table_is_written_and_nothing_is_said(ending: str, tmp_path: Path, capsys: Captured) -> None:
    table = tmp_path / f"table.{ending}"

    assert main(simulate(write_market(tmp_path), table)) == 0

    read = pl.read_parquet(table) if ending == "parquet" else pl.read_csv(table, schema=COLUMNS)
    assert dict(read.schema) == COLUMNS
    assert set(read["draws"].to_list()) == {3}
    assert capsys.readouterr() == ("", "")
    assert names_in(tmp_path) == ["market.json", table.name]


def test_a_former_table_is_replaced(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(FORMER, encoding="utf-8")

    assert main(simulate(write_market(tmp_path), table)) == 0

    assert FORMER not in table.read_text(encoding="utf-8")


def test_the_table_is_the_same_on_any_number_of_processes(tmp_path: Path) -> None:
    market, tables = write_market(tmp_path), [tmp_path / "one.parquet", tmp_path / "three.parquet"]

    for table, workers in zip(tables, ("1", "3"), strict=True):
        assert main(simulate(market, table, "--workers", workers, draws=80)) == 0

    assert tables[0].read_bytes() == tables[1].read_bytes()


def test_the_seed_of_a_round_makes_its_numbers_the_true_ones(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"

    assert main(simulate(write_market(tmp_path), table, "--seed-of", "2027-main=" + SEED)) == 0

    chances = pl.read_csv(table, schema=COLUMNS)["chance"].drop_nulls().to_list()
    assert set(chances) == {0.0, 1.0}


SUMMER = {
    "format": "lottery-market/1",
    "round": {"id": "summer", "kind": "backfill"},
    "programs": [{"id": "oak", "school": "oak", "grade": "KG", "seats": 1}],
}
ANN = {"id": "ann", "grade": "KG", "ranking": ["oak"], "drawn_in": "spring"}


@pytest.mark.parametrize(
    ("holds", "arguments", "note"),
    [
        (
            {"program": "oak"},
            [],
            "note: the simulation draws new numbers for spring, but the held seats come from the true numbers; ",
        ),
        ({"program": "oak"}, ["--seed-of", "spring=" + SEED], ""),
        (None, [], ""),
    ],
)
def test_a_note_says_where_seats_are_held_by_numbers_that_are_drawn_anew(
    holds: Mapping[str, str] | None, arguments: list[str], note: str, tmp_path: Path, capsys: Captured
) -> None:
    market = tmp_path / "market.json"
    market.write_text(json.dumps({**SUMMER, "applicants": [{**ANN, "holds": holds}]}), encoding="utf-8")

    assert main(simulate(str(market), tmp_path / "table.csv", *arguments)) == 0

    said = capsys.readouterr().err
    assert said.startswith(note)
    assert bool(said) == bool(note)


# ---- what is refused


@pytest.mark.parametrize("draws", [0, -1, 1.5, "many", "", " 3", "1e3", "+3", "3_000", "٣", 10**10])
def test_draws_that_are_no_number_from_one_on_are_one_line_and_nothing_is_written(
    draws: object, tmp_path: Path, capsys: Captured
) -> None:
    market = write_market(tmp_path)

    assert exit_code([*simulate(market, tmp_path / "table.csv"), f"--draws={draws}"]) == 2

    assert the_one_line(capsys).startswith("lottery simulate: argument --draws: give a whole number from 1 to ")
    assert names_in(tmp_path) == ["market.json"]


@pytest.mark.parametrize("workers", [0, -1, "two"])
def test_workers_that_are_no_number_from_one_on_are_one_line(workers: object, tmp_path: Path, capsys: Captured) -> None:
    assert exit_code([*simulate("market.json", tmp_path / "table.csv"), f"--workers={workers}"]) == 2

    assert the_one_line(capsys).startswith("lottery simulate: argument --workers: give a whole number from 1 to ")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("name", ["table.json", "table", "table.csv.gz", ".csv"])
def test_a_table_of_another_kind_is_refused_with_the_kinds_that_there_are(
    name: str, tmp_path: Path, capsys: Captured
) -> None:
    table = tmp_path / name

    assert exit_code(simulate(write_market(tmp_path), table)) == 2

    assert the_one_line(capsys) == (
        f"{table}: $: is not a kind of table that lottery can write; end its name with .parquet or .csv"
    )
    assert names_in(tmp_path) == ["market.json"]


def test_workers_and_a_scheduler_go_not_together(tmp_path: Path, capsys: Captured) -> None:
    arguments = ["--workers", "2", "--scheduler", "tcp://127.0.0.1:1"]

    assert exit_code(simulate(write_market(tmp_path), tmp_path / "table.csv", *arguments)) == 2

    assert the_one_line(capsys).startswith("--workers and --scheduler: $: do not go together")
    assert names_in(tmp_path) == ["market.json"]


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "127.0.0.1:1", "nonsense", "gopher://127.0.0.1:1"])
def test_an_address_at_which_no_scheduler_answers_is_one_line(
    address: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 1)

    assert exit_code(simulate(write_market(tmp_path), tmp_path / "table.csv", "--scheduler", address)) == 2

    assert the_one_line(capsys).startswith(f"--scheduler: $: no scheduler answers at {address}; start one there")
    assert names_in(tmp_path) == ["market.json"]


def test_a_market_that_is_not_there_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    market = str(tmp_path / "nowhere.json")

    assert exit_code(simulate(market, tmp_path / "table.csv")) == 2

    assert the_one_line(capsys).startswith(f"{market}: $: no such file or directory; ")
    assert names_in(tmp_path) == []


def test_a_faulty_market_is_a_line_per_fault_and_the_former_table_stays(tmp_path: Path, capsys: Captured) -> None:
    market, table = tmp_path / "market.json", tmp_path / "table.csv"
    market.write_text('{"format": "lottery-market/1", "round": {"id": "r", "kind": "summer"}}', encoding="utf-8")
    table.write_text(FORMER, encoding="utf-8")

    assert exit_code(simulate(str(market), table)) == 2

    assert len(capsys.readouterr().err.splitlines()) == 3
    assert table.read_text(encoding="utf-8") == FORMER


def test_the_market_is_never_overwritten_by_its_table(tmp_path: Path, capsys: Captured) -> None:
    market = Path(write_market(tmp_path)).rename(tmp_path / "market.csv")
    before = market.read_bytes()

    assert exit_code(simulate(str(market), market)) == 2

    assert the_one_line(capsys) == f"{market}: $: is the market file; choose another file"
    assert market.read_bytes() == before


def test_a_place_that_cannot_be_written_is_one_line_that_names_it(tmp_path: Path, capsys: Captured) -> None:
    table = tmp_path / "nowhere" / "table.csv"

    assert exit_code(simulate(write_market(tmp_path), table)) == 2

    assert the_one_line(capsys) == f"{table}: $: is in a folder that does not exist; make the folder first"


def test_a_round_with_two_seeds_is_one_line(tmp_path: Path, capsys: Captured) -> None:
    twice = ["--seed-of", "r=" + SEED, "--seed-of", "r=" + "22" * 32]

    assert exit_code(simulate(write_market(tmp_path), tmp_path / "table.csv", *twice)) == 2

    assert the_one_line(capsys) == "seed: $: round r has two different seeds; give its seed once"
    assert names_in(tmp_path) == ["market.json"]


# ---- what becomes of a run that is ended


HEARS_INTERRUPTS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Runs a command as a terminal does, also where the tests themselves run in the background and ignore interrupts."""


class Run:
    """A command on a terminal of its own, as a person runs it."""

    def __init__(self, arguments: list[str]) -> None:
        self.terminal, its_end = pty.openpty()
        command = [sys.executable, "-c", HEARS_INTERRUPTS, "-m", "lottery", *arguments]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
        self.process = subprocess.Popen(command, stderr=its_end, start_new_session=True, env=environment)
        os.close(its_end)
        self.shown = b""

    def shows(self, pattern: bytes) -> None:
        """Read what the command shows until the pattern is there."""
        while not re.search(pattern, self.shown):
            self.shown += os.read(self.terminal, 1 << 16)

    def wait_for_workers(self, count: int) -> None:
        while len(self.workers()) < count:
            select.select([], [], [], 0.005)
            assert self.process.poll() is None

    def workers(self) -> list[int]:
        of_process = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [pid for pid in map(int, of_process.read_text(encoding="ascii").split()) if is_worker(pid)]

    def interrupt(self) -> None:
        """Press Ctrl-C, which goes to every process of the terminal."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ends(self) -> int:
        """Read what is shown to its end, and return the exit code."""
        hangs = monotonic() + PATIENCE
        while monotonic() < hangs and select.select([self.terminal], [], [], PATIENCE)[0]:
            try:
                self.shown += os.read(self.terminal, 1 << 16)
            except OSError:  # the end, as a terminal says it
                break
        return self.process.wait(PATIENCE)


def is_worker(pid: int) -> bool:
    try:
        return b"--multiprocessing-fork" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


@contextmanager
def running(folder: Path, *, workers: int, applicants: int = 40) -> Iterator[Run]:
    """Begin a run that is far from its end."""
    (folder / "table.csv").write_text(FORMER, encoding="utf-8")
    market = write_market(folder, applicants=applicants)
    run = Run(simulate(market, folder / "table.csv", "--workers", str(workers), draws=ENDLESS))
    try:
        yield run
    finally:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGKILL)
            run.process.wait()
        os.close(run.terminal)


DRAWN = rb"[1-9]\d*/1000000"
"""A bar that says that some are drawn."""


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_says_nothing_and_leaves_the_former_table(workers: int, tmp_path: Path) -> None:
    with running(tmp_path, workers=workers) as run:
        run.shows(DRAWN)
        run.interrupt()

        assert run.ends() == 130

    assert b"Traceback" not in run.shown
    assert b"Error" not in run.shown
    assert names_in(tmp_path) == ["market.json", "table.csv"]
    assert (tmp_path / "table.csv").read_text(encoding="utf-8") == FORMER


def test_an_interrupted_run_leaves_no_process_behind(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as run:
        run.shows(DRAWN)
        workers = run.workers()
        run.interrupt()
        run.ends()

    assert len(workers) == 2
    assert [pid for pid in workers if is_worker(pid)] == []


def test_an_interrupt_while_the_workers_start_ends_the_run(tmp_path: Path) -> None:
    with running(tmp_path, workers=2, applicants=3_000) as run:
        run.wait_for_workers(1)
        run.interrupt()

        assert run.ends() == 130

    assert b"Traceback" not in run.shown


def test_a_worker_that_is_killed_ends_the_run_with_a_line_that_says_so(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as run:
        run.shows(DRAWN)
        os.kill(run.workers()[0], signal.SIGKILL)

        assert run.ends() == 2

    line = b"--workers: $: a worker process ended too early, perhaps for lack of memory; use fewer workers"
    assert line in run.shown
    assert b"Traceback" not in run.shown
    assert names_in(tmp_path) == ["market.json", "table.csv"]
    assert (tmp_path / "table.csv").read_text(encoding="utf-8") == FORMER
