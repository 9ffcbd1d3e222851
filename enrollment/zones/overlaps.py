"""Find overlapping zones of the same school."""

import time
from collections.abc import Callable, Mapping, Sequence

import shapely

from enrollment.problems import Fault, sentence
from enrollment.zones.areas import ZoneShape

MAX_NOTES = 200
OVERLAP = sentence("{zone} overlaps {other}, a zone of the same school; a child in the overlap is in both zones")
NOT_COMPARED = sentence("this area and all later areas were not compared with each other; more areas may overlap")
INTERIORS_MEET = "T********"
"""Two areas share more than a border, in the DE-9IM notation (OGC 06-103r4, 6.1.15)."""


def overlaps(
    shapes: Sequence[ZoneShape], *, seconds: float, checking: Callable[[int], None] = lambda _: None
) -> list[Fault]:
    """Return a note for each pair of zones of one school that overlap for the same grades.

    Distance rings overlap on purpose, but attendance areas by mistake. The list has at most `MAX_NOTES` notes. A last
    note says if more may exist, or if the time ran out.

    Args:
        shapes: the areas of the file.
        seconds: processor time for the comparison.
        checking: receives the number of each feature before its comparison with earlier features.
    """
    notes: list[Fault] = []
    deadline = time.process_time() + seconds
    of_school = _by_school(shapes)
    trees = {school: shapely.STRtree([shapes[place].shape for place in own]) for school, own in of_school.items()}
    for place, shape in enumerate(shapes):
        if shape.school is None:
            continue
        checking(place)
        own = of_school[shape.school]
        for other in sorted(own[int(near)] for near in trees[shape.school].query(shape.shape)):
            if other >= place:
                break
            if len(notes) == MAX_NOTES or time.process_time() > deadline:
                return [*notes, Fault(f"/features/{place}/geometry", "not-compared", NOT_COMPARED)]
            if _share_a_grade(shape, shapes[other]) and _meet(shape, shapes[other]):
                values = {"zone": shape.zone, "other": shapes[other].zone}
                notes.append(Fault(f"/features/{place}/geometry", "overlap", OVERLAP, values))
    return notes


def _by_school(shapes: Sequence[ZoneShape]) -> Mapping[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, shape in enumerate(shapes):
        if shape.school is not None:
            places.setdefault(shape.school, []).append(place)
    return places


def _share_a_grade(shape: ZoneShape, other: ZoneShape) -> bool:
    return shape.grades is None or other.grades is None or bool(set(shape.grades) & set(other.grades))


def _meet(shape: ZoneShape, other: ZoneShape) -> bool:
    return bool(shapely.relate_pattern(shape.shape, other.shape, INTERIORS_MEET))
