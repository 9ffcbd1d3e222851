"""Read polygons from the coordinates of a GeoJSON geometry."""

import math
from collections.abc import Mapping
from itertools import pairwise

import shapely
from shapely.geometry.base import BaseGeometry

from enrollment.fault_list import FaultList
from enrollment.problems import Fault, sentence
from enrollment.zones.areas import MAX_LATITUDE, MAX_LONGITUDE
from lottery.market.canonical import Json

MAX_POSITIONS = 5_000_000
MIN_RING_POSITIONS = 4
MAX_NUMBER = 1e300

ANTARCTIC = -60
"""South of this latitude no child lives (the limit of the Antarctic Treaty)."""

HALF_TURN = 180

Position = tuple[float, float]


class GeometryReader:
    """Reads the geometries of one file, counts their positions, and adds each fault to a list."""

    def __init__(self, faults: FaultList) -> None:
        self._faults = faults
        self._positions = 0

    @property
    def is_full(self) -> bool:
        """Return whether the file has more positions than a file may have."""
        return self._positions > MAX_POSITIONS

    def read(self, pointer: str, geometry: Json) -> BaseGeometry | None:
        """Return the area of a geometry; None if the geometry has faults."""
        kind = geometry.get("type") if isinstance(geometry, Mapping) else None
        if not isinstance(geometry, Mapping) or kind not in ("Polygon", "MultiPolygon"):
            self._refuse(pointer, "no-area", sentence("must be a Polygon or a MultiPolygon"))
            return None
        coordinates = geometry.get("coordinates")
        polygons = [coordinates] if kind == "Polygon" else coordinates
        if not isinstance(polygons, list) or not polygons:
            self._refuse(f"{pointer}/coordinates", "no-area", sentence("must be a list of rings"))
            return None
        before = len(self._faults)
        shapes = []
        for place, rings in enumerate(polygons):
            at = f"{pointer}/coordinates" if kind == "Polygon" else f"{pointer}/coordinates/{place}"
            read = self._rings(at, rings)
            if read:
                shapes.append(shapely.Polygon(read[0], read[1:]))
        if len(self._faults) > before:
            return None
        return self._valid(pointer, shapes[0] if kind == "Polygon" else shapely.MultiPolygon(shapes))

    def _refuse(self, pointer: str, code: str, detail: str, **values: str | int) -> None:
        self._faults.add(Fault(pointer, code, detail, values))

    def _valid(self, pointer: str, shape: BaseGeometry) -> BaseGeometry | None:
        if not shape.is_valid:
            detail = sentence(
                "is not a valid polygon ({why}); repair the area in a mapping program and export it again"
            )
            self._refuse(pointer, "broken-polygon", detail, why=shapely.is_valid_reason(shape))
            return None
        if shape.area == 0:
            self._refuse(pointer, "no-area", sentence("has an area of zero; draw the zone again"))
            return None
        return shape

    def _rings(self, pointer: str, rings: Json) -> list[list[Position]]:
        if not isinstance(rings, list) or not rings:
            self._refuse(pointer, "no-area", sentence("must be a list of rings"))
            return []
        read = [self._ring(f"{pointer}/{place}", ring) for place, ring in enumerate(rings)]
        return [ring for ring in read if ring]

    def _ring(self, pointer: str, ring: Json) -> list[Position]:
        if not isinstance(ring, list) or len(ring) < MIN_RING_POSITIONS:
            detail = sentence("must have at least four positions, and the last must repeat the first")
            self._refuse(pointer, "short-ring", detail)
            return []
        self._positions += len(ring)
        if self.is_full:
            detail = sentence("the file has more than {most} positions; simplify the areas")
            self._refuse(pointer, "too-many-positions", detail, most=MAX_POSITIONS)
            return []
        positions = [_position(position) for position in ring]
        if None in positions:
            detail = sentence("must be a longitude and a latitude, both finite numbers")
            self._refuse(f"{pointer}/{positions.index(None)}", "no-position", detail)
            return []
        read = [position for position in positions if position is not None]
        if not all(abs(longitude) <= MAX_LONGITUDE and abs(latitude) <= MAX_LATITUDE for longitude, latitude in read):
            self._refuse_projected(pointer, read)
            return []
        if read[0] != read[-1]:
            self._refuse(pointer, "open-ring", sentence("must end at its first position; close the ring"))
            return []
        return self._placed(pointer, read)

    def _placed(self, pointer: str, ring: list[Position]) -> list[Position]:
        """Refuse a ring that lies where no zone can lie."""
        if all(latitude < ANTARCTIC for _, latitude in ring):
            detail = sentence(
                "lies in Antarctica, so latitude probably comes before longitude; write longitude first, as GeoJSON "
                "requires"
            )
            self._refuse(pointer, "swapped", detail)
            return []
        if any(abs(one[0] - next_[0]) > HALF_TURN for one, next_ in pairwise(ring)):
            detail = sentence("crosses the 180th meridian; cut the area there (RFC 7946, section 3.1.9)")
            self._refuse(pointer, "antimeridian", detail)
            return []
        return ring

    def _refuse_projected(self, pointer: str, ring: list[Position]) -> None:
        if all(abs(first) <= MAX_LATITUDE and abs(second) <= MAX_LONGITUDE for first, second in ring):
            detail = sentence("has latitude before longitude; GeoJSON needs longitude first")
            self._refuse(pointer, "swapped", detail)
        else:
            detail = sentence("has projected coordinates; convert the file to WGS84 (EPSG:4326), in degrees")
            self._refuse(pointer, "projected", detail)


def _position(value: Json) -> Position | None:
    if not isinstance(value, list) or len(value) < 2:  # noqa: PLR2004
        return None
    numbers: list[object] = list(value[:2])
    read = [
        float(number)
        for number in numbers
        if isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < MAX_NUMBER
    ]
    return (read[0], read[1]) if len(read) == 2 and all(map(math.isfinite, read)) else None  # noqa: PLR2004
