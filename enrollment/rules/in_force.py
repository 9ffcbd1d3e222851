"""Put a program's resolved rules in force as a new version, and log them. A freeze reads the newest versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Row, Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.audit.log import append
from enrollment.cycles.models import Cycle
from enrollment.database import Document, clock
from enrollment.directory.models import Offering, ParticipationVersion, Program
from enrollment.directory.offerings import lock_programs
from enrollment.fault_list import limited
from enrollment.problems import Conflict, Fault, sentence
from enrollment.rules.levels import Levels, known_names, read_levels, rules_document
from enrollment.rules.model import ResolvedRules
from enrollment.rules.models import ProgramRules
from enrollment.rules.to_market import program_document, read_back
from enrollment.rules.validation import KnownNames, input_faults, resolved_faults
from lottery.market.canonical import Json

MAX_FAULTS = 100


class RulesCannotWork(Conflict):
    """The rules have faults."""

    title = sentence("Invalid rules")
    detail = sentence("Correct every listed fault and save again. The earlier rules stay in force.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A person's change of rules, and the reason.

    The log names the person by `actor`. `staff` is the account, so that nobody approves their own change; no answer
    shows it.
    """

    actor: str
    staff: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The role of the administrator who approved a change, and the reason."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class InForce:
    """A program's rules in force, in the version of the log."""

    program: str
    version: int
    market: Mapping[str, Json]
    """In market form, for a main round."""
    rules: Mapping[str, Json]
    """In the school's form, resolved. Only this form has the backfill rule."""


def rules_in_force(session: Session, cycle: str) -> list[InForce]:
    """Return the rules in force of every program that takes part in a cycle, in order of program ids."""
    return [_in_force(row) for row in session.execute(_query(cycle))]


def rules_of_program(session: Session, cycle: str, program: str) -> InForce | None:
    """Return a program's rules in force; None if the program does not take part or has no rules."""
    row = session.execute(_query(cycle).where(ProgramRules.program_id == program)).one_or_none()
    return None if row is None else _in_force(row)


def _query(cycle: str) -> Select[str, int, Document, Document]:
    return (
        select(ProgramRules.program_id, ProgramRules.version, ProgramRules.market, ProgramRules.rules)
        .join(
            Offering,
            (Offering.cycle_id == ProgramRules.cycle_id)
            & (Offering.program_id == ProgramRules.program_id)
            & (Offering.rules_version == ProgramRules.version),
        )
        .where(Offering.cycle_id == cycle, Offering.status == "in")
        .order_by(ProgramRules.program_id.collate("C"))
    )


def _in_force(row: Row[str, int, Document, Document]) -> InForce:
    program, version, market, rules = row
    return InForce(program, version, cast("Mapping[str, Json]", market), cast("Mapping[str, Json]", rules))


def settle_cycle(session: Session, cycle: Cycle, act: Act, approval: Approval | None = None) -> None:
    """Resolve the rules of every program that takes part again, after a change of the cycle's zones.

    Raises:
        RulesCannotWork: if a program's rules have faults now; give up the change.
    """
    programs = programs_taking_part(session, cycle.id)
    levels = read_levels(session, cycle.id, programs)
    refuse_unworkable(session, cycle, programs, levels)
    settle(session, cycle, programs, act, approval)


def programs_taking_part(session: Session, cycle: str) -> Sequence[Program]:
    """Return the programs that take part in a cycle, by id."""
    return session.scalars(
        select(Program)
        .join(Offering, Offering.program_id == Program.id)
        .where(Offering.cycle_id == cycle, Offering.status == "in")
        .order_by(Program.id)
    ).all()


def refuse_unworkable(session: Session, cycle: Cycle, programs: Sequence[Program], levels: Levels) -> None:
    """Refuse if the rules of any of these programs have faults, at any level.

    Raises:
        RulesCannotWork: with every fault and its program.
    """
    faults = faults_of_programs(programs, levels, known_names(session, cycle))
    if faults:
        raise RulesCannotWork(faults=limited(faults, MAX_FAULTS))


