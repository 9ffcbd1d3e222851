"""Count the seats of each seat group in a round (docs/reference/specification.md, section 7)."""

from collections.abc import Mapping

from lottery.market.model import HeldSeat, Kind
from lottery.market.rules import OPEN, Program, VacatedReserves


def seats_this_round(kind: Kind, program: Program, holders: Mapping[HeldSeat, int]) -> dict[str, int]:
    """Return each seat group's number of seats, in precedence order.

    `holders` counts the applicants who hold each seat before the match.
    """
    written = program.seats_as_written()
    if kind is Kind.MAIN:
        return written
    held = {group: holders.get(HeldSeat(program.id, group), 0) for group in written}
    if not program.backfill.fills:
        return held
    if program.backfill.vacated_reserves is VacatedReserves.KEEP:
        return written
    held_in_reserves = sum(held[group] for group in held if group != OPEN)
    return {**held, OPEN: program.seats - held_in_reserves}
