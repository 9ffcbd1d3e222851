"""Compare applicants at a seat group (docs/reference/specification.md, section 3)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from lottery.market.model import Applicant, Late, Market
from lottery.market.rules import EVERYONE, GENERAL, Condition, Order, PriorityClass, Program, Ranked
from lottery.match.cohorts import LATE, cohorts_of_draws, draws_that_count
from lottery.match.lottery_numbers import NUMBER_BYTES, Draw
from lottery.match.seats import seats_this_round

SEATS_FROM_MARKET: Mapping[str, Mapping[str, int]] = {}
"""No seat numbers are given: they follow from the whole market."""


class Standing(NamedTuple):
    """An applicant's place at a seat group.

    Fields are compared from left to right, and the lower value is better. Nothing else decides.
    """

    not_holder: int
    not_met: int
    late: int
    priority: int
    late_in_class: int
    number: bytes
    ticket: str


class Barred(StrEnum):
    """The reason why a seat group does not consider an applicant."""

    NOBODY_NEW = "nobody new"
    NOT_ELIGIBLE = "not eligible"
    NOT_LISTED = "not on the school's list"
    RESERVE_CLOSED = "reserve closed to others"
    HELD_GROUP_ONLY = "holds a seat in another group"


@dataclass(frozen=True, slots=True)
class SeatGroup:
    """A part of a program's seats with its own order of applicants, in this round."""

    name: str
    seats: int
    when: Condition
    others: Condition
    priorities: tuple[PriorityClass, ...]
    draws: tuple[str, ...]
    """The draws of the season whose order counts here. Empty: the market does not list them, or they do not count."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, best first and `general` last."""
        return (*(priority.name for priority in self.priorities), GENERAL)

    def class_of(self, applicant: Applicant, school: str, siblings_at: Collection[str]) -> int:
        """Return the index of the first class whose condition the applicant meets.

        Return `len(self.priorities)` for `general`.
        """
        for index, priority in enumerate(self.priorities):
            if priority.when.holds(applicant, school, siblings_at):
                return index
        return len(self.priorities)


class Standings:
    """The standing of every applicant at every program of a market.

    Give `seats`, by program and group, where the market is only part of a round's market: some holders are missing
    then, and the seats cannot be counted from them.
    """

    def __init__(
        self, market: Market, draw: Draw, *, seats: Mapping[str, Mapping[str, int]] = SEATS_FROM_MARKET
    ) -> None:
        self._late = market.policy.late
        self._is_backfill = market.is_backfill
        self._draws_listed = market.round.earlier is not None
        self._cohorts = cohorts_of_draws(market.round)
        self._draw = draw
        holders = market.holders()
        self.groups = {
            program.id: _seat_groups(
                program,
                seats.get(program.id) or seats_this_round(market.round.kind, program, holders),
                draws_that_count(market.round, program),
            )
            for program in market.programs
        }
        self._positions = {
            program.id: {ticket: position for position, ticket in enumerate(program.tie_break.tickets, start=1)}
            for program in market.programs
            if isinstance(program.tie_break, Ranked)
        }

    def at(self, applicant: Applicant, program: Program, siblings_at: Collection[str]) -> Sequence[Standing | Barred]:
        """Return the applicant's standing at each of the program's seat groups, in precedence order.

        `siblings_at` has the schools where siblings were placed before the applicant's grade was matched.
        """
        held = held_group(applicant, program)
        if held is None:
            barred = self._barred(applicant, program, siblings_at)
            if barred:
                return [barred] * len(self.groups[program.id])
        cohort = self._cohort(applicant, program)
        late, late_in_class = (cohort, 0) if self._late is Late.AFTER else (0, cohort)
        number = self._number(applicant, program)
        standings: list[Standing | Barred] = []
        for group in self.groups[program.id]:
            not_met = not group.when.holds(applicant, program.school, siblings_at)
            if held is not None and group.name != held:
                standings.append(Barred.HELD_GROUP_ONLY)
            elif held is None and not_met and not group.others.holds(applicant, program.school, siblings_at):
                standings.append(Barred.RESERVE_CLOSED)
            else:
                priority = group.class_of(applicant, program.school, siblings_at)
                standings.append(Standing(held is None, not_met, late, priority, late_in_class, number, applicant.id))
        return standings

    def counts_as_late(self, applicant: Applicant, program: Program) -> bool:
        """Return whether the applicant was late for the main round, or was drawn later and this counts here."""
        return applicant.late or self._cohort_of_draw(applicant, program) > 0

    def _cohort(self, applicant: Applicant, program: Program) -> int:
        """Return 0 for an applicant on time, and a higher number the later the applicant came.

        With `late: equal`, only the order of listed draws counts.
        """
        cohort = self._cohort_of_draw(applicant, program)
        if self._late is Late.EQUAL:
            return cohort if self._draws_listed else 0
        return max(cohort, applicant.late * LATE)

    def _cohort_of_draw(self, applicant: Applicant, program: Program) -> int:
        fresh = self._is_backfill and program.backfill.order is Order.FRESH
        return 0 if fresh else self._cohorts.get(applicant.drawn_in, 0)

    def _barred(self, applicant: Applicant, program: Program, siblings_at: Collection[str]) -> Barred | None:
        """Return why no group of the program considers the applicant, who holds no seat there, or None."""
        if self._is_backfill and not program.backfill.fills:
            return Barred.NOBODY_NEW
        if not program.eligible.holds(applicant, program.school, siblings_at):
            return Barred.NOT_ELIGIBLE
        if isinstance(program.tie_break, Ranked) and applicant.id not in self._positions[program.id]:
            return Barred.NOT_LISTED
        return None

    def _number(self, applicant: Applicant, program: Program) -> bytes:
        """Return the lottery number, or the position in a screened program's list, as 32 bytes.

        A holder who is not on the list comes after the last position.
        """
        if not isinstance(program.tie_break, Ranked):
            return self._draw.number(applicant, program)
        positions = self._positions[program.id]
        return positions.get(applicant.id, len(positions) + 1).to_bytes(NUMBER_BYTES)


def position_of(standing: Standing) -> int:
    """Return the position in a screened program's list, from 1, of an applicant with this standing."""
    return int.from_bytes(standing.number)


def held_group(applicant: Applicant, program: Program) -> str | None:
    """Return the seat group in which the applicant holds a seat at the program, or None."""
    return applicant.holds.group if applicant.holds and applicant.holds.program == program.id else None


def _seat_groups(program: Program, seats: Mapping[str, int], draws: tuple[str, ...]) -> tuple[SeatGroup, ...]:
    reserves = {reserve.name: reserve for reserve in program.reserves}
    return tuple(
        SeatGroup(name, count, reserve.when, reserve.others, reserve.priorities, draws)
        if (reserve := reserves.get(name))
        else SeatGroup(name, count, EVERYONE, EVERYONE, program.priorities, draws)
        for name, count in seats.items()
    )
