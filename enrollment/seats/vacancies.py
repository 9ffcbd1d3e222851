"""Keep the vacancy ledger: each seat that opened, why it opened, and how it was filled or left empty.

A transaction that opens or closes a seat locks the program first (`lock_programs`). So each number is given once, and
held seats and free seats always add up.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import rfc8785
from sqlalchemy import Select, func, select, true
from sqlalchemy.orm import Session

from enrollment.audit.log import append
from enrollment.audit.salts import new_salt
from enrollment.database import copy_rows
from enrollment.directory.models import Program
from enrollment.seats.models import Vacancy, VacancyChange
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed

FREE = ("open", "left-empty")
"""The statuses of a vacancy whose seat no child holds."""

OUTSIDE_CLASS = "outside-the-lottery"
"""The priority class in the ledger of a child who was placed outside the lottery."""

FEWER_SEATS = "fewer-seats"
OVER_OFFERED = "over-offered"
LIMIT = "limit"
NOBODY_WAITING = "nobody-waiting"


@dataclass(frozen=True, slots=True)
class NewVacancy:
    """A seat that opens."""

    program: str
    group: str
    opened_by: str
    """One of the values of `vacancy.opened_by`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The time, the round, and the rules behind a decision about a vacancy."""

    at: datetime
    round: str | None
    rules_version: int | None
    rule_of: str | None = None
    """The level and id that set the deciding rule, such as `operator:district`; None if no rule decided."""


@dataclass(frozen=True, slots=True)
class SchoolVacancies:
    """A school's vacancies, counted by status and by reason."""

    by_status: dict[str, int] = field(default_factory=dict)
    by_why: dict[str, int] = field(default_factory=dict)


def open_vacancies(session: Session, cycle: str, vacancies: Sequence[NewVacancy], at: datetime, *, actor: str) -> None:
    """Open vacancies, each with the next number of its program, and log them. The caller has locked the programs."""
    numbers = _last_numbers(session, cycle, {vacancy.program for vacancy in vacancies})
    numbered: list[tuple[NewVacancy, int]] = []
    for vacancy in vacancies:
        numbers[vacancy.program] = numbers.get(vacancy.program, 0) + 1
        numbered.append((vacancy, numbers[vacancy.program]))
    copy_rows(
        session,
        Vacancy,
        ["cycle_id", "program_id", "number", "seat_group", "opened_at", "opened_by", "status"],
        [
            (cycle, vacancy.program, number, vacancy.group, at, vacancy.opened_by, "open")
            for vacancy, number in numbered
        ],
    )
    entries: list[Mapping[str, Json]] = [
        {
            "program": vacancy.program,
            "number": number,
            "group": vacancy.group,
            "state": "opened",
            "cause": vacancy.opened_by,
        }
        for vacancy, number in numbered
    ]
    _log_lines(session, cycle, entries, actor=actor, at=at)


def _last_numbers(session: Session, cycle: str, programs: Collection[str]) -> dict[str, int]:
    rows = session.execute(
        select(Vacancy.program_id, func.max(Vacancy.number))
        .where(Vacancy.cycle_id == cycle, Vacancy.program_id.in_(programs))
        .group_by(Vacancy.program_id)
    )
    return dict(rows.all())


def free_seats(session: Session, cycle: str, programs: Collection[str] | None = None) -> dict[str, list[Vacancy]]:
    """Return the vacancies of free seats, by program and in order of their numbers."""
    query = (
        select(Vacancy)
        .where(Vacancy.cycle_id == cycle, Vacancy.status.in_(FREE))
        .order_by(Vacancy.program_id, Vacancy.number)
        .execution_options(populate_existing=True)
    )
    if programs is not None:
        query = query.where(Vacancy.program_id.in_(programs))
    found: dict[str, list[Vacancy]] = {}
    for vacancy in session.scalars(query):
        found.setdefault(vacancy.program_id, []).append(vacancy)
    return found


def take_seat(free: list[Vacancy], group: str, *, number: int | None = None) -> Vacancy:
    """Remove from a program's free seats the seat that a child placed in a group gets, and return it.

    A round for one seat gives `number`, and that seat is taken. Otherwise the first free seat of the group is taken,
    or the first free seat of the program.

    Raises:
        ValueError: if no seat is free; a match never places more children than there are seats.
    """
    if not free:
        raise ValueError("the vacancy ledger has no free seat for a placement")
    numbered = [vacancy for vacancy in free if vacancy.number == number]
    in_group = [vacancy for vacancy in free if vacancy.seat_group == group]
    taken = [*numbered, *in_group, *free][0]
    free.remove(taken)
    return taken


