"""Find areas that overlap, and thin gaps and overlaps between neighbors (slivers)."""

import math
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from enrollment.fault_list import FaultList
from enrollment.problems import Fault, sentence
from enrollment.zones.areas import ZoneShape

MAX_NOTES = 200
OF_ONE_SCHOOL = sentence("{zone} overlaps {other}, a zone of the same school; a child in the overlap is in both zones")
OF_TWO_SCHOOLS = sentence(
    "{zone} of {school} overlaps {other} of {other_school}; a child in the overlap is in both zones"
)
OF_NO_SCHOOL = sentence(
    "{zone} overlaps {other}; a child in the overlap is in both zones. Distance rings may overlap. "
    "Attendance areas must not: correct their borders"
)
STRIP = sentence(
    "{zone} overlaps {other} in a strip about {centimeters} cm wide; draw one border and use it for both "
    "zones, so that each address is in one zone"
)
GAP = sentence(
    "a gap less than {meters} m wide lies between {zone} and {other}; an address in the gap is in no "
    "zone. Draw one border and use it for both zones"
)
NOT_COMPARED = sentence("this area and all later areas were not compared with each other; more areas may overlap")
INTERIORS_MEET = "T********"
"""Two areas share more than a border, in the DE-9IM notation (OGC 06-103r4, 6.1.15)."""

METERS_A_DEGREE = 111_320
THIN = 10.0
"""The greatest width of a sliver, in meters: less than a street."""
SMALLEST_GAP = 5.0
"""The smallest area of a gap, in square meters. Rounding of coordinates makes smaller ones."""


def overlaps(
    shapes: Sequence[ZoneShape],
    places: Sequence[int],
    *,
    seconds: float,
    checking: Callable[[int], None] = lambda _: None,
) -> list[Fault]:
    """Return a note for each pair of areas that overlap, or that a thin gap divides, for the same grades.

    Notes about areas of schools come first. The list has at most `MAX_NOTES` notes of each kind, and says how many more
    there are, or that the time ran out.

    Args:
        shapes: the areas of the file.
        places: the number of each area's feature.
        seconds: processor time for the comparison.
        checking: receives the number of each feature before its comparison with earlier features.
    """
    of_schools, others = FaultList(MAX_NOTES), FaultList(MAX_NOTES)
    deadline = time.process_time() + seconds
    pairs = _Neighbors(shapes)
    for place, shape in enumerate(shapes):
        checking(places[place])
        for other in pairs.before(place):
            full = max(len(of_schools), len(others)) >= MAX_NOTES
            if full or time.process_time() > deadline:
                last = Fault(f"/features/{places[place]}/geometry", "not-compared", NOT_COMPARED)
                return [*of_schools, *others, last]
            for code, detail, values in pairs.compared(place, other):
                notes = of_schools if shape.school and shapes[other].school else others
                notes.add(Fault(f"/features/{places[place]}/geometry", code, detail, values))
    return [*of_schools.listed(), *others.listed()]


class _Neighbors:
    """The areas of a file in meters on a plane, with the pairs of them that lie close together."""

    def __init__(self, shapes: Sequence[ZoneShape]) -> None:
        self._shapes = shapes
        self._flat = _in_meters([shape.shape for shape in shapes])
        self._tree = shapely.STRtree(self._flat)

    def before(self, place: int) -> list[int]:
        """Return the earlier areas close to an area that share a grade with it."""
        west, south, east, north = shapely.bounds(self._flat[place])
        near = self._tree.query(shapely.box(west - THIN, south - THIN, east + THIN, north + THIN))
        shape = self._shapes[place]
        return sorted(int(other) for other in near if other < place and self._shapes[other].shares_a_grade(shape))

    def compared(self, place: int, other: int) -> Iterator[tuple[str, str, dict[str, str | int]]]:
        """Yield a note about two areas if they overlap or a thin gap divides them."""
        one, two = self._flat[place], self._flat[other]
        names: dict[str, str | int] = {"zone": self._shapes[place].zone, "other": self._shapes[other].zone}
        if shapely.relate_pattern(one, two, INTERIORS_MEET):
            width = _width(shapely.intersection(one, two))
            if width < THIN:
                yield "sliver", STRIP, {**names, "centimeters": max(1, math.ceil(width * 100))}
            else:
                yield self._overlap(place, other, names)
        elif names["zone"] != names["other"] and _gap_between(one, two):
            yield "sliver", GAP, {**names, "meters": int(THIN)}

    def _overlap(self, place: int, other: int, names: dict[str, str | int]) -> tuple[str, str, dict[str, str | int]]:
        school, other_school = self._shapes[place].school, self._shapes[other].school
        if school is None or other_school is None:
            return "overlap", OF_NO_SCHOOL, names
        if school == other_school:
            return "overlap", OF_ONE_SCHOOL, names
        return "overlap", OF_TWO_SCHOOLS, {**names, "school": school, "other_school": other_school}


def _in_meters(shapes: Sequence[BaseGeometry]) -> Sequence[BaseGeometry]:
    """Return areas on a plane around their middle, in meters (equirectangular projection)."""
    if not shapes:
        return []
    _, south, _, north = shapely.total_bounds(shapes)
    scale = np.array([math.cos(math.radians((south + north) / 2)), 1.0]) * METERS_A_DEGREE
    return list(shapely.transform(np.array(shapes), lambda positions: positions * scale))


def _width(overlap: BaseGeometry) -> float:
    """Return the mean width of an area in meters: exact for a long strip."""
    return 2 * overlap.area / overlap.length if overlap.length else 0.0


def _gap_between(one: BaseGeometry, two: BaseGeometry) -> bool:
    """Return whether two areas that do not overlap leave a strip between them that is thinner than a street.

    The test of a coverage (`ST_CoverageInvalidEdges`) is quick and also finds borders that differ by a vertex alone.
    Closing the two areas then measures the gap.
    """
    if shapely.coverage_is_valid([one, two], gap_width=THIN):
        return False
    both = shapely.union(one, two)
    closed = both.buffer(THIN / 2, join_style="mitre").buffer(-THIN / 2, join_style="mitre")
    return bool(shapely.difference(closed, both).area > SMALLEST_GAP)
