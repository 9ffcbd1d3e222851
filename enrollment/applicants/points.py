"""Hold a map of zones against the addresses of a cycle's applicants. No address leaves this module."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Person
from enrollment.zones.areas import ZoneShape
from enrollment.zones.plausibility import Point, inside_any

ROWS_AT_ONCE = 5_000


def addresses_outside(session: Session, cycle: str, shapes: Sequence[ZoneShape]) -> int:
    """Return how many applicants with a point have all their points outside every area."""
    owners: list[int] = []
    points: list[Point] = []
    for owner, addresses in enumerate(_addresses(session, cycle)):
        for address in addresses:
            point = address.get("point")
            if point is not None:
                owners.append(owner)
                points.append((point["longitude"], point["latitude"]))
    inside = inside_any(shapes, points)
    return len(set(owners) - {owner for owner, found in zip(owners, inside, strict=True) if found})


def _addresses(session: Session, cycle: str) -> Iterator[Sequence[Mapping[str, Any]]]:
    query = (
        select(Person.addresses)
        .join(Applicant, Applicant.id == Person.applicant_id)
        .where(Applicant.cycle_id == cycle, Applicant.withdrawn_at.is_(None))
    )
    for addresses in session.scalars(query.execution_options(yield_per=ROWS_AT_ONCE)):
        yield cast("Sequence[Mapping[str, Any]]", addresses)