def faults_of_programs(programs: Sequence[Program], levels: Levels, known: KnownNames) -> list[Fault]:
    """Return the faults of the programs' resolved rules, each program's after a fault that names the program."""
    faults: list[Fault] = []
    for program in programs:
        rules = levels.resolved(program).rules
        found = [*input_faults(rules, known), *resolved_faults(rules, levels.context(program))]
        # The fault may be in rules that the body does not have, so it has no pointer.
        unplaced = [Fault("", fault.code, fault.detail, fault.values) for fault in found]
        faults += with_program(program.id, unplaced, pointer="")
    return faults


def with_program(program: str, faults: Sequence[Fault], *, pointer: str) -> list[Fault]:
    """Return the faults after a first fault that names their program; an empty list if there are no faults."""
    if not faults:
        return []
    detail = sentence("the rules have faults at {program}; the next entries list them")
    return [Fault(pointer, "cannot-work-at", detail, {"program": program}), *faults]


def settle(
    session: Session, cycle: Cycle, programs: Sequence[Program], act: Act, approval: Approval | None = None
) -> None:
    """Give each program that takes part a new version of its rules if they changed, and log the version.

    Args:
        session: a transaction with the cycle and its rules locked (`lock_rules`).
        cycle: the cycle.
        programs: the programs that the change may affect; their rules have no faults.
        act: the change.
        approval: the approval, if the change needed one.
    """
    ids = [program.id for program in programs]
    lock_programs(session, cycle.id, ids)
    offerings = session.scalars(
        select(Offering)
        .where(
            Offering.cycle_id == cycle.id,
            Offering.program_id.in_(ids),
            Offering.status == "in",
        )
        .execution_options(populate_existing=True)
    )
    offered = {offering.program_id: offering for offering in offerings}
    participating = [program for program in programs if program.id in offered]
    levels = read_levels(session, cycle.id, participating)
    for program in participating:
        resolved = levels.resolved(program)
        if resolved.rules.seats is not None:
            market = program_document(resolved.rules, levels.context(program))
            read_back(market)
            _put_in_force(session, offered[program.id], resolved, market, act, approval)


def _put_in_force(
    session: Session,
    offering: Offering,
    resolved: ResolvedRules,
    market: dict[str, Json],
    act: Act,
    approval: Approval | None,
) -> None:
    rules = rules_document(resolved.rules)
    key = (offering.cycle_id, offering.program_id)
    former = session.get(ProgramRules, (*key, offering.rules_version)) if offering.rules_version else None
    if former and former.market == market and former.rules == rules:
        return
    version = (offering.rules_version or 0) + 1
    fields: dict[str, Json] = {"program": offering.program_id, "version": version, "rules": rules, "market": market}
    if approval:
        fields |= {"approved_by": approval.actor, "approval_reason": approval.reason}
    leaf = append(session, "rules.put", cycle=offering.cycle_id, actor=act.actor, reason=act.reason, fields=fields)
    session.add(
        ProgramRules(
            cycle_id=offering.cycle_id,
            program_id=offering.program_id,
            version=version,
            rules=rules,
            came_from=dict(resolved.came_from),
            market=market,
            leaf_hash=leaf,
            actor=act.actor,
            reason=act.reason,
            at=clock(session),
        )
    )
    seats = resolved.rules.seats.match if resolved.rules.seats else None
    if offering.seats != seats:
        count_participation(session, offering.cycle_id, offering.school_id)
    offering.rules_version, offering.seats = version, seats
    session.flush()


def count_participation(session: Session, cycle: str, school: str) -> None:
    """Count a change of a school's participation or seats, so that the ETag of an earlier answer is out of date."""
    session.execute(
        insert(ParticipationVersion)
        .values(cycle_id=cycle, school_id=school, version=1)
        .on_conflict_do_update(
            index_elements=["cycle_id", "school_id"], set_={"version": ParticipationVersion.version + 1}
        )
    )
