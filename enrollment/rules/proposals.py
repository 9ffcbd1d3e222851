"""Save rules in versions: in force at once before the opening, afterwards proposed, and approved or refused."""

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
from enrollment.problems import Conflict, Fault, NotFound, sentence
from enrollment.rules.in_force import MAX_FAULTS, Act, Approval, RulesCannotWork, naming, settle
from enrollment.rules.levels import (
    Levels,
    SaidLevel,
    Subject,
    document_of,
    known_to,
    lock_rules,
    next_version,
    part_of,
    programs_under,
    proposal_of,
    read_levels,
    said_now,
)
from enrollment.rules.model import RulesPart
from enrollment.rules.models import RulesVersion
from enrollment.rules.to_market import faults_resolved, faults_said

BODY = "/rules"
"""Where in a body the rules stand."""


class ReasonNeeded(Conflict):
    """A change after opening without a reason."""

    title = sentence("A change after the opening needs a reason")
    detail = sentence("Send a reason: families have begun to rank, and are shown it.")

    def __init__(self) -> None:
        super().__init__(faults=[Fault("/reason", "reason-missing", sentence("is missing; say why"))])


class ProposalWaiting(Conflict):
    """Another change of the same rules waits."""

    title = sentence("Another change of these rules waits for an administrator")
    detail = sentence("Have it approved or refused first.")


class OwnProposal(Conflict):
    """Somebody would approve their own change."""

    title = sentence("A change is approved by somebody else than who proposed it")
    detail = sentence("Ask another administrator.")


class ChangeDecided(Conflict):
    """A change that was approved or refused already."""

    title = sentence("The change was decided on already")
    detail = sentence("GET /v1/cycles/{cycle}/rules-changes lists those that still wait.")


def save_rules(session: Session, held: CycleNow, subject: Subject, said: RulesPart, act: Act) -> RulesVersion:
    """Put rules in force, or propose them once the cycle is open.

    A program's seats alone take force at once until the freeze of the main round: families see them, and no tuning of
    rules to who applied hides in them.

    Args:
        session: a transaction that holds the cycle and its rules (`lock_rules`).
        held: the cycle and the time.
        subject: whose rules.
        said: all that the level says from now on.
        act: who says it, and why; a reason is needed after the opening.

    Raises:
        RulesCannotWork, ReasonNeeded, ProposalWaiting: as they say.
    """
    if held.has_opened and act.reason is None:
        raise ReasonNeeded
    former = said_now(session, subject)
    programs = programs_under(session, subject)
    _refuse_unworkable(session, held.cycle, subject, said, programs)
    by_own_act = held.cycle.main_round is None and _only_seats_change(subject, former, said)
    if held.has_opened and not by_own_act:
        if proposal_of(session, subject):
            raise ProposalWaiting
        return _store(session, subject, said, act, status="proposed")
    _replace(session, former)
    saved = _store(session, subject, said, act, status="in force")
    settle(session, held.cycle, programs, act)
    return saved


def approve(session: Session, held: CycleNow, proposed: RulesVersion, *, staff: str, approval: Approval) -> None:
    """Put a proposed change in force.

    Args:
        session: a transaction that holds the proposal (`lock_proposal`).
        held: the cycle and the time.
        proposed: the change.
        staff: the account of who approves.
        approval: their role, and why.

    Raises:
        OwnProposal: if it is the approver's own.
        AccountConfirmedLater, SponsorCannotApprove: if the approver may be the proposer.
        RulesCannotWork: if it no longer can.
    """
    refuse_second_person(session, staff, asked_by=proposed.proposed_by, begun_at=proposed.at, same=OwnProposal)
    subject = Subject(proposed.cycle_id, cast("SaidLevel", proposed.level), proposed.subject_id)
    former, said = said_now(session, subject), part_of(proposed.said)
    if former and former.version > proposed.version:
        # Only seats can have been saved since it was proposed, and what a school said last of them stands.
        said = said.model_copy(update={"seats": part_of(former.said).seats})
        proposed.said = document_of(said)
    programs = programs_under(session, subject)
    _refuse_unworkable(session, held.cycle, subject, said, programs)
    _replace(session, former)
    _decide(session, proposed, "in force", approval)
    act = Act(actor=proposed.actor, staff=proposed.proposed_by, reason=proposed.reason)
    settle(session, held.cycle, programs, act, approval)


