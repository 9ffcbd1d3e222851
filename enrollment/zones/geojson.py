"""Read attendance areas from a GeoJSON file (RFC 7946).

Coordinates are WGS84, longitude before latitude. Cut areas at the 180th meridian, as the RFC asks. The reader never
repairs a polygon silently: it refuses a polygon that crosses itself and names the place.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import cast

import msgspec

from enrollment.json_depth import refuse_deep
from enrollment.plain_text import SAYS as TEXT_FAULTS
from enrollment.plain_text import flaw_of, in_nfc
from enrollment.problems import Fault, Problem, listed, sentence
from enrollment.zones.areas import ZoneShape
from enrollment.zones.geometry import GeometryReader
from lottery.market.canonical import Json
from lottery.market.json_reader import is_identifier

MAX_FEATURES = 10_000
MAX_FAULTS = 200
MAX_TEXT = 200

WGS84_NAMES = ("CRS84", "EPSG:4326", "EPSG::4326", "WGS84")


class UnusableZones(Problem):
    """The file of zones has faults."""

    status = 422
    title = sentence("Invalid zone file")
    detail = sentence("Correct every listed feature and send the whole file again. Nothing was stored.")


def read_zones(
    raw: bytes,
    *,
    known_schools: Collection[str],
    known_grades: Collection[str],
    checking: Callable[[int], None] = lambda _: None,
) -> list[ZoneShape]:
    """Return the areas of a GeoJSON FeatureCollection.

    A feature is a Polygon or a MultiPolygon. It must have the property `zone` (an id). It may have `name`, `school`
    (the school that owns the zone), `grades` (a list; all grades if missing) and `vintage`. `vintage` may stand at the
    top of the file instead.

    Args:
        raw: the file.
        known_schools: the ids that `school` may name.
        known_grades: the grades that `grades` may name.
        checking: receives the number of each feature before the check of that feature.

    Raises:
        UnusableZones: with every fault and the feature at fault.
        BodyTooDeep: if the file nests lists and objects too deeply.
    """
    refuse_deep(raw)
    reader = _FileReader(known_schools, known_grades, checking)
    shapes = list(reader.read(_members(raw)))
    reader.refuse_repeated_zones(shapes)
    if reader.faults:
        raise UnusableZones(faults=reader.faults[:MAX_FAULTS])
    return [shape for _, shape in shapes]


def _members(raw: bytes) -> Mapping[str, msgspec.Raw] | None:
    """Return the undecoded members of the file's object; None if the file has no object."""
    try:
        return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        _refuse_invalid_json(raw)
        return None
    except ValueError:
        raise _invalid_json() from None


def _refuse_invalid_json(raw: bytes) -> None:
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except ValueError:
        raise _invalid_json() from None


