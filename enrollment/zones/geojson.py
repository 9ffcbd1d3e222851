"""Attendance areas from GeoJSON (RFC 7946), and the zones that a point is in.

Coordinates are WGS84, longitude before latitude. Areas that cross the 180th meridian are to be cut there, as the RFC
asks. Nothing is repaired in silence: a polygon that crosses itself is refused with the place where it does.
"""

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec
import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from enrollment.json_depth import refuse_deep
from enrollment.plain_text import SAYS as TEXT_FAULTS
from enrollment.plain_text import flaw_of
from enrollment.problems import BadRequest, Fault, Problem, sentence
from lottery.market.canonical import Json
from lottery.market.json_reader import is_identifier

MAX_POSITIONS = 2_000_000
MAX_FEATURES = 10_000
MAX_FAULTS = 200
LONGEST_NAME = 200
FEWEST_POSITIONS = 4

Area = tuple[str, tuple[str, ...] | None]
"""An area of a zone, by the zone's id and the grades that the area is for. No grade has two areas of one zone."""

WGS84_NAMES = ("CRS84", "EPSG:4326", "EPSG::4326", "WGS84")


class UnusableZones(Problem):
    """A file of zones cannot be used."""

    status = 422
    title = sentence("The zones cannot be used")
    detail = sentence("Correct every listed feature and send the whole file again; nothing was stored.")


class UnusablePoint(BadRequest):
    """A point that is nowhere on Earth."""

    title = sentence("The point is none on Earth")
    detail = sentence("Give longitude from -180 to 180 and latitude from -90 to 90, in degrees (WGS84).")


@dataclass(frozen=True, slots=True)
class ZoneShape:
    """One area of a zone, for some grades."""

    zone: str
    name: str | None
    school: str | None
    grades: tuple[str, ...] | None
    """None: for all."""
    vintage: str
    shape: BaseGeometry

    def wkb(self) -> bytes:
        """Return the area as well-known binary."""
        return shapely.to_wkb(self.shape)

    @classmethod
    def from_wkb(
        cls,
        wkb: bytes,
        *,
        zone: str,
        name: str | None,
        school: str | None,
        grades: Sequence[str] | None,
        vintage: str,
    ) -> "ZoneShape":
        """Return what `wkb` was made of."""
        return cls(zone, name, school, None if grades is None else tuple(grades), vintage, shapely.from_wkb(wkb))

    def is_for(self, grade: str | None) -> bool:
        """Say whether the area is for a grade; None asks for any."""
        return grade is None or self.grades is None or grade in self.grades


@dataclass(frozen=True, slots=True)
class Located:
    """The zones of a point, in order; on a border, every zone that touches it."""

    zones: tuple[str, ...]
    on_border: bool
    areas: frozenset[Area]
    """Which areas of these zones the point is in."""


class ZoneIndex:
    """Finds the zones of points."""

    def __init__(self, shapes: Sequence[ZoneShape]) -> None:
        self._shapes = tuple(shapes)
        self._tree = shapely.STRtree([shape.shape for shape in self._shapes])

    def at(self, longitude: float, latitude: float, grade: str | None = None) -> Located:
        """Return the zones that a point is in or on the border of.

        Raises:
            UnusablePoint: if it is none on Earth.
        """
        if not (math.isfinite(longitude) and math.isfinite(latitude) and abs(longitude) <= 180 and abs(latitude) <= 90):  # noqa: PLR2004
            raise UnusablePoint
        point = shapely.Point(longitude, latitude)
        found = [self._shapes[int(place)] for place in self._tree.query(point, predicate="intersects")]
        of_grade = [shape for shape in found if shape.is_for(grade)]
        # One call for the whole list lets other requests go on; a call for each shape would keep them waiting.
        touched = shapely.touches([shape.shape for shape in of_grade], point)
        return Located(
            tuple(sorted({shape.zone for shape in of_grade})),
            on_border=bool(np.any(touched)),
            areas=frozenset((shape.zone, shape.grades) for shape in of_grade),
        )


def read_zones(
    raw: bytes,
    *,
    known_schools: Collection[str],
    known_grades: Collection[str],
    checking: Callable[[int], None] = lambda _: None,
) -> list[ZoneShape]:
    """Return the areas of a GeoJSON FeatureCollection.

    A feature is a Polygon or MultiPolygon; its properties are `zone` (an id), and, if wanted, `name`, `school` (whose
    own zone it is), `grades` (a list; left out: all) and `vintage`, which may stand at the top of the file instead.
    `checking` is told the number of each feature before it is checked.

    Raises:
        UnusableZones: with every fault and the feature that it is in.
        BodyTooDeep: if the file nests lists and objects too deeply to be read.
    """
    refuse_deep(raw)
    reading = _Reading(known_schools, known_grades, checking)
    shapes = list(reading.collection(_members(raw)))
    reading.refuse_overlapping_ids(shapes)
    if reading.faults:
        raise UnusableZones(faults=reading.faults[:MAX_FAULTS])
    return [shape for _, shape in shapes]


