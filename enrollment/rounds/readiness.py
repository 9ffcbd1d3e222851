"""How ready a cycle is for its freeze: what blocks it, and what people should know before it."""

from collections import Counter
from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Claim
from enrollment.cycles.locks import CycleNow, Phase, phase_at, read_cycle, rfc3339
from enrollment.cycles.models import Cycle
from enrollment.languages import Say
from enrollment.problems import Fault, sentence
from enrollment.rankings.models import RankingVersion
from enrollment.rounds.freeze import faults_of, programs_without_rules
from enrollment.rounds.schemas import Finding, Readiness
from enrollment.rounds.snapshot import Snapshot, take_snapshot
from enrollment.rules.in_force import InForce
from enrollment.rules.model import NEIGHBORHOOD
from enrollment.rules.models import RulesVersion
from enrollment.rules.sentences import WHY_NOT
from enrollment.seats.acceptance import overflowing
from lottery.market.model import Kind, Market, Round
from lottery.market.rules import Program

PREVIEW = "preview"
"""Stands for the id of a round that is not made yet."""


def readiness(session: Session, cycle_id: str, kind: Kind, *, say: Say) -> Readiness:
    """Look at a cycle as a freeze would, and say what there is to see to.

    Raises:
        CycleNotFound: if there is no such cycle.
    """
    held = read_cycle(session, cycle_id)
    snapshot = take_snapshot(session, held.cycle, Round(PREVIEW, kind), now=held.now)
    blocking = [*_times(held, kind), *faults_of(snapshot), *programs_without_rules(session, cycle_id)]
    findings = [
        *(_finding(fault, 1, say, blocks=True) for fault in blocking),
        *(_finding(fault, number, say, blocks=False) for number, fault in _notes(session, held, snapshot)),
    ]
    return Readiness(
        cycle=cycle_id,
        kind=kind.value,
        ready=not blocking,
        applicants=len(snapshot.market.applicants),
        excluded=dict(sorted(Counter(reason for _, reason in snapshot.excluded).items())),
        programs=len(snapshot.market.programs),
        seats=sum(program.seats for program in snapshot.market.programs),
        findings=findings,
    )


def _finding(fault: Fault, number: int, say: Say, *, blocks: bool) -> Finding:
    return Finding(
        code=fault.code,
        blocks=blocks,
        number=number,
        about=fault.pointer or None,
        detail=say(fault.detail, **fault.values),
    )


def _times(held: CycleNow, kind: Kind) -> Iterator[Fault]:
    cycle = held.cycle
    if cycle.running_round is not None:
        detail = sentence("the round {round} is frozen and not over yet; publish or void it first")
        yield Fault("", "round-running", detail, {"round": cycle.running_round})
    if kind is Kind.MAIN and held.now < cycle.deadline:
        detail = sentence("families may submit until {deadline}; freeze after that")
        yield Fault("", "deadline-to-come", detail, {"deadline": rfc3339(cycle.deadline)})


Note = tuple[int, Fault]
"""How many it is about, and what it is."""


def _notes(session: Session, held: CycleNow, snapshot: Snapshot) -> Iterator[Note]:
    cycle = held.cycle
    yield from _overflow(session, held)
    yield from _pending_claims(session, cycle)
    yield from _proposed_rules(session, cycle)
    yield from _only_drafts(session, cycle)
    yield from _without_zones(session, cycle)
    if phase_at(cycle, held.now) is Phase.LATE and cycle.late_until is not None:
        detail = sentence("late rankings are taken until {until}; after the freeze they wait for a backfill round")
        yield 1, Fault("", "late-window-open", detail, {"until": rfc3339(cycle.late_until)})
    ranked = Counter(program for applicant in snapshot.market.applicants for program in applicant.ranking)
    for program, rules in zip(snapshot.market.programs, snapshot.rules, strict=True):
        if not ranked[program.id] and snapshot.market.round.kind is Kind.MAIN:
            yield 1, Fault(program.id, "nobody-ranks", sentence("nobody ranks it; its seats will stay empty"))
        if not program.seats:
            yield 1, Fault(program.id, "no-seats", sentence("it has no seats; whoever ranks it will wait"))
        yield from _guarantee(snapshot.market, program, rules)
        why_not = snapshot.settled[program.id].why_not
        if why_not is not None:
            yield 1, Fault(program.id, f"does-not-fill-{why_not}", WHY_NOT[why_not])


