"""Submit, draft, withdraw: a ranking travels from here into its table and the log in one transaction."""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import rfc8785
from sqlalchemy import Select, and_, delete, func, insert, select, update
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.applicants.models import Applicant, Child, Person
from enrollment.audit.log import Entry, entry_of
from enrollment.audit.models import LogEntry
from enrollment.audit.salts import new_salt
from enrollment.cycles.locks import OpenCycle
from enrollment.directory.models import Offering, Program
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.rankings.models import RankingVersion
from lottery.transparency_log.commitments import keyed

LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
"""Of confirmation numbers: none that is taken for another when it is read aloud or written by hand."""

CONFIRMATION_LETTERS = 10


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

    @property
    def next_version(self) -> int:
        """Return the number of the version that follows."""
        return self.newest.version + 1 if self.newest else 1

    def stands_already(self, programs: Sequence[str], *, draft: bool = False) -> Ranking | None:
        """Return the newest version if it says these very programs: the same again stores nothing.

        So a family whose answer was lost sends the same once more, whatever version it knows of (RFC 9110, 13.1.1).
        """
        newest, kind = self.newest, "draft" if draft else "submitted"
        return newest if newest and newest.kind == kind and newest.programs == list(programs) else None


@dataclass(frozen=True, slots=True)
class Sealed:
    """A version that counts, with the entry that tells of it and what opens the entry's commitment."""

    ranking: Ranking
    type: str
    entry: Entry
    salt: bytes


def seal(actor: str, taking: OpenCycle, ranker: Ranker, kind: str, programs: Sequence[str]) -> Sealed:
    """Make the next version of a ranking that is submitted or withdrawn, and the entry that commits to it."""
    version, salt = ranker.next_version, new_salt()
    type_ = "ranking.put" if kind == "submitted" else "ranking.withdraw"
    entry = entry_of(
        type_,
        cycle=taking.cycle.id,
        actor=actor,
        fields={
            "tag": ranker.tag.hex(),
            "commit": keyed(salt, "ranking", rfc8785.dumps(list(programs))).hex(),
            "prev": ranker.last_leaf.hex() if ranker.last_leaf else None,
            "version": version,
        },
    )
    made = Ranking(version, kind, list(programs), taking.late, _confirmation(), entry.leaf_hash, taking.now)
    return Sealed(made, type_, entry, salt)


def _confirmation() -> str:
    """Return a random confirmation number."""
    number = secrets.randbits(128)  # far more than its letters hold, so each is as likely
    letters = []
    for _ in range(CONFIRMATION_LETTERS):
        number, letter = divmod(number, len(LETTERS))
        letters.append(LETTERS[letter])
    return "".join(letters)


def lock_ranker(session: Session, partner: Partner, *, cycle: str, reference: str) -> Ranker:
    """Return a partner's live application with its newest ranking, locked.

    Raises:
        NotFound: if the partner has no such live application.
    """
    row = session.execute(
        _ranker().where(
            Applicant.cycle_id == cycle, Applicant.partner_id == partner.id, Applicant.reference == reference
        )
    ).one_or_none()
    if row is None:
        raise NotFound
    # Read once the lock is had: what was newest before may be so no more.
    return Ranker(*row, newest_of(session, row[0]))


def _ranker() -> Select[uuid.UUID, uuid.UUID, str, bytes, bytes | None, int | None]:
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


def lock_ranker_of(session: Session, child: uuid.UUID) -> Ranker | None:
    """Return a child's live application with its newest ranking, locked, whoever brought it; None if it has none."""
    row = session.execute(_ranker().where(Child.id == child)).one_or_none()
    return Ranker(*row, newest_of(session, row[0])) if row else None


def newest_of(session: Session, applicant: uuid.UUID) -> Ranking | None:
    """Return the newest version of an application's ranking, drafts too."""
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
    return Ranking(row.version, row.kind, row.programs, row.late, row.confirmation, row.leaf_hash, row.at)


@dataclass(frozen=True, slots=True)
class KnownProgram:
    """A program of the directory, and whether it takes part in the cycle."""

    grade: str
    takes_part: bool


def faults_of(
    session: Session, programs: Sequence[str], *, cycle: str, grade: str, most: int | None, draft: bool
) -> list[Fault]:
    """Return what keeps programs from being ranked, each by its place and name."""
    rows = session.execute(
        select(Program.id, Program.grade, Offering.status)
        .outerjoin(Offering, and_(Offering.program_id == Program.id, Offering.cycle_id == cycle))
        .where(Program.id.in_(programs))
    )
    known = {program: KnownProgram(its, status == "in") for program, its, status in rows}
    return faults_in(programs, known, grade=grade, most=most, draft=draft)


