"""Hold the areas of a file against the points of the city's schools."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import shapely

from enrollment.problems import Fault, sentence
from enrollment.zones.areas import ZoneShape

Point = tuple[float, float]
"""Longitude and latitude, WGS84, in degrees."""

NEAR = 0.5
"""The distance in degrees, about 50 km, within which a city's schools and zones lie."""

SWAPPED = sentence(
    "no school in the directory lies near these areas, but schools lie near them if latitude and "
    "longitude change places; write longitude first (RFC 7946), or correct the points of the schools"
)
FAR = sentence("no school in the directory lies within about 50 km of these areas; check that the map shows your city")


def schools_in_no_zone(shapes: Sequence[ZoneShape], schools: Mapping[str, Point]) -> list[str]:
    """Return the schools whose point lies in no area, in order of their ids."""
    outside = np.flatnonzero(~inside_any(shapes, list(schools.values())))
    names = list(schools)
    return sorted(names[place] for place in outside)


def inside_any(shapes: Sequence[ZoneShape], points: Sequence[Point]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return for each point whether it lies in an area or on its border."""
    inside = np.zeros(len(points), np.bool_)
    if points:
        tree = shapely.STRtree([shape.shape for shape in shapes])
        inside[tree.query(shapely.points(np.array(points)), predicate="intersects")[0]] = True
    return inside


def misplaced(shapes: Sequence[ZoneShape], schools: Mapping[str, Point]) -> Iterator[Fault]:
    """Yield a fault `swapped` or a note `far` if the areas lie away from every school that has a point."""
    if not schools or not shapes:
        return
    west, south, east, north = shapely.total_bounds([shape.shape for shape in shapes])
    box = shapely.box(west - NEAR, south - NEAR, east + NEAR, north + NEAR)
    points = np.array(list(schools.values()))
    if np.any(shapely.intersects(box, shapely.points(points))):
        return
    if np.any(shapely.intersects(box, shapely.points(points[:, ::-1]))):
        yield Fault("/features", "swapped", SWAPPED)
    else:
        yield Fault("/features", "far", FAR)
