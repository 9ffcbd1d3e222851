"""Build the markets of a preview: the market of now with the rules in force, and with the proposal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.cycles.models import Cycle
from enrollment.directory.models import Program as DirectoryProgram
from enrollment.previews.proposal import TriedProgram
from enrollment.problems import Conflict, sentence
from enrollment.rounds.earlier_rounds import NO_EARLIER_ROUNDS
from enrollment.rounds.market_applicants import read_applicants
from enrollment.rules.in_force import rules_in_force
from enrollment.rules.levels import Levels
from enrollment.rules.model import NeighborhoodReserve, RulesInput
from enrollment.rules.to_market import policy_of, program_document, read_back
from enrollment.zones.models import Zone
from lottery.fast.columns import MarketInColumns, columns_of
from lottery.market.model import Applicant, Kind, Policy, Round
from lottery.market.rules import OPEN, Program

ROUND = "preview"
"""The id of the round that is never held."""

SeatOrder = Literal["open-seats-first", "reserved-seats-first"]
ORDERS: tuple[SeatOrder, ...] = ("open-seats-first", "reserved-seats-first")


class NoLastCycle(Conflict):
    """No cycle came before this cycle."""

    title = sentence("No earlier cycle")
    detail = sentence("No cycle was open before {cycle}. Send basis: this-cycle to use the rankings of {cycle}.")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The parts of the rankings that the market does not have."""

    programs: Sequence[str]
    """Ranked programs that the market does not have."""
    children: int
    """Children who rank no program of the market."""
    zones: Sequence[str]
    """Zones of children that this cycle does not have."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The proposal in market form, for one order of filling the neighborhood's seats."""

    order: SeatOrder | None
    """None: the proposal has no such order."""
    is_proposed: bool
    """False: the other order, beside the proposal."""
    programs: tuple[Program, ...]


@dataclass(frozen=True, slots=True)
class PreviewMarket:
    """Applicants with the programs of now, and with each form of the proposal. Programs are sorted by id."""

    policy: Policy
    applicants: Sequence[Applicant]
    """By ticket."""
    before: tuple[Program, ...]
    proposals: Sequence[Proposal]
    saved: Mapping[str, Program]
    """The tried programs under the saved rules, also if they do not take part."""
    left_out: LeftOut

    def columns(self) -> list[MarketInColumns]:
        """Return the market of now and of each proposal, with the same applicants."""
        applicants = columns_of(self.applicants, self.before)
        round_ = Round(ROUND, Kind.MAIN)
        return [
            MarketInColumns(round_, self.policy, programs, applicants, "")
            for programs in (self.before, *(proposal.programs for proposal in self.proposals))
        ]


def basis_cycle(session: Session, cycle: Cycle, basis: str) -> str:
    """Return the cycle whose rankings a preview uses.

    Raises:
        NoLastCycle: if the last cycle is wanted and there is none.
    """
    if basis == "this-cycle":
        return cycle.id
    last = session.scalars(
        select(Cycle.id)
        .where(Cycle.deadline < cycle.deadline, Cycle.id != cycle.id)
        .order_by(Cycle.deadline.desc(), Cycle.id)
        .limit(1)
    ).one_or_none()
    if last is None:
        raise NoLastCycle(cycle=cycle.id)
    return last


def read_market(
    session: Session, cycle: Cycle, tried: Sequence[TriedProgram], levels: Levels, *, basis: str
) -> PreviewMarket:
    """Read the market of a preview from one state of the tables.

    Args:
        session: a repeatable read.
        cycle: the cycle.
        tried: the programs with their proposed rules.
        levels: gives each program its zones.
        basis: the cycle of the rankings.
    """
    own = {one.program.id: _market_form(one.proposed.rules, one, levels) for one in tried}
    now = {rules.program: read_back(rules.market) for rules in rules_in_force(session, cycle.id)}
    before = {
        **{id_: replace(program, seats=0, reserves=(), precedence=(OPEN,)) for id_, program in own.items()},
        **now,
    }
    applicants, left_out = _applicants(session, cycle, before, basis)
    saved = {one.program.id: now.get(one.program.id) or _market_form(_with_seats(one), one, levels) for one in tried}
    return PreviewMarket(
        policy=policy_of(cycle),
        applicants=applicants,
        before=_sorted(before),
        proposals=[
            Proposal(order, is_proposed, _sorted({**before, **programs}))
            for order, is_proposed, programs in _orders(tried, own, levels)
        ],
        saved=saved,
        left_out=left_out,
    )


def _sorted(programs: Mapping[str, Program]) -> tuple[Program, ...]:
    return tuple(programs[name] for name in sorted(programs))


def _with_seats(tried: TriedProgram) -> RulesInput:
    """Return the saved rules of a program that is out, with seats."""
    saved = tried.saved.rules
    return saved if saved.seats else saved.model_copy(update={"seats": tried.proposed.rules.seats})


def _market_form(rules: RulesInput, tried: TriedProgram, levels: Levels) -> Program:
    return read_back(program_document(rules, levels.context(tried.program)))


def _orders(
    tried: Sequence[TriedProgram], own: Mapping[str, Program], levels: Levels
) -> list[tuple[SeatOrder | None, bool, Mapping[str, Program]]]:
    """Return the proposal; where it has a neighborhood reserve, in both orders of filling."""
    proposed = {rule.filled for one in tried if (rule := _ordered_reserve(one.proposed.rules)) is not None}
    if not proposed:
        return [(None, True, own)]
    return [
        (
            order,
            proposed == {order},
            {one.program.id: _market_form(_in_order(one.proposed.rules, order), one, levels) for one in tried},
        )
        for order in ORDERS
    ]


def _ordered_reserve(rules: RulesInput) -> NeighborhoodReserve | None:
    """Return the neighborhood reserve if its own order counts; an order of all groups replaces it."""
    rule = rules.neighborhood
    return rule if isinstance(rule, NeighborhoodReserve) and rules.precedence is None else None


def _in_order(rules: RulesInput, order: SeatOrder) -> RulesInput:
    rule = _ordered_reserve(rules)
    if rule is None:
        return rules
    return rules.model_copy(update={"neighborhood": rule.model_copy(update={"filled": order})})


def _applicants(
    session: Session, cycle: Cycle, programs: Mapping[str, Program], basis: str
) -> tuple[list[Applicant], LeftOut]:
    """Read the children of the basis who rank a program of the market, by ticket, and what is left out."""
    of_basis = session.get_one(Cycle, basis)
    all_programs = cast("Mapping[str, Program]", dict.fromkeys(session.scalars(select(DirectoryProgram.id))))
    found = read_applicants(session, of_basis, Round(ROUND, Kind.MAIN), all_programs, NO_EARLIER_ROUNDS)
    kept, gone, none_left = [], set[str](), 0
    for applicant in found.applicants:
        ranking = tuple(
            name for name in applicant.ranking if name in programs and programs[name].grade == applicant.grade
        )
        gone.update(name for name in applicant.ranking if name not in programs)
        if ranking:
            kept.append(replace(applicant, ranking=ranking))
        else:
            none_left += 1
    zones = set(session.scalars(select(Zone.id).where(Zone.cycle_id == cycle.id)))
    lived_in = {zone for applicant in kept for zone in applicant.zones}
    left_out = LeftOut(sorted(gone), none_left, sorted(lived_in - zones) if basis != cycle.id else [])
    return sorted(kept, key=lambda applicant: applicant.id), left_out
