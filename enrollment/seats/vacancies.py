"""The public ledger of vacancies: which seat opened and why, and what its school's own rule made of it.

Whoever opens or closes a seat of a program holds the program (`lock_programs`), so numbers are given once, and seats
held and seats free always add up.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from enrollment.audit.log import append_all
from enrollment.database import copy_rows
from enrollment.seats.models import Vacancy
from lottery.market.canonical import Json

FREE = ("open", "left-empty")
"""A vacancy that is one of these is a seat that nobody holds."""

FEWER_SEATS = "fewer-seats"
OVER_OFFERED = "over-offered"
LIMIT = "limit"
NOBODY_WAITING = "nobody-waiting"


@dataclass(frozen=True, slots=True)
class Opened:
    """A seat that opens."""

    program: str
    group: str
    by: str
    """As `vacancy.opened_by` names it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """By what a vacancy is decided on: the time, the round, and the version of the school's rules in it."""

    at: datetime
    round: str | None
    rules_version: int | None
    rule_of: str | None = None
    """Whose rule it is, by level and id, where a rule decides: `operator:district`."""


def open_seats(session: Session, cycle: str, opened: Sequence[Opened], at: datetime, *, actor: str) -> None:
    """Open vacancies, each with the next number of its program, and tell the log; the programs are held."""
    if not opened:
        return
    numbers = _last_numbers(session, cycle, {one.program for one in opened})
    rows: list[tuple[Opened, int]] = []
    for one in opened:
        numbers[one.program] = numbers.get(one.program, 0) + 1
        rows.append((one, numbers[one.program]))
    copy_rows(
        session,
        Vacancy,
        ["cycle_id", "program_id", "number", "seat_group", "opened_at", "opened_by", "status"],
        [(cycle, one.program, number, one.group, at, one.by, "open") for one, number in rows],
    )
    _tell(
        session,
        cycle,
        actor,
        [
            {"program": one.program, "number": number, "group": one.group, "state": "opened", "cause": one.by}
            for one, number in rows
        ],
    )


def free_seats(session: Session, cycle: str, programs: Collection[str] | None = None) -> dict[str, list[Vacancy]]:
    """Return the vacancies that nobody fills, by program and number."""
    asked = (
        select(Vacancy)
        .where(Vacancy.cycle_id == cycle, Vacancy.status.in_(FREE))
        .order_by(Vacancy.program_id, Vacancy.number)
        .execution_options(populate_existing=True)
    )
    if programs is not None:
        asked = asked.where(Vacancy.program_id.in_(programs))
    found: dict[str, list[Vacancy]] = {}
    for vacancy in session.scalars(asked):
        found.setdefault(vacancy.program_id, []).append(vacancy)
    return found


def take_seat(free: list[Vacancy], group: str, *, number: int | None = None) -> Vacancy:
    """Take the free seat that somebody in a group fills out of a program's.

    It is the one of that number, where a round is for one; or the group's first, or else the first.

    Raises:
        ValueError: if none is free; a match gives no more seats than there are.
    """
    if not free:
        raise ValueError("somebody was placed on a seat that the ledger does not know")
    asked = [vacancy for vacancy in free if vacancy.number == number]
    chosen = next(iter([*asked, *(vacancy for vacancy in free if vacancy.seat_group == group), *free]))
    free.remove(chosen)
    return chosen


def fill(vacancy: Vacancy, *, group: str, priority_class: str, decision: Decision) -> dict[str, Json]:
    """Close a vacancy: somebody of a class fills it, in a group. Return what the log is told."""
    _decide(vacancy, "filled", decision)
    vacancy.filled_class, vacancy.filled_group, vacancy.why = priority_class, group, None
    return _told(vacancy, {"state": "filled", "class": priority_class, "filled_group": group})


def leave_empty(vacancy: Vacancy, why: str, decision: Decision) -> dict[str, Json] | None:
    """Leave a vacancy empty by its school's rule; nothing to tell where it stands so already."""
    if (vacancy.status, vacancy.why, vacancy.rules_version) == ("left-empty", why, decision.rules_version):
        return None
    _decide(vacancy, "left-empty", decision)
    vacancy.why = why
    return _told(vacancy, {"state": "left-empty", "why": why, "rule_of": vacancy.rule_of})


def remove(vacancy: Vacancy, why: str, decision: Decision) -> dict[str, Json]:
    """Take a seat out of the ledger that the school does not have any more."""
    _decide(vacancy, "removed", decision)
    vacancy.why = why
    return _told(vacancy, {"state": "removed", "why": why, "rule_of": vacancy.rule_of})


def tell(session: Session, cycle: str, told: Iterable[Mapping[str, Json] | None], *, actor: str) -> None:
    """Tell the log what became of vacancies."""
    session.flush()
    _tell(session, cycle, actor, [one for one in told if one is not None])


def _tell(session: Session, cycle: str, actor: str, told: Sequence[Mapping[str, Json]]) -> None:
    append_all(session, "vacancy", cycle=cycle, actor=actor, fields=told)


def _decide(vacancy: Vacancy, status: str, decision: Decision) -> None:
    vacancy.status, vacancy.decided_at = status, decision.at
    vacancy.round_id, vacancy.rules_version = decision.round, decision.rules_version
    vacancy.rule_of = decision.rule_of


def _told(vacancy: Vacancy, what: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "program": vacancy.program_id,
        "number": vacancy.number,
        "group": vacancy.seat_group,
        "round": vacancy.round_id,
        "rules_version": vacancy.rules_version,
        **what,
    }


def _last_numbers(session: Session, cycle: str, programs: Collection[str]) -> dict[str, int]:
    rows = session.execute(
        select(Vacancy.program_id, func.max(Vacancy.number))
        .where(Vacancy.cycle_id == cycle, Vacancy.program_id.in_(programs))
        .group_by(Vacancy.program_id)
    )
    return dict(rows.all())
