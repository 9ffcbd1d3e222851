"""Many draws on a Dask cluster: the same table as on one process, whatever becomes of its workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import lottery
from cities import SMALL, document
from lottery.cli.main import main
from lottery.fast.columns import in_columns
from lottery.generate.generate import generate
from lottery.market.files import save_market
from lottery.progress import Step, Track, untracked
from lottery.simulate import cluster
from lottery.simulate.cluster import NoScheduler, count_draws_on
from lottery.simulate.comparison import Comparison
from lottery.simulate.parallel import WorkerLost
from lottery.simulate.report import Compared
from lottery.simulate.simulation import Simulated, Simulation, prepare
from lottery.simulate.table import table_of

SEED = b"s" * 32
DRAWS = 200  # eight blocks
PLAN = replace(SMALL, applicants=300)

CLUSTER = """
import sys
from distributed import LocalCluster
with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
    print(cluster.scheduler_address, *(nanny.pid for nanny in cluster.workers.values()), flush=True)
    sys.stdin.read()
"""
"""A cluster in processes of its own, until its standard input ends; it says its address, and who its workers are."""

Captured = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Running:
    address: str
    workers: list[int]


@contextmanager
def running(workers: int = 2, *, deaths_forgiven: int = 3) -> Iterator[Running]:
    environment = {
        **os.environ,
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(deaths_forgiven),
        "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[:2])),  # where workers find what is to be counted
    }
    command = [sys.executable, "-c", CLUSTER, str(workers)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        address, *pids = process.stdout.readline().split()
        yield Running(address, list(map(int, pids)))
        process.communicate()


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Running]:
    """Give a cluster whose workers nobody kills."""
    with running() as there:
        yield there


def simulation() -> Simulation:
    return prepare(in_columns(lottery.read_market(document(generate(PLAN)))), seed=SEED)


def table_on(scheduler: str, work: Simulation, *, track: Track = untracked) -> str:
    tally = count_draws_on(scheduler, work, DRAWS, entries=work.compiled.entry_program.size, track=track)
    return table_of(Simulated(work.compiled, tally)).write_csv()


def table_here(work: Simulation) -> str:
    return table_of(Simulated(work.compiled, work.tally(range(DRAWS)))).write_csv()


def killing(workers: Iterable[int], *, after: int) -> Track:
    """Return what kills these workers once so many draws are counted."""

    def track(steps: Iterable[Step], work: str, total: int | None) -> Iterator[Step]:
        assert (work, total) == ("drawing", DRAWS)
        for count, step in enumerate(steps, start=1):
            if count == after:
                for pid in workers:
                    os.kill(pid, signal.SIGKILL)
            yield step

    return track


def test_the_table_is_the_one_of_one_process(two_workers: Running) -> None:
    work = simulation()
    assert table_on(two_workers.address, work) == table_here(work)


def test_a_comparison_is_the_one_of_one_process(two_workers: Running) -> None:
    market = lottery.read_market(document(generate(PLAN)))
    other = replace(market, programs=tuple(replace(program, priorities=()) for program in market.programs))
    comparison = Comparison(in_columns(market), in_columns(other), seed=SEED)
    counts = count_draws_on(two_workers.address, comparison, 60, entries=comparison.entries)
    here = comparison.tally(range(60))
    assert Compared(comparison, counts).document() == Compared(comparison, here).document()


@pytest.mark.parametrize("killed", [1, 2])
def test_the_table_is_the_same_though_workers_are_killed_in_the_middle(killed: int) -> None:
    work = simulation()
    with running() as there:
        track = killing(there.workers[:killed], after=1)
        assert table_on(there.address, work, track=track) == table_here(work)


class Deadly:
    """What ends every process that counts it."""

    @property
    def draws(self) -> int:
        return 1

    def __add__(self, other: "Deadly", /) -> "Deadly":
        return self

    def tally(self, draws: Iterable[int]) -> "Deadly":
        assert list(draws)
        os.kill(os.getpid(), signal.SIGKILL)
        return self


def test_draws_that_end_every_worker_are_given_up() -> None:
    with running(deaths_forgiven=0) as there, pytest.raises(WorkerLost, match="made several workers fail"):
        count_draws_on(there.address, Deadly(), 1, entries=1)


def test_a_scheduler_without_workers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE", 3)
    with running(workers=0) as there, pytest.raises(NoScheduler, match="the scheduler has no workers; start some"):
        table_on(there.address, simulation())


def test_no_draws_are_refused_before_anybody_is_asked() -> None:
    with pytest.raises(ValueError, match="no draws to count"):
        count_draws_on("tcp://127.0.0.1:1", simulation(), 0, entries=1)


def test_the_command_writes_the_table_of_one_process(two_workers: Running, tmp_path: Path, capsys: Captured) -> None:
    made = generate(PLAN)
    save_market(tmp_path / "market.zip", made.head, made.applicants)
    command = ["simulate", str(tmp_path / "market.zip"), "--draws", "60", "--seed", SEED.hex()]

    assert main([*command, "--scheduler", two_workers.address, "-o", str(tmp_path / "there.parquet")]) == 0
    assert main([*command, "--workers", "1", "-o", str(tmp_path / "here.parquet")]) == 0

    assert (tmp_path / "there.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()
    assert capsys.readouterr() == ("", "")
