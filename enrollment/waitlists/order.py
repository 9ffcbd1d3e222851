"""Order the waitlists of a cycle as a backfill round would admit the children now."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child, Household
from enrollment.cycles.models import Cycle
from enrollment.directory.models import Program
from enrollment.rounds.earlier_rounds import read_earlier_rounds
from enrollment.rounds.market_applicants import read_applicants
from enrollment.rounds.seeds import seeds_for_market
from enrollment.rules.in_force import InForce, rules_in_force
from enrollment.rules.levels import read_stored_rules
from enrollment.rules.to_market import policy_of, read_back
from enrollment.seats.models import LIVE, Offer
from enrollment.waitlists.model import ListKey, Waiting
from lottery.market.model import Kind, Market
from lottery.market.model import Round as MarketRound
from lottery.market.rules import BackfillRule, Order
from lottery.market.rules import Program as MarketProgram
from lottery.match.lottery_numbers import NUMBER_BYTES, SEED_BYTES, Draw
from lottery.match.siblings import ranking_as_matched
from lottery.match.standing import Standing, Standings

UNDRAWN = b"\xff" * NUMBER_BYTES
"""Stands for the lottery number of a new child. Until the draw, new children are last."""

Schools = Mapping[tuple[str, str], frozenset[str]]
"""The schools where members of a household hold seats, by household and by the grade of the child who waits."""

Ordered = dict[ListKey, list[tuple[Standing, str]]]
"""The standings on each waitlist, each with its priority class."""


def waitlists_now(session: Session, cycle: Cycle, programs: Collection[str] | None) -> dict[ListKey, list[Waiting]]:
    """Return the waitlists of some programs in their present order. None: all programs."""
    market = _market(session, cycle, programs)
    standings = _standings(session, cycle, market, programs)
    children = _children_by_ticket(session, cycle.id)
    new = {applicant.id for applicant in market.applicants if applicant.drawn_in == market.round.id}
    return {
        key: [
            Waiting(children[standing.ticket], priority_class, standing.ticket not in new)
            for standing, priority_class in sorted(waiting)
        ]
        for key, waiting in standings.items()
    }


def _standings(session: Session, cycle: Cycle, market: Market, programs: Collection[str] | None) -> Ordered:
    """Return the standing of every waiting child at each program that the child ranks above the held seat."""
    standings = Standings(market, _draw(session, market))
    siblings = _schools_of_siblings(session, cycle)
    school_of = {program.id: program.school for program in market.programs}
    wanted = {program.id: program for program in market.programs if programs is None or program.id in programs}
    found: Ordered = {}
    for applicant in market.applicants:
        schools = siblings.get((applicant.household or "", applicant.grade), frozenset())
        for ranked in ranking_as_matched(applicant, school_of, schools):
            if ranked not in wanted or (applicant.holds and applicant.holds.program == ranked):
                continue
            at_groups = standings.at(applicant, wanted[ranked], schools)
            for group, standing in zip(standings.groups[ranked], at_groups, strict=True):
                if isinstance(standing, Standing):
                    is_new = applicant.drawn_in == market.round.id
                    known = standing._replace(number=UNDRAWN) if is_new else standing
                    found.setdefault((ranked, group.name), []).append((known, group.classes[standing.priority]))
    return found


def _market(session: Session, cycle: Cycle, programs: Collection[str] | None) -> Market:
    """Return a backfill round's market of now, in which every program fills its seats."""
    rules = rules_in_force(session, cycle.id)
    in_market = {in_force.program: _filling(in_force) for in_force in rules}
    round_ = MarketRound(f"{cycle.id}-now"[:64], Kind.BACKFILL)
    earlier = read_earlier_rounds(session, cycle.id, in_market)
    waiting = read_applicants(session, cycle, round_, in_market, earlier, ranking=programs).applicants
    return Market(earlier.before(round_), policy_of(cycle), tuple(in_market.values()), tuple(waiting))


def _filling(in_force: InForce) -> MarketProgram:
    """Return a program that fills its seats. A program has waitlists even if its rule fills no seats for now.

    A fresh order is not drawn yet. Until then the earlier lottery numbers are used.
    """
    backfill = read_stored_rules(in_force.rules).backfill
    order = Order.REVERSE if backfill and backfill.order == "reverse" else Order.WAITLIST
    return replace(read_back(in_force.market), backfill=BackfillRule(order=order))


def _draw(session: Session, market: Market) -> Draw:
    """Return the lottery numbers of earlier draws. The numbers of new children are not used."""
    return Draw(market, seed=bytes(SEED_BYTES), seeds=seeds_for_market(session, market))


def _schools_of_siblings(session: Session, cycle: Cycle) -> Schools:
    """Return the schools where members of each household hold seats, for each grade that is matched later."""
    turn = {grade: place for place, grade in enumerate(policy_of(cycle).grade_order)}
    rows = session.execute(
        select(Household.ticket, Program.grade, Program.school_id)
        .join(Applicant, Applicant.household_id == Household.id)
        .join(Offer, Offer.child_id == Applicant.child_id)
        .join(Program, Program.id == Offer.program_id)
        .where(Offer.cycle_id == cycle.id, Offer.status.in_(LIVE), Applicant.withdrawn_at.is_(None))
    ).all()
    found: dict[tuple[str, str], frozenset[str]] = {}
    for household, grade, school in rows:
        for other, other_turn in turn.items():
            if turn[grade] < other_turn:
                found[household, other] = found.get((household, other), frozenset()) | {school}
    return found


def _children_by_ticket(session: Session, cycle: str) -> dict[str, uuid.UUID]:
    rows = session.execute(select(Child.tag, Child.id).where(Child.cycle_id == cycle))
    return {tag.hex(): child for tag, child in rows}
