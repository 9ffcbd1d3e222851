"""Find the children who rank a screened program and are not on the school's own list."""

from collections.abc import Sequence
from dataclasses import dataclass

from lottery.market.model import Market
from lottery.market.rules import Ranked


@dataclass(frozen=True, slots=True)
class ListGap:
    """A program's own list, and the children who rank the program and are not on the list."""

    program: str
    tickets: Sequence[str]


def list_gaps(market: Market) -> list[ListGap]:
    """Return each program whose own list misses children who rank the program, in order of the market."""
    listed = {
        program.id: frozenset(program.tie_break.tickets)
        for program in market.programs
        if isinstance(program.tie_break, Ranked)
    }
    missing: dict[str, list[str]] = {program: [] for program in listed}
    for applicant in market.applicants:
        for program in applicant.ranking:
            if program in listed and applicant.id not in listed[program]:
                missing[program].append(applicant.id)
    return [ListGap(program, sorted(tickets)) for program, tickets in missing.items() if tickets]
