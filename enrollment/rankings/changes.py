"""Submit and withdraw rankings: each version and its log entry are stored in one transaction."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.applicants.models import Applicant, Child, Person
from enrollment.audit.models import LogEntry
from enrollment.cycles.locks import OpenCycle
from enrollment.problems import Conflict, NotFound, sentence
from enrollment.rankings.faults import find_faults
from enrollment.rankings.models import RankingVersion
from enrollment.rankings.sealed_rankings import SealedRanking, seal_ranking
from enrollment.rankings.versions import Ranker, Ranking


class RankingRefused(Conflict):
    """The ranking has programs that the applicant cannot rank."""

    title = sentence("Ranking not accepted")
    detail = sentence("Nothing was stored. Correct each listed place, then send the ranking again.")


def submit_ranking(
    session: Session, partner: Partner, open_cycle: OpenCycle, ranker: Ranker, programs: Sequence[str]
) -> Ranking:
    """Store a ranking as the newest version, in force.

    Raises:
        RankingRefused: listing all faults of the ranking.
    """
    if newest := ranker.repeats_newest(programs):
        return newest
    _refuse_faults(session, open_cycle, ranker, programs, draft=False)
    return _store(session, partner.actor, open_cycle, ranker, "submitted", programs)


def keep_draft(
    session: Session, partner: Partner, open_cycle: OpenCycle, ranker: Ranker, programs: Sequence[str]
) -> Ranking:
    """Store a draft, which does not count. The ranking in force stays.

    Raises:
        RankingRefused: listing all faults of the ranking.
    """
    _refuse_faults(session, open_cycle, ranker, programs, draft=True)
    version = ranker.next_version
    session.execute(
        insert(RankingVersion).values(
            applicant_id=ranker.id,
            version=version,
            kind="draft",
            programs=list(programs),
            actor=partner.actor,
            at=open_cycle.now,
        )
    )
    return Ranking(version, "draft", list(programs), None, None, open_cycle.now)


def withdraw_ranking(session: Session, actor: str, open_cycle: OpenCycle, ranker: Ranker) -> Ranking:
    """Withdraw the ranking in force.

    Raises:
        NotFound: if no ranking is in force.
    """
    if ranker.in_force is None:
        raise NotFound
    return _store(session, actor, open_cycle, ranker, "withdrawn", [])


def drop_program(session: Session, actor: str, open_cycle: OpenCycle, ranker: Ranker, program: str) -> bool:
    """Store a version of the ranking in force without a program. Return whether the ranking had the program."""
    if ranker.in_force is None:
        return False
    ranking = session.execute(
        select(RankingVersion.programs, RankingVersion.submitted).where(
            RankingVersion.applicant_id == ranker.id, RankingVersion.version == ranker.in_force
        )
    ).one()
    if program not in ranking.programs:
        return False
    rest = [other for other in ranking.programs if other != program]
    kind = "submitted" if rest else "withdrawn"
    _store(session, actor, open_cycle, ranker, kind, rest, submitted=ranking.submitted or ranking.programs)
    return True


def withdraw_applicant(session: Session, actor: str, open_cycle: OpenCycle, ranker: Ranker) -> None:
    """Withdraw an application and its ranking, and erase the child's personal data.

    The tag, rankings, claims and log entries stay, because they have no name, birth date or address.
    """
    if ranker.in_force is not None:
        withdraw_ranking(session, actor, open_cycle, ranker)
    session.execute(delete(Person).where(Person.applicant_id == ranker.id))
    session.execute(
        update(Applicant)
        .where(Applicant.id == ranker.id)
        .values(withdrawn_at=func.clock_timestamp(), version=Applicant.version + 1)
    )


def _refuse_faults(
    session: Session, open_cycle: OpenCycle, ranker: Ranker, programs: Sequence[str], *, draft: bool
) -> None:
    cycle, grade = open_cycle.cycle, ranker.grade
    faults = find_faults(session, programs, cycle=cycle.id, grade=grade, max_ranks=cycle.most_ranks, draft=draft)
    if faults:
        raise RankingRefused(faults=faults)


def _store(
    session: Session,
    actor: str,
    open_cycle: OpenCycle,
    ranker: Ranker,
    kind: str,
    programs: Sequence[str],
    *,
    submitted: Sequence[str] | None = None,
) -> Ranking:
    sealed = seal_ranking(actor, open_cycle, ranker, kind, programs)
    entry = sealed.entry
    session.execute(
        insert(LogEntry).values(
            type=sealed.type, cycle_id=open_cycle.cycle.id, actor=actor, body=entry.body, leaf_hash=entry.leaf_hash
        )
    )
    _store_version(session, actor, ranker, sealed, submitted)
    return sealed.ranking


def _store_version(
    session: Session, actor: str, ranker: Ranker, sealed: SealedRanking, submitted: Sequence[str] | None
) -> None:
    """Store a sealed version, and point the application and the child to it, in one statement."""
    ranking, leaf_hash = sealed.ranking, sealed.entry.leaf_hash
    version = (
        insert(RankingVersion)
        .values(
            applicant_id=ranker.id,
            version=ranking.version,
            kind=ranking.kind,
            programs=ranking.programs,
            submitted=None if submitted is None else list(submitted),
            actor=actor,
            confirmation=ranking.confirmation,
            salt=sealed.salt,
            leaf_hash=leaf_hash,
            at=ranking.at,
        )
        .returning(RankingVersion.applicant_id)
        .cte("stored")
    )
    in_force = (
        update(Applicant)
        .where(Applicant.id == ranker.id)
        .values(ranking_version=ranking.version if ranking.kind == "submitted" else None)
        .returning(Applicant.id)
        .cte("pointed")
    )
    session.execute(
        update(Child).where(Child.id == ranker.child_id).values(last_leaf=leaf_hash).add_cte(version, in_force)
    )
