"""Many draws in blocks, on one process or several; counts add up in any order."""

import multiprocessing
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import repeat
from typing import Protocol, Self, TypeVar, cast

from lottery.progress import Track, untracked

MAX_DRAWS, MAX_ENTRIES = 25, 25_000_000
"""Most draws in a block, and most ranked choices to go through in it: much less than a second of work."""


class Counts(Protocol):
    """Counts of some draws; counts of different draws add up."""

    @property
    def draws(self) -> int:
        """Return the number of draws."""

    def __add__(self, other: Self, /) -> Self:
        """Return the counts of the draws of both."""


Counted = TypeVar("Counted", bound=Counts)
Counted_co = TypeVar("Counted_co", bound=Counts, covariant=True)


class Counting(Protocol[Counted_co]):
    """Counts blocks of draws."""

    def tally(self, draws: Iterable[int]) -> Counted_co:
        """Count some draws."""


class WorkerLost(RuntimeError):
    """A worker process ended too early; the message says what to do."""


def count_draws(
    work: Counting[Counted], draws: int, *, entries: int, workers: int = 1, track: Track = untracked
) -> Counted:
    """Count draws 0 to `draws` in this process or on `workers` others; the market has `entries` ranked choices.

    Raises:
        ValueError: if `draws` is below 1.
        WorkerLost: if a worker process ends early.
    """
    blocks = blocks_of(draws, entries)
    counted = map(work.tally, blocks) if workers == 1 else on_processes(work, blocks, workers=workers)
    return add_up(counted, draws, track=track)


def blocks_of(draws: int, entries: int) -> Sequence[range]:
    """Split draws into blocks.

    Raises:
        ValueError: if `draws` is below 1.
    """
    if draws < 1:
        raise ValueError("no draws to count; give at least one draw")
    size = max(1, min(MAX_DRAWS, MAX_ENTRIES // max(1, entries)))
    return [range(first, min(first + size, draws)) for first in range(0, draws, size)]


def add_up(counted: Iterable[Counted], draws: int, *, track: Track) -> Counted:
    """Add up the counts of all blocks, in any order; at least one block comes."""
    total: Counted | None = None
    for counts in track(_draw_by_draw(counted), "drawing", draws):
        if counts is not None:
            total = counts if total is None else total + counts
    return cast("Counted", total)


def _draw_by_draw(counted: Iterable[Counted]) -> Iterator[Counted | None]:
    for counts in counted:
        yield counts
        yield from repeat(None, counts.draws - 1)


def on_processes(work: Counting[Counted], blocks: Iterable[range], *, workers: int) -> Iterator[Counted]:
    """Yield the counts of each finished block, in any order.

    Raises:
        WorkerLost: if a process ends early.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of this process hold
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_take_up, initargs=(work,))
    try:
        with _interrupts_held_back():  # an interrupt is for this process to answer
            futures = [pool.submit(_tally, block) for block in blocks]
        for future in as_completed(futures):
            yield cast("Counted", future.result())
    except BrokenProcessPool:
        raise WorkerLost("a worker process ended too early, perhaps for lack of memory; use fewer workers") from None
    finally:
        pool.shutdown(cancel_futures=True)


_AT_HAND: list[Counting[Counts]] = []
"""The work of a worker process."""


def _take_up(work: Counting[Counts]) -> None:
    _AT_HAND.append(work)


def _tally(block: range) -> Counts:
    return _AT_HAND[0].tally(block)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Delay interrupts: processes that start now never get one, and this process gets it afterwards.

    New processes inherit the mask. The mask does not protect other threads of this process, such as a library's. So a
    handler only notes an interrupt while processes start.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_sigmask"):
        yield
        return
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if came and handler is not signal.SIG_IGN:
        raise KeyboardInterrupt
