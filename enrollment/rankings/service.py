"""Submit, draft, withdraw: a ranking travels from here into its table and the log in one transaction."""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import rfc8785
from sqlalchemy import and_, func, insert, select, true, update
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.applicants.models import Applicant, Child
from enrollment.audit.log import append
from enrollment.cycles.service import Taking
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.rankings.models import RankingVersion
from enrollment.schools.models import Offering, Program
from lottery.log.commit import keyed

LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Of confirmation numbers: none that is taken for another when it is read aloud or written by hand."""

CONFIRMATION_LETTERS = 10
SALT_BYTES = 32


class RankingRefused(Conflict):
    """A ranking that names what cannot be ranked."""

    title = sentence("The ranking cannot be taken as it is")
    detail = sentence("Correct every listed place and send it again; the former ranking stands.")


@dataclass(frozen=True, slots=True)
class Ranking:
    """The newest version of a ranking."""

    version: int
    kind: str
    programs: list[str]
    late: bool
    confirmation: str | None
    leaf_hash: bytes | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Ranker:
    """An application that ranks, locked, with its newest version."""

    id: uuid.UUID
    child_id: uuid.UUID
    grade: str
    tag: bytes
    last_leaf: bytes | None
    in_force: int | None
    newest: Ranking | None


def hold_ranker(session: Session, partner: Partner, *, cycle: str, reference: str) -> Ranker:
    """Return a partner's live application with its newest ranking, locked; one statement.

    Raises:
        NotFound: if the partner has no such live application.
    """
    newest = (
        select(RankingVersion)
        .where(RankingVersion.applicant_id == Applicant.id)
        .order_by(RankingVersion.version.desc())
        .limit(1)
        .lateral("newest")
    )
    row = session.execute(
        select(
            Applicant.id,
            Applicant.child_id,
            Applicant.grade,
            Child.tag,
            Child.last_leaf,
            Applicant.ranking_version,
            newest.c.version,
            newest.c.kind,
            newest.c.programs,
            newest.c.late,
            newest.c.confirmation,
            newest.c.leaf_hash,
            newest.c.at,
        )
        .join(Child, Child.id == Applicant.child_id)
        .outerjoin(newest, true())
        .where(
            Applicant.cycle_id == cycle,
            Applicant.partner_id == partner.id,
            Applicant.reference == reference,
            Applicant.withdrawn_at.is_(None),
        )
        .with_for_update(of=[Applicant, Child])
    ).one_or_none()
    if row is None:
        raise NotFound
    found = None if row[6] is None else Ranking(row[6], row[7], list(row[8]), row[9], row[10], row[11], row[12])
    return Ranker(row[0], row[1], row[2], row[3], row[4], row[5], found)


def faults_of(
    session: Session, programs: Sequence[str], *, cycle: str, grade: str, most: int | None, draft: bool
) -> list[Fault]:
    """Return what keeps programs from being ranked, each by its place and name."""
    known = {
        row.id: row
        for row in session.execute(
            select(Program.id, Program.grade, Offering.status, Offering.reason)
            .outerjoin(Offering, and_(Offering.program_id == Program.id, Offering.cycle_id == cycle))
            .where(Program.id.in_(programs))
        )
    }
    faults: list[Fault] = []
    for place, program in enumerate(programs):
        at, values = f"/programs/{place}", {"program": program}
        row = known.get(program)
        if program in programs[:place]:
            faults.append(Fault(at, "repeated", sentence("{program} stands in it already; name it once"), values))
        elif row is None:
            faults.append(Fault(at, "unknown-program", sentence("there is no program {program}"), values))
        elif row.grade != grade:
            detail = sentence("{program} is of grade {its}, and the child is for {grade}")
            faults.append(Fault(at, "other-grade", detail, {**values, "its": row.grade, "grade": grade}))
        elif row.status != "in":
            detail = sentence("{program} does not take part in this cycle")
            faults.append(Fault(at, "not-taking-part", detail, values))
    if most is not None and len(programs) > most:
        detail = sentence("there are {number}; a ranking has at most {most} here")
        faults.append(Fault("/programs", "too-many", detail, {"number": len(programs), "most": most}))
    if not programs and not draft:
        faults.append(Fault("/programs", "empty", sentence("there is none; withdraw with DELETE, or keep a draft")))
    return faults


def submit_ranking(
    session: Session, partner: Partner, taking: Taking, ranker: Ranker, programs: Sequence[str]
) -> Ranking:
    """Store a ranking as the newest version, in force, and promise a receipt.

    Raises:
        RankingRefused: naming everything that cannot be ranked.
    """
    newest = ranker.newest
    if newest and newest.kind == "submitted" and newest.programs == list(programs):
        return newest
    _refuse_faults(session, taking, ranker, programs, draft=False)
    return _store(session, partner.actor, taking, ranker, "submitted", programs)


def keep_draft(session: Session, partner: Partner, taking: Taking, ranker: Ranker, programs: Sequence[str]) -> Ranking:
    """Keep a draft, which does not count; what is in force stays.

    Raises:
        RankingRefused: naming everything that cannot be ranked.
    """
    _refuse_faults(session, taking, ranker, programs, draft=True)
    version = ranker.newest.version + 1 if ranker.newest else 1
    session.execute(
        insert(RankingVersion).values(
            applicant_id=ranker.id,
            version=version,
            kind="draft",
            programs=list(programs),
            late=taking.late,
            actor=partner.actor,
            at=taking.now,
        )
    )
    return Ranking(version, "draft", list(programs), taking.late, None, None, taking.now)


def withdraw_ranking(session: Session, actor: str, taking: Taking, ranker: Ranker) -> Ranking:
    """Withdraw the ranking in force.

    Raises:
        NotFound: if none is in force.
    """
    if ranker.in_force is None:
        raise NotFound
    return _store(session, actor, taking, ranker, "withdrawn", [])


def withdraw_applicant(session: Session, actor: str, taking: Taking, ranker: Ranker) -> None:
    """Withdraw an application, and its ranking if one is in force; the child keeps its tag."""
    if ranker.in_force is not None:
        withdraw_ranking(session, actor, taking, ranker)
    session.execute(
        update(Applicant)
        .where(Applicant.id == ranker.id)
        .values(withdrawn_at=func.clock_timestamp(), version=Applicant.version + 1)
    )


def _refuse_faults(session: Session, taking: Taking, ranker: Ranker, programs: Sequence[str], *, draft: bool) -> None:
    cycle = taking.cycle
    faults = faults_of(session, programs, cycle=cycle.id, grade=ranker.grade, most=cycle.most_ranks, draft=draft)
    if faults:
        raise RankingRefused(faults=faults)


def _store(session: Session, actor: str, taking: Taking, ranker: Ranker, kind: str, programs: Sequence[str]) -> Ranking:
    version = ranker.newest.version + 1 if ranker.newest else 1
    salt = secrets.token_bytes(SALT_BYTES)
    leaf = append(
        session,
        "ranking.put" if kind == "submitted" else "ranking.withdraw",
        cycle=taking.cycle.id,
        actor=actor,
        fields={
            "tag": ranker.tag.hex(),
            "commit": keyed(salt, "ranking", rfc8785.dumps(list(programs))).hex(),
            "prev": ranker.last_leaf.hex() if ranker.last_leaf else None,
            "version": version,
        },
    )
    confirmation = "".join(secrets.choice(LETTERS) for _ in range(CONFIRMATION_LETTERS))
    stored = (
        insert(RankingVersion)
        .values(
            applicant_id=ranker.id,
            version=version,
            kind=kind,
            programs=list(programs),
            late=taking.late,
            actor=actor,
            confirmation=confirmation,
            salt=salt,
            leaf_hash=leaf,
            at=taking.now,
        )
        .returning(RankingVersion.applicant_id)
        .cte("stored")
    )
    pointed = (
        update(Applicant)
        .where(Applicant.id == ranker.id)
        .values(ranking_version=version if kind == "submitted" else None)
        .returning(Applicant.id)
        .cte("pointed")
    )
    session.execute(update(Child).where(Child.id == ranker.child_id).values(last_leaf=leaf).add_cte(stored, pointed))
    return Ranking(version, kind, list(programs), taking.late, confirmation, leaf, taking.now)


def withdrawn_programs(session: Session, cycle: str, programs: Sequence[str]) -> Mapping[str, str | None]:
    """Return those of some programs that have left the cycle, with the reason that the school gave."""
    rows = session.execute(
        select(Offering.program_id, Offering.reason).where(
            Offering.cycle_id == cycle, Offering.program_id.in_(programs), Offering.status == "out"
        )
    )
    return dict(rows.all())
