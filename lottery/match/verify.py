"""Verify an outcome without trusting its author (docs/reference/specification.md, section 9).

Each check stands alone. A check reads the market, the numbers drawn again from the seeds, and the outcome, and names
the applicant, the program and the rule in its complaint. The checks alone do not fix the outcome. So the outcome must
also equal, byte for byte, the outcome of the reference engine.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from lottery.market.model import Market
from lottery.market.outcome import Outcome, Placement
from lottery.match.complaints import Complaint, Rule
from lottery.match.list_checks import cutoffs_correct, lists_in_order, numbers_drawn_right, waitlists_correct
from lottery.match.lottery_numbers import Draw
from lottery.match.placement_checks import (
    choice_counted,
    everyone_once,
    holders_kept,
    known_names,
    no_justified_envy,
    no_seat_wasted,
    placed_where_considered,
    placed_where_ranked,
    same_market,
    seats_kept,
)
from lottery.match.record import Record
from lottery.match.reference import NO_SEEDS, match
from lottery.progress import Track, untracked

__all__ = ["CHECKS", "Complaint", "Rule", "verify"]

_SEED = re.compile(r"[0-9a-f]{64}")


def same_as_reference(record: Record) -> Iterator[Complaint]:
    """Run the reference engine and compare the bytes."""
    reference = match(record.market, seed=bytes.fromhex(record.outcome.seed), seeds=record.draw.seeds)
    if reference.to_bytes() == record.outcome.to_bytes():
        return
    correct = {placement.applicant: placement for placement in reference.placements}
    stated = {placement.applicant: placement for placement in record.outcome.placements}
    for ticket in sorted(correct.keys() | stated.keys()):
        if correct.get(ticket) != stated.get(ticket):
            text = f"the reference gives {_seat(correct.get(ticket))}; the outcome gives {_seat(stated.get(ticket))}"
            placement = correct.get(ticket) or stated[ticket]
            yield Complaint(Rule.REFERENCE, ticket, placement.program, text)
    for part in ("market", "placements", "unplaced", "cutoffs", "waitlists"):
        if reference.document()[part] != record.outcome.document()[part]:
            yield Complaint(Rule.REFERENCE, None, None, f"the reference gives other {part}")


Check = Callable[[Record], Iterator[Complaint]]

CHECKS: Mapping[Rule, Check] = {
    Rule.MARKET: same_market,
    Rule.KNOWN: known_names,
    Rule.ONCE: everyone_once,
    Rule.RANKED: placed_where_ranked,
    Rule.CHOICE: choice_counted,
    Rule.CONSIDERED: placed_where_considered,
    Rule.SEATS: seats_kept,
    Rule.HOLDERS: holders_kept,
    Rule.WASTE: no_seat_wasted,
    Rule.ENVY: no_justified_envy,
    Rule.NUMBERS: numbers_drawn_right,
    Rule.CUTOFFS: cutoffs_correct,
    Rule.WAITLISTS: waitlists_correct,
    Rule.ORDER: lists_in_order,
    Rule.REFERENCE: same_as_reference,
}


def verify(
    market: Market, outcome: Outcome, *, seeds: Mapping[str, bytes] = NO_SEEDS, track: Track = untracked
) -> tuple[Complaint, ...]:
    """Return every complaint about an outcome. A correct outcome has none.

    `seeds` has the seeds of earlier rounds in which applicants were drawn. This check does not prove the origin of a
    seed.

    Raises:
        UnusableSeed: if the seed of an earlier round is missing or is not 32 bytes long.
    """
    if not _SEED.fullmatch(outcome.seed):
        return (Complaint(Rule.SEED, None, None, "the numbers cannot be drawn again from this seed"),)
    draw = Draw(market, seed=bytes.fromhex(outcome.seed), seeds=seeds)
    record = Record(market, outcome, draw)
    complaints: list[Complaint] = []
    for check in track(CHECKS.values(), "checking", len(CHECKS)):
        complaints.extend(check(record))
    return tuple(complaints)


def _seat(placement: Placement | None) -> str:
    return f"{placement.program}/{placement.group}, choice {placement.choice}" if placement else "no seat"