def refuse(session: Session, proposed: RulesVersion, decision: Approval) -> None:
    """Refuse a proposed change; the former rules stand, and the reason is shown beside them."""
    _decide(session, proposed, "refused", decision)


def lock_proposal(session: Session, proposal: uuid.UUID) -> tuple[CycleNow, RulesVersion]:
    """Return a proposal that waits, and its cycle, with the cycle and its rules locked.

    Raises:
        NotFound: if there is no change of that id.
        RoundRunning: if a round is frozen.
        ChangeDecided: if it waits no more.
    """
    cycle = session.scalar(select(RulesVersion.cycle_id).where(RulesVersion.id == proposal))
    if cycle is None:
        raise NotFound
    held = lock_cycle_between_rounds(session, cycle)
    lock_rules(session, cycle)
    found = session.get_one(RulesVersion, proposal)
    if found.status != "proposed":
        raise ChangeDecided(cycle=cycle)
    return held, found


def _store(session: Session, subject: Subject, said: RulesPart, act: Act, *, status: str) -> RulesVersion:
    saved = RulesVersion(
        id=uuid.uuid4(),
        cycle_id=subject.cycle,
        level=subject.level,
        subject_id=subject.id,
        version=next_version(session, subject),
        said=document_of(said),
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


def _only_seats_change(subject: Subject, former: RulesVersion | None, said: RulesPart) -> bool:
    before = part_of(former.said) if former else RulesPart()
    same = said.model_copy(update={"seats": None}) == before.model_copy(update={"seats": None})
    return subject.level == "program" and same


def _refuse_unworkable(
    session: Session, cycle: Cycle, subject: Subject, said: RulesPart, programs: Sequence[Program]
) -> None:
    """Refuse rules that cannot work, by themselves or with what the other levels say of some program."""
    known = known_to(session, cycle)
    faults = [Fault(BODY + fault.pointer, fault.code, fault.detail, fault.values) for fault in faults_said(said, known)]
    if not faults:
        levels = read_levels(session, cycle.id, programs).saying(subject, said)
        ids = [program.id for program in programs]
        offerings = session.scalars(select(Offering).where(Offering.cycle_id == cycle.id, Offering.program_id.in_(ids)))
        offered = {offering.program_id: offering for offering in offerings}
        for program in programs:
            offering = offered.get(program.id)
            # One that left is looked at again when it comes back.
            if program.grade in cycle.grades and (offering is None or offering.status == "in"):
                faults += _faults_at(program, levels, subject, said, offering)
    if faults:
        raise RulesCannotWork(faults=faults[:MAX_FAULTS])


def _faults_at(
    program: Program, levels: Levels, subject: Subject, said: RulesPart, offering: Offering | None
) -> list[Fault]:
    rules = levels.resolved(program).rules
    faults = faults_resolved(rules, levels.place(program))
    if offering and offering.seats is not None and rules.seats is None:
        detail = sentence("are missing, and the program takes part with some; say how many")
        faults.append(Fault("/seats", "seats-missing", detail))
    shown = [Fault(_pointer(fault, said), fault.code, fault.detail, fault.values) for fault in faults]
    return shown if subject.level == "program" else naming(program.id, shown, pointer=BODY)


def _pointer(fault: Fault, said: RulesPart) -> str:
    """Return where a fault is in the body; what another level says does not stand in it."""
    part = fault.pointer.split("/")[1]
    return BODY if getattr(said, part) is None else BODY + fault.pointer