def _overflow(session: Session, held: CycleNow) -> Iterator[Note]:
    for targets in overflowing(session, held.cycle, held.now):
        detail = sentence("more children have accepted a seat than the {enrollment} that the school means to enroll")
        yield targets.overflow, Fault(targets.program, "overflow", detail, {"enrollment": targets.enrollment})


def _pending_claims(session: Session, cycle: Cycle) -> Iterator[Note]:
    rows = session.execute(
        select(Claim.school_id, func.count())
        .join(Applicant, Applicant.id == Claim.applicant_id)
        .where(Claim.cycle_id == cycle.id, Claim.status == "pending", Applicant.withdrawn_at.is_(None))
        .group_by(Claim.school_id)
        .order_by(Claim.school_id)
    )
    for school, number in rows:
        detail = sentence("claims wait for a decision; those still pending at the freeze do not count")
        yield number, Fault(school or "", "pending-claims", detail)


def _proposed_rules(session: Session, cycle: Cycle) -> Iterator[Note]:
    asked = (
        select(RulesVersion.subject_id)
        .where(RulesVersion.cycle_id == cycle.id, RulesVersion.status == "proposed")
        .order_by(RulesVersion.level, RulesVersion.subject_id)
    )
    for subject in session.scalars(asked):
        detail = sentence("a change of rules waits for an administrator; the freeze takes the rules before it")
        yield 1, Fault(subject, "rules-proposed", detail)


def _only_drafts(session: Session, cycle: Cycle) -> Iterator[Note]:
    drafts = select(RankingVersion.applicant_id).where(RankingVersion.kind == "draft")
    number = session.execute(
        select(func.count())
        .select_from(Applicant)
        .where(
            Applicant.cycle_id == cycle.id,
            Applicant.withdrawn_at.is_(None),
            Applicant.ranking_version.is_(None),
            Applicant.id.in_(drafts),
        )
    ).scalar_one()
    if number:
        detail = sentence("families have a draft and submitted nothing; their partners can remind them")
        yield number, Fault("", "only-drafts", detail)


def _without_zones(session: Session, cycle: Cycle) -> Iterator[Note]:
    if cycle.zones_vintage is None:
        return
    number = session.execute(
        select(func.count())
        .select_from(Applicant)
        .where(
            Applicant.cycle_id == cycle.id,
            Applicant.withdrawn_at.is_(None),
            Applicant.zone_method.in_(["no zone", "no address"]),
        )
    ).scalar_one()
    if number:
        detail = sentence("children have no zone, because their address has no point or lies in none")
        yield number, Fault("", "without-zones", detail)


def _guarantee(market: Market, program: Program, rules: InForce) -> Iterator[Note]:
    """Note a guarantee that more children may claim than there are seats, unless the school said that it is so."""
    said = rules.rules.get("neighborhood")
    if not isinstance(said, dict) or said["rule"] != "guarantee":
        return
    neighborhood = next(one.when for one in program.priorities if one.name == NEIGHBORHOOD)
    number = sum(
        program.id in applicant.ranking and neighborhood.holds(applicant, program.school, ())
        for applicant in market.applicants
    )
    if number > program.seats and said.get("when_more_than_seats") != "will-not-raise":
        detail = sentence(
            "{number} children of the neighborhood rank it and there are {seats} seats; the school raises its seats, "
            "or says in its rules that it will not"
        )
        yield number, Fault(program.id, "guarantee-over-seats", detail, {"number": number, "seats": program.seats})
