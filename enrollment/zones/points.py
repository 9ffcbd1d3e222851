"""Find the zones that a point is in, from the zones of a cycle in the database."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.cycles.locks import CycleNotFound, CycleNow
from enrollment.cycles.models import Cycle
from enrollment.directory.models import School
from enrollment.problems import Conflict, sentence
from enrollment.zones.areas import AreaKey, ZoneIndex, ZoneShape
from enrollment.zones.models import Zone

MAX_INDEXES = 8


class ZonesFixed(Conflict):
    """The cycle has opened: children have been placed in its zones."""

    title = sentence("The zones are fixed since the cycle opened")
    detail = sentence(
        "Families of {cycle} rank by these zones, so they stay. For one child, an administrator may set its zones with "
        "a reason; put new zones into the next cycle."
    )


@dataclass(frozen=True, slots=True)
class ZonesFound:
    """The zones that some points are in, together."""

    zones: tuple[str, ...]
    """Ids in order, each once."""
    on_border: bool
    """Whether one of the points is on a border; then every zone that touches it is among them."""
    vintage: str | None
    """The newest vintage among the cycle's zones; None: it has none."""
    areas: frozenset[AreaKey] = frozenset()
    """Which areas of these zones the points are in."""


class _Indexes:
    """Indexes made of zones in the database, the last few that were asked for.

    They are kept under the version of a cycle's zones, so one that is out of date is never asked for again.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, int], ZoneIndex] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, session: Session, cycle: Cycle) -> ZoneIndex:
        """Return the index of a cycle's zones."""
        key = (str(session.connection().engine.url), cycle.id, cycle.zones_version)
        with self._lock:
            index = self._kept.get(key)
        if index is None:
            index = ZoneIndex(zones_of(session, cycle.id))
        with self._lock:
            self._kept[key] = index
            self._kept.move_to_end(key)
            while len(self._kept) > MAX_INDEXES:
                self._kept.popitem(last=False)
        return index


_indexes = _Indexes()


def zones_at(
    session: Session, cycle_id: str, points: Sequence[tuple[float, float]], grade: str | None = None
) -> ZonesFound:
    """Find the zones that any of some points is in.

    Args:
        session: a transaction; a cycle that it holds already is not asked for again.
        cycle_id: whose zones.
        points: longitude and latitude, WGS84, in degrees.
        grade: only zones that are for this grade; None: all.

    Raises:
        CycleNotFound: if there is no such cycle.
        UnusablePoint: if a point is none on Earth; it is not quoted.
    """
    cycle = session.get(Cycle, cycle_id)
    if cycle is None:
        raise CycleNotFound
    if not points:
        return ZonesFound((), on_border=False, vintage=cycle.zones_vintage)
    index = _indexes.of(session, cycle)
    located = [index.at(longitude, latitude, grade) for longitude, latitude in points]
    return ZonesFound(
        tuple(sorted({zone for found in located for zone in found.zones})),
        on_border=any(found.on_border for found in located),
        vintage=cycle.zones_vintage,
        areas=frozenset().union(*(found.areas for found in located)),
    )


def zones_of(session: Session, cycle_id: str) -> list[ZoneShape]:
    """Return a cycle's zones with their shapes."""
    rows = session.scalars(select(Zone).where(Zone.cycle_id == cycle_id).order_by(Zone.id, Zone.part))
    return [
        ZoneShape.from_wkb(
            row.shape, zone=row.id, name=row.name, school=row.school_id, grades=row.grades, vintage=row.vintage
        )
        for row in rows
    ]


def known_schools(session: Session) -> tuple[str, ...]:
    """Return the ids of the directory's schools."""
    return tuple(session.scalars(select(School.id)))


def refuse_opened(held: CycleNow) -> None:
    """Refuse new zones once the cycle has opened.

    Raises:
        ZonesFixed: if it has.
    """
    if held.has_opened:
        raise ZonesFixed(cycle=held.cycle.id)
