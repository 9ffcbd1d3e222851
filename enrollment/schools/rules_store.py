"""Save rules in versions, settle them for every program that they touch, and tell the log."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.audit.log import append
from enrollment.cycles.models import Cycle
from enrollment.cycles.service import Held
from enrollment.database import clock
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.schools.market_form import (
    Known,
    Place,
    faults_resolved,
    faults_said,
    program_document,
    read_back,
)
from enrollment.schools.models import Offering, Operator, Program, ProgramRules, RulesSaid, School, Zone
from enrollment.schools.rules import Resolved, RulesPart, resolve
from lottery.canonical import Json

SaidLevel = Literal["operator", "school", "program"]

RULES_LOCK = 0x72756C65
"""With the cycle's hash, the advisory lock under which rules of a cycle are saved one after another."""


class RulesCannotWork(Conflict):
    """Rules that cannot do what they say."""

    title = sentence("The rules cannot work")
    detail = sentence("Correct what is listed and save again; the former rules stand.")


class ReasonNeeded(Conflict):
    """A change after opening without a reason."""

    title = sentence("A change after the opening needs a reason")
    detail = sentence("Send a reason: families have begun to rank, and are shown it.")


class ProposalWaiting(Conflict):
    """Another change of the same rules waits."""

    title = sentence("Another change of these rules waits for an administrator")
    detail = sentence("Have it approved or refused first.")


class OwnProposal(Conflict):
    """Somebody would approve their own change."""

    title = sentence("A change is approved by somebody else than who proposed it")
    detail = sentence("Ask another administrator.")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose rules: an operator's, a school's or a program's, in a cycle."""

    cycle: str
    level: SaidLevel
    id: str


def said_now(session: Session, subject: Subject) -> RulesSaid | None:
    """Return what a level says now, or None."""
    return _said(session, subject, "in force")


def proposal_of(session: Session, subject: Subject) -> RulesSaid | None:
    """Return the change that waits, or None."""
    return _said(session, subject, "proposed")


def version_of(session: Session, subject: Subject) -> int | None:
    """Return the version that a change must name: the last that was saved or proposed."""
    return session.scalar(
        select(func.max(RulesSaid.version)).where(
            RulesSaid.cycle_id == subject.cycle, RulesSaid.level == subject.level, RulesSaid.subject_id == subject.id
        )
    )


def _said(session: Session, subject: Subject, status: str) -> RulesSaid | None:
    return session.scalars(
        select(RulesSaid).where(
            RulesSaid.cycle_id == subject.cycle,
            RulesSaid.level == subject.level,
            RulesSaid.subject_id == subject.id,
            RulesSaid.status == status,
        )
    ).one_or_none()


def hold_rules(session: Session, cycle: str) -> None:
    """Let rules of a cycle be saved one after another."""
    session.execute(select(func.pg_advisory_xact_lock(RULES_LOCK, func.hashtext(cycle))))


def save_rules(
    session: Session, held: Held, subject: Subject, said: RulesPart, *, actor: str, staff: str, reason: str | None
) -> RulesSaid:
    """Put rules in force, or propose them once the cycle is open; seats of a program alone always take force.

    Args:
        session: a transaction that holds the rules (`hold_rules`) and the cycle.
        held: the cycle and the time.
        subject: whose rules.
        said: all that the level says from now on.
        actor: how the log names who says it.
        staff: the account, so that nobody approves their own change; never shown.
        reason: why; needed after the opening.

    Raises:
        RulesCannotWork, ReasonNeeded, ProposalWaiting: as they say.
    """
    former = said_now(session, subject)
    programs = programs_under(session, subject)
    refuse_unworkable(session, held.cycle, subject, said, programs)
    at_once = not held.has_opened or _only_seats_change(subject, former, said)
    if held.has_opened and reason is None:
        raise ReasonNeeded
    if not at_once and proposal_of(session, subject):
        raise ProposalWaiting
    saved = RulesSaid(
        id=uuid.uuid4(),
        cycle_id=subject.cycle,
        level=subject.level,
        subject_id=subject.id,
        version=(version_of(session, subject) or 0) + 1,
        said=document_of(said),
        status="in force" if at_once else "proposed",
        actor=actor,
        proposed_by=staff,
        reason=reason,
        at=clock(session),
    )
    if at_once and former:
        former.status = "replaced"
        session.flush()
    session.add(saved)
    session.flush()
    if at_once:
        settle(session, held.cycle, programs, actor=actor, reason=reason, approved_by=None)
    return saved


def approve(session: Session, held: Held, proposed: RulesSaid, *, actor: str, staff: str, reason: str) -> None:
    """Put a proposed change in force.

    Raises:
        OwnProposal: if it is the approver's own.
        RulesCannotWork: if it no longer can.
    """
    if proposed.proposed_by == staff:
        raise OwnProposal
    subject = Subject(proposed.cycle_id, cast("SaidLevel", proposed.level), proposed.subject_id)
    programs = programs_under(session, subject)
    refuse_unworkable(session, held.cycle, subject, part_of(proposed.said), programs)
    former = said_now(session, subject)
    if former:
        former.status = "replaced"
        session.flush()
    _decide(session, proposed, "in force", actor)
    settle(session, held.cycle, programs, actor=proposed.actor, reason=proposed.reason or reason, approved_by=actor)


def refuse(session: Session, proposed: RulesSaid, *, actor: str) -> None:
    """Refuse a proposed change; the former rules stand."""
    _decide(session, proposed, "refused", actor)


def _decide(session: Session, proposed: RulesSaid, status: str, actor: str) -> None:
    now = clock(session)
    proposed.status, proposed.decided_by, proposed.decided_at = status, actor, now
    session.flush()


