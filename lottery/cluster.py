"""Many draws on a Dask cluster: the same counts as on one process, whatever becomes of its workers."""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager

from distributed import Client, KilledWorker, as_completed

from lottery.columns import MarketInColumns
from lottery.progress import Track, untracked
from lottery.reference import NO_SEEDS
from lottery.simulation import Simulated, Simulation, Tally, add_up, blocks_of, prepare
from lottery.workers import WorkerLost

PATIENCE = "10s"
"""How long a scheduler may take to answer."""


class NoScheduler(RuntimeError):
    """No scheduler answers at the address; the message says what to do."""


def simulate_on(
    scheduler: str,
    market: MarketInColumns,
    *,
    draws: int,
    seed: bytes,
    seeds: Mapping[str, bytes] = NO_SEEDS,
    track: Track = untracked,
) -> Simulated:
    """Match a market on many draws on the workers of a Dask scheduler, as `lottery.simulation.simulate` does.

    The market goes to every worker once, then blocks of draws, a few numbers each. What a worker had in hand when it
    was lost is given to others.

    Raises:
        UnusableSeed: if a seed has not 32 bytes.
        NoScheduler: if none answers at the address.
        WorkerLost: if one block ends several workers.
    """
    simulation = prepare(market, seed=seed, seeds=seeds)
    with _client(scheduler) as client:
        tallies = _tallies(client, simulation, blocks_of(draws, simulation.compiled))
        return add_up(simulation.compiled, tallies, draws, track=track)


@contextmanager
def _client(scheduler: str) -> Iterator[Client]:
    try:
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise NoScheduler(f"no scheduler answers at {scheduler}; start one there, or correct the address") from error
    with client:
        yield client


def _tallies(client: Client, simulation: Simulation, blocks: Collection[range]) -> Iterator[Tally]:
    """Yield each block's tally as it comes; where every copy of the market is lost, send it anew for what is left."""
    left = dict.fromkeys(blocks)
    while left:
        everywhere = client.scatter(simulation, broadcast=True, hash=False)
        futures = {client.submit(_tally, block, simulation=everywhere, pure=False): block for block in left}
        try:
            for future in as_completed(futures, loop=client.loop):
                tally = future.result()
                del left[futures[future]]
                future.release()
                yield tally
        except KilledWorker:
            raise WorkerLost("one block of draws ended several workers, perhaps for want of memory") from None
        except CancelledError:
            continue
        finally:
            client.cancel(list(futures))


def _tally(block: range, *, simulation: Simulation) -> Tally:
    return simulation.tally(block)
