"""Hold a map of zones against the addresses of a cycle's applicants. No address leaves this module."""

from collections.abc import Iterator, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Person
from enrollment.stored_values import fields_of, objects_of
from enrollment.zones.areas import ZoneShape
from enrollment.zones.plausibility import Point, inside_any

ROWS_AT_ONCE = 5_000
MAX_DEGREES = 180


def children_outside(session: Session, cycle: str, shapes: Sequence[ZoneShape]) -> int:
    """Return how many children with a point have all their points outside every area."""
    owners: list[int] = []
    points: list[Point] = []
    for owner, addresses in enumerate(_addresses(session, cycle)):
        found = points_of(addresses)
        owners += [owner] * len(found)
        points += found
    inside = inside_any(shapes, points)
    return len(set(owners) - {owner for owner, found in zip(owners, inside, strict=True) if found})


def points_of(addresses: object) -> list[Point]:
    """Return the points of an application's stored addresses."""
    points = (fields_of(address.get("point")) for address in objects_of(addresses))
    pairs = ((_degrees(point.get("longitude")), _degrees(point.get("latitude"))) for point in points)
    return [(longitude, latitude) for longitude, latitude in pairs if longitude is not None and latitude is not None]


def _degrees(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > MAX_DEGREES:
        return None
    return float(value)


def _addresses(session: Session, cycle: str) -> Iterator[object]:
    query = (
        select(Person.addresses)
        .join(Applicant, Applicant.id == Person.applicant_id)
        .where(Applicant.cycle_id == cycle, Applicant.withdrawn_at.is_(None))
    )
    yield from session.scalars(query.execution_options(yield_per=ROWS_AT_ONCE))
