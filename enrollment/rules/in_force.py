"""Settle the rules of programs that take part, in versions, and tell the log: what a freeze takes."""

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
from enrollment.problems import Conflict, Fault, sentence
from enrollment.rules.levels import Levels, document_of, known_to, read_levels
from enrollment.rules.model import Resolved
from enrollment.rules.models import ProgramRules
from enrollment.rules.to_market import faults_resolved, faults_said, program_document, read_back
from lottery.market.canonical import Json

MAX_FAULTS = 100


class RulesCannotWork(Conflict):
    """Rules that cannot do what they say."""

    title = sentence("The rules cannot work")
    detail = sentence("Correct what is listed and save again; the former rules stand.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who changes rules, and why.

    `actor` is how the log names them, and `staff` the account, so that nobody approves their own change; it is never
    shown.
    """

    actor: str
    staff: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who approved a change, by role, and why."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class InForce:
    """A program's rules in force, in the version that the log has."""

    program: str
    version: int
    market: Mapping[str, Json]
    """In market form, for a main round."""
    rules: Mapping[str, Json]
    """As the school says them, every part settled; the backfill rule is only here."""


def rules_in_force(session: Session, cycle: str) -> list[InForce]:
    """Return the rules of every program that takes part in a cycle and has rules, in order of the programs' ids."""
    return [_in_force(row) for row in session.execute(_asked(cycle))]


def rules_of_program(session: Session, cycle: str, program: str) -> InForce | None:
    """Return a program's rules, if it takes part in a cycle and has rules."""
    row = session.execute(_asked(cycle).where(ProgramRules.program_id == program)).one_or_none()
    return None if row is None else _in_force(row)


def _asked(cycle: str) -> Select[str, int, Document, Document]:
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


def settle_cycle(session: Session, cycle: Cycle, act: Act) -> None:
    """Settle the rules of all that take part, after a change of what rules hang on besides: the zones.

    Raises:
        RulesCannotWork: if some program's rules no longer can; the change is then to be given up.
    """
    programs = session.scalars(
        select(Program)
        .join(Offering, Offering.program_id == Program.id)
        .where(Offering.cycle_id == cycle.id, Offering.status == "in")
        .order_by(Program.id)
    ).all()
    levels = read_levels(session, cycle.id, programs)
    refuse_unworkable(session, cycle, programs, levels)
    settle(session, cycle, programs, act)


def refuse_unworkable(session: Session, cycle: Cycle, programs: Sequence[Program], levels: Levels) -> None:
    """Refuse rules that cannot work any more at some program, whoever said them and when.

    Raises:
        RulesCannotWork: with every fault, and the program that it is at.
    """
    known = known_to(session, cycle)
    faults: list[Fault] = []
    for program in programs:
        rules = levels.resolved(program).rules
        found = [*faults_said(rules, known), *faults_resolved(rules, levels.place(program))]
        # The body that is refused need not have what the fault is about.
        faults += naming(program.id, [Fault("", one.code, one.detail, one.values) for one in found], pointer="")
    if faults:
        raise RulesCannotWork(faults=faults[:MAX_FAULTS])


def naming(program: str, faults: Sequence[Fault], *, pointer: str) -> list[Fault]:
    """Return faults after one that names the program that they are at, or nothing if there are none."""
    if not faults:
        return []
    detail = sentence("cannot work at {program}, for what is listed next")
    return [Fault(pointer, "cannot-work-at", detail, {"program": program}), *faults]


def settle(
    session: Session, cycle: Cycle, programs: Sequence[Program], act: Act, approval: Approval | None = None
) -> None:
    """Give every program that takes part, and whose rules came out otherwise than before, a new version, and log it.

    Args:
        session: a transaction that holds the cycle and its rules (`lock_rules`).
        cycle: the cycle.
        programs: those that a change may have reached; their rules have no faults.
        act: who made the change.
        approval: who approved it, if it waited for that.
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
    taking = [program for program in programs if program.id in offered]
    levels = read_levels(session, cycle.id, taking)
    for program in taking:
        resolved = levels.resolved(program)
        if resolved.rules.seats is not None:
            market = program_document(resolved.rules, levels.place(program))
            read_back(market)
            _put_in_force(session, offered[program.id], resolved, market, act, approval)


def _put_in_force(
    session: Session,
    offering: Offering,
    resolved: Resolved,
    market: dict[str, Json],
    act: Act,
    approval: Approval | None,
) -> None:
    rules = document_of(resolved.rules)
    key = (offering.cycle_id, offering.program_id)
    former = session.get(ProgramRules, (*key, offering.rules_version)) if offering.rules_version else None
    if former and former.market == market and former.rules == rules:
        return
    version = (offering.rules_version or 0) + 1
    told: dict[str, Json] = {"program": offering.program_id, "version": version, "rules": rules, "market": market}
    if approval:
        told |= {"approved_by": approval.actor, "approval_reason": approval.reason}
    leaf = append(session, "rules.put", cycle=offering.cycle_id, actor=act.actor, reason=act.reason, fields=told)
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
    """Count a change of how a school takes part, or with how many seats: whoever saw it before has seen another."""
    session.execute(
        insert(ParticipationVersion)
        .values(cycle_id=cycle, school_id=school, version=1)
        .on_conflict_do_update(
            index_elements=["cycle_id", "school_id"], set_={"version": ParticipationVersion.version + 1}
        )
    )