def _members(raw: bytes) -> Mapping[str, msgspec.Raw] | None:
    """Return the members of the file's object, which are not read yet; None if the file has no object."""
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        _refuse_no_json(raw)
        return None
    except ValueError:
        raise _no_json() from None


def _refuse_no_json(raw: bytes) -> None:
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except ValueError:
        raise _no_json() from None


def _features(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    """Return the features, which are not read yet: all of them at once would need many times the file's size."""
    try:
        return [] if raw is None else msgspec.json.decode(raw, type=list[msgspec.Raw])
    except msgspec.ValidationError:
        return []


def _read(raw: msgspec.Raw | None) -> Json:
    try:
        return None if raw is None else cast("Json", json.loads(bytes(raw).decode("utf-8")))
    except ValueError:
        raise _no_json() from None


def _no_json() -> UnusableZones:
    detail = sentence("the file is not JSON in UTF-8; export it as GeoJSON again")
    return UnusableZones(faults=[Fault("", "not-json", detail)])


class _Reading:
    """Reads one file and gathers its faults."""

    def __init__(self, schools: Collection[str], grades: Collection[str], checking: Callable[[int], None]) -> None:
        self._checking = checking
        self.faults: list[Fault] = []
        self._schools, self._grades = schools, grades
        self._positions = 0

    def refuse(self, pointer: str, code: str, detail: str, **values: str | int) -> None:
        self.faults.append(Fault(pointer, code, detail, values))

    def collection(self, document: Mapping[str, msgspec.Raw] | None) -> Iterator[tuple[int, ZoneShape]]:
        if document is None or _read(document.get("type")) != "FeatureCollection":
            self.refuse("/type", "not-a-collection", sentence('must be a GeoJSON object of type "FeatureCollection"'))
            return
        system = _read(document.get("crs"))
        if "crs" in document and not any(name in json.dumps(system) for name in WGS84_NAMES):
            self.refuse("/crs", "projected", sentence("names another reference system; reproject to WGS84 (EPSG:4326)"))
        features = _features(document.get("features"))
        if not features:
            self.refuse("/features", "no-features", sentence("must be a list with at least one feature"))
            return
        if len(features) > MAX_FEATURES:
            detail = sentence("must have at most {most} features; join areas of one zone into a MultiPolygon")
            self.refuse("/features", "too-many-features", detail, most=MAX_FEATURES)
            return
        vintage = _read(document.get("vintage"))
        for place, feature in enumerate(features):
            if self._is_over():
                return
            self._checking(place)
            shape = self._feature(f"/features/{place}", _read(feature), vintage)
            if shape is not None:
                yield place, shape

    def _is_over(self) -> bool:
        """Say whether reading on would find nothing that is told."""
        return self._positions > MAX_POSITIONS or len(self.faults) >= MAX_FAULTS

    def _feature(self, at: str, feature: Json, vintage: Json) -> ZoneShape | None:
        before = len(self.faults)
        if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
            self.refuse(at, "not-a-feature", sentence('must be an object of type "Feature"'))
            return None
        told = feature.get("properties")
        properties: Mapping[str, Json] = told if isinstance(told, Mapping) else {}
        zone = self._id(f"{at}/properties/zone", properties.get("zone"))
        school = properties.get("school")
        if school is not None and school not in self._schools:
            self.refuse(f"{at}/properties/school", "unknown-school", sentence("names no school of the directory"))
        grades = self._grades_of(f"{at}/properties/grades", properties.get("grades"))
        dated = self._text(f"{at}/properties/vintage", properties.get("vintage", vintage))
        name = properties.get("name")
        shown = None if name is None else self._text(f"{at}/properties/name", name)
        shape = self._geometry(f"{at}/geometry", feature.get("geometry"))
        if len(self.faults) > before or zone is None or dated is None or shape is None:
            return None
        return ZoneShape(zone, shown, cast("str | None", school), grades, dated, shape)

    def _id(self, at: str, value: Json) -> str | None:
        if is_identifier(value):
            return value
        self.refuse(at, "not-an-id", sentence("must be the zone's id: 1 to 64 of A-Z a-z 0-9 . _ : -"))
        return None

    def _text(self, at: str, value: Json) -> str | None:
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
            self.refuse(at, "no-text", sentence("must be text of 1 to {most} characters"), most=LONGEST_NAME)
            return None
        flaw = flaw_of(value)
        if flaw is not None:
            self.refuse(at, flaw.kind, TEXT_FAULTS[flaw.kind], number=flaw.place)
        return value

    def _grades_of(self, at: str, value: Json) -> tuple[str, ...] | None:
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            self.refuse(at, "no-grades", sentence("must be a list of grades; leave it out where the zone is for all"))
            return None
        for place, grade in enumerate(value):
            if grade not in self._grades:
                self.refuse(f"{at}/{place}", "unknown-grade", sentence("names no grade of this cycle"))
        return tuple(dict.fromkeys(grade for grade in value if isinstance(grade, str)))

    def _geometry(self, at: str, value: Json) -> BaseGeometry | None:
        kind = value.get("type") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or kind not in ("Polygon", "MultiPolygon"):
            self.refuse(at, "no-area", sentence("must be a Polygon or a MultiPolygon"))
            return None
        told = value.get("coordinates")
        polygons = [told] if kind == "Polygon" else told
        if not isinstance(polygons, list) or not polygons:
            self.refuse(f"{at}/coordinates", "no-area", sentence("must be the rings of an area"))
            return None
        before = len(self.faults)
        shapes = []
        for place, rings in enumerate(polygons):
            inside = f"{at}/coordinates" if kind == "Polygon" else f"{at}/coordinates/{place}"
            read = self._rings(inside, rings)
            if read:
                shapes.append(shapely.Polygon(read[0], read[1:]))
        if len(self.faults) > before:
            return None
        shape = shapes[0] if kind == "Polygon" else shapely.MultiPolygon(shapes)
        return self._sound(at, shape)

    def _sound(self, at: str, shape: BaseGeometry) -> BaseGeometry | None:
        if not shape.is_valid:
            self.refuse(
                at,
                "broken-polygon",
                sentence("is no sound area: {why}; mend it in a map program and export it again"),
                why=shapely.is_valid_reason(shape),
            )
            return None
        if shape.area == 0:
            self.refuse(at, "no-area", sentence("covers no area"))
            return None
        return shape

    def _rings(self, at: str, rings: Json) -> list[list[tuple[float, float]]]:
        if not isinstance(rings, list) or not rings:
            self.refuse(at, "no-area", sentence("must be the rings of an area"))
            return []
        read = [self._ring(f"{at}/{place}", ring) for place, ring in enumerate(rings)]
        return [ring for ring in read if ring]

    def _ring(self, at: str, ring: Json) -> list[tuple[float, float]]:
        if not isinstance(ring, list) or len(ring) < FEWEST_POSITIONS:
            self.refuse(at, "short-ring", sentence("must have at least four positions, the last one the first again"))
            return []
        self._positions += len(ring)
        if self._positions > MAX_POSITIONS:
            detail = sentence("the file has over {most} positions; simplify the areas")
            self.refuse(at, "too-many-positions", detail, most=MAX_POSITIONS)
            return []
        positions = [_position(position) for position in ring]
        if None in positions:
            place = positions.index(None)
            self.refuse(
                f"{at}/{place}", "no-position", sentence("must be a longitude and a latitude, as finite numbers")
            )
            return []
        read = [position for position in positions if position is not None]
        if any(abs(longitude) > 180 or abs(latitude) > 90 for longitude, latitude in read):  # noqa: PLR2004
            self._refuse_projected(at, read)
            return []
        if read[0] != read[-1]:
            self.refuse(at, "open-ring", sentence("does not end where it began; close the ring"))
            return []
        return read

    def _refuse_projected(self, at: str, ring: list[tuple[float, float]]) -> None:
        if all(abs(longitude) <= 90 and abs(latitude) <= 180 for longitude, latitude in ring):  # noqa: PLR2004
            self.refuse(at, "swapped", sentence("has latitude before longitude; GeoJSON has longitude first"))
        else:
            self.refuse(at, "projected", sentence("looks projected; reproject to WGS84 (EPSG:4326), in degrees"))

    def refuse_overlapping_ids(self, shapes: Sequence[tuple[int, ZoneShape]]) -> None:
        seen: dict[str, list[ZoneShape]] = {}
        for place, shape in shapes:
            for other in seen.setdefault(shape.zone, []):
                if other.grades is None or shape.grades is None or set(other.grades) & set(shape.grades):
                    self.refuse(
                        f"/features/{place}/properties/zone",
                        "zone-twice",
                        sentence("is {zone}, which is there already for the same grade; use a MultiPolygon"),
                        zone=shape.zone,
                    )
                    break
            seen[shape.zone].append(shape)


def _position(value: Json) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) < 2:  # noqa: PLR2004
        return None
    numbers: list[object] = list(value[:2])
    read = [
        float(number)
        for number in numbers
        if isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e300  # noqa: PLR2004
    ]
    return (read[0], read[1]) if len(read) == 2 and all(map(math.isfinite, read)) else None  # noqa: PLR2004
