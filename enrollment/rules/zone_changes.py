"""Replace the zones of a cycle, and resolve the rules that depend on them again."""

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.orm import Session

from enrollment.audit.log import append
from enrollment.cycles.changes import cycle_in_full
from enrollment.cycles.locks import CycleNow, lock_cycle
from enrollment.database import copy_rows
from enrollment.rules.in_force import Act, settle_cycle
from enrollment.rules.levels import lock_rules
from enrollment.zones.areas import ZoneShape
from enrollment.zones.models import Zone
from enrollment.zones.points import refuse_opened

ZONE_COLUMNS = ("cycle_id", "id", "part", "name", "school_id", "grades", "vintage", "shape")


def replace_zones(session: Session, cycle_id: str, shapes: Sequence[ZoneShape], *, sha256: bytes, act: Act) -> CycleNow:
    """Replace all zones of a cycle, and log the change with the hash of the file.

    Rules depend on zones, so the rules of every program that takes part are resolved again.

    Raises:
        CycleNotFound: if the cycle does not exist.
        ZonesFixed: if the cycle has opened.
        RulesCannotWork: if a program's rules need a zone that the file does not have.
    """
    cycle_now = lock_cycle(session, cycle_id)
    refuse_opened(cycle_now)
    cycle = cycle_now.cycle
    session.execute(delete(Zone).where(Zone.cycle_id == cycle_id))
    copy_rows(session, Zone, ZONE_COLUMNS, _rows(cycle_id, shapes))
    cycle.zones_version += 1
    cycle.zones_vintage = max((shape.vintage for shape in shapes), default=None)
    session.flush()
    zones = {
        "count": len({shape.zone for shape in shapes}),
        "vintage": cycle.zones_vintage,
        "sha256": sha256.hex(),
    }
    append(session, "cycle.put", cycle=cycle_id, actor=act.actor, fields={**cycle_in_full(cycle), "zones": zones})
    lock_rules(session, cycle_id)
    settle_cycle(session, cycle, act)
    return cycle_now


def _rows(cycle_id: str, shapes: Sequence[ZoneShape]) -> list[tuple[str | int | bytes | list[str] | None, ...]]:
    parts: dict[str, int] = {}
    rows: list[tuple[str | int | bytes | list[str] | None, ...]] = []
    for shape in shapes:
        part = parts.get(shape.zone, 0)
        parts[shape.zone] = part + 1
        grades = None if shape.grades is None else list(shape.grades)
        rows.append((cycle_id, shape.zone, part, shape.name, shape.school, grades, shape.vintage, shape.wkb()))
    return rows
