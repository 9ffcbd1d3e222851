"""Lock the households and children of applications before the first of them is changed.

A request may bring many applications, in any order, and two requests may bring the same children. So each takes, in
this order: its households, then the children that are known, then the children that are new; each of them sorted. The
order of all locks is in docs/explanation/locks.md.
"""

import secrets
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete as delete_rows
from sqlalchemy import exists, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.applicants.models import Applicant, Child, Household

TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Bringing:
    """What a request says of one child: enough to know what to lock."""

    cycle: str
    reference: str
    household: str | None = None
    """The partner's own id of the household that the child joins."""
    sis_digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What was made while locking, for applications that may still be refused."""

    households: Collection[uuid.UUID]
    children: Collection[uuid.UUID]
    named: Collection[uuid.UUID]
    """Known children that were given the SIS id that they did not have."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A child that an application of the partner is for."""

    id: uuid.UUID
    sis_digest: bytes | None


def lock_families(session: Session, partner: Partner, brought: Sequence[Bringing]) -> Made:
    """Lock the households and children of applications, and make those that are not there yet.

    Args:
        session: a transaction that holds the cycles of all of them.
        partner: who brings them.
        brought: the applications.
    """
    households = _make_households(session, partner, brought)
    known = _known_children(session, partner, brought)
    unnamed = {
        (one.cycle, one.sis_digest): child.id
        for one in sorted(brought, key=lambda one: (one.cycle, one.reference), reverse=True)  # of several, the first
        for child in [known.get((one.cycle, one.reference))]
        if one.sis_digest and child and child.sis_digest is None
    }
    _lock_children(session, brought, known, unnamed=unnamed.values())
    new = {
        (one.cycle, one.sis_digest)
        for one in brought
        if one.sis_digest and (one.cycle, one.reference) not in known
    }  # fmt: skip
    children: set[uuid.UUID] = set()
    named: set[uuid.UUID] = set()
    for cycle, digest in sorted(new | unnamed.keys()):
        child = unnamed.get((cycle, digest))
        if child is None:
            children.update(_make_child(session, cycle, digest))
        elif _name_child(session, child, digest):
            named.add(child)
    return Made(households, children, named)


def take_back(session: Session, made: Made, *, kept: Iterable[uuid.UUID]) -> None:
    """Take back what was made for applications that were refused.

    Args:
        session: the transaction in which it was made.
        made: from `lock_families`.
        kept: the children whose applications were stored.
    """
    stored = set(kept)
    if made.households:
        joined = exists().where(Applicant.household_id == Household.id)
        session.execute(delete_rows(Household).where(Household.id.in_(made.households), ~joined))
    if children := set(made.children) - stored:
        session.execute(delete_rows(Child).where(Child.id.in_(children)))
    if named := set(made.named) - stored:
        session.execute(update(Child).where(Child.id.in_(named)).values(sis_digest=None))
    session.expire_all()


def _make_households(session: Session, partner: Partner, brought: Sequence[Bringing]) -> Collection[uuid.UUID]:
    wanted = sorted({(one.cycle, one.household) for one in brought if one.household is not None})
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


def _known_children(
    session: Session, partner: Partner, brought: Sequence[Bringing]
) -> dict[tuple[str, str], _Known]:  # fmt: skip
    """Return the children of the partner's applications, by cycle and reference: an application keeps its child."""
    rows = session.execute(
        select(Applicant.cycle_id, Applicant.reference, Child.id, Child.sis_digest)
        .join(Child, Child.id == Applicant.child_id)
        .where(
            Applicant.partner_id == partner.id,
            tuple_(Applicant.cycle_id, Applicant.reference).in_([(one.cycle, one.reference) for one in brought]),
        )
    )
    return {(cycle, reference): _Known(child, digest) for cycle, reference, child, digest in rows}


def _lock_children(
    session: Session,
    brought: Sequence[Bringing],
    known: dict[tuple[str, str], _Known],
    *,
    unnamed: Collection[uuid.UUID],
) -> None:
    """Lock children by id; those that get a SIS id now for a change of a key, so that it does not wait later."""
    ids = {child.id for child in known.values()}
    digests = [(one.cycle, one.sis_digest) for one in brought if one.sis_digest is not None]
    if digests:
        ids.update(session.scalars(select(Child.id).where(tuple_(Child.cycle_id, Child.sis_digest).in_(digests))))
    locked = select(Child.id).order_by(Child.id)
    if ids:
        session.execute(locked.where(Child.id.in_(ids)).with_for_update(key_share=True)).all()
    if unnamed:
        session.execute(locked.where(Child.id.in_(unnamed)).with_for_update()).all()


def _make_child(session: Session, cycle: str, digest: bytes) -> Sequence[uuid.UUID]:
    row = {"id": uuid.uuid4(), "cycle_id": cycle, "tag": secrets.token_bytes(TAG_BYTES), "sis_digest": digest}
    return session.scalars(insert(Child).values(row).on_conflict_do_nothing().returning(Child.id)).all()


def _name_child(session: Session, child: uuid.UUID, digest: bytes) -> bool:
    """Give a child its SIS id; not where another child has it, which is refused when the application is looked at."""
    try:
        with session.begin_nested():
            session.execute(
                update(Child).where(Child.id == child, Child.sis_digest.is_(None)).values(sis_digest=digest)
            )
    except IntegrityError:
        return False
    return True
