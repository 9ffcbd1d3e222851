"""Compare a program's targets with its accepted seats, and estimate the chance that over-offers overflow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp, lgamma, log

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.directory.models import Program
from enrollment.rules.in_force import InForce, rules_in_force, rules_of_program
from enrollment.rules.levels import read_stored_rules
from enrollment.rules.model import SeatsInput
from enrollment.seats.models import Offer, Vacancy
from enrollment.seats.vacancies import FREE
from enrollment.time_zones import day_in

ANSWERED = ("accepted", "declined", "expired")

MIN_ANSWERS = 10
"""The fewest answers that give an acceptance rate. With fewer, the school's or the grade's answers count."""


@dataclass(frozen=True, slots=True)
class ProposedTargets:
    """A match target and an enrollment target to try out; None: the target in the rules."""

    match: int | None = None
    enrollment: int | None = None


@dataclass(frozen=True, slots=True)
class PastAcceptance:
    """How many offers were accepted, and whose offers they were."""

    offered: int
    accepted: int
    of: str
    """`program`, `school`, or `grade`."""
    cycle: str

    @property
    def rate(self) -> float:
        """Return the share of offers that were accepted."""
        return self.accepted / self.offered


@dataclass(frozen=True, slots=True)
class Targets:
    """A program's targets, its seats, and the chance that over-offers overflow."""

    program: str
    match: int
    enrollment: int
    over_offer: int
    today: int
    offered: int
    accepted: int
    free: int
    overflow: int
    acceptance: PastAcceptance | None
    expected: float | None
    chance_of_overflow: float | None


def targets_of(
    session: Session, cycle: Cycle, program: Program, proposed: ProposedTargets, now: datetime
) -> Targets | None:
    """Return a program's targets and seats; None if the program does not take part with seats."""
    rules = rules_of_program(session, cycle.id, program.id)
    return _targets(session, cycle, program, rules, proposed, now) if rules else None


def overflowing(session: Session, cycle: Cycle, now: datetime) -> list[Targets]:
    """Return the programs where more children accepted a seat than the school plans to enroll."""
    accepted = dict(
        session.execute(
            select(Offer.program_id, func.count())
            .where(Offer.cycle_id == cycle.id, Offer.status == "accepted")
            .group_by(Offer.program_id)
        ).all()
    )
    found = []
    for rules in rules_in_force(session, cycle.id):
        seats = read_stored_rules(rules.rules).seats
        if seats and accepted.get(rules.program, 0) > seats.to_enroll:
            program = session.get_one(Program, rules.program)
            found.append(_targets(session, cycle, program, rules, ProposedTargets(), now))
    return found


def _targets(
    session: Session, cycle: Cycle, program: Program, rules: InForce, proposed: ProposedTargets, now: datetime
) -> Targets:
    seats = read_stored_rules(rules.rules).seats or SeatsInput(match=0)
    match = seats.match if proposed.match is None else proposed.match
    enrollment = seats.to_enroll if proposed.enrollment is None else proposed.enrollment
    offers = _offers_by_status(session, cycle, program)
    accepted = offers.get("accepted", 0)
    acceptance = past_acceptance(session, cycle, program)
    return Targets(
        program=program.id,
        match=match,
        enrollment=enrollment,
        over_offer=max(match - enrollment, 0),
        today=seats.target_on(day_in(cycle.time_zone, now)),
        offered=offers.get("open", 0),
        accepted=accepted,
        free=_number_of_free_seats(session, cycle, program),
        overflow=max(accepted - enrollment, 0),
        acceptance=acceptance,
        expected=round(match * acceptance.rate, 1) if acceptance else None,
        chance_of_overflow=round(chance_of_more(match, acceptance.rate, than=enrollment), 4) if acceptance else None,
    )


def _offers_by_status(session: Session, cycle: Cycle, program: Program) -> dict[str, int]:
    rows = session.execute(
        select(Offer.status, func.count())
        .where(Offer.cycle_id == cycle.id, Offer.program_id == program.id)
        .group_by(Offer.status)
    )
    return dict(rows.all())


def _number_of_free_seats(session: Session, cycle: Cycle, program: Program) -> int:
    return session.execute(
        select(func.count()).where(
            Vacancy.cycle_id == cycle.id, Vacancy.program_id == program.id, Vacancy.status.in_(FREE)
        )
    ).scalar_one()


def past_acceptance(session: Session, cycle: Cycle, program: Program) -> PastAcceptance | None:
    """Return how many offers of main rounds were accepted at the program, or at its school, or in its grade.

    Earlier cycles come before this cycle, because this cycle's answers are still coming in. The first with enough
    answers counts.
    """
    scopes: list[tuple[str, ColumnElement[bool]]] = [
        ("program", Offer.program_id == program.id),
        ("school", Program.school_id == program.school_id),
        ("grade", Program.grade == program.grade),
    ]
    cycles = _cycles_with_answers(session, cycle)
    return next((found for of, where in scopes for found in _with_enough_answers(session, cycles, of, where)), None)


def _with_enough_answers(
    session: Session, cycles: Sequence[str], of: str, where: ColumnElement[bool]
) -> Iterator[PastAcceptance]:
    """Yield the acceptance in each cycle that has enough answers."""
    for cycle in cycles:
        offered, accepted = session.execute(
            select(func.count(), func.count().filter(Offer.status == "accepted"))
            .select_from(Offer)
            .join(Program, Program.id == Offer.program_id)
            .where(Offer.cycle_id == cycle, Offer.source == "main", Offer.status.in_(ANSWERED), where)
        ).one()
        if offered >= MIN_ANSWERS:
            yield PastAcceptance(offered=offered, accepted=accepted, of=of, cycle=cycle)


def _cycles_with_answers(session: Session, cycle: Cycle) -> Sequence[str]:
    """Return the three cycles before this cycle, the newest first, and then this cycle."""
    earlier = session.scalars(
        select(Cycle.id).where(Cycle.deadline < cycle.deadline).order_by(Cycle.deadline.desc(), Cycle.id).limit(3)
    )
    return [*earlier, cycle.id]


def chance_of_more(offers: int, rate: float, *, than: int) -> float:
    """Return the binomial chance that more than `than` of `offers` are accepted, if each is accepted at `rate`."""
    if than < 0:
        return 1.0
    if than >= offers or rate <= 0:
        return 0.0
    if rate >= 1:
        return 1.0
    return min(sum(_chance_of(accepted, offers, rate) for accepted in range(than + 1, offers + 1)), 1.0)


def _chance_of(accepted: int, offers: int, rate: float) -> float:
    ways = lgamma(offers + 1) - lgamma(accepted + 1) - lgamma(offers - accepted + 1)
    return exp(ways + accepted * log(rate) + (offers - accepted) * log(1 - rate))
