"""One work in a process of its own, so that its memory is its own: `python -m benchmarks.apart WORK APPLICANTS`."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping

from benchmarks.measuring import Run, peak, seconds_of
from benchmarks.uniform import flat_market
from lottery.fast.compile import compile_market
from lottery.fast.engine import solve
from lottery.fast.ranks import OfficialNumbers
from lottery.simulate.simulation import prepare

SEED = bytes.fromhex("5a" * 32)
DRAWS = 5


def apart(work: str, applicants: int) -> Run:
    """Do one of `WORKS` in a process of its own, on a flat market that is made there."""
    told = json.loads(subprocess.check_output([sys.executable, "-m", __spec__.name, work, str(applicants)]))
    return Run(told["seconds"], told["memory"])


def match_once(applicants: int) -> float:
    """Compile a market and match it; return the seconds that both took."""
    market = flat_market(applicants)
    numbers = OfficialNumbers(market, seed=SEED, seeds={})
    return seconds_of(lambda: solve(compile_market(market), numbers))


def draw_often(applicants: int) -> float:
    """Draw a compiled market anew some times; return the seconds of one draw."""
    simulation = prepare(flat_market(applicants), seed=SEED)
    simulation.tally([DRAWS])  # loads what is compiled
    return seconds_of(lambda: simulation.tally(range(DRAWS))) / DRAWS


WORKS: Mapping[str, Callable[[int], float]] = {"match": match_once, "draws": draw_often}


if __name__ == "__main__":
    spent = WORKS[sys.argv[1]](int(sys.argv[2]))
    print(json.dumps({"seconds": spent, "memory": peak()}))
