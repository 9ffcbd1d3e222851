"""Lock the households and children of applications before the first of them changes.

A request may send many applications in any order, and two requests may send the same children. So each request locks
its households, then the known children, then the new children, and sorts each of the three. The order of all locks is
in docs/explanation/locks.md.
"""

import secrets
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, exists, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.applicants.models import Applicant, Child, Household

TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class ApplicationKeys:
    """The keys of the rows that one application needs locked."""

    cycle: str
    reference: str
    household: str | None = None
    """The partner's own id of the household that the child joins."""
    sis_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class NewRows:
    """The rows that were created while locking, for applications that may still be refused."""

    households: Collection[uuid.UUID]
    children: Collection[uuid.UUID]
    identified: Collection[uuid.UUID]
    """Known children that received their SIS id now."""


@dataclass(frozen=True, slots=True)
class _KnownChild:
    """The child of a stored application."""

    id: uuid.UUID
    sis_digest: bytes | None


Known = Mapping[tuple[str, str], _KnownChild]
"""The children of the partner's stored applications, by cycle and reference."""


def lock_families(session: Session, partner: Partner, applications: Sequence[ApplicationKeys]) -> NewRows:
    """Lock the households and children of applications, and create those that do not exist yet.

    Args:
        session: a transaction that locks the cycles of all applications.
        partner: the partner that sends the applications.
        applications: their keys.
    """
    households = _create_households(session, partner, applications)
    known = _known_children(session, partner, applications)
    without_sis_id = _known_without_sis_id(applications, known)
    _lock_children(session, applications, known, without_sis_id=without_sis_id.values())
    new = {
        (keys.cycle, keys.sis_digest)
        for keys in applications
        if keys.sis_digest and (keys.cycle, keys.reference) not in known
    }  # fmt: skip
    children: set[uuid.UUID] = set()
    identified: set[uuid.UUID] = set()
    for cycle, digest in sorted(new | without_sis_id.keys()):
        child = without_sis_id.get((cycle, digest))
        if child is None:
            children.update(_create_child(session, cycle, digest))
        elif _set_sis_digest(session, child, digest):
            identified.add(child)
    return NewRows(households, children, identified)


def remove_unused(session: Session, new: NewRows, *, stored: Iterable[uuid.UUID]) -> None:
    """Remove the rows that were created for refused applications.

    Args:
        session: the transaction that created them.
        new: the rows, from `lock_families`.
        stored: the children whose applications were stored.
    """
    used = set(stored)
    if new.households:
        joined = exists().where(Applicant.household_id == Household.id)
        session.execute(delete(Household).where(Household.id.in_(new.households), ~joined))
    if children := set(new.children) - used:
        session.execute(delete(Child).where(Child.id.in_(children)))
    if identified := set(new.identified) - used:
        session.execute(update(Child).where(Child.id.in_(identified)).values(sis_digest=None))
    session.expire_all()


def _create_households(
    session: Session, partner: Partner, applications: Sequence[ApplicationKeys]
) -> Collection[uuid.UUID]:
    wanted = sorted({(keys.cycle, keys.household) for keys in applications if keys.household is not None})
    rows = [
        {
            "id": uuid.uuid4(),
            "cycle_id": cycle,
            "partner_id": partner.id,
            "reference": reference,
            "code": secrets.token_hex(8),
            "ticket": secrets.token_hex(TAG_BYTES),
        }
        for cycle, reference in wanted
    ]
    if not rows:
        return ()
    return session.scalars(insert(Household).values(rows).on_conflict_do_nothing().returning(Household.id)).all()


def _known_children(session: Session, partner: Partner, applications: Sequence[ApplicationKeys]) -> Known:
    """Return the children of the partner's stored applications. An application keeps its child."""
    places = [(keys.cycle, keys.reference) for keys in applications]
    rows = session.execute(
        select(Applicant.cycle_id, Applicant.reference, Child.id, Child.sis_digest)
        .join(Child, Child.id == Applicant.child_id)
        .where(Applicant.partner_id == partner.id, tuple_(Applicant.cycle_id, Applicant.reference).in_(places))
    )
    return {(cycle, reference): _KnownChild(child, digest) for cycle, reference, child, digest in rows}


def _known_without_sis_id(
    applications: Sequence[ApplicationKeys], known: Known
) -> Mapping[tuple[str, bytes], uuid.UUID]:
    """Return the known children that receive their SIS id now, by cycle and digest.

    If several applications send the same SIS id, the first reference gets it.
    """
    return {
        (keys.cycle, keys.sis_digest): child.id
        for keys in sorted(applications, key=lambda keys: (keys.cycle, keys.reference), reverse=True)
        for child in [known.get((keys.cycle, keys.reference))]
        if keys.sis_digest and child and child.sis_digest is None
    }


def _lock_children(
    session: Session,
    applications: Sequence[ApplicationKeys],
    known: Known,
    *,
    without_sis_id: Collection[uuid.UUID],
) -> None:
    """Lock children by id. Children that receive a SIS id now are locked for a change of a key, so none waits later."""
    ids = {child.id for child in known.values()}
    digests = [(keys.cycle, keys.sis_digest) for keys in applications if keys.sis_digest is not None]
    if digests:
        ids.update(session.scalars(select(Child.id).where(tuple_(Child.cycle_id, Child.sis_digest).in_(digests))))
    in_order = select(Child.id).order_by(Child.id)
    if ids:
        session.execute(in_order.where(Child.id.in_(ids)).with_for_update(key_share=True)).all()
    if without_sis_id:
        session.execute(in_order.where(Child.id.in_(without_sis_id)).with_for_update()).all()


def _create_child(session: Session, cycle: str, digest: bytes) -> Sequence[uuid.UUID]:
    row = {"id": uuid.uuid4(), "cycle_id": cycle, "tag": secrets.token_bytes(TAG_BYTES), "sis_digest": digest}
    return session.scalars(insert(Child).values(row).on_conflict_do_nothing().returning(Child.id)).all()


def _set_sis_digest(session: Session, child: uuid.UUID, digest: bytes) -> bool:
    """Give a child its SIS id. If another child has that id, do nothing: the application is refused later."""
    try:
        with session.begin_nested():
            session.execute(
                update(Child).where(Child.id == child, Child.sis_digest.is_(None)).values(sis_digest=digest)
            )
    except IntegrityError:
        return False
    return True
