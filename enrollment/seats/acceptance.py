"""Targets: how a program's seats stand, and how likely over-offers are to overflow, from past acceptance."""

from collections.abc import Sequence
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
from enrollment.seats.schemas import Acceptance, TargetsOut
from enrollment.seats.vacancies import FREE

ANSWERED = ("accepted", "declined", "expired")

FEWEST_ASKED = 10
"""Answers that are needed at least to say how many accept; with fewer, the school's or the grade's are taken."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A proposed match target and enrollment target, to see what they would do."""

    match: int | None
    enrollment: int | None


def targets_of(session: Session, cycle: Cycle, program: Program, tried: Tried, now: datetime) -> TargetsOut | None:
    """Return a program's targets and how its seats stand; None if it does not take part with seats."""
    rules = rules_of_program(session, cycle.id, program.id)
    return _shown(session, cycle, program, rules, tried, now) if rules else None


def overflowing(session: Session, cycle: Cycle, now: datetime) -> list[TargetsOut]:
    """Return the programs at which more children have accepted a seat than the school means to enroll."""
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
            found.append(_shown(session, cycle, program, rules, Tried(None, None), now))
    return found


def _shown(session: Session, cycle: Cycle, program: Program, rules: InForce, tried: Tried, now: datetime) -> TargetsOut:
    said = read_stored_rules(rules.rules).seats or SeatsInput(match=0)
    match = said.match if tried.match is None else tried.match
    enrollment = said.to_enroll if tried.enrollment is None else tried.enrollment
    counts = dict(
        session.execute(
            select(Offer.status, func.count())
            .where(Offer.cycle_id == cycle.id, Offer.program_id == program.id)
            .group_by(Offer.status)
        ).all()
    )
    free = session.execute(
        select(func.count()).where(
            Vacancy.cycle_id == cycle.id, Vacancy.program_id == program.id, Vacancy.status.in_(FREE)
        )
    ).scalar_one()
    acceptance = past_acceptance(session, cycle, program)
    rate = acceptance.accepted / acceptance.offered if acceptance else None
    accepted = counts.get("accepted", 0)
    return TargetsOut(
        program=program.id,
        match=match,
        enrollment=enrollment,
        over_offer=max(match - enrollment, 0),
        today=said.target_on(now.date()),
        offered=counts.get("open", 0),
        accepted=accepted,
        free=free,
        overflow=max(accepted - enrollment, 0),
        acceptance=acceptance,
        expected=None if rate is None else round(match * rate, 1),
        chance_of_overflow=None if rate is None else round(chance_of_more(match, rate, than=enrollment), 4),
    )


def past_acceptance(session: Session, cycle: Cycle, program: Program) -> Acceptance | None:
    """Return how many of those offered a seat in a main round took it: at the program, its school, its grade.

    An earlier cycle goes before this one, whose answers are still coming in; the nearest with enough answers counts.
    """
    near: list[tuple[str, ColumnElement[bool]]] = [
        ("program", Offer.program_id == program.id),
        ("school", Program.school_id == program.school_id),
        ("grade", Program.grade == program.grade),
    ]
    for of, where in near:
        for earlier in _cycles_before(session, cycle):
            offered, accepted = session.execute(
                select(func.count(), func.count().filter(Offer.status == "accepted"))
                .select_from(Offer)
                .join(Program, Program.id == Offer.program_id)
                .where(Offer.cycle_id == earlier, Offer.source == "main", Offer.status.in_(ANSWERED), where)
            ).one()
            if offered >= FEWEST_ASKED:
                return Acceptance(offered=offered, accepted=accepted, of=of, cycle=earlier)
    return None


def _cycles_before(session: Session, cycle: Cycle) -> Sequence[str]:
    """Return the cycles whose answers tell of acceptance, the newest earlier one first, this one last."""
    earlier = session.scalars(
        select(Cycle.id).where(Cycle.deadline < cycle.deadline).order_by(Cycle.deadline.desc(), Cycle.id).limit(3)
    )
    return [*earlier, cycle.id]


def chance_of_more(offers: int, rate: float, *, than: int) -> float:
    """Return the chance that more than so many of `offers` accept, each with the same rate and by itself (binomial)."""
    if than < 0:
        return 1.0
    if than >= offers or rate <= 0:
        return 0.0
    if rate >= 1:
        return 1.0
    return min(sum(_exactly(accepted, offers, rate) for accepted in range(than + 1, offers + 1)), 1.0)


def _exactly(accepted: int, offers: int, rate: float) -> float:
    ways = lgamma(offers + 1) - lgamma(accepted + 1) - lgamma(offers - accepted + 1)
    return exp(ways + accepted * log(rate) + (offers - accepted) * log(1 - rate))
