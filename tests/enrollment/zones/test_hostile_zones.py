"""A file of zones that would take minutes to look through is given up, and nobody else waits for it."""

import json
import math
import os
import resource
import select
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil
import pytest

from databases import TEMPLATE, new_database
from enrollment.request_bodies import Upload
from enrollment.zones.import_check import CheckedZones, City, check_zones
from enrollment.zones.properties import PropertyNames
from lottery.market.canonical import Json
from people import Service
from processes import MAX_LOOKS, MAX_SECONDS
from servers import Running, running
from zone_files import a_cycle, at, bring, collection, square, zones

IMPORT = "/v1/cycles/2027/imports/zones"
CITY = City({"lincoln": "lincoln"}, ["KG"], {})
HASTY = {"ENROLLMENT_ZONE_SECONDS": "1"}


@dataclass(frozen=True, slots=True)
class Place:
    up: Running
    administrator: str

    def bring(self, raw: bytes) -> httpx.Response:
        headers = {"Authorization": self.administrator, "Idempotency-Key": uuid.uuid4().hex}
        return httpx.post(f"{self.up.address}{IMPORT}", content=raw, headers=headers, timeout=120)


@pytest.fixture(scope="module")
def place(server: str) -> Iterator[Place]:
    with new_database(server, TEMPLATE) as database, Service(database) as service:
        a_cycle(service)
        administrator = service.administrator().headers["Authorization"]
        with running(database, settings=HASTY) as up:
            yield Place(up, administrator)


def star(points: int) -> Json:
    """Return an area whose border crosses itself very often: each step goes almost to the other side."""
    ring = [[round(math.cos(turn * 2.399) * 10, 7), round(math.sin(turn * 2.399) * 10, 7)] for turn in range(points)]
    area: Json = json.loads(json.dumps({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}))
    return {"type": "Feature", "properties": {"zone": "star", "vintage": "2027"}, "geometry": area}


def comb(zone: str, teeth: int, *, lying: bool = False) -> Json:
    """Return a sound area with many teeth; one that lies crosses each tooth of one that stands, four times."""
    ring = [[0, -1]]
    for tooth in range(teeth):
        ring += [[2 * tooth, 0], [2 * tooth, 2 * teeth], [2 * tooth + 1, 2 * teeth], [2 * tooth + 1, 0]]
    ring += [[2 * teeth - 1, -1], [0, -1]]
    scaled = [[y / 100, x / 100] if lying else [x / 100, y / 100] for x, y in ring]
    area: Json = json.loads(json.dumps({"type": "Polygon", "coordinates": [scaled]}))
    about: dict[str, Json] = {"zone": zone, "school": "lincoln", "vintage": "2027"}
    return {"type": "Feature", "properties": about, "geometry": area}


def checked(raw: bytes) -> CheckedZones:
    """Check a file as the route does."""
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        file.flush()
        return check_zones(Upload(file, len(raw), b""), CITY, PropertyNames(), seconds=60)


