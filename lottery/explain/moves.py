"""How many children a backfill round moves, and what another order of its numbers would do (lottery.md, section 7)."""

from collections import Counter
from dataclasses import dataclass, replace

from lottery.market.model import HeldSeat, Market
from lottery.market.outcome import Outcome
from lottery.market.rules import Order


@dataclass(frozen=True, slots=True)
class Moves:
    """What a round does to those who hold a seat and those who do not; every applicant is in one of the first four.

    `stayed` keep the seat that they held, `moved` leave it for one that they ranked higher, `newly_placed` held none.
    `left_empty` are seats, not applicants: those by which a seat group has fewer placed than it had holders.
    """

    stayed: int
    moved: int
    newly_placed: int
    unplaced: int
    left_empty: int

    @property
    def placed(self) -> int:
        """Return how many have a seat after the round."""
        return self.stayed + self.moved + self.newly_placed


def count_moves(market: Market, outcome: Outcome) -> Moves:
    """Count who moved in an outcome of a market. Neither is checked here; `lottery.match.verify` does that."""
    held = {applicant.id: applicant.holds for applicant in market.applicants if applicant.holds}
    given = {placement.applicant: HeldSeat(placement.program, placement.group) for placement in outcome.placements}
    holders = held.keys() & given.keys()
    stayed = sum(given[ticket] == held[ticket] for ticket in holders)
    return Moves(
        stayed=stayed,
        moved=len(holders) - stayed,
        newly_placed=len(given) - len(holders),
        unplaced=len(outcome.unplaced),
        left_empty=(Counter(held.values()) - Counter(given.values())).total(),
    )


def with_order(market: Market, order: Order) -> Market:
    """Return the market as it would be if every program backfilled by this order; no other rule changes."""
    programs = tuple(replace(program, backfill=replace(program.backfill, order=order)) for program in market.programs)
    return replace(market, programs=programs)
