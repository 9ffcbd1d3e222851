"""Read attendance areas from a GeoJSON file (RFC 7946).

Coordinates are WGS84, longitude before latitude. Cut areas at the 180th meridian, as the RFC asks. The reader never
repairs a polygon silently: it refuses a polygon that crosses itself and names the place.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import msgspec

from enrollment.fault_list import FaultList
from enrollment.json_depth import refuse_deep
from enrollment.problems import Fault, Problem, sentence
from enrollment.zones.areas import ZoneShape
from enrollment.zones.coordinate_systems import is_wgs84
from enrollment.zones.geometry import GeometryReader
from enrollment.zones.properties import ID_MADE, Known, PropertyNames, PropertyReader
from lottery.market.canonical import Json

MAX_FEATURES = 10_000
MAX_FAULTS = 200
MAX_NOTES = 200

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

NO_SHAPE = sentence("{zone} has no shape, so the import leaves the zone out; no address can be in this zone")


class UnusableZones(Problem):
    """The file of zones has faults."""

    status = 422
    title = sentence("Invalid zone file")
    detail = sentence("Correct every listed feature and send the whole file again. Nothing was stored.")


@dataclass(frozen=True, slots=True)
class ZoneFile:
    """The areas of a file without faults, each with the number of its feature, and notes for the reader."""

    shapes: Sequence[ZoneShape]
    places: Sequence[int]
    notes: Sequence[Fault]


def read_zones(
    raw: bytes,
    *,
    known: Known,
    names: PropertyNames = PropertyNames(),  # noqa: B008 - a frozen value
    checking: Callable[[int], None] = lambda _: None,
) -> ZoneFile:
    """Return the areas of a GeoJSON FeatureCollection.

    A feature is a Polygon or a MultiPolygon. It must have the property `zone` (an id). It may have `name`, `school`
    (the school that owns the zone), `grades` (a list; all grades if missing) and `vintage`. `vintage` may stand at the
    top of the file instead. A feature without a shape is left out, with a note.

    Args:
        raw: the file; a byte order mark at its start does no harm (RFC 8259, section 8.1).
        known: the schools and grades that the file may name.
        names: the file's own names of these properties.
        checking: receives the number of each feature before the check of that feature.

    Raises:
        UnusableZones: with the faults, each with the feature at fault.
        BodyTooDeep: if the file nests lists and objects too deeply.
    """
    raw = raw.removeprefix(BYTE_ORDER_MARK)
    refuse_deep(raw)
    reader = _FileReader(PropertyReader(names, known, FaultList(MAX_FAULTS)), checking)
    found = list(reader.read(_members(raw)))
    reader.refuse_repeated_zones(found)
    if reader.faults:
        raise UnusableZones(faults=reader.faults.listed())
    return ZoneFile([shape for _, shape in found], [place for place, _ in found], reader.notes_in_order())


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
    """Reads one file and collects its faults and notes."""

    def __init__(self, properties: PropertyReader, checking: Callable[[int], None]) -> None:
        self._checking = checking
        self._properties = properties
        self.faults = properties.faults
        self._without_shape = FaultList(MAX_NOTES)
        self._geometries = GeometryReader(self.faults)

    def refuse(self, pointer: str, code: str, detail: str, **values: str | int) -> None:
        self.faults.add(Fault(pointer, code, detail, values))

    def read(self, document: Mapping[str, msgspec.Raw] | None) -> Iterator[tuple[int, ZoneShape]]:
        if document is None or _decode(document.get("type")) != "FeatureCollection":
            self.refuse("/type", "not-a-collection", sentence('must be a GeoJSON object of type "FeatureCollection"'))
            return
        if not is_wgs84(_decode(document.get("crs"))):
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
            if self._geometries.is_full:
                return
            self._checking(place)
            shape = self._feature(f"/features/{place}", _decode(feature), vintage)
            if shape is not None:
                yield place, shape
        if len(self._without_shape) == len(features):
            self.refuse("/features", "no-features", sentence("must have at least one feature with a shape"))

    def _feature(self, at: str, feature: Json, vintage: Json) -> ZoneShape | None:
        if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
            self.refuse(at, "not-a-feature", sentence('must be an object of type "Feature"'))
            return None
        found = feature.get("properties")
        read = self._properties.read(f"{at}/properties", found if isinstance(found, Mapping) else {}, vintage)
        if "geometry" in feature and feature["geometry"] is None:
            zone = "" if read is None else read.zone
            self._without_shape.add(Fault(f"{at}/geometry", "no-shape", NO_SHAPE, {"zone": zone}))
            return None
        shape = self._geometries.read(f"{at}/geometry", feature.get("geometry"))
        if read is None or shape is None:
            return None
        return ZoneShape(read.zone, read.name, read.school, read.grades, read.vintage, shape)

    def notes_in_order(self) -> list[Fault]:
        """Return a note for each feature without a shape, and one for each id that was made from other text."""
        made = FaultList(MAX_NOTES)
        for value, zone in self._properties.ids_made.items():
            made.add(Fault("/features", "id-made", ID_MADE, {"value": value, "zone": zone}))
        return [*self._without_shape.listed(), *made.listed()]

    def refuse_repeated_zones(self, found: Sequence[tuple[int, ZoneShape]]) -> None:
        earlier: dict[str, list[ZoneShape]] = {}
        for place, shape in found:
            for other in earlier.setdefault(shape.zone, []):
                if shape.shares_a_grade(other):
                    self.refuse(
                        f"/features/{place}/properties/{self._properties.names.zone}",
                        "zone-twice",
                        sentence("the file has another area of {zone} for the same grade; join both in a MultiPolygon"),
                        zone=shape.zone,
                    )
                    break
            earlier[shape.zone].append(shape)