def seconds_of_checks() -> float:
    """Return how long processes that this one started have had a core."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def test_the_check_of_a_hostile_polygon_stops_and_names_it_while_others_are_answered(
    place: Place,
) -> None:
    raw = collection(square("fine", left=0), star(300_000))
    with ThreadPoolExecutor(1) as pool:
        checking = pool.submit(place.bring, raw)
        answered = 0
        while not checking.done():
            for path in ("/healthz", "/v1/cycles"):
                assert httpx.get(f"{place.up.address}{path}", timeout=60).status_code == 200
            answered += 1
        answer = checking.result()
    assert answered > 0
    assert (answer.status_code, answer.json()["usable"]) == (200, False)
    (fault,) = answer.json()["faults"]
    assert (fault["pointer"], fault["code"]) in {
        ("/features/1", "too-intricate"),
        ("/features/1/geometry", "broken-polygon"),
    }


def test_only_some_of_thousands_of_overlaps_are_noted(place: Place) -> None:
    squares = [square(f"z{number}", left=number % 60, side=50, school="lincoln") for number in range(3_000)]
    answer = place.bring(collection(*squares)).json()
    assert (answer["usable"], answer["zones"]) == (True, 3_000)
    codes = [note["code"] for note in answer["notes"]]
    assert (len(codes), codes[-1], set(codes[:-1])) == (201, "not-compared", {"overlap"})


def test_a_large_file_gives_the_same_result_as_a_small_file(place: Place) -> None:
    squares = [square(f"z{number}", left=number // 60 % 100, low=number % 60, side=1) for number in range(1_500)]
    answer = place.bring(collection(*squares)).json()
    assert (answer["usable"], answer["zones"], answer["shapes"], answer["faults"]) == (True, 1_500, 1_500, [])
    answer = place.bring(collection(*squares, square("z7", left=1), square("no such", left=1))).json()
    assert [(fault["pointer"], fault["code"]) for fault in answer["faults"]] == [
        ("/features/1501/properties/zone", "not-an-id"),
        ("/features/1500/properties/zone", "zone-twice"),
    ]


def test_a_large_file_is_refused_if_it_is_too_deep_or_not_json(place: Place) -> None:
    deep = place.bring(b'{"type": "FeatureCollection", "features": ' + b"[" * 100_000)
    assert (deep.status_code, deep.json()["code"]) == (422, "body-too-deep")
    broken = place.bring(json.dumps(["x" * 70_000]).encode()[:-1])
    assert [fault["code"] for fault in broken.json()["faults"]] == ["not-json"]


def test_a_short_file_with_many_crossings_is_compared_in_its_own_process() -> None:
    raw = collection(comb("standing", 150), comb("lying", 150, lying=True))
    assert len(raw) < 1 << 16
    before = seconds_of_checks()
    assert [note.code for note in checked(raw).notes] == ["overlap"]
    assert seconds_of_checks() > before


def test_the_error_names_the_area_that_takes_too_long_to_compare_and_the_limit(place: Place) -> None:
    raw = collection(comb("standing", 2_000), comb("lying", 2_000, lying=True), square("fine", left=100))
    (fault,) = place.bring(raw).json()["faults"]
    assert (fault["pointer"], fault["code"]) == ("/features/1", "too-intricate")
    assert fault["detail"].startswith(("takes more than 1 seconds", "takes more than 512 MiB of memory"))


CHECK_OF_A_FILE_WITHOUT_AN_END = """
import io, sys
from enrollment.request_bodies import Upload
from enrollment.zones.import_check import City, check_zones
from enrollment.zones.properties import PropertyNames
class Endless(io.FileIO):
    def seek(self, *_):
        return 0
check_zones(Upload(Endless(sys.argv[1], "r+"), 1 << 20, b""), City({}, [], {}), PropertyNames(), seconds=600)
"""


def test_a_check_ends_when_the_web_process_is_killed(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    os.mkfifo(endless)
    command = [sys.executable, "-c", CHECK_OF_A_FILE_WITHOUT_AN_END, str(endless)]
    with endless.open("r+b", buffering=0) as file, subprocess.Popen(command, stderr=subprocess.DEVNULL) as asking:
        file.write(b"{")
        try:
            until_it_is_read(file)
            checks = psutil.Process(asking.pid).children()
        finally:
            asking.kill()
        assert len(checks) == 1
        assert psutil.wait_procs(checks, timeout=MAX_SECONDS)[1] == []


def until_it_is_read(file: IO[bytes]) -> None:
    """Look until somebody has read all that was written to a pipe."""
    for _ in range(MAX_LOOKS):
        list(psutil.process_iter(["cmdline", "environ"]))
        if not select.select([file], [], [], 0)[0]:
            return
    pytest.fail("nobody read it")


def test_a_file_with_too_many_features_is_refused_with_the_limit(place: Place) -> None:
    (fault,) = place.bring(collection(*[{}] * 10_001)).json()["faults"]
    assert (fault["pointer"], fault["code"]) == ("/features", "too-many-features")
    assert "10,000" in fault["detail"]


def test_thousands_of_areas_at_one_point_are_each_found_once_and_for_their_grade(service: Service) -> None:
    a_cycle(service)
    over = [square(f"z{number}", left=0, grades=["KG"]) for number in range(1_000)]
    beside = [square(f"z{number}", left=20, grades=["01"]) for number in range(1_000)]
    assert bring(service.administrator(), collection(*over, *beside)).json()["zones"] == 1_000
    assert sorted(zones(at(service, 5, 5))) == sorted(f"z{number}" for number in range(1_000))
    assert {tuple(zone["grades"]) for zone in at(service, 5, 5).json()["zones"]} == {("KG",)}
    assert zones(at(service, 5, 5, "&grade=01")) == []
