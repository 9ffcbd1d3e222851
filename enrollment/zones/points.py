"""Find the zones of a point among the zones of a cycle."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.cycles.locks import CycleNotFound, CycleNow
from enrollment.cycles.models import Cycle
from enrollment.directory.models import School
from enrollment.problems import Conflict, sentence
from enrollment.zones.areas import AreaKey, ZoneIndex, ZoneShape
from enrollment.zones.import_check import City
from enrollment.zones.models import Zone

MAX_INDEXES = 8


class ZonesFixed(Conflict):
    """The main round is frozen, and its market has the children's zones."""

    title = sentence("Zones cannot change after the freeze")
    detail = sentence(
        "The round {round} of {cycle} is frozen with these zones. Set the zones of one child with PUT "
        "/v1/cycles/{cycle}/children/TICKET/zones before the next round, or place the child outside the lottery with "
        "POST /v1/placements. Import new zones into the next cycle."
    )


@dataclass(frozen=True, slots=True)
class ZonesFound:
    """The zones of one or more points, together."""

    zones: tuple[str, ...]
    """The ids in order, each once."""
    on_border: bool
    """Whether a point is on a border. Such a point is in every zone that touches it."""
    vintage: str | None
    """The newest vintage among the cycle's zones; None: the cycle has no zones."""
    areas: frozenset[AreaKey] = frozenset()
    """The areas of these zones that contain the points."""


class _Indexes:
    """A cache of the indexes that were used last.

    The key has the version of the cycle's zones, so an index that is out of date is never used.
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
    """Find the zones that contain at least one of some points.

    Args:
        session: a transaction; a cycle that it has loaded is not read again.
        cycle_id: the cycle of the zones.
        points: longitude and latitude, WGS84, in degrees.
        grade: only zones for this grade; None: all zones.

    Raises:
        CycleNotFound: if the cycle does not exist.
        UnusablePoint: if the coordinates of a point are out of range; the error does not quote them.
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


def city_of(session: Session, cycle: Cycle) -> City:
    """Return the schools and grades that a file of zones may name, and the points of the schools."""
    rows = session.execute(select(School.id, School.nces_id, School.longitude, School.latitude)).all()
    with_nces_id = Counter(row.nces_id for row in rows)
    return City(
        schools={
            **{row.nces_id: row.id for row in rows if row.nces_id and with_nces_id[row.nces_id] == 1},
            **{row.id: row.id for row in rows},
        },
        grades=cycle.grades,
        points={row.id: (row.longitude, row.latitude) for row in rows if row.longitude is not None},
    )


def refuse_fixed(cycle_now: CycleNow) -> None:
    """Refuse new zones once the main round is frozen.

    Raises:
        ZonesFixed: if the main round is frozen, and not void.
    """
    cycle = cycle_now.cycle
    if cycle.main_round is not None:
        raise ZonesFixed(cycle=cycle.id, round=cycle.main_round)
