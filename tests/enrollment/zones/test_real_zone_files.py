"""Files of zones as mapping programs write them, with the mistakes that people make with them."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from enrollment.database import transaction
from enrollment.directory.models import School
from enrollment.request_bodies import Upload
from enrollment.zones.coordinate_systems import is_wgs84
from enrollment.zones.geojson import MAX_FAULTS, UnusableZones
from enrollment.zones.import_check import CheckedZones, City, check_zones
from enrollment.zones.plausibility import Point
from enrollment.zones.properties import PropertyNames, id_from
from lottery.market.canonical import Json
from people import Service
from zone_files import IMPORT, a_cycle, bring, collection, square

FILES = Path(__file__).parent / "files"
WASHINGTON = (-77.02, 38.9)
NO_SCHOOLS: Mapping[str, Point] = {}
OWN_NAMES = PropertyNames()


def check(raw: bytes, *, schools: Mapping[str, Point] = NO_SCHOOLS, names: PropertyNames = OWN_NAMES) -> CheckedZones:
    city = City({school: school for school in schools}, ["KG", "01"], schools)
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        file.seek(0)
        return check_zones(Upload(file, len(raw), b""), city, names, seconds=60)


def faults_of(raw: bytes, *, schools: Mapping[str, Point] = NO_SCHOOLS) -> list[tuple[str, str]]:
    with pytest.raises(UnusableZones) as refused:
        check(raw, schools=schools)
    return [(fault.pointer, fault.code) for fault in refused.value.faults]


def file(name: str) -> bytes:
    return (FILES / f"{name}.geojson").read_bytes()


@pytest.mark.parametrize("name", ["crs_null", "crs_ogc_uri", "crs_wgs_84", "byte_order_mark"])
def test_a_file_in_wgs84_is_read_however_it_says_so(name: str) -> None:
    checked = check(file(name), schools={"lincoln": WASHINGTON})
    assert [shape.zone for shape in checked.shapes] == ["dc"]
    assert checked.notes == []
    assert checked.schools_outside == []


@pytest.mark.parametrize(
    "name",
    [
        "urn:ogc:def:crs:OGC:1.3:CRS84",
        "urn:ogc:def:crs:OGC::CRS84",
        "urn:ogc:def:crs:EPSG::4326",
        "urn:ogc:def:crs:EPSG:6.9:4326",
        "urn:x-ogc:def:crs:EPSG:4326:4326",
        "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        "https://www.opengis.net/def/crs/EPSG/0/4326",
        "http://www.opengis.net/gml/srs/epsg.xml#4326",
        "EPSG:4326",
        "epsg:4326",
        "OGC:CRS84",
        "CRS84",
        "WGS84",
        "WGS 84",
    ],
)
def test_each_form_of_the_name_of_wgs84_is_known(name: str) -> None:
    assert is_wgs84({"type": "name", "properties": {"name": name}})


@pytest.mark.parametrize(
    "crs",
    [
        {"type": "name", "properties": {"name": "WGS84 / UTM zone 18N"}},
        {"type": "name", "properties": {"name": "EPSG:43260"}},
        {"type": "name", "properties": {"name": "EPSG:2263"}},
        {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::26918"}},
        {"type": "name", "properties": {"name": "http://www.opengis.net/def/crs/EPSG/0/3857"}},
        {"type": "name", "properties": {"name": "NAD83 based on WGS84"}},
        {"type": "name", "properties": {"name": 4326}},
        {"type": "name"},
        {"type": "link", "properties": {"href": "http://example.com/crs/EPSG:4326"}},
        {"type": "EPSG", "properties": {"code": 3857}},
        "EPSG:4326",
        [],
        7,
    ],
)
def test_another_coordinate_system_is_not_taken_for_wgs84(crs: Json) -> None:
    assert not is_wgs84(crs)


def test_a_file_in_another_system_is_refused() -> None:
    assert faults_of(file("crs_utm")) == [("/crs", "projected")]


def test_latitude_before_longitude_is_seen_in_america_without_any_school() -> None:
    assert faults_of(file("latitude_first_dc")) == [("/features/0/geometry/coordinates/0", "swapped")]


def test_latitude_before_longitude_is_seen_elsewhere_by_the_points_of_the_schools() -> None:
    madrid = {"prado": (-3.69, 40.41)}
    swapped = ring_file([[40.3, -3.8], [40.5, -3.8], [40.5, -3.6], [40.3, -3.6], [40.3, -3.8]])
    assert faults_of(swapped, schools=madrid) == [("/features", "swapped")]


def test_a_map_of_another_city_is_noted() -> None:
    checked = check(file("crs_null"), schools={"lincoln": (-71.06, 42.36)})
    assert [note.code for note in checked.notes] == ["far"]
    assert checked.schools_outside == ["lincoln"]


def test_a_ring_across_the_180th_meridian_is_refused() -> None:
    assert faults_of(file("antimeridian_uncut")) == [("/features/0/geometry/coordinates/0", "antimeridian")]


def test_a_gap_of_a_centimeter_between_two_zones_is_noted() -> None:
    checked = check(file("one_cm_gap"))
    assert [(note.pointer, note.code) for note in checked.notes] == [("/features/1/geometry", "sliver")]
    assert checked.notes[0].values == {"zone": "east", "other": "west", "meters": 10}


def test_two_zones_that_overlap_are_noted_whosever_they_are() -> None:
    checked = check(file("overlap_of_two_schools"))
    assert [(note.pointer, note.code) for note in checked.notes] == [("/features/1/geometry", "overlap")]


def test_an_overlap_of_a_few_centimeters_is_a_sliver() -> None:
    checked = check(file("one_cm_gap").replace(b"-77.0200001", b"-77.0199999"))
    assert [(note.code, note.values["centimeters"]) for note in checked.notes] == [("sliver", 1)]


@pytest.mark.parametrize("step", [0, 1])
def test_neighbors_that_share_their_border_are_not_noted(step: int) -> None:
    west = [[-77.05, 38.88], [-77.02, 38.88], [-77.02, 38.9], [-77.02, 38.92], [-77.05, 38.92], [-77.05, 38.88]]
    east = [[-77.02, 38.88], [-77.0, 38.88], [-77.0, 38.92], [-77.02, 38.92], [-77.02, 38.88]]
    del west[2 : 2 + step]
    assert check(ring_file(west, east)).notes == []


def test_a_zone_without_a_shape_is_left_out_and_the_others_are_read() -> None:
    checked = check(file("zone_without_shape"))
    assert [shape.zone for shape in checked.shapes] == ["a"]
    assert [(note.pointer, note.code) for note in checked.notes] == [("/features/1/geometry", "no-shape")]


def test_the_answer_says_how_many_more_faults_there_are() -> None:
    features = [square(f"no id {place}", left=0) for place in range(MAX_FAULTS + 142)]
    with pytest.raises(UnusableZones) as refused:
        check(collection(*features))
    *first, last = refused.value.faults
    assert len(first) == MAX_FAULTS
    assert (last.code, last.values) == ("more-faults", {"more": 142})


def test_the_file_keeps_its_own_names_of_properties() -> None:
    properties: Json = {"NAME": "Adams ES", "GRADES": "KG, 01", "NCES": "110003000123", "YEAR": 2027}
    names = PropertyNames("NAME", "NAME", "NCES", "GRADES", "YEAR")
    city = City({"110003000123": "adams"}, ["KG", "01"], {})
    with tempfile.TemporaryFile() as upload:
        raw = with_properties(properties)
        upload.write(raw)
        upload.seek(0)
        checked = check_zones(Upload(upload, len(raw), b""), city, names, seconds=60)
    zone = checked.shapes[0]
    assert (zone.zone, zone.name, zone.school, zone.grades, zone.vintage) == (
        "Adams-ES",
        "Adams ES",
        "adams",
        ("KG", "01"),
        "2027",
    )
    assert [(note.code, note.values["value"]) for note in checked.notes] == [("id-made", "Adams ES")]


def test_two_names_that_give_one_id_are_refused() -> None:
    features = [feature_with({"NAME": name, "vintage": "2027"}) for name in ("A b", "A-b")]
    with pytest.raises(UnusableZones) as refused:
        check(collection(*features), names=PropertyNames(zone="NAME"))
    assert [fault.code for fault in refused.value.faults] == ["zone-twice"]


@pytest.mark.parametrize(
    ("text", "zone"), [("Peñas Blancas", "Penas-Blancas"), ("12", "12"), ("  ?? ", None), ("a" * 70, "a" * 64)]
)
def test_an_id_is_made_from_a_name(text: str, zone: str | None) -> None:
    assert id_from(text) == zone


def test_a_missing_property_is_named_with_those_that_the_file_has() -> None:
    with pytest.raises(UnusableZones) as refused:
        check(with_properties({"ATT_ID": 7, "NAME": "Adams"}))
    fault = refused.value.faults[0]
    assert (fault.code, fault.values["wanted"], fault.values["names"]) == ("no-property", "zone", "ATT_ID, NAME")


def test_the_dry_run_says_how_many_schools_and_addresses_are_in_no_zone(service: Service) -> None:
    a_cycle(service)
    with transaction(service.sessions) as session:
        for school, longitude in (("lincoln", 5.0), ("adams", 25.0)):
            found = session.get_one(School, school)
            found.longitude, found.latitude = longitude, 5.0
    administrator = service.administrator()
    answer = bring(administrator, collection(square("west", left=0)), "").json()
    assert answer["outside"] == {"schools": ["adams"], "children": 0}


def test_the_names_of_properties_stand_in_the_query(service: Service) -> None:
    a_cycle(service)
    raw = with_properties({"ATT_ID": 7, "NAME": "Adams"})
    query = "?apply=true&zone_property=ATT_ID&name_property=NAME&vintage=2027-28"
    administrator = service.administrator()
    assert bring(administrator, raw, query).json()["applied"] is True
    listed = administrator.get(IMPORT.replace("/imports", "")).json()["data"]
    assert [(zone["zone"], zone["name"], zone["vintage"]) for zone in listed] == [("7", "Adams", "2027-28")]


def ring_file(*rings: Sequence[Sequence[float]]) -> bytes:
    """Return a file with one zone for each ring."""
    features = [
        {
            "type": "Feature",
            "properties": {"zone": f"zone-{place}", "vintage": "2027"},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for place, ring in enumerate(rings)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def with_properties(properties: Json) -> bytes:
    """Return a file with one square that has these properties."""
    return collection(feature_with(properties))


def feature_with(properties: Json) -> Json:
    """Return a square with these properties."""
    feature = square("x", left=0)
    assert isinstance(feature, Mapping)
    return {**feature, "properties": properties}
