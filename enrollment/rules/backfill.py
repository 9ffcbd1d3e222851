"""Apply a school's backfill rule to a program in a backfill round (docs/reference/specification.md, section 7)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from enrollment.rules.model import BackfillInput, RulesInput
from lottery.market.rules import OPEN, BackfillRule, Order, Program, VacatedReserves


class WhyNot(StrEnum):
    """Why a program fills no seat in a backfill round, by its school's own rule."""

    NEVER = "never"
    GRADE = "grade"
    DATE = "date"
    OVER_TARGET = "over-target"
    """More children hold its seats than its target allows: over-offers, or a lower target."""
    OTHER_SEAT = "other-seat"
    """The round is for one seat of another program."""


@dataclass(frozen=True, slots=True)
class OneSeat:
    """The one seat of a round that fills a single seat."""

    program: str
    group: str


@dataclass(frozen=True, slots=True)
class Backfilled:
    """A program in a backfill round."""

    program: Program
    why_not: WhyNot | None
    """Why the program fills no seat; None: it fills seats."""
    target: int
    """How many seats may be filled at the end of the round."""


def for_backfill(
    program: Program,
    rules: RulesInput,
    *,
    on: date,
    held: Mapping[str, int],
    one: OneSeat | None = None,
    waiting: Callable[[], Mapping[str, int]] | None = None,
) -> Backfilled:
    """Apply a program's backfill rule to a round: grade, date, target and limit.

    The rule is in docs/reference/specification.md, section 7.

    Args:
        program: the program of the main round.
        rules: the school's resolved rules.
        on: the day of the round.
        held: the number of held seats, by seat group.
        one: the seat of the round, if the round is for one seat.
        waiting: returns how many children without a seat there wait in each group. It is called only if a limit keeps
            the round from filling every open seat; then groups with waiting children get the seats.
    """
    rule = rules.backfill or BackfillInput()
    target = rules.seats.target_on(on) if rules.seats else program.seats
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
    """Return a program that has at least as many seats in each group as children hold before its main round."""
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
    """Return why a program fills no seat in a round on a day, or None if it fills seats."""
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
    """Return the seats of each group: the held seats, and as many open seats as target, limit and round allow.

    A school may have lowered its seats since. Children keep their held seats, so a market has a seat for each of them.
    """
    left = max(target - sum(held.values()), 0)
    for limit in (rule.at_most, 1 if one else None):
        left = left if limit is None else min(left, limit)
    within = _groups_within(program, target)
    free = {group: max(written - held.get(group, 0), 0) for group, written in within.items()}
    if one:
        free = {group: left if group == one.group else 0 for group in within}
    elif waiting and sum(free.values()) > left and rule.vacated_reserved_seats == "keep":
        # Otherwise a reserve with no waiting children would use up the limit in every round.
        wanted = waiting()
        free = {group: min(number, wanted.get(group, 0)) for group, number in free.items()}
    seats: dict[str, int] = {}
    for group, number in free.items():
        filled = min(number, left)
        left -= filled
        seats[group] = held.get(group, 0) + filled
    return seats


def _groups_within(program: Program, target: int) -> dict[str, int]:
    """Return the seats of each group in precedence order, for a target other than the match target.

    A lower target takes away open seats first, then seats of the reserves that are filled last.
    """
    written = replace(program, seats=target).seats_as_written()
    missing = max(-written[OPEN], 0)
    written[OPEN] = max(written[OPEN], 0)
    for group in reversed(written):
        taken = min(missing, written[group])
        written[group] -= taken
        missing -= taken
    return written