def hold_proposal(session: Session, proposal: uuid.UUID) -> RulesSaid:
    """Return a proposal that waits, locked.

    Raises:
        NotFound: if none of that id waits.
    """
    found = session.get(RulesSaid, proposal, with_for_update=True, populate_existing=True)
    if found is None or found.status != "proposed":
        raise NotFound
    return found


def _only_seats_change(subject: Subject, former: RulesSaid | None, said: RulesPart) -> bool:
    before = part_of(former.said) if former else RulesPart()
    same = said.model_copy(update={"seats": None}) == before.model_copy(update={"seats": None})
    return subject.level == "program" and same


def document_of(said: RulesPart) -> dict[str, Json]:
    """Write what a level says as JSON, without what it leaves out."""
    return cast("dict[str, Json]", said.model_dump(mode="json", exclude_none=True))


def part_of(document: Mapping[str, object]) -> RulesPart:
    """Read what was written."""
    return RulesPart.model_validate(document)


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


def refuse_unworkable(
    session: Session, cycle: Cycle, subject: Subject, said: RulesPart, programs: Sequence[Program]
) -> None:
    """Refuse rules that cannot work, by themselves or with what the other levels say of some program.

    Raises:
        RulesCannotWork: with every fault and its place.
    """
    faults = faults_said(said, known_to(session, cycle))
    if not faults:
        for program in programs:
            resolved = resolved_rules(session, cycle.id, program, {subject.level: said})
            found = faults_resolved(resolved.rules, place_of(session, cycle.id, program))
            faults += [_at_program(fault, program.id, subject) for fault in found]
    if faults:
        raise RulesCannotWork(faults=faults[:100])


def _at_program(fault: Fault, program: str, subject: Subject) -> Fault:
    if subject.level == "program":
        return fault
    return Fault(
        fault.pointer, fault.code, sentence("at {program}: ") + fault.detail, {**fault.values, "program": program}
    )


def known_to(session: Session, cycle: Cycle) -> Known:
    """Return what rules of a cycle may name."""
    return Known(
        zones=frozenset(session.scalars(select(Zone.id).where(Zone.cycle_id == cycle.id))),
        schools=frozenset(session.scalars(select(School.id))),
        school_facts=cycle.school_facts,
        child_facts=cycle.child_facts,
        grades=cycle.grades,
    )


def place_of(session: Session, cycle: str, program: Program) -> Place:
    """Return where a program's rules are for, with the zones that are its school's own for the grade."""
    zones = session.execute(
        select(Zone.id, Zone.grades).where(Zone.cycle_id == cycle, Zone.school_id == program.school_id)
    )
    own = sorted({zone for zone, grades in zones if grades is None or program.grade in grades})
    return Place(program.id, program.school_id, program.grade, own)


def resolved_rules(
    session: Session, cycle: str, program: Program, instead: Mapping[SaidLevel, RulesPart] | None = None
) -> Resolved:
    """Settle a program's rules from what its levels say now; `instead` stands in the place of what a level says."""
    operator = session.scalar(select(School.operator_id).where(School.id == program.school_id)) or ""
    subjects: dict[SaidLevel, str] = {"operator": operator, "school": program.school_id, "program": program.id}
    said: dict[SaidLevel, RulesPart | None] = {}
    for level, name in subjects.items():
        if instead and level in instead:
            said[level] = instead[level]
        else:
            found = said_now(session, Subject(cycle, level, name))
            said[level] = part_of(found.said) if found else None
    return resolve(operator=said["operator"], school=said["school"], program=said["program"])


def settle(
    session: Session,
    cycle: Cycle,
    programs: Sequence[Program],
    *,
    actor: str,
    reason: str | None,
    approved_by: str | None,
) -> None:
    """Give every program that takes part, and whose rules came out otherwise than before, a new version, and log it."""
    offered = {
        offering.program_id: offering
        for offering in session.scalars(
            select(Offering).where(
                Offering.cycle_id == cycle.id,
                Offering.program_id.in_([program.id for program in programs]),
                Offering.status == "in",
            )
        )
    }
    for program in programs:
        if program.id in offered:
            _settle_one(session, offered[program.id], program, actor=actor, reason=reason, approved_by=approved_by)


def _settle_one(
    session: Session, offering: Offering, program: Program, *, actor: str, reason: str | None, approved_by: str | None
) -> None:
    resolved = resolved_rules(session, offering.cycle_id, program)
    if resolved.rules.seats is None:
        return
    rules = document_of(resolved.rules)
    market = program_document(resolved.rules, place_of(session, offering.cycle_id, program))
    read_back(market)
    former = (
        session.get(ProgramRules, (offering.cycle_id, program.id, offering.rules_version))
        if offering.rules_version
        else None
    )
    if former and former.market == market and former.rules == rules:
        return
    version = (offering.rules_version or 0) + 1
    fields: dict[str, Json] = {"program": program.id, "version": version, "rules": rules, "market": market}
    if approved_by:
        fields["approved_by"] = approved_by
    leaf = append(session, "rules.put", cycle=offering.cycle_id, actor=actor, reason=reason, fields=fields)
    session.add(
        ProgramRules(
            cycle_id=offering.cycle_id,
            program_id=program.id,
            version=version,
            rules=rules,
            came_from=dict(resolved.came_from),
            market=market,
            leaf_hash=leaf,
            actor=actor,
            reason=reason,
            at=clock(session),
        )
    )
    offering.rules_version, offering.seats = version, resolved.rules.seats.match
    session.flush()


def refuse_unknown_subject(session: Session, subject: Subject) -> None:
    """Refuse what the directory does not have.

    Raises:
        NotFound: if it does not.
    """
    kinds = {"operator": Operator, "school": School, "program": Program}
    if session.get(kinds[subject.level], subject.id) is None:
        raise NotFound