def fill(vacancy: Vacancy, *, group: str, priority_class: str, decision: Decision) -> dict[str, Json]:
    """Close a vacancy that a child of a priority class fills in a group. Return the log entry."""
    _decide(vacancy, "filled", decision)
    vacancy.filled_class, vacancy.filled_group, vacancy.why = priority_class, group, None
    return _entry(vacancy, {"state": "filled", "class": priority_class, "filled_group": group})


def leave_empty(vacancy: Vacancy, why: str, decision: Decision) -> dict[str, Json] | None:
    """Leave a vacancy empty under the school's rules. Return the log entry, or None if nothing changes."""
    if (vacancy.status, vacancy.why, vacancy.rules_version) == ("left-empty", why, decision.rules_version):
        return None
    _decide(vacancy, "left-empty", decision)
    vacancy.why = why
    return _entry(vacancy, {"state": "left-empty", "why": why, "rule_of": vacancy.rule_of})


def remove(vacancy: Vacancy, why: str, decision: Decision) -> dict[str, Json]:
    """Remove from the ledger a seat that the school no longer has. Return the log entry."""
    _decide(vacancy, "removed", decision)
    vacancy.why = why
    return _entry(vacancy, {"state": "removed", "why": why, "rule_of": vacancy.rule_of})


def log_decisions(session: Session, cycle: str, entries: Iterable[Mapping[str, Json] | None], *, actor: str) -> None:
    """Append the log entries of decisions about vacancies. None stands for a decision that changed nothing."""
    session.flush()
    _log_lines(session, cycle, [entry for entry in entries if entry is not None], actor=actor)


def _log_lines(
    session: Session, cycle: str, lines: Sequence[Mapping[str, Json]], *, actor: str, at: datetime | None = None
) -> None:
    """Append one log entry that commits to lines of the ledger, and store what opens the commitment.

    The entry says neither how many seats it is about nor where they are: seats that stay empty give away how many
    children a small group has. So a round writes its entries even if no seat changed.
    """
    salt, text = new_salt(), rfc8785.dumps([{**line} for line in lines])
    fields = {"commit": keyed(salt, "vacancy", text).hex()}
    leaf = append(session, "vacancy", cycle=cycle, actor=actor, fields=fields, at=at)
    session.add(VacancyChange(cycle_id=cycle, lines=text.decode(), salt=salt, leaf_hash=leaf))


def _decide(vacancy: Vacancy, status: str, decision: Decision) -> None:
    vacancy.status, vacancy.decided_at = status, decision.at
    vacancy.round_id, vacancy.rules_version = decision.round, decision.rules_version
    vacancy.rule_of = decision.rule_of


def _entry(vacancy: Vacancy, fields: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "program": vacancy.program_id,
        "number": vacancy.number,
        "group": vacancy.seat_group,
        "round": vacancy.round_id,
        "rules_version": vacancy.rules_version,
        **fields,
    }


def select_vacancies(
    cycle: str,
    *,
    within: Collection[str] | None,
    school: str | None = None,
    program: str | None = None,
    status: str | None = None,
) -> Select[Vacancy, str]:
    """Select a cycle's vacancies with their schools, of one school, program or status if given.

    `within` are the programs that the reader may see; None: all.
    """
    query = (
        select(Vacancy, Program.school_id)
        .join(Program, Program.id == Vacancy.program_id)
        .where(Vacancy.cycle_id == cycle)
    )
    if within is not None:
        query = query.where(Vacancy.program_id.in_(within))
    if school is not None:
        query = query.where(Program.school_id == school)
    if program is not None:
        query = query.where(Vacancy.program_id == program)
    return query if status is None else query.where(Vacancy.status == status)


def count_vacancies(session: Session, cycle: str, within: Collection[str] | None) -> dict[str, SchoolVacancies]:
    """Count vacancies by school, at the programs that the reader may see. None: all."""
    seen = true() if within is None else Vacancy.program_id.in_(within)
    rows = session.execute(
        select(Program.school_id, Vacancy.status, Vacancy.why, func.count())
        .join(Program, Program.id == Vacancy.program_id)
        .where(Vacancy.cycle_id == cycle, seen)
        .group_by(Program.school_id, Vacancy.status, Vacancy.why)
        .order_by(Program.school_id, Vacancy.status, Vacancy.why)
    )
    schools: dict[str, SchoolVacancies] = {}
    for school, status, why, number in rows:
        counts = schools.setdefault(school, SchoolVacancies())
        counts.by_status[status] = counts.by_status.get(status, 0) + number
        if why is not None:
            counts.by_why[why] = counts.by_why.get(why, 0) + number
    return schools
