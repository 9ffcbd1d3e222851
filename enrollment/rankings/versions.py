"""Versions of rankings, and the locks on the applications that rank."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.applicants.models import Applicant, Child
from enrollment.cycles.models import Cycle
from enrollment.problems import NotFound
from enrollment.rankings.models import RankingVersion


@dataclass(frozen=True, slots=True)
class Ranking:
    """One version of a ranking."""

    version: int
    kind: str
    programs: list[str]
    confirmation: str | None
    leaf_hash: bytes | None
    at: datetime

    def is_late(self, cycle: Cycle) -> bool:
        """Tell whether it came after the deadline of now, which may have been moved since."""
        return self.at >= cycle.deadline


@dataclass(frozen=True, slots=True)
class Ranker:
    """A locked application with the newest version of its ranking."""

    id: uuid.UUID
    child_id: uuid.UUID
    grade: str
    tag: bytes
    last_leaf: bytes | None
    in_force: int | None
    newest: Ranking | None

    @property
    def next_version(self) -> int:
        """Return the number of the next version."""
        return self.newest.version + 1 if self.newest else 1

    def repeats_newest(self, programs: Sequence[str], *, draft: bool = False) -> Ranking | None:
        """Return the newest version if it has the same programs, because a repeated ranking stores nothing.

        So a partner that lost the answer can send the ranking again, with any version (RFC 9110, 13.1.1).
        """
        newest, kind = self.newest, "draft" if draft else "submitted"
        if newest and newest.kind == "withdrawn" and not draft:
            kind = "withdrawn"  # its list is empty, so an empty list says the same again
        return newest if newest and newest.kind == kind and newest.programs == list(programs) else None


def lock_ranker(session: Session, partner: Partner, *, cycle: str, reference: str) -> Ranker:
    """Lock and return a partner's active application with its newest ranking.

    Raises:
        NotFound: if the partner has no active application with this reference.
    """
    row = session.execute(
        _locking_query().where(
            Applicant.cycle_id == cycle, Applicant.partner_id == partner.id, Applicant.reference == reference
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    # Read after the lock: another request may have stored a newer version while this one waited.
    return Ranker(*row, newest_of(session, row[0]))


def lock_ranker_of(session: Session, child: uuid.UUID) -> Ranker | None:
    """Lock and return a child's active application with its newest ranking. None: the child has no application."""
    row = session.execute(_locking_query().where(Child.id == child)).one_or_none()
    return Ranker(*row, newest_of(session, row[0])) if row else None


def _locking_query() -> Select[uuid.UUID, uuid.UUID, str, bytes, bytes | None, int | None]:
    return (
        select(
            Applicant.id,
            Applicant.child_id,
            Applicant.grade,
            Child.tag,
            Child.last_leaf,
            Applicant.ranking_version,
        )
        .join(Child, Child.id == Applicant.child_id)
        .where(Applicant.withdrawn_at.is_(None))
        .with_for_update(key_share=True, of=[Child, Applicant])  # in this order; see docs/explanation/locks.md
    )


def newest_of(session: Session, applicant: uuid.UUID) -> Ranking | None:
    """Return the newest version of an application's ranking, also if it is a draft."""
    newest = session.scalars(
        versions_of(applicant)
        .order_by(RankingVersion.version.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).one_or_none()
    return ranking_of(newest) if newest else None


def versions_of(applicant: uuid.UUID) -> Select[RankingVersion]:
    """Select the versions of an application's ranking."""
    return select(RankingVersion).where(RankingVersion.applicant_id == applicant)


def ranking_of(row: RankingVersion) -> Ranking:
    """Return a stored version as a ranking."""
    return Ranking(row.version, row.kind, row.programs, row.confirmation, row.leaf_hash, row.at)
