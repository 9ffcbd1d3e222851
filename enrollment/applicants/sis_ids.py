"""SIS ids: kept as keyed digests, all digests of a cycle under one key, so that a child has one digest in it.

A digest cannot be made anew under another key, because the SIS id itself is not kept. So a cycle keeps the key that it
began with, and the secret of that key is needed until the cycle's work ends.
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
    """The digests of a cycle are keyed with a secret that this process does not know."""

    status = 503
    title = sentence("Secret for SIS ids not set")
    detail = sentence(
        "The service cannot look up SIS ids in {cycle}: the secret that they are kept under is not set. Nothing was "
        "stored. Ask the people who run the service to set it as ENROLLMENT_SECOND_SECRET, then send the request again."
    )


@dataclass(frozen=True, slots=True)
class CycleKey:
    """Which secret a cycle's digests of SIS ids need."""

    cycle: str
    key: str | None
    """The id of the secret; None: it was not recorded."""
    over: bool
    """Whether the cycle takes no more applications."""


def sis_digest(settings: Settings, cycle: Cycle, sis_id: str) -> bytes:
    """Return the keyed digest of a SIS id by which a child is found in a cycle; the id itself is not kept.

    Raises:
        SisSecretMissing: if the cycle's digests are keyed with a secret that is not set.
    """
    for key in keys_of(settings, PURPOSE):
        if cycle.sis_key in (key.id, None):
            return hmac.digest(key.key, f"{cycle.id}\0{sis_id.strip()}".encode(), "sha256")
    raise SisSecretMissing(cycle=cycle.id)


def record_keys(session: Session, settings: Settings) -> None:
    """Record the secret of cycles that were made before that was recorded."""
    session.execute(update(Cycle).where(Cycle.sis_key.is_(None)).values(sis_key=id_of_secret(settings)))


def keys_in_use(session: Session) -> Sequence[CycleKey]:
    """Return which secret each cycle needs that has SIS ids, or may still get some."""
    ends = func.greatest(Cycle.deadline, Cycle.late_until, Cycle.backfill_until)
    over = (ends < func.clock_timestamp()) & Cycle.running_round.is_(None)
    asked = select(Cycle.id, Cycle.sis_key, over).where(_has_sis_ids() | ~over).order_by(Cycle.id.collate("C"))
    return [CycleKey(*row) for row in session.execute(asked)]


def unused_keys(session: Session, settings: Settings) -> Sequence[str]:
    """Return the cycles that have no SIS ids yet, and would keep them under the second secret."""
    second = ids_of_secrets(settings)[1:]
    asked = select(Cycle.id).where(Cycle.sis_key.in_(second), ~_has_sis_ids())
    return session.scalars(asked.order_by(Cycle.id.collate("C"))).all()


def take_newest_key(session: Session, cycle_id: str, settings: Settings) -> bool:
    """Have a cycle keep SIS ids under the newest secret, if it has none yet; say whether it does so now."""
    cycle = lock_cycle(session, cycle_id).cycle
    if session.execute(select(Child.id).where(Child.cycle_id == cycle.id, Child.sis_digest.is_not(None))).first():
        return False
    cycle.sis_key = id_of_secret(settings)
    return True


def missing_keys(session: Session, settings: Settings) -> Sequence[CycleKey]:
    """Return the cycles whose SIS ids need a secret that is not set."""
    known = ids_of_secrets(settings)
    return [one for one in keys_in_use(session) if one.key is not None and one.key not in known]


def _has_sis_ids() -> Exists:
    return exists().where(Child.cycle_id == Cycle.id, Child.sis_digest.is_not(None))
