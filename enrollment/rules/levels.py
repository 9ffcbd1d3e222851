"""The rules of each level in a cycle, and a program's rules resolved from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.directory.models import Operator, Program, School
from enrollment.problems import NotFound
from enrollment.rules.model import Level, ResolvedRules, RulesInput, StoredRulesUnreadable, resolve
from enrollment.rules.models import ProgramRules, RulesVersion
from enrollment.rules.to_market import ProgramContext
from enrollment.rules.validation import KnownNames
from enrollment.zones.models import Zone
from lottery.market.canonical import Json

RULES_LOCK = 0x72756C65
"""With the cycle's hash, the advisory lock that serializes changes of a cycle's rules."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An operator, a school or a program that has rules in a cycle."""

    cycle: str
    level: Level
    id: str


@dataclass(frozen=True, slots=True)
class Levels:
    """The rules in force above some programs, and their schools' zones, read in a fixed number of queries."""

    cycle: str
    rules: Mapping[tuple[Level, str], RulesInput]
    operators: Mapping[str, str]
    """By school."""
    zones: Mapping[str, Sequence[tuple[str, Sequence[str] | None]]]
    """By school: the ids of its zones, each with the grades of the zone; None: all grades."""

    def with_rules(self, subject: Subject, rules: RulesInput) -> "Levels":
        """Return a copy in which one level has other rules."""
        return replace(self, rules={**self.rules, (subject.level, subject.id): rules})

    def resolved(self, program: Program) -> ResolvedRules:
        """Resolve a program's rules."""
        return resolve(
            operator=self.rules.get(("operator", self.operators[program.school_id])),
            school=self.rules.get(("school", program.school_id)),
            program=self.rules.get(("program", program.id)),
        )

    def context(self, program: Program) -> ProgramContext:
        """Return a program with its school's own zones for the program's grade."""
        zones = self.zones.get(program.school_id, [])
        own = sorted({zone for zone, grades in zones if grades is None or program.grade in grades})
        return ProgramContext(program.id, program.school_id, program.grade, own)


def read_levels(session: Session, cycle: str, programs: Sequence[Program]) -> Levels:
    """Read the rules in force at every level above some programs."""
    schools = {program.school_id for program in programs}
    operators = dict(session.execute(select(School.id, School.operator_id).where(School.id.in_(schools))).all())
    subjects = {program.id for program in programs} | schools | set(operators.values())
    rows = session.execute(
        select(RulesVersion.level, RulesVersion.subject_id, RulesVersion.said).where(
            RulesVersion.cycle_id == cycle, RulesVersion.status == "in force", RulesVersion.subject_id.in_(subjects)
        )
    )
    zones: dict[str, list[tuple[str, Sequence[str] | None]]] = {}
    for school, zone, grades in session.execute(
        select(Zone.school_id, Zone.id, Zone.grades).where(Zone.cycle_id == cycle, Zone.school_id.in_(schools))
    ):
        zones.setdefault(school or "", []).append((zone, grades))
    rules = {(cast("Level", level), subject): read_stored_rules(document) for level, subject, document in rows}
    return Levels(cycle, rules, operators, zones)


def known_names(session: Session, cycle: Cycle) -> KnownNames:
    """Return the names that rules of a cycle may use."""
    return KnownNames(
        zones=frozenset(session.scalars(select(Zone.id).where(Zone.cycle_id == cycle.id))),
        schools=frozenset(session.scalars(select(School.id))),
        school_facts=cycle.school_facts,
        child_facts=cycle.child_facts,
        grades=cycle.grades,
    )


def lock_rules(session: Session, cycle: str) -> None:
    """Lock the rules of a cycle; read their versions after this lock, never before it."""
    session.execute(select(func.pg_advisory_xact_lock(RULES_LOCK, func.hashtext(cycle))))


def current_rules(session: Session, subject: Subject) -> RulesVersion | None:
    """Return the version in force at a level, or None."""
    return _newest(session, subject, "in force")


def pending_change(session: Session, subject: Subject) -> RulesVersion | None:
    """Return the change that waits for a decision, or None."""
    return _newest(session, subject, "proposed")


def last_change(session: Session, subject: Subject) -> RulesVersion | None:
    """Return the change that waits; else the last refused change if nothing was saved after it; else None."""
    refused, current = _newest(session, subject, "refused"), current_rules(session, subject)
    if refused and current and current.version > refused.version:
        refused = None
    return pending_change(session, subject) or refused


def count_changes(session: Session, subject: Subject) -> int | None:
    """Return how often a level's rules were saved, proposed or decided on: their ETag. None: never."""
    saved, decided = session.execute(
        select(func.count(), func.count(RulesVersion.decided_at)).where(*_rows_of(subject))
    ).one()
    return saved + decided or None


def next_version(session: Session, subject: Subject) -> int:
    """Return the number of the next version that a level saves or proposes."""
    return session.execute(select(func.count() + 1).select_from(RulesVersion).where(*_rows_of(subject))).scalar_one()


def program_versions(cycle: str, program: str) -> Select[ProgramRules]:
    """Select the versions of a program's rules in force."""
    return select(ProgramRules).where(ProgramRules.cycle_id == cycle, ProgramRules.program_id == program)


def pending_changes(cycle: str) -> Select[RulesVersion]:
    """Select the changes of a cycle's rules that wait for a decision."""
    return select(RulesVersion).where(RulesVersion.cycle_id == cycle, RulesVersion.status == "proposed")


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
    """Return the programs that inherit from a level."""
    query = select(Program).join(School, School.id == Program.school_id).order_by(Program.id)
    match subject.level:
        case "operator":
            return session.scalars(query.where(School.operator_id == subject.id)).all()
        case "school":
            return session.scalars(query.where(School.id == subject.id)).all()
        case "program":
            return session.scalars(query.where(Program.id == subject.id)).all()


def refuse_unknown_subject(session: Session, subject: Subject) -> None:
    """Refuse an operator, a school or a program that the directory does not have.

    Raises:
        NotFound: if the directory does not have it.
    """
    kinds = {"operator": Operator, "school": School, "program": Program}
    if session.get(kinds[subject.level], subject.id) is None:
        raise NotFound


def rules_document(rules: RulesInput) -> dict[str, Json]:
    """Write rules as JSON, without the parts that are left out."""
    return cast("dict[str, Json]", rules.model_dump(mode="json", exclude_none=True))


def read_stored_rules(document: Mapping[str, object]) -> RulesInput:
    """Read rules from the database.

    Raises:
        StoredRulesUnreadable: if an earlier version stored them in a form that this version cannot read.
    """
    try:
        return RulesInput.model_validate(document)
    except ValidationError:
        raise StoredRulesUnreadable from None
