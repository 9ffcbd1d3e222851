"""Count the children who move in a backfill round (docs/reference/specification.md, section 7)."""

from collections import Counter
from dataclasses import dataclass, replace

from lottery.market.model import HeldSeat, Market
from lottery.market.outcome import Outcome
from lottery.market.rules import Order


@dataclass(frozen=True, slots=True)
class Moves:
    """How many applicants a round moves. Each applicant counts in exactly one of the first four numbers.

    `stayed` keep their held seat, `moved` leave a held seat for a higher choice, and `newly_placed` held no seat.
    `left_empty` counts seats, not applicants: the held seats of each group that nobody has after the round.
    """

    stayed: int
    moved: int
    newly_placed: int
    unplaced: int
    left_empty: int

    @property
    def placed(self) -> int:
        """Return how many applicants have a seat after the round."""
        return self.stayed + self.moved + self.newly_placed


def count_moves(market: Market, outcome: Outcome) -> Moves:
    """Count the moves in an outcome of a market. `lottery.match.verify` checks the outcome; this function does not."""
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
    """Return the market with this backfill order at every program and no other change."""
    programs = tuple(replace(program, backfill=replace(program.backfill, order=order)) for program in market.programs)
    return replace(market, programs=programs)
