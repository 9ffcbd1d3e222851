"""What each level says of its rules in a cycle, and what comes out of it for a program."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from pydantic import ValidationError
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.directory.models import Operator, Program, School
from enrollment.problems import NotFound
from enrollment.rules.model import Resolved, RulesPart, StoredRulesUnreadable, resolve
from enrollment.rules.models import RulesVersion
from enrollment.rules.to_market import Known, Place
from enrollment.zones.models import Zone
from lottery.market.canonical import Json

SaidLevel = Literal["operator", "school", "program"]

RULES_LOCK = 0x72756C65
"""With the cycle's hash, the advisory lock under which rules of a cycle are saved one after another."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose rules: an operator's, a school's or a program's, in a cycle."""

    cycle: str
    level: SaidLevel
    id: str


@dataclass(frozen=True, slots=True)
class Levels:
    """What the levels above some programs say now, and their schools' zones: read once, however many there are."""

    cycle: str
    said: Mapping[tuple[SaidLevel, str], RulesPart]
    operators: Mapping[str, str]
    """By school."""
    zones: Mapping[str, Sequence[tuple[str, Sequence[str] | None]]]
    """By school: its zones' ids, each with the grades that it is for; None: all."""

    def saying(self, subject: Subject, said: RulesPart) -> "Levels":
        """Return the same, but that one level says something else."""
        return replace(self, said={**self.said, (subject.level, subject.id): said})

    def resolved(self, program: Program) -> Resolved:
        """Settle a program's rules."""
        return resolve(
            operator=self.said.get(("operator", self.operators[program.school_id])),
            school=self.said.get(("school", program.school_id)),
            program=self.said.get(("program", program.id)),
        )

    def place(self, program: Program) -> Place:
        """Return where a program's rules are for, with the zones that are its school's own for the grade."""
        zones = self.zones.get(program.school_id, [])
        own = sorted({zone for zone, grades in zones if grades is None or program.grade in grades})
        return Place(program.id, program.school_id, program.grade, own)


def read_levels(session: Session, cycle: str, programs: Sequence[Program]) -> Levels:
    """Read what the levels above some programs say now."""
    schools = {program.school_id for program in programs}
    operators = dict(session.execute(select(School.id, School.operator_id).where(School.id.in_(schools))).all())
    subjects = {program.id for program in programs} | schools | set(operators.values())
    said = session.execute(
        select(RulesVersion.level, RulesVersion.subject_id, RulesVersion.said).where(
            RulesVersion.cycle_id == cycle, RulesVersion.status == "in force", RulesVersion.subject_id.in_(subjects)
        )
    )
    zones: dict[str, list[tuple[str, Sequence[str] | None]]] = {}
    for school, zone, grades in session.execute(
        select(Zone.school_id, Zone.id, Zone.grades).where(Zone.cycle_id == cycle, Zone.school_id.in_(schools))
    ):
        zones.setdefault(school or "", []).append((zone, grades))
    parts = {(cast("SaidLevel", level), subject): part_of(document) for level, subject, document in said}
    return Levels(cycle, parts, operators, zones)


def known_to(session: Session, cycle: Cycle) -> Known:
    """Return what rules of a cycle may name."""
    return Known(
        zones=frozenset(session.scalars(select(Zone.id).where(Zone.cycle_id == cycle.id))),
        schools=frozenset(session.scalars(select(School.id))),
        school_facts=cycle.school_facts,
        child_facts=cycle.child_facts,
        grades=cycle.grades,
    )


def lock_rules(session: Session, cycle: str) -> None:
    """Let rules of a cycle be saved one after another; who looks at a version looks after this."""
    session.execute(select(func.pg_advisory_xact_lock(RULES_LOCK, func.hashtext(cycle))))


def said_now(session: Session, subject: Subject) -> RulesVersion | None:
    """Return what a level says now, or None."""
    return _newest(session, subject, "in force")


def proposal_of(session: Session, subject: Subject) -> RulesVersion | None:
    """Return the change that waits, or None."""
    return _newest(session, subject, "proposed")


def last_change(session: Session, subject: Subject) -> RulesVersion | None:
    """Return the change that waits, or else the one that was refused, if nothing was saved since; or None."""
    refused, now = _newest(session, subject, "refused"), said_now(session, subject)
    if refused and now and now.version > refused.version:
        refused = None
    return proposal_of(session, subject) or refused


def changes_of(session: Session, subject: Subject) -> int | None:
    """Return how often a level's rules were saved, proposed or decided on, which is their ETag; None: never."""
    saved, decided = session.execute(
        select(func.count(), func.count(RulesVersion.decided_at)).where(*_rows_of(subject))
    ).one()
    return saved + decided or None


def next_version(session: Session, subject: Subject) -> int:
    """Return the number of the next version that a level saves or proposes."""
    return session.execute(select(func.count() + 1).select_from(RulesVersion).where(*_rows_of(subject))).scalar_one()


def _rows_of(subject: Subject) -> tuple[ColumnElement[bool], ...]:
    return (
        RulesVersion.cycle_id == subject.cycle,
        RulesVersion.level == subject.level,
        RulesVersion.subject_id == subject.id,
    )


def _newest(session: Session, subject: Subject, status: str) -> RulesVersion | None:
    return session.scalars(
        select(RulesVersion)
        .where(*_rows_of(subject), RulesVersion.status == status)
        .order_by(RulesVersion.version.desc())
        .limit(1)
    ).one_or_none()


def programs_under(session: Session, subject: Subject) -> Sequence[Program]:
    """Return the programs that a level's rules reach."""
    asked = select(Program).join(School, School.id == Program.school_id).order_by(Program.id)
    match subject.level:
        case "operator":
            return session.scalars(asked.where(School.operator_id == subject.id)).all()
        case "school":
            return session.scalars(asked.where(School.id == subject.id)).all()
        case "program":
            return session.scalars(asked.where(Program.id == subject.id)).all()


def refuse_unknown_subject(session: Session, subject: Subject) -> None:
    """Refuse what the directory does not have.

    Raises:
        NotFound: if it does not.
    """
    kinds = {"operator": Operator, "school": School, "program": Program}
    if session.get(kinds[subject.level], subject.id) is None:
        raise NotFound


def document_of(said: RulesPart) -> dict[str, Json]:
    """Write what a level says as JSON, without what it leaves out."""
    return cast("dict[str, Json]", said.model_dump(mode="json", exclude_none=True))


def part_of(document: Mapping[str, object]) -> RulesPart:
    """Read what was written.

    Raises:
        StoredRulesUnreadable: if it was written in a form that is not read today.
    """
    try:
        return RulesPart.model_validate(document)
    except ValidationError:
        raise StoredRulesUnreadable from None
