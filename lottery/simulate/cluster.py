"""Many draws on a Dask cluster, with the same counts as on one process even if workers fail."""

from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

from distributed import Client, KilledWorker, as_completed

from lottery.progress import Track, untracked
from lottery.simulate.parallel import Counted, Counting, WorkerLost, add_up, blocks_of

PATIENCE = 20
"""Seconds to wait for the scheduler, and then for its first worker."""


class NoScheduler(RuntimeError):
    """No scheduler answers, or the scheduler has no workers; the message says what to do."""


def count_draws_on(
    scheduler: str, work: Counting[Counted], draws: int, *, entries: int, track: Track = untracked
) -> Counted:
    """Count draws as `lottery.simulate.parallel.count_draws` does, on the workers of a Dask scheduler.

    Every worker gets the market once, and then blocks of draws, a few numbers each. If a worker fails, other workers
    take its blocks.

    Raises:
        NoScheduler: if no scheduler answers, or the scheduler has no workers.
        ValueError: if `draws` is below 1.
        WorkerLost: if one block makes several workers fail.
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
    """Yield the counts of each finished block; if all copies of the work are lost, send the work again."""
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
            raise WorkerLost(
                "a block of draws made several workers fail, perhaps for lack of memory; give them more memory"
            ) from None
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
