"""Save rules: at once before the cycle opens; afterward as a proposal that an administrator approves or refuses."""

import uuid
from collections.abc import Sequence
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.two_people import refuse_second_person
from enrollment.cycles.locks import CycleNow, lock_cycle_between_rounds
from enrollment.cycles.models import Cycle
from enrollment.database import clock
from enrollment.directory.models import Offering, Program
from enrollment.fault_list import limited
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.rules.in_force import MAX_FAULTS, Act, Approval, RulesCannotWork, settle, with_program
from enrollment.rules.levels import (
    Levels,
    Subject,
    current_rules,
    known_names,
    lock_rules,
    next_version,
    pending_change,
    programs_under,
    read_levels,
    read_stored_rules,
    rules_document,
)
from enrollment.rules.model import Level, RulesInput, StoredRulesUnreadable
from enrollment.rules.models import RulesVersion
from enrollment.rules.to_market import BODY
from enrollment.rules.validation import input_faults, resolved_faults


class ReasonNeeded(Conflict):
    """A change after the opening has no reason."""

    title = sentence("Reason missing")
    detail = sentence("The cycle is open, so every change needs a reason. Send a reason; families can read it.")

    def __init__(self) -> None:
        super().__init__(
            faults=[Fault("/reason", "reason-missing", sentence("is missing; give the reason for the change"))]
        )


class ProposalWaiting(Conflict):
    """Another change of the same rules waits for a decision."""

    title = sentence("Another change is pending")
    detail = sentence(
        "Another change of these rules waits. Ask an administrator to approve or refuse it, then try again."
    )


class OwnProposal(Conflict):
    """An administrator tried to approve their own change."""

    title = sentence("Approval by a second person needed")
    detail = sentence("You proposed this change. Ask another administrator to approve it.")


class ChangeDecided(Conflict):
    """An administrator already approved or refused the change."""

    title = sentence("Change already decided")
    detail = sentence(
        "An administrator already approved or refused this change. GET /v1/cycles/{cycle}/rules-changes lists the "
        "changes that wait."
    )


def says_nothing_new(session: Session, subject: Subject, rules: RulesInput) -> bool:
    """Say whether these are the rules in force at a level already, as when a caller sends back what it read."""
    current = current_rules(session, subject)
    try:
        return rules == (read_stored_rules(current.said) if current else RulesInput())
    except StoredRulesUnreadable:
        return False


def save_rules(session: Session, cycle_now: CycleNow, subject: Subject, rules: RulesInput, act: Act) -> RulesVersion:
    """Put rules in force, or propose them if the cycle is open.

    A change of a program's seats alone is in force at once until the freeze of the main round. Families see the number
    of seats, and nobody can use it to favor certain applicants.

    Args:
        session: a transaction with the cycle and its rules locked (`lock_rules`).
        cycle_now: the cycle and the time.
        subject: the operator, school or program.
        rules: all rules of that level from now on.
        act: the person and the reason; after the opening the reason is required.

    Raises:
        RulesCannotWork: if the rules have faults.
        ReasonNeeded: if the cycle is open and the act has no reason.
        ProposalWaiting: if another change of these rules waits.
    """
    if cycle_now.has_opened and act.reason is None:
        raise ReasonNeeded
    former = current_rules(session, subject)
    programs = programs_under(session, subject)
    rules = with_committed_seats(session, subject, rules, programs)
    refuse_unworkable_level(session, cycle_now.cycle, subject, rules, programs)
    by_own_act = cycle_now.cycle.main_round is None and _only_seats_change(subject, former, rules)
    if cycle_now.has_opened and not by_own_act:
        if pending_change(session, subject):
            raise ProposalWaiting
        return _store(session, subject, rules, act, status="proposed")
    _replace(session, former)
    saved = _store(session, subject, rules, act, status="in force")
    settle(session, cycle_now.cycle, programs, act)
    return saved


def with_committed_seats(
    session: Session, subject: Subject, rules: RulesInput, programs: Sequence[Program]
) -> RulesInput:
    """Return the rules of a program with its committed seats, if no level says how many seats it has.

    A school that takes part commits seats in the program's own rules. A person who changes another part need not know
    that, and leaving seats out cannot mean that a program which takes part has none.
    """
    if subject.level != "program" or rules.seats is not None:
        return rules
    levels = read_levels(session, subject.cycle, programs)
    former = levels.rules.get(("program", subject.id))
    inherited = levels.with_rules(subject, rules)
    if former is None or any(inherited.resolved(program).rules.seats for program in programs):
        return rules
    offering = session.get(Offering, (subject.cycle, subject.id))
    takes_part = offering is not None and offering.status == "in"
    return rules.model_copy(update={"seats": former.seats}) if takes_part else rules


