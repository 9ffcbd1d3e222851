"""SIS ids: keyed digests of the ids in a student information system.

All digests of a cycle use one key, so a child has one digest in a cycle. The service does not store SIS ids, so it
cannot compute the digests again under another key. A cycle needs the secret of its first key until its work ends.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Exists, exists, func, select, update
from sqlalchemy.orm import Session

from enrollment.access.derived_keys import id_of_secret, ids_of_secrets, keys_of
from enrollment.applicants.models import Child
from enrollment.cycles.locks import lock_cycle
from enrollment.cycles.models import Cycle
from enrollment.problems import Problem, sentence
from enrollment.settings import Settings

PURPOSE = "sis"


class SisSecretMissing(Problem):
    """The process does not have the secret for the digests of a cycle."""

    status = 503
    title = sentence("Secret for SIS ids not set")
    detail = sentence(
        "The service cannot look up SIS ids in {cycle}, because their secret is not set. Nothing was stored. Ask the "
        "people who run the service to set ENROLLMENT_SECOND_SECRET. Then send the request again."
    )


@dataclass(frozen=True, slots=True)
class CycleKey:
    """The secret that the SIS ids of a cycle need."""

    cycle: str
    key: str | None
    """The id of the secret. None: the cycle is older than this record."""
    over: bool
    """Whether the cycle accepts no more applications."""


def sis_digest(settings: Settings, cycle: Cycle, sis_id: str) -> bytes:
    """Return the keyed digest of a SIS id. It identifies a child in a cycle.

    Raises:
        SisSecretMissing: if the secret of the cycle's digests is not set.
    """
    for key in keys_of(settings, PURPOSE):
        if cycle.sis_key in (key.id, None):
            return hmac.digest(key.key, f"{cycle.id}\0{sis_id.strip()}".encode(), "sha256")
    raise SisSecretMissing(cycle=cycle.id)


def record_keys(session: Session, settings: Settings) -> None:
    """Record the secret of cycles that are older than this record."""
    session.execute(update(Cycle).where(Cycle.sis_key.is_(None)).values(sis_key=id_of_secret(settings)))


def keys_in_use(session: Session) -> Sequence[CycleKey]:
    """Return the secret of each cycle that has SIS ids, or that may still receive them."""
    ends = func.greatest(Cycle.deadline, Cycle.late_until, Cycle.backfill_until)
    over = (ends < func.clock_timestamp()) & Cycle.running_round.is_(None)
    query = select(Cycle.id, Cycle.sis_key, over).where(_has_sis_ids() | ~over).order_by(Cycle.id.collate("C"))
    return [CycleKey(*row) for row in session.execute(query)]


def unused_keys(session: Session, settings: Settings) -> Sequence[str]:
    """Return the cycles without SIS ids that would use the second secret."""
    second = ids_of_secrets(settings)[1:]
    query = select(Cycle.id).where(Cycle.sis_key.in_(second), ~_has_sis_ids())
    return session.scalars(query.order_by(Cycle.id.collate("C"))).all()


def take_newest_key(session: Session, cycle_id: str, settings: Settings) -> bool:
    """Switch a cycle without SIS ids to the newest secret. Return whether it was switched."""
    cycle = lock_cycle(session, cycle_id).cycle
    if session.execute(select(Child.id).where(Child.cycle_id == cycle.id, Child.sis_digest.is_not(None))).first():
        return False
    cycle.sis_key = id_of_secret(settings)
    return True


def missing_keys(session: Session, settings: Settings) -> Sequence[CycleKey]:
    """Return the cycles whose secret is not set."""
    known = ids_of_secrets(settings)
    return [cycle for cycle in keys_in_use(session) if cycle.key is not None and cycle.key not in known]


def _has_sis_ids() -> Exists:
    return exists().where(Child.cycle_id == Cycle.id, Child.sis_digest.is_not(None))
