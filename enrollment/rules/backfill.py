"""What a program does in a backfill round: its school's own rule, settled in one place (lottery.md, section 7)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from enrollment.rules.model import BackfillInput, RulesPart
from lottery.market.rules import OPEN, BackfillRule, Order, Program, VacatedReserves


class WhyNot(StrEnum):
    """Why a program fills no seat in a backfill round: what of its school's own rule says so."""

    NEVER = "never"
    GRADE = "grade"
    DATE = "date"
    OVER_TARGET = "over-target"
    """More children hold its seats than its target has now: over-offers, or seats that were taken away."""
    OTHER_SEAT = "other-seat"
    """The round is for one seat, and it is another's."""


@dataclass(frozen=True, slots=True)
class OneSeat:
    """The seat that a round is for, where it is for one."""

    program: str
    group: str


@dataclass(frozen=True, slots=True)
class Backfilled:
    """A program as a backfill round has it."""

    program: Program
    why_not: WhyNot | None
    """Why it fills no seat; None: it fills."""
    target: int
    """How many seats it may have filled in the end."""


def for_backfill(
    program: Program,
    said: RulesPart,
    *,
    on: date,
    held: Mapping[str, int],
    one: OneSeat | None = None,
    waiting: Callable[[], Mapping[str, int]] | None = None,
) -> Backfilled:
    """Settle a program's backfill rule for a round: by grade, date, target and limit (lottery.md, section 7).

    Args:
        program: as the main round has it.
        said: the school's rules, resolved.
        on: the day of the round.
        held: how many seats are held, by seat group.
        one: the seat that the round is for, if it is for one.
        waiting: says how many who hold no seat there may have one in each group; asked only where a limit keeps the
            round from filling every free seat, which then goes to a group in which somebody waits.
    """
    rule = said.backfill or BackfillInput()
    target = said.seats.target_on(on) if said.seats else program.seats
    why_not = why_not_filling(rule, program, on=on, one=one)
    if why_not is None and sum(held.values()) > target:
        why_not = WhyNot.OVER_TARGET
    seats = _seats_to_fill(program, rule, target=target, held=held, one=one, waiting=waiting)
    settled = replace(
        program,
        seats=sum(seats.values()),
        reserves=tuple(replace(reserve, size=seats[reserve.name]) for reserve in program.reserves),
        backfill=BackfillRule(
            fills=why_not is None,
            order=Order(rule.order),
            vacated_reserves=VacatedReserves(rule.vacated_reserved_seats),
        ),
    )
    return Backfilled(settled, why_not, target)


def with_seats_for(program: Program, held: Mapping[str, int]) -> Program:
    """Return a program with no fewer seats in any group than are held before its main round."""
    written = program.seats_as_written()
    seats = {group: max(number, held.get(group, 0)) for group, number in written.items()}
    if seats == written:
        return program
    return replace(
        program,
        seats=sum(seats.values()),
        reserves=tuple(replace(reserve, size=seats[reserve.name]) for reserve in program.reserves),
    )


def why_not_filling(rule: BackfillInput, program: Program, *, on: date, one: OneSeat | None = None) -> WhyNot | None:
    """Say why a program fills no seat in a round of a day, or None if it fills."""
    last = rule.last_date_by_grade.get(program.grade, rule.last_date)
    if rule.never:
        return WhyNot.NEVER
    if not (rule.grades is None or program.grade in rule.grades or program.grade in rule.entry_grades):
        return WhyNot.GRADE
    if last is not None and on > last:
        return WhyNot.DATE
    return WhyNot.OTHER_SEAT if one and one.program != program.id else None


def _seats_to_fill(
    program: Program,
    rule: BackfillInput,
    *,
    target: int,
    held: Mapping[str, int],
    one: OneSeat | None,
    waiting: Callable[[], Mapping[str, int]] | None,
) -> dict[str, int]:
    """Return each group's seats: those held, and as many free ones as target, limit and the round allow.

    Seats may have been lowered since: who holds one keeps it, and a market has no fewer seats than holders.
    """
    left = max(target - sum(held.values()), 0)
    for limit in (rule.at_most, 1 if one else None):
        left = left if limit is None else min(left, limit)
    within = _groups_within(program, target)
    free = {group: max(written - held.get(group, 0), 0) for group, written in within.items()}
    if one:
        free = {group: left if group == one.group else 0 for group in within}
    elif waiting and sum(free.values()) > left and rule.vacated_reserved_seats == "keep":
        # Otherwise a reserve for which nobody waits would have the limit to itself, round after round.
        wanted = waiting()
        free = {group: min(number, wanted.get(group, 0)) for group, number in free.items()}
    seats: dict[str, int] = {}
    for group, number in free.items():
        filled = min(number, left)
        left -= filled
        seats[group] = held.get(group, 0) + filled
    return seats


def _groups_within(program: Program, target: int) -> dict[str, int]:
    """Return each group's seats in precedence order for another target than the match's.

    What is fewer comes off the open seats first, and then off the reserves that are filled last.
    """
    written = replace(program, seats=target).seats_as_written()
    missing = max(-written[OPEN], 0)
    written[OPEN] = max(written[OPEN], 0)
    for group in reversed(written):
        taken = min(missing, written[group])
        written[group] -= taken
        missing -= taken
    return written