def approve(session: Session, cycle_now: CycleNow, proposed: RulesVersion, *, staff: str, approval: Approval) -> None:
    """Put a proposed change in force.

    Args:
        session: a transaction with the proposal locked (`lock_proposal`).
        cycle_now: the cycle and the time.
        proposed: the change.
        staff: the approver's account.
        approval: the approver's role, and the reason.

    Raises:
        OwnProposal: if the approver proposed the change.
        AccountConfirmedLater, SponsorCannotApprove: if the approver may be the proposer.
        RulesCannotWork: if the rules have faults now.
    """
    refuse_second_person(session, staff, asked_by=proposed.proposed_by, begun_at=proposed.at, same=OwnProposal)
    subject = Subject(proposed.cycle_id, cast("Level", proposed.level), proposed.subject_id)
    former, rules = current_rules(session, subject), read_stored_rules(proposed.said)
    if former and former.version > proposed.version:
        # Since the proposal only seats can have been saved. The newest number of seats wins.
        rules = rules.model_copy(update={"seats": read_stored_rules(former.said).seats})
        proposed.said = rules_document(rules)
    programs = programs_under(session, subject)
    refuse_unworkable_level(session, cycle_now.cycle, subject, rules, programs)
    _replace(session, former)
    _decide(session, proposed, "in force", approval)
    act = Act(actor=proposed.actor, staff=proposed.proposed_by, reason=proposed.reason)
    settle(session, cycle_now.cycle, programs, act, approval)


def refuse(session: Session, proposed: RulesVersion, decision: Approval) -> None:
    """Refuse a proposed change. The earlier rules stay in force, and answers show the reason for the refusal."""
    _decide(session, proposed, "refused", decision)


def lock_proposal(session: Session, proposal: uuid.UUID) -> tuple[CycleNow, RulesVersion]:
    """Lock a cycle, its rules and a proposal that waits, and return the cycle and the proposal.

    Raises:
        NotFound: if no change has that id.
        RoundRunning: if a round of the cycle is running.
        ChangeDecided: if the change no longer waits.
    """
    cycle = session.scalar(select(RulesVersion.cycle_id).where(RulesVersion.id == proposal))
    if cycle is None:
        raise NotFound
    cycle_now = lock_cycle_between_rounds(session, cycle)
    lock_rules(session, cycle)
    found = session.get_one(RulesVersion, proposal)
    if found.status != "proposed":
        raise ChangeDecided(cycle=cycle)
    return cycle_now, found


def _store(session: Session, subject: Subject, rules: RulesInput, act: Act, *, status: str) -> RulesVersion:
    saved = RulesVersion(
        id=uuid.uuid4(),
        cycle_id=subject.cycle,
        level=subject.level,
        subject_id=subject.id,
        version=next_version(session, subject),
        said=rules_document(rules),
        status=status,
        actor=act.actor,
        proposed_by=act.staff,
        reason=act.reason,
        at=clock(session),
    )
    session.add(saved)
    session.flush()
    return saved


def _replace(session: Session, former: RulesVersion | None) -> None:
    if former:
        former.status = "replaced"
        session.flush()


def _decide(session: Session, proposed: RulesVersion, status: str, decision: Approval) -> None:
    now = clock(session)
    proposed.status, proposed.decided_by, proposed.decided_at = status, decision.actor, now
    proposed.decision_reason = decision.reason
    session.flush()


def _only_seats_change(subject: Subject, former: RulesVersion | None, rules: RulesInput) -> bool:
    before = read_stored_rules(former.said) if former else RulesInput()
    same = rules.model_copy(update={"seats": None}) == before.model_copy(update={"seats": None})
    return subject.level == "program" and same


def refuse_unworkable_level(
    session: Session, cycle: Cycle, subject: Subject, rules: RulesInput, programs: Sequence[Program]
) -> None:
    """Refuse rules with faults, alone or together with the rules of the other levels."""
    known = known_names(session, cycle)
    faults = [
        Fault(BODY + fault.pointer, fault.code, fault.detail, fault.values) for fault in input_faults(rules, known)
    ]
    if not faults:
        levels = read_levels(session, cycle.id, programs).with_rules(subject, rules)
        ids = [program.id for program in programs]
        offerings = session.scalars(select(Offering).where(Offering.cycle_id == cycle.id, Offering.program_id.in_(ids)))
        offered = {offering.program_id: offering for offering in offerings}
        for program in programs:
            offering = offered.get(program.id)
            # If a program left, its return checks the rules again.
            if program.grade in cycle.grades and (offering is None or offering.status == "in"):
                faults += _faults_at(program, levels, subject, rules, offering)
    if faults:
        raise RulesCannotWork(faults=limited(faults, MAX_FAULTS))


def _faults_at(
    program: Program, levels: Levels, subject: Subject, rules: RulesInput, offering: Offering | None
) -> list[Fault]:
    resolved = levels.resolved(program).rules
    faults = resolved_faults(resolved, levels.context(program))
    if offering and offering.seats is not None and resolved.seats is None:
        detail = sentence("are missing, but the program takes part in the cycle; enter the number of seats")
        faults.append(Fault("/seats", "seats-missing", detail))
    shown = [Fault(_pointer(fault, rules), fault.code, fault.detail, fault.values) for fault in faults]
    return shown if subject.level == "program" else with_program(program.id, shown, pointer=BODY)


def _pointer(fault: Fault, rules: RulesInput) -> str:
    """Return the pointer to a fault in the body; the body does not have the parts of other levels."""
    part = fault.pointer.split("/")[1]
    return BODY if getattr(rules, part) is None else BODY + fault.pointer
