"""The check of a zone file of 100 MiB, to parsing the same bytes with the standard library."""

import json
import math
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

from benchmarks.rounds import GIB, KIB_A_MAXRSS
from enrollment.request_bodies import Upload
from enrollment.zones.import_check import MEMORY, City, check_zones
from enrollment.zones.properties import PropertyNames

ZONES, CORNERS = 1_000, 2_640
"""About 100 MiB, with fifteen digits a coordinate, as mapping programs write them."""

SECONDS = 90


def measure() -> list[tuple[str, str, str]]:
    """Return the row of the table."""
    with tempfile.TemporaryFile() as file:
        size = sum(file.write(part) for part in _zone_file())
        before, own_before = _children_seconds(), _peak(resource.RUSAGE_SELF)
        checked = check_zones(Upload(file, size, b""), City({}, [], {}), PropertyNames(), seconds=SECONDS)
        checking = _children_seconds() - before
        own, child = _peak(resource.RUSAGE_SELF) - own_before, _peak(resource.RUSAGE_CHILDREN)
        parsing = _parse(file)
    if len(checked.shapes) != ZONES:
        raise ValueError("the check lost zones")
    return [
        (
            f"the check of a zone file of {size / (1 << 20):,.0f} MiB with {ZONES * CORNERS:,} corners",
            (
                f"{checking:.1f} s of one core, {checking / parsing:.1f} × parsing it as JSON ({parsing:.1f} s); "
                f"{child / GIB:.2f} GiB in its own process, {own / GIB:.2f} GiB more in the process that asks"
            ),
            f"within {MEMORY / GIB:.2f} GiB",
        )
    ]


def _zone_file() -> Iterator[bytes]:
    """Yield a file of round zones side by side, none of which touches another."""
    yield b'{"type": "FeatureCollection", "features": ['
    for zone in range(ZONES):
        east, north = -87.9 + zone % 32 * 0.01, 41.6 + zone // 32 * 0.01
        turns = [2 * math.pi * corner / CORNERS for corner in range(CORNERS)]
        ring = [[east + 0.0045 * math.cos(turn), north + 0.0045 * math.sin(turn)] for turn in turns]
        feature = {
            "type": "Feature",
            "properties": {"zone": f"z{zone}", "vintage": "2027"},
            "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        }
        yield b"," * (zone > 0) + json.dumps(feature).encode()
    yield b"]}"


def _parse(file: IO[bytes]) -> float:
    """Return the seconds of a processor for parsing the file, in a process that ends: it needs a lot of memory."""
    file.seek(0)
    before = _children_seconds()
    subprocess.run([sys.executable, "-c", "import json, sys; json.load(sys.stdin.buffer)"], stdin=file, check=True)
    return _children_seconds() - before


def _peak(who: int) -> int:
    return resource.getrusage(who).ru_maxrss * KIB_A_MAXRSS


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
