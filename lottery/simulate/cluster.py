"""Many draws on a Dask cluster: the same counts as on one process, whatever becomes of its workers."""

from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

from distributed import Client, KilledWorker, as_completed

from lottery.progress import Track, untracked
from lottery.simulate.parallel import Counted, Counting, WorkerLost, add_up, blocks_of

PATIENCE = 20
"""Seconds that a scheduler, and then its first worker, may take to answer."""


class NoScheduler(RuntimeError):
    """No scheduler answers at an address, or it has no workers; the message says what to do."""


def count_draws_on(
    scheduler: str, work: Counting[Counted], draws: int, *, entries: int, track: Track = untracked
) -> Counted:
    """Count draws as `lottery.simulate.parallel.count_draws` does, on the workers of a Dask scheduler.

    What is counted goes to every worker once, then blocks of draws, a few numbers each. What a worker had in hand when
    it was lost is given to others.

    Raises:
        NoScheduler: if none answers at the address, or it has no workers.
        ValueError: if there are no draws.
        WorkerLost: if one block ends several workers.
    """
    blocks = blocks_of(draws, entries)
    with _client(scheduler) as client:
        return add_up(_counted(client, work, blocks), draws, track=track)


@contextmanager
def _client(scheduler: str) -> Iterator[Client]:
    try:
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError):
        raise NoScheduler(f"no scheduler answers at {scheduler}; start one there, or correct the address") from None
    with client:
        yield client


def _counted(client: Client, work: Counting[Counted], blocks: Iterable[range]) -> Iterator[Counted]:
    """Yield each block's counts as they come; where every copy of the work is lost, send it anew for what is left."""
    left = dict.fromkeys(blocks)
    while left:
        _wait_for_a_worker(client)
        everywhere = client.scatter(work, broadcast=True, hash=False)
        futures = {client.submit(_tally, block, work=everywhere, pure=False): block for block in left}
        try:
            for future in as_completed(futures, loop=client.loop):
                counts = future.result()
                del left[futures[future]]
                future.release()
                yield counts
        except KilledWorker:
            raise WorkerLost("a block of draws ended several workers, perhaps for want of memory; add some") from None
        except CancelledError:
            continue
        finally:
            client.cancel(list(futures))


def _wait_for_a_worker(client: Client) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError:
        raise NoScheduler("the scheduler has no workers; start some") from None


def _tally(block: range, *, work: Counting[Counted]) -> Counted:
    return work.tally(block)
