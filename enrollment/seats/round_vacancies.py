"""Bring the vacancy ledger up to date when a round is published."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.rules.backfill import WhyNot
from enrollment.seats.models import LIVE, Offer, Vacancy
from enrollment.seats.published_round import MAIN, SERVICE, Arrival, ProgramInRound, PublishedRound
from enrollment.seats.vacancies import (
    FEWER_SEATS,
    LIMIT,
    NOBODY_WAITING,
    OVER_OFFERED,
    Decision,
    NewVacancy,
    fill,
    free_seats,
    leave_empty,
    log_decisions,
    open_vacancies,
    remove,
    take_seat,
)
from lottery.market.canonical import Json
from lottery.market.rules import OPEN

OVER_TARGET = WhyNot.OVER_TARGET.value


def vacate_seats(session: Session, published: PublishedRound, arrivals: Sequence[Arrival]) -> None:
    """Open a vacancy for each seat that a child leaves for a higher choice."""
    vacated = [
        NewVacancy(arrival.former.program_id, arrival.former.seat_group, "moved")
        for arrival in arrivals
        if arrival.former
    ]
    open_vacancies(session, published.cycle.id, vacated, published.now, actor=SERVICE)


def match_ledger_to_rules(session: Session, published: PublishedRound) -> None:
    """Open and remove vacancies, so that the ledger has as many seats as each program's rules.

    In a main round, every seat that stayed empty is new. In a backfill round, call this before arrivals fill seats.
    """
    cycle = published.cycle.id
    held_seats = _held_by_group(session, cycle)
    free = free_seats(session, cycle)
    opened: list[NewVacancy] = []
    removed: list[Mapping[str, Json]] = []
    for program, its in published.programs.items():
        vacancies = free.get(program, [])
        surplus = _seats_known(program, held_seats, vacancies) - _capacity(published, its)
        opened += _new_vacancies(published, program, its, held_seats, vacancies, -surplus)
        removed += _remove_surplus(published, its, vacancies, surplus)
    open_vacancies(session, cycle, opened, published.now, actor=SERVICE)
    log_decisions(session, cycle, removed, actor=SERVICE)


def _held_by_group(session: Session, cycle: str) -> Counter[tuple[str, str]]:
    rows = session.execute(
        select(Offer.program_id, Offer.seat_group, func.count())
        .where(Offer.cycle_id == cycle, Offer.status.in_(LIVE))
        .group_by(Offer.program_id, Offer.seat_group)
    )
    return Counter({(program, group): number for program, group, number in rows})


def _seats_known(program: str, held_seats: Counter[tuple[str, str]], vacancies: Sequence[Vacancy]) -> int:
    """Return how many seats of a program are held or free."""
    return sum(number for (at, _), number in held_seats.items() if at == program) + len(vacancies)


def _capacity(published: PublishedRound, program: ProgramInRound) -> int:
    return sum(program.groups.values()) if published.kind == MAIN else program.target


def _new_vacancies(
    published: PublishedRound,
    program: str,
    its: ProgramInRound,
    held_seats: Counter[tuple[str, str]],
    vacancies: Sequence[Vacancy],
    number: int,
) -> Iterator[NewVacancy]:
    """Yield a vacancy for each new seat."""
    free = Counter(vacancy.seat_group for vacancy in vacancies)
    known = {group: held_seats[program, group] + free[group] for group in its.groups}
    opened_by = "not-filled" if published.kind == MAIN else "seats-added"
    for group in _groups_of_new_seats(its, known, number):
        yield NewVacancy(program, group, opened_by)


def _groups_of_new_seats(program: ProgramInRound, known: Mapping[str, int], number: int) -> Iterator[str]:
    """Yield the group of each new seat: first groups that have too few seats under the rules, then the open group."""
    left = max(number, 0)
    for group, seats in program.groups.items():
        added = min(max(seats - known[group], 0), left)
        left -= added
        yield from [group] * added
    yield from [OPEN] * left


def _remove_surplus(
    published: PublishedRound, program: ProgramInRound, vacancies: Sequence[Vacancy], surplus: int
) -> Iterator[Mapping[str, Json]]:
    """Remove the newest vacancies of a program that has more seats than its rules allow."""
    why = OVER_OFFERED if program.over_offer else FEWER_SEATS
    decision = Decision(published.now, published.round, program.rules_version, program.seats_of)
    for vacancy in vacancies[::-1][: max(surplus, 0)]:
        yield remove(vacancy, why, decision)


def settle_vacancies(session: Session, published: PublishedRound, arrivals: Sequence[Arrival]) -> None:
    """Fill a vacancy for each arrival, and record why every other vacancy stays empty."""
    free = free_seats(session, published.cycle.id)
    decisions = [_fill_for(published, arrival, free) for arrival in arrivals]
    log_decisions(session, published.cycle.id, [*decisions, *_leave_rest_empty(published, free)], actor=SERVICE)


def _fill_for(
    published: PublishedRound, arrival: Arrival, free: Mapping[str, list[Vacancy]]
) -> Mapping[str, Json] | None:
    placement = arrival.placement
    decision = Decision(published.now, published.round, published.programs[placement.program].rules_version)
    only = published.only_seat
    number = only[1] if only and only[0] == placement.program else None
    vacancy = take_seat(free.get(placement.program, []), placement.group, number=number)
    return fill(vacancy, group=placement.group, priority_class=placement.priority_class, decision=decision)


def _leave_rest_empty(
    published: PublishedRound, free: Mapping[str, Sequence[Vacancy]]
) -> Iterator[Mapping[str, Json] | None]:
    """Leave every vacancy that is still free empty, each with its reason.

    If a child waits for the seat and the school fills seats, only the limit of a round can have kept the seat empty.
    """
    for program, vacancies in sorted(free.items()):
        its = published.programs.get(program)
        if its is None:
            continue
        for vacancy in vacancies:
            group = OPEN if its.releases else vacancy.seat_group
            why = its.why_not or (LIMIT if its.waiting.get(group) else NOBODY_WAITING)
            # A round for one seat decides about that seat only.
            if published.only_seat in (None, (program, vacancy.number)):
                decision = Decision(published.now, published.round, its.rules_version, _rule_level(its, why))
                yield leave_empty(vacancy, why, decision)


def _rule_level(program: ProgramInRound, why: str) -> str | None:
    """Return the level whose rule leaves a seat empty; None if the seat is empty because no child waits."""
    return None if why == NOBODY_WAITING else program.seats_of if why == OVER_TARGET else program.backfill_of