def _features(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    """Return the undecoded features. Decoding all of them at once would need many times the file's size."""
    try:
        return [] if raw is None else msgspec.json.decode(raw, type=list[msgspec.Raw])
    except msgspec.ValidationError:
        return []


def _decode(raw: msgspec.Raw | None) -> Json:
    try:
        return None if raw is None else cast("Json", json.loads(bytes(raw).decode("utf-8")))
    except ValueError:
        raise _invalid_json() from None


def _invalid_json() -> UnusableZones:
    detail = sentence("the file is not JSON in UTF-8; export it as GeoJSON again")
    return UnusableZones(faults=[Fault("", "not-json", detail)])


class _FileReader:
    """Reads one file and collects its faults."""

    def __init__(self, schools: Collection[str], grades: Collection[str], checking: Callable[[int], None]) -> None:
        self._checking = checking
        self.faults: list[Fault] = []
        self._schools, self._grades = schools, grades
        self._geometries = GeometryReader(self.faults)

    def refuse(self, pointer: str, code: str, detail: str, **values: str | int) -> None:
        self.faults.append(Fault(pointer, code, detail, values))

    def read(self, document: Mapping[str, msgspec.Raw] | None) -> Iterator[tuple[int, ZoneShape]]:
        if document is None or _decode(document.get("type")) != "FeatureCollection":
            self.refuse("/type", "not-a-collection", sentence('must be a GeoJSON object of type "FeatureCollection"'))
            return
        system = _decode(document.get("crs"))
        if "crs" in document and not any(name in json.dumps(system) for name in WGS84_NAMES):
            detail = sentence("names another coordinate system; convert the file to WGS84 (EPSG:4326)")
            self.refuse("/crs", "projected", detail)
        features = _features(document.get("features"))
        if not features:
            self.refuse("/features", "no-features", sentence("must be a list with at least one feature"))
            return
        if len(features) > MAX_FEATURES:
            detail = sentence("must have at most {most} features; join the areas of a zone into one MultiPolygon")
            self.refuse("/features", "too-many-features", detail, most=MAX_FEATURES)
            return
        yield from self._shapes(features, _decode(document.get("vintage")))

    def _shapes(self, features: Sequence[msgspec.Raw], vintage: Json) -> Iterator[tuple[int, ZoneShape]]:
        for place, feature in enumerate(features):
            if self._geometries.is_full or len(self.faults) >= MAX_FAULTS:
                return
            self._checking(place)
            shape = self._feature(f"/features/{place}", _decode(feature), vintage)
            if shape is not None:
                yield place, shape

    def _feature(self, at: str, feature: Json, vintage: Json) -> ZoneShape | None:
        before = len(self.faults)
        if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
            self.refuse(at, "not-a-feature", sentence('must be an object of type "Feature"'))
            return None
        found = feature.get("properties")
        properties: Mapping[str, Json] = found if isinstance(found, Mapping) else {}
        zone = self._id(f"{at}/properties/zone", properties.get("zone"))
        school = properties.get("school")
        if school is not None and school not in self._schools:
            detail = sentence("is not a school of the directory; correct the id, or add the school first")
            self.refuse(f"{at}/properties/school", "unknown-school", detail)
        grades = self._grades_of(f"{at}/properties/grades", properties.get("grades"))
        dated = self._text(f"{at}/properties/vintage", properties.get("vintage", vintage))
        value = properties.get("name")
        name = None if value is None else self._text(f"{at}/properties/name", value)
        shape = self._geometries.read(f"{at}/geometry", feature.get("geometry"))
        if len(self.faults) > before or zone is None or dated is None or shape is None:
            return None
        return ZoneShape(zone, name, cast("str | None", school), grades, dated, shape)

    def _id(self, at: str, value: Json) -> str | None:
        if is_identifier(value):
            return value
        self.refuse(at, "not-an-id", sentence("must be the zone's id: 1 to 64 of A-Z a-z 0-9 . _ : -"))
        return None

    def _text(self, at: str, value: Json) -> str | None:
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
            self.refuse(at, "no-text", sentence("must be text of 1 to {most} characters"), most=MAX_TEXT)
            return None
        text = in_nfc(value)
        flaw = flaw_of(text)
        if flaw is not None:
            self.refuse(at, flaw.kind, TEXT_FAULTS[flaw.kind], number=flaw.place)
        return text

    def _grades_of(self, at: str, value: Json) -> tuple[str, ...] | None:
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            detail = sentence("must be a list of grades; leave it out if the zone is for all grades")
            self.refuse(at, "no-grades", detail)
            return None
        for place, grade in enumerate(value):
            if grade not in self._grades:
                detail = sentence("must be a grade of this cycle: {allowed}")
                self.refuse(f"{at}/{place}", "unknown-grade", detail, allowed=listed(self._grades))
        return tuple(dict.fromkeys(grade for grade in value if isinstance(grade, str)))

    def refuse_repeated_zones(self, shapes: Sequence[tuple[int, ZoneShape]]) -> None:
        earlier: dict[str, list[ZoneShape]] = {}
        for place, shape in shapes:
            for other in earlier.setdefault(shape.zone, []):
                if other.grades is None or shape.grades is None or set(other.grades) & set(shape.grades):
                    self.refuse(
                        f"/features/{place}/properties/zone",
                        "zone-twice",
                        sentence("the file has another area of {zone} for the same grade; join both in a MultiPolygon"),
                        zone=shape.zone,
                    )
                    break
            earlier[shape.zone].append(shape)
