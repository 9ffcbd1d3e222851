"""Areas of zones, and the index that finds the areas around a point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from enrollment.problems import BadRequest, sentence

MAX_LONGITUDE = 180
MAX_LATITUDE = 90

AreaKey = tuple[str, tuple[str, ...] | None]
"""A zone's id and the grades of one of its areas. A zone has at most one area for each grade."""


class UnusablePoint(BadRequest):
    """The coordinates are not a point on Earth."""

    title = sentence("Invalid coordinates")
    detail = sentence(
        "Longitude must be between -180 and 180, and latitude between -90 and 90, in degrees (WGS84). "
        "Correct the coordinates and try again."
    )


@dataclass(frozen=True, slots=True)
class ZoneShape:
    """One area of a zone, for some grades."""

    zone: str
    name: str | None
    school: str | None
    grades: tuple[str, ...] | None
    """None: all grades."""
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
        """Read an area from well-known binary."""
        return cls(zone, name, school, None if grades is None else tuple(grades), vintage, shapely.from_wkb(wkb))

    def is_for(self, grade: str | None) -> bool:
        """Say whether the area covers a grade; None stands for any grade."""
        return grade is None or self.grades is None or grade in self.grades

    def shares_a_grade(self, other: "ZoneShape") -> bool:
        """Say whether both areas cover a grade."""
        return self.grades is None or other.grades is None or bool(set(self.grades) & set(other.grades))


@dataclass(frozen=True, slots=True)
class Located:
    """The zones around a point, in order. A point on a border is in every zone that touches the point."""

    zones: tuple[str, ...]
    on_border: bool
    areas: frozenset[AreaKey]
    """The areas of these zones that contain or touch the point."""


class ZoneIndex:
    """Finds the zones of points."""

    def __init__(self, shapes: Sequence[ZoneShape]) -> None:
        self._shapes = tuple(shapes)
        self._tree = shapely.STRtree([shape.shape for shape in self._shapes])

    def at(self, longitude: float, latitude: float, grade: str | None = None) -> Located:
        """Return the zones that contain or touch a point.

        Raises:
            UnusablePoint: if the coordinates are outside the range of longitude and latitude.
        """
        if not _on_earth(longitude, latitude):
            raise UnusablePoint
        return self.at_all([(longitude, latitude)], [grade])[0]

    def at_all(self, points: Sequence[tuple[float, float]], grades: Sequence[str | None]) -> list[Located]:
        """Return the zones that contain or touch each of some points on Earth, each for a grade.

        Each step is one call for the whole list, which lets other requests run meanwhile.
        """
        around: list[list[tuple[ZoneShape, bool]]] = [[] for _ in points]
        if points:
            asked = np.array([shapely.Point(*point) for point in points], dtype=np.object_)
            owners, places = self._tree.query(asked, predicate="intersects")
            areas = np.array([shape.shape for shape in self._shapes], dtype=np.object_)[places]
            borders = np.atleast_1d(shapely.touches(areas, asked[owners]))
            for owner, place, border in zip(owners.tolist(), places.tolist(), borders.tolist(), strict=True):
                if self._shapes[place].is_for(grades[owner]):
                    around[owner].append((self._shapes[place], border))
        return [_located(shapes) for shapes in around]


def _located(around: Sequence[tuple[ZoneShape, bool]]) -> Located:
    return Located(
        tuple(sorted({shape.zone for shape, _ in around})),
        on_border=any(border for _, border in around),
        areas=frozenset((shape.zone, shape.grades) for shape, _ in around),
    )


def _on_earth(longitude: float, latitude: float) -> bool:
    finite = math.isfinite(longitude) and math.isfinite(latitude)
    return finite and abs(longitude) <= MAX_LONGITUDE and abs(latitude) <= MAX_LATITUDE
