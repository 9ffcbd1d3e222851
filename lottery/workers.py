"""Work in blocks on several processes of this machine."""

import multiprocessing
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol, TypeVar, cast

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")


class Tallying(Protocol[Result_co]):
    """What can count blocks of draws."""

    def tally(self, draws: Iterable[int]) -> Result_co:
        """Count some draws."""


class WorkerLost(RuntimeError):
    """A worker process ended before its work was done; the message says what to do."""


_AT_HAND: list[Tallying[object]] = []
"""What a worker process works on, from its start to its end."""


def on_processes(work: Tallying[Result], blocks: Iterable[range], *, workers: int) -> Iterator[Result]:
    """Yield the result of each block as it comes, in whatever order.

    Raises:
        WorkerLost: if a process ends early.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of this process hold
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_take_up, initargs=(work,))
    try:
        with _interrupts_ignored():  # as processes inherit it: an interrupt is for this one to answer
            futures = [pool.submit(_tally, block) for block in blocks]
        for future in as_completed(futures):
            yield cast("Result", future.result())
    except BrokenProcessPool:
        raise WorkerLost("a worker process ended early, perhaps for want of memory; give fewer workers") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _take_up(work: Tallying[object]) -> None:
    _AT_HAND.append(work)


def _tally(block: range) -> object:
    return _AT_HAND[0].tally(block)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
