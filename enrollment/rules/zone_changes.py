"""Replace the zones of a cycle, and resolve the rules that depend on them again."""

import uuid
from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.orm import Session

from enrollment.audit.log import append
from enrollment.cycles.changes import cycle_in_full
from enrollment.cycles.locks import CycleNow
from enrollment.database import copy_rows
from enrollment.rules.in_force import Act, Approval, settle_cycle
from enrollment.rules.levels import lock_rules
from enrollment.zones.areas import ZoneShape
from enrollment.zones.models import Zone
from lottery.market.canonical import Json

AreaRow = tuple[str | int | bytes | list[str] | uuid.UUID | None, ...]

ZONE_COLUMNS = ("cycle_id", "id", "part", "name", "school_id", "grades", "vintage", "shape")


def replace_zones(
    session: Session,
    cycle_now: CycleNow,
    shapes: Sequence[ZoneShape],
    *,
    sha256: bytes,
    act: Act,
    approval: Approval | None = None,
) -> None:
    """Replace all zones of a cycle, and log the change with the hash of the file.

    Rules depend on zones, so the rules of every program that takes part are resolved again.

    Args:
        session: a transaction that locks the cycle alone (`lock_cycle`).
        cycle_now: the cycle, before the freeze of its main round.
        shapes: the new zones.
        sha256: the hash of the file.
        act: the person who brought the file, and the reason if the cycle has opened.
        approval: the second person's approval, if the cycle has opened.

    Raises:
        RulesCannotWork: if a program's rules need a zone that the file does not have.
    """
    cycle = cycle_now.cycle
    lock_rules(session, cycle.id)
    session.execute(delete(Zone).where(Zone.cycle_id == cycle.id))
    copy_rows(session, Zone, ZONE_COLUMNS, area_rows(cycle.id, shapes))
    cycle.zones_version += 1
    cycle.zones_vintage = max((shape.vintage for shape in shapes), default=None)
    session.flush()
    zones: dict[str, Json] = {
        "count": len({shape.zone for shape in shapes}),
        "vintage": cycle.zones_vintage,
        "sha256": sha256.hex(),
    }
    fields: dict[str, Json] = {**cycle_in_full(cycle), "zones": zones}
    if approval:
        fields |= {"approved_by": approval.actor, "approval_reason": approval.reason}
    append(session, "cycle.put", cycle=cycle.id, actor=act.actor, reason=act.reason, fields=fields)
    settle_cycle(session, cycle, act, approval)


def area_rows(owner: str | uuid.UUID, shapes: Sequence[ZoneShape]) -> list[AreaRow]:
    """Return the rows of areas that belong to a cycle or to a proposal, and number the areas of each zone."""
    parts: dict[str, int] = {}
    rows: list[AreaRow] = []
    for shape in shapes:
        part = parts.get(shape.zone, 0)
        parts[shape.zone] = part + 1
        grades = None if shape.grades is None else list(shape.grades)
        rows.append((owner, shape.zone, part, shape.name, shape.school, grades, shape.vintage, shape.wkb()))
    return rows
