"""Find the zones of a cycle's children again, from their stored points. No address leaves this module."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, select, update
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child, Person
from enrollment.applicants.points import points_of
from enrollment.applicants.settled_facts import commit_facts_of_many
from enrollment.applicants.zone_overrides import OVERRIDE
from enrollment.audit.salts import new_salt
from enrollment.zones.areas import ZoneIndex

ROWS_AT_ONCE = 5_000
NO_ADDRESS = "no address"


@dataclass(frozen=True, slots=True)
class ZonesAgain:
    """The zones of an application, and the zones found for it now."""

    applicant: uuid.UUID
    tag: bytes
    partner: str
    reference: str
    version: int
    """The version of the application for which the zones were found."""
    before: frozenset[str]
    method_before: str
    zones: frozenset[str]
    method: str

    @property
    def moves(self) -> bool:
        """Say whether the child's zones change."""
        return self.zones != self.before


Found = Mapping[uuid.UUID, ZonesAgain]
"""By application."""


def find_zones_again(session: Session, cycle: str, index: ZoneIndex, *, earlier: Found | None = None) -> Found:
    """Find the zones of all active applications, except those whose zones were set by staff.

    Args:
        session: the transaction.
        cycle: the cycle.
        index: the new zones.
        earlier: what an earlier call found. Only applications that changed since are looked at again.
    """
    known = earlier or {}
    versions = dict(session.execute(select(Applicant.id, Applicant.version).where(*_concerned(cycle))).all())
    kept = {id_: found for id_, found in known.items() if versions.get(id_) == found.version}
    stale = versions.keys() - kept.keys()
    if not stale:
        return kept
    query = _applications(cycle)
    if len(stale) <= ROWS_AT_ONCE:
        query = query.where(Applicant.id.in_(stale))
    found = dict(kept)
    for rows in session.execute(query.execution_options(yield_per=ROWS_AT_ONCE)).partitions():
        found.update({one.applicant: one for one in _found(rows, index) if one.applicant in stale})
    return found


def zones_set_by_staff(session: Session, cycle: str) -> list[Sequence[str]]:
    """Return the zones of each active application whose zones were set by staff."""
    return list(
        session.scalars(
            select(Applicant.zones).where(
                Applicant.cycle_id == cycle, Applicant.withdrawn_at.is_(None), Applicant.zone_method == OVERRIDE
            )
        )
    )


def put_zones_again(
    session: Session, cycle: str, found: Found, *, vintage: str | None, actor: str, reason: str
) -> None:
    """Store the zones found for a cycle's applications, and commit to the facts of each child whose zones change.

    `vintage` is the newest vintage among the new zones.

    The caller holds an exclusive lock on the cycle.
    """
    session.execute(
        update(Applicant)
        .where(
            *_concerned(cycle),
            Applicant.zone_method != NO_ADDRESS,
            Applicant.zone_vintage.is_distinct_from(vintage),
        )
        .values(zone_vintage=vintage, version=Applicant.version + 1)
        .execution_options(synchronize_session=False)
    )
    moved = [one for one in found.values() if one.moves]
    salts = {one.applicant: new_salt() for one in moved}
    _store(session, [{**_columns(one), "facts_salt": salts[one.applicant]} for one in moved])
    _store(session, [_columns(one) for one in found.values() if not one.moves and one.method != one.method_before])
    session.expire_all()
    commit_facts_of_many(session, cycle, salts, actor=actor, basis="zones", reason=reason)


def _store(session: Session, rows: Sequence[Mapping[str, object]]) -> None:
    if rows:
        session.execute(update(Applicant), rows)


def _columns(one: ZonesAgain) -> dict[str, object]:
    return {
        "id": one.applicant,
        "zones": sorted(one.zones),
        "zone_method": one.method,
        "version": one.version + 1,
    }


def _concerned(cycle: str) -> tuple[ColumnElement[bool], ...]:
    return Applicant.cycle_id == cycle, Applicant.withdrawn_at.is_(None), Applicant.zone_method != OVERRIDE


def _applications(cycle: str) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Applicant.id,
            Child.tag,
            Applicant.partner_id,
            Applicant.reference,
            Applicant.version,
            Applicant.grade,
            Applicant.zones,
            Applicant.zone_method,
            Person.addresses,
        )
        .join(Child, Child.id == Applicant.child_id)
        .join(Person, Person.applicant_id == Applicant.id)
        .where(*_concerned(cycle))
    )


def _found(rows: Collection[Row[*tuple[Any, ...]]], index: ZoneIndex) -> list[ZonesAgain]:
    points = [(place, point) for place, row in enumerate(rows) for point in points_of(row.addresses)]
    grades = [row.grade for row in rows]
    located = index.at_all([point for _, point in points], [grades[place] for place, _ in points])
    zones: list[set[str]] = [set() for _ in rows]
    methods = [NO_ADDRESS for _ in rows]
    for (place, _), at in zip(points, located, strict=True):
        zones[place].update(at.zones)
        if at.on_border or methods[place] == "border":
            methods[place] = "border"
        elif zones[place]:
            methods[place] = "point"
        else:
            methods[place] = "no zone"
    return [
        ZonesAgain(
            row.id, row.tag, row.partner_id, row.reference, row.version,
            frozenset(row.zones), row.zone_method, frozenset(zones[place]), methods[place],
        )
        for place, row in enumerate(rows)
    ]  # fmt: skip
