"""The map of the demo's city: its zones as GeoJSON."""

from collections.abc import Sequence
from math import cos, radians

import shapely

from lottery.generate.city import BLOCKS, HALF_MILE, City
from lottery.generate.rules import Rules

VINTAGE = "2026-08"

CORNER = (-77.10, 38.82)
METERS_A_DEGREE = 111_320


def degrees(x: float, y: float) -> tuple[float, float]:
    """Return the longitude and latitude of a point of the city, which is given in meters."""
    longitude, latitude = CORNER
    return (
        round(longitude + x / (METERS_A_DEGREE * cos(radians(latitude))), 6),
        round(latitude + y / METERS_A_DEGREE, 6),
    )


def zones_of(city: City, rules: Sequence[Rules]) -> dict[str, object]:
    """Return the city's zones as GeoJSON: neighborhoods, and the half mile around schools whose rules use it."""
    size = city.side / BLOCKS
    blocks: dict[int, list[shapely.Geometry]] = {}
    for block, zone in enumerate(city.zone_of):
        row, column = divmod(block, BLOCKS)
        square = shapely.box(column * size, row * size, (column + 1) * size, (row + 1) * size)
        blocks.setdefault(zone, []).append(square)
    features = [_feature(city.zones[zone].name, shapely.union_all(squares)) for zone, squares in sorted(blocks.items())]
    used = {zone for rule in rules for zone in rule.zones()}
    features += [
        _feature(school.ring, shapely.Point(school.x, school.y).buffer(HALF_MILE, quad_segs=16))
        for school in city.schools
        if school.ring in used
    ]
    return {"type": "FeatureCollection", "features": features}


def _feature(name: str, shape: shapely.Geometry) -> dict[str, object]:
    polygons = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    rings = [
        [[list(degrees(x, y)) for x, y in ring.coords] for ring in (polygon.exterior, *polygon.interiors)]
        for polygon in polygons
    ]
    return {
        "type": "Feature",
        "properties": {"zone": name, "name": name, "vintage": VINTAGE},
        "geometry": {"type": "MultiPolygon", "coordinates": rings},
    }
