"""Readiness of a cycle for a freeze: the problems that block it, and the notes for administrators."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Claim
from enrollment.cycles.locks import CycleNow, Phase, in_zone, phase_at, read_cycle
from enrollment.cycles.models import Cycle
from enrollment.field_types import Wire
from enrollment.languages import Say
from enrollment.problems import Fault, sentence
from enrollment.rankings.models import RankingVersion
from enrollment.rounds.freeze import faults_of, programs_without_rules
from enrollment.rounds.rule_notes import Note, rule_notes
from enrollment.rounds.screened_lists import ListGap, list_gaps
from enrollment.rounds.snapshot import Snapshot, take_snapshot
from enrollment.rules.guarantee import guaranteed
from enrollment.rules.in_force import InForce
from enrollment.rules.models import RulesVersion
from enrollment.rules.sentences import WHY_NOT
from enrollment.seats.acceptance import overflowing
from lottery.market.model import Kind, Market, Round
from lottery.market.rules import Program

PREVIEW = "preview"
"""Stands for the id of a round that does not exist yet."""

NOT_ON_LIST = sentence(
    "Children rank this program and are not on the school's own list, so the program cannot take them. Ask the school "
    "to send its list again before the freeze, with every child whom it wants to consider."
)


class FindingOut(Wire):
    """A problem that blocks a freeze, or a note before it."""

    code: str
    blocks: Annotated[bool, Field(description="True: the freeze is refused until this is fixed.")]
    number: Annotated[int, Field(description="The number of children, programs or rules that the finding is about.")]
    about: Annotated[str | None, Field(description="The program, school or ticket that the finding is about.")]
    detail: str
    tickets: Annotated[
        list[str], Field(description="The tickets of the children, where somebody must act for each of them.")
    ]


class ReadinessOut(Wire):
    """The readiness of a cycle for the next freeze."""

    cycle: str
    kind: Literal["main", "backfill"]
    ready: bool
    applicants: int
    excluded: Annotated[dict[str, int], Field(description="The number of children left out, by reason.")]
    programs: int
    seats: int
    findings: list[FindingOut]


def readiness(session: Session, cycle_id: str, kind: Kind, *, say: Say) -> ReadinessOut:
    """Look at a cycle as a freeze would, and list what to fix.

    Raises:
        CycleNotFound: if the cycle does not exist.
    """
    cycle_now = read_cycle(session, cycle_id)
    snapshot = take_snapshot(session, cycle_now.cycle, Round(PREVIEW, kind), now=cycle_now.now)
    blocking = [*_times(cycle_now, kind), *faults_of(snapshot), *programs_without_rules(session, cycle_id)]
    findings = [
        *(_finding(fault, 1, say, blocks=True) for fault in blocking),
        *(_finding(fault, number, say, blocks=False) for number, fault in _notes(session, cycle_now, snapshot)),
        *(_not_on_list(gap, say) for gap in list_gaps(snapshot.market)),
    ]
    return ReadinessOut(
        cycle=cycle_id,
        kind=kind.value,
        ready=not blocking,
        applicants=len(snapshot.market.applicants),
        excluded=dict(sorted(Counter(reason for _, reason in snapshot.excluded).items())),
        programs=len(snapshot.market.programs),
        seats=sum(program.seats for program in snapshot.market.programs),
        findings=findings,
    )


def _finding(fault: Fault, number: int, say: Say, *, blocks: bool) -> FindingOut:
    return FindingOut(
        code=fault.code,
        blocks=blocks,
        number=number,
        about=fault.pointer or None,
        detail=say(fault.detail, **fault.values),
        tickets=[],
    )


def _not_on_list(gap: ListGap, say: Say) -> FindingOut:
    return FindingOut(
        code="not-on-list",
        blocks=False,
        number=len(gap.tickets),
        about=gap.program,
        detail=say(NOT_ON_LIST),
        tickets=list(gap.tickets),
    )


def _times(cycle_now: CycleNow, kind: Kind) -> Iterator[Fault]:
    cycle = cycle_now.cycle
    if cycle.running_round is not None:
        detail = sentence("The round {round} is frozen and not finished. Publish or void that round first.")
        yield Fault("", "round-running", detail, {"round": cycle.running_round})
    if kind is Kind.MAIN and cycle_now.now < cycle.deadline:
        detail = sentence("Families may submit until {deadline}. Freeze after the deadline.")
        yield Fault("", "deadline-to-come", detail, {"deadline": in_zone(cycle, cycle.deadline)})


def _notes(session: Session, cycle_now: CycleNow, snapshot: Snapshot) -> Iterator[Note]:
    cycle = cycle_now.cycle
    yield from _overflow(session, cycle_now)
    yield from _pending_claims(session, cycle)
    yield from _proposed_rules(session, cycle)
    yield from _only_drafts(session, cycle)
    yield from _without_zones(session, cycle)
    if phase_at(cycle, cycle_now.now) is Phase.LATE and cycle.late_until is not None:
        detail = sentence(
            "Families may submit late rankings until {until}. Late rankings after the freeze wait for a backfill round."
        )
        yield 1, Fault("", "late-window-open", detail, {"until": in_zone(cycle, cycle.late_until)})
    ranked = Counter(program for applicant in snapshot.market.applicants for program in applicant.ranking)
    for program, rules in zip(snapshot.market.programs, snapshot.rules, strict=True):
        if not ranked[program.id] and snapshot.market.round.kind is Kind.MAIN:
            yield (
                1,
                Fault(
                    program.id, "nobody-ranks", sentence("No child ranks this program, so its seats will stay empty.")
                ),
            )
        if not program.seats:
            yield (
                1,
                Fault(
                    program.id,
                    "no-seats",
                    sentence("This program has no seats. Children who rank it will be on its waitlist."),
                ),
            )
        yield from _guarantee(snapshot.market, program, rules)
        why_not = snapshot.settled[program.id].why_not
        if why_not is not None:
            yield 1, Fault(program.id, f"does-not-fill-{why_not}", WHY_NOT[why_not])
    yield from rule_notes(session, cycle_now, snapshot.market)


def _overflow(session: Session, cycle_now: CycleNow) -> Iterator[Note]:
    for targets in overflowing(session, cycle_now.cycle, cycle_now.now):
        detail = sentence("More children accepted a seat than the enrollment target of {enrollment}.")
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
        detail = sentence("Claims are waiting for a decision. Claims that are pending at the freeze do not count.")
        yield number, Fault(school or "", "pending-claims", detail)


def _proposed_rules(session: Session, cycle: Cycle) -> Iterator[Note]:
    query = (
        select(RulesVersion.subject_id)
        .where(RulesVersion.cycle_id == cycle.id, RulesVersion.status == "proposed")
        .order_by(RulesVersion.level, RulesVersion.subject_id)
    )
    for subject in session.scalars(query):
        detail = sentence(
            "A proposed change of rules is waiting for an administrator. The freeze uses the present rules."
        )
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
        detail = sentence("Families have a draft but no submitted ranking. Ask their partners to remind them.")
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
        detail = sentence("Children have no zone. Their address is unknown or outside all zones.")
        yield number, Fault("", "without-zones", detail)


def _guarantee(market: Market, program: Program, rules: InForce) -> Iterator[Note]:
    """Note a guarantee for more children than seats, unless the school declared that it will not add seats."""
    rule = rules.rules.get("neighborhood")
    if not isinstance(rule, dict) or rule["rule"] != "guarantee":
        return
    neighborhood = guaranteed(program)
    number = sum(
        program.id in applicant.ranking and neighborhood.holds(applicant, program.school, ())
        for applicant in market.applicants
    )
    if number > program.seats and rule.get("when_more_than_seats") != "will-not-raise":
        detail = sentence(
            "{number} children of the neighborhood rank this program, which has {seats} seats. Ask the school to add "
            "seats, or to declare in its rules that it will not."
        )
        yield number, Fault(program.id, "guarantee-over-seats", detail, {"number": number, "seats": program.seats})
