"""How things are measured: works in turn, whole processes, and what machine it is."""

import gc
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

GIB, MIB = 1 << 30, 1 << 20
MILLISECOND = 0.001
KIB_A_MAXRSS = 1 if sys.platform == "darwin" else 1024
"""Bytes in a unit of `ru_maxrss`."""

PROCESSES = Path("/proc")
BETWEEN_LOOKS = 0.1
"""Seconds between two looks at a family's memory."""


class Row(NamedTuple):
    """One line of a table."""

    work: str
    measured: str
    bar: str


@dataclass(frozen=True, slots=True)
class Run:
    """One whole process: seconds on the clock, and the most bytes that it and its children had at one time."""

    seconds: float
    memory: int


def in_turn(rounds: int, *works: Callable[[], object], times: int = 1) -> list[float]:
    """Return each work's seconds, the median of some rounds.

    In a round each is done `times` over, one work after the other, so that a machine that slows down slows them all.
    """
    spent: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, its in zip(works, spent, strict=True):
            its.append(seconds_of(work, times=times))
    return [median(its) for its in spent]


def seconds_of(work: Callable[[], object], *, times: int = 1) -> float:
    """Return the seconds that a work takes, done so many times over; nobody looks for cycles meanwhile."""
    with _without_collecting():
        start = perf_counter()
        for _ in range(times):
            work()
        return (perf_counter() - start) / times


@contextmanager
def _without_collecting() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def in_words(seconds: float) -> str:
    """Write seconds in the unit that suits them."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{1000 * seconds:.3g} ms" if seconds >= MILLISECOND else f"{1_000_000 * seconds:.3g} µs"


def python(*words: str | int | Path) -> None:
    """Run Python to its end.

    Raises:
        CalledProcessError: if it fails.
    """
    subprocess.run([sys.executable, *map(str, words)], stdout=subprocess.DEVNULL, check=True)


def run_of(*words: str | int | Path) -> Run:
    """Run Python to its end, and look at its memory meanwhile, which takes a little time of its own.

    A child's `ru_maxrss` would not do: Linux counts in it what the process had from which it was split off.

    Raises:
        CalledProcessError: if it fails.
    """
    start = perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, words)], stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, _memory_of_family(process.pid))
        with suppress(subprocess.TimeoutExpired):
            process.wait(BETWEEN_LOOKS)
    seconds = perf_counter() - start
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Run(seconds, most or resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * KIB_A_MAXRSS)


def _memory_of_family(process: int) -> int:
    """Return the bytes that a process and its children have, shared ones in proportion; 0 where nothing is told."""
    folder = PROCESSES / str(process)
    try:
        children = (folder / "task" / str(process) / "children").read_text().split()
        lines = (folder / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    own = sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return own + sum(_memory_of_family(int(child)) for child in children)


def peak() -> int:
    """Return the most bytes that this process had so far."""
    told = PROCESSES / "self" / "status"
    lines = told.read_text().splitlines() if told.exists() else []
    high = [int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")]
    return high[0] if high else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_A_MAXRSS


def machine() -> str:
    """Say what this machine is, in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return (
        f"{os.cpu_count()} cores of {_processor()}, {memory / GIB:.0f} GiB, "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    told = PROCESSES / "cpuinfo"
    lines = told.read_text().splitlines() if told.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
