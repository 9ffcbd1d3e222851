"""Find zones of one school that lie over each other."""

import time
from collections.abc import Callable, Mapping, Sequence

import shapely

from enrollment.problems import Fault, sentence
from enrollment.zones.areas import ZoneShape

MAX_NOTES = 200
OVERLAP = sentence("{zone} lies partly over {other}, a zone of the same school; a child there is in both")
NOT_COMPARED = sentence("from this area on, areas were not compared with each other; more may lie over each other")
INTERIORS_MEET = "T********"
"""Two areas that have more than a border in common, as DE-9IM writes it (OGC 06-103r4, 6.1.15)."""


def overlaps(
    shapes: Sequence[ZoneShape], *, seconds: float, checking: Callable[[int], None] = lambda _: None
) -> list[Fault]:
    """Note where two zones of one school lie over each other for the same grades: rings do, areas by mistake.

    At most `MAX_NOTES` are noted; a note of its own says if more may follow, or if the time was over before the end.
    `checking` is told the number of each feature before it is compared with those before it.
    """
    noted: list[Fault] = []
    until = time.process_time() + seconds
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
            if len(noted) == MAX_NOTES or time.process_time() > until:
                return [*noted, Fault(f"/features/{place}/geometry", "not-compared", NOT_COMPARED)]
            if _share_a_grade(shape, shapes[other]) and _meet(shape, shapes[other]):
                values = {"zone": shape.zone, "other": shapes[other].zone}
                noted.append(Fault(f"/features/{place}/geometry", "overlap", OVERLAP, values))
    return noted


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