def faults_in(
    programs: Sequence[str], known: Mapping[str, KnownProgram], *, grade: str, most: int | None, draft: bool
) -> list[Fault]:
    """Return what keeps programs from being ranked, each by its place and name, given those that are known."""
    faults: list[Fault] = []
    for place, program in enumerate(programs):
        at, values, its = f"/programs/{place}", {"program": program}, known.get(program)
        if program in programs[:place]:
            faults.append(Fault(at, "repeated", sentence("{program} stands in it already; name it once"), values))
        elif its is None:
            faults.append(Fault(at, "unknown-program", sentence("there is no program {program}"), values))
        elif its.grade != grade:
            detail = sentence("{program} is of grade {its}, and the child is for {grade}")
            faults.append(Fault(at, "other-grade", detail, {**values, "its": its.grade, "grade": grade}))
        elif not its.takes_part:
            detail = sentence("{program} does not take part in this cycle")
            faults.append(Fault(at, "not-taking-part", detail, values))
    if most is not None and len(programs) > most:
        detail = sentence("there are {number}; a ranking has at most {most} here")
        faults.append(Fault("/programs", "too-many", detail, {"number": len(programs), "most": most}))
    if not programs and not draft:
        faults.append(Fault("/programs", "empty", sentence("there is none; withdraw with DELETE, or keep a draft")))
    return faults


def submit_ranking(
    session: Session, partner: Partner, taking: OpenCycle, ranker: Ranker, programs: Sequence[str]
) -> Ranking:
    """Store a ranking as the newest version, in force, and promise a receipt.

    Raises:
        RankingRefused: naming everything that cannot be ranked.
    """
    if same := ranker.stands_already(programs):
        return same
    _refuse_faults(session, taking, ranker, programs, draft=False)
    return _store(session, partner.actor, taking, ranker, "submitted", programs)


def keep_draft(
    session: Session, partner: Partner, taking: OpenCycle, ranker: Ranker, programs: Sequence[str]
) -> Ranking:
    """Keep a draft, which does not count; what is in force stays.

    Raises:
        RankingRefused: naming everything that cannot be ranked.
    """
    _refuse_faults(session, taking, ranker, programs, draft=True)
    version = ranker.next_version
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


def withdraw_ranking(session: Session, actor: str, taking: OpenCycle, ranker: Ranker) -> Ranking:
    """Withdraw the ranking in force.

    Raises:
        NotFound: if none is in force.
    """
    if ranker.in_force is None:
        raise NotFound
    return _store(session, actor, taking, ranker, "withdrawn", [])


def drop_program(session: Session, actor: str, taking: OpenCycle, ranker: Ranker, program: str) -> bool:
    """Take one program out of the ranking in force, as a version of its own; say whether it was in it."""
    if ranker.in_force is None:
        return False
    ranked = session.scalars(
        select(RankingVersion.programs).where(
            RankingVersion.applicant_id == ranker.id, RankingVersion.version == ranker.in_force
        )
    ).one()
    if program not in ranked:
        return False
    left = [other for other in ranked if other != program]
    _store(session, actor, taking, ranker, "submitted" if left else "withdrawn", left)
    return True


def withdraw_applicant(session: Session, actor: str, taking: OpenCycle, ranker: Ranker) -> None:
    """Withdraw an application, and its ranking if one is in force, and erase who the child is.

    The child's row keeps the tag, and rankings, claims and the log stay: none of them has a name, a date or an address.
    """
    if ranker.in_force is not None:
        withdraw_ranking(session, actor, taking, ranker)
    session.execute(delete(Person).where(Person.applicant_id == ranker.id))
    session.execute(
        update(Applicant)
        .where(Applicant.id == ranker.id)
        .values(withdrawn_at=func.clock_timestamp(), version=Applicant.version + 1)
    )


def _refuse_faults(
    session: Session, taking: OpenCycle, ranker: Ranker, programs: Sequence[str], *, draft: bool
) -> None:
    cycle = taking.cycle
    faults = faults_of(session, programs, cycle=cycle.id, grade=ranker.grade, most=cycle.most_ranks, draft=draft)
    if faults:
        raise RankingRefused(faults=faults)


def _store(
    session: Session, actor: str, taking: OpenCycle, ranker: Ranker, kind: str, programs: Sequence[str]
) -> Ranking:
    sealed = seal(actor, taking, ranker, kind, programs)
    made, entry = sealed.ranking, sealed.entry
    session.execute(
        insert(LogEntry).values(
            type=sealed.type, cycle_id=taking.cycle.id, actor=actor, body=entry.body, leaf_hash=entry.leaf_hash
        )
    )
    stored = (
        insert(RankingVersion)
        .values(
            applicant_id=ranker.id,
            version=made.version,
            kind=kind,
            programs=made.programs,
            late=made.late,
            actor=actor,
            confirmation=made.confirmation,
            salt=sealed.salt,
            leaf_hash=entry.leaf_hash,
            at=made.at,
        )
        .returning(RankingVersion.applicant_id)
        .cte("stored")
    )
    pointed = (
        update(Applicant)
        .where(Applicant.id == ranker.id)
        .values(ranking_version=made.version if kind == "submitted" else None)
        .returning(Applicant.id)
        .cte("pointed")
    )
    session.execute(
        update(Child).where(Child.id == ranker.child_id).values(last_leaf=entry.leaf_hash).add_cte(stored, pointed)
    )
    return made


def withdrawn_programs(session: Session, cycle: str, programs: Sequence[str]) -> Mapping[str, str | None]:
    """Return those of some programs that have left the cycle, with the reason that the school gave."""
    rows = session.execute(
        select(Offering.program_id, Offering.reason).where(
            Offering.cycle_id == cycle, Offering.program_id.in_(programs), Offering.status == "out"
        )
    )
    return dict(rows.all())
