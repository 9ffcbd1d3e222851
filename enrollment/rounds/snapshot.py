"""From tables to a market: the one place where what the service holds becomes what the lottery reads.

Nobody's name, birth date, address or contact is read here: those stand in the table `person`, and this module does not
know it.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, any_, cast, func, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child, Claim, Household
from enrollment.audit.models import LogEntry
from enrollment.cycles.models import Cycle
from enrollment.database import Table
from enrollment.rankings.models import RankingVersion
from enrollment.rounds.models import FrozenRow, Placed, Round
from enrollment.schools.market_form import for_backfill, read_back
from enrollment.schools.rules_levels import part_of
from enrollment.schools.rules_settled import InForce, rules_in_force
from lottery.market import Applicant as Entry
from lottery.market import HeldSeat, Kind, Late, Market, Policy, Twins
from lottery.market import Round as MarketRound
from lottery.rules import Program, TieBreak

WITHDRAWN = "withdrawn"
NO_RANKING = "no-ranking"
ONLY_WITHDRAWN_PROGRAMS = "ranked-only-withdrawn-programs"

TAGGED = ("ranking.put", "ranking.withdraw", "facts.set")
"""The entries that have a tag: each tag of them is in the market, or excluded with a reason."""

ROWS_AT_ONCE = 5_000

READ: tuple[type[Table], ...] = (Child, Applicant, Household, RankingVersion, Claim, LogEntry)
"""The tables that a snapshot joins."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a round would freeze now."""

    market: Market
    excluded: Sequence[tuple[str, str]]
    """Tags that are not in the market, each with its reason, in order."""
    rules: Sequence[InForce]
    """Of every program of the market, in order of ids."""
    astray: Sequence[str]
    """Tags on whose last ranking the tables and the log do not agree; a freeze refuses any."""


@dataclass(frozen=True, slots=True)
class Before:
    """What published rounds left: who holds which seat, and which round drew whose number."""

    held: Mapping[str, HeldSeat]
    drawn: Mapping[str, tuple[str, bool]]
    """By tag: the round that drew it, and whether the child was late there."""


NOTHING_BEFORE = Before({}, {})


@dataclass(frozen=True, slots=True)
class Claimed:
    """Approved claims of one child."""

    flags: frozenset[str]
    at: Mapping[str, frozenset[str]]


NO_CLAIMS = Claimed(frozenset(), {})


def take_snapshot(session: Session, cycle: Cycle, round_: MarketRound, *, now: datetime) -> Snapshot:
    """Build the market that a round would freeze now, and say who is left out of it and why.

    Args:
        session: a transaction that sees one state of things: it holds the cycle, or is a repeatable read.
        cycle: the cycle.
        round_: the round that it is for.
        now: the day of a backfill round settles what fills.
    """
    rules = rules_in_force(session, cycle.id)
    before = NOTHING_BEFORE if round_.kind is Kind.MAIN else left_before(session, cycle.id)
    grade_of = {one.program: str(one.market["grade"]) for one in rules}
    applicants, excluded, astray = _children(session, cycle, round_, grade_of, before)
    held = Counter(applicant.holds for applicant in applicants if applicant.holds)
    return Snapshot(
        market=Market(
            round_,
            Policy(
                tie_break=TieBreak(cycle.tie_break),
                late=Late(cycle.late),
                grade_order=tuple(cycle.sibling_order or reversed(cycle.grades)),
                twins=Twins(cycle.twins),
            ),
            tuple(_program(one, round_, held, now) for one in rules),
            tuple(applicants),
        ),
        excluded=excluded,
        rules=rules,
        astray=sorted([*astray, *_unknown_to_either(session, cycle.id)]),
    )


def count_rows(session: Session) -> None:
    """Have the database count what a snapshot reads, so that it reads it in a sensible way.

    On the last evening more may have come in than it counted last, and what it then takes for a few rows it would join
    one by one.
    """
    for table in READ:
        session.execute(text(f"ANALYZE {table.__tablename__}"))


def left_before(session: Session, cycle: str) -> Before:
    """Return what a cycle's published rounds left; the last one says who holds what."""
    published = select(Round.id).where(Round.cycle_id == cycle, Round.state == "published")
    drawn: dict[str, tuple[str, bool]] = {}
    rows = session.execute(
        select(FrozenRow.tag, FrozenRow.drawn_in, FrozenRow.late)
        .join(Round, Round.id == FrozenRow.round_id)
        .where(FrozenRow.round_id.in_(published))
        .order_by(Round.published_at)
    )
    for tag, drawn_in, late in rows:
        drawn[tag] = (drawn_in, late)
    last = (
        select(Round.id)
        .where(Round.cycle_id == cycle, Round.state == "published")
        .order_by(Round.published_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    seats = session.execute(select(Placed.tag, Placed.program_id, Placed.seat_group).where(Placed.round_id == last))
    return Before({tag: HeldSeat(program, group) for tag, program, group in seats}, drawn)


def _program(one: InForce, round_: MarketRound, held: Mapping[HeldSeat, int], now: datetime) -> Program:
    program = read_back(one.market)
    if round_.kind is Kind.MAIN:
        return program
    here = {seat.group: number for seat, number in held.items() if seat.program == program.id}
    return for_backfill(program, part_of(one.rules), on=now.date(), held=here).program


def _children(
    session: Session,
    cycle: Cycle,
    round_: MarketRound,
    grade_of: Mapping[str, str],
    before: Before,
    *,
    ranking: str | None = None,
) -> tuple[list[Entry], list[tuple[str, str]], list[str]]:
    """Return the market's applicants, who is left out and why, and whose last ranking is not the log's; by tag.

    With `ranking` it is only those who rank that program.
    """
    claims = _claims(session, cycle.id)
    # All rows are wanted, and not the first ones soon.
    session.execute(text("SET LOCAL cursor_tuple_fraction = 1"))
    applicants: list[Entry] = []
    excluded: list[tuple[str, str]] = []
    astray: list[str] = []
    asked = (
        _asked(cycle.id)
        if ranking is None
        else _asked(cycle.id).where(literal(ranking) == any_(RankingVersion.programs))
    )
    for row in session.execute(asked.execution_options(yield_per=ROWS_AT_ONCE)):
        tag = row.tag.hex()
        if row.id is None:
            excluded.append((tag, WITHDRAWN))
            continue
        if row.programs is not None and row.leaf_hash != row.last_leaf:
            astray.append(tag)
        programs = tuple(program for program in row.programs or () if program in grade_of)
        holds = before.held.get(tag)
        if holds and grade_of.get(holds.program) != row.grade:
            holds = None  # who applies for another grade has given the seat up
        if not programs and holds is None:
            excluded.append((tag, ONLY_WITHDRAWN_PROGRAMS if row.programs else NO_RANKING))
            continue
        drawn_in, late = before.drawn.get(tag) or (round_.id, _missed_deadline(row.at, cycle, round_))
        applicants.append(
            Entry(
                id=tag,
                grade=row.grade,
                ranking=programs,
                zones=frozenset(row.zones),
                flags=claims.get(row.id, NO_CLAIMS).flags,
                at=claims.get(row.id, NO_CLAIMS).at,
                attends=row.attends,
                household=row.ticket,
                together=row.together,
                late=late,
                holds=holds,
                drawn_in=drawn_in,
            )
        )
    return applicants, excluded, astray


def children_ranking(session: Session, cycle: Cycle, program: str) -> list[Entry]:
    """Return the children who rank a program now, by tag, for its school to look at before the freeze."""
    round_ = MarketRound(cycle.id, Kind.MAIN)
    grades = {one.program: str(one.market["grade"]) for one in rules_in_force(session, cycle.id)}
    applicants, _, _ = _children(session, cycle, round_, grades, NOTHING_BEFORE, ranking=program)
    return applicants


def _asked(cycle: str) -> Select[*tuple[Any, ...]]:
    """Select every child of a cycle with its live application and its ranking in force, by tag."""
    live = and_(Applicant.child_id == Child.id, Applicant.withdrawn_at.is_(None))
    in_force = and_(RankingVersion.applicant_id == Applicant.id, RankingVersion.version == Applicant.ranking_version)
    return (
        select(
            Child.tag,
            Child.last_leaf,
            Applicant.id,
            Applicant.grade,
            Applicant.attends,
            Applicant.together,
            Applicant.zones,
            Household.ticket,
            RankingVersion.programs,
            RankingVersion.at,
            RankingVersion.leaf_hash,
        )
        .outerjoin(Applicant, live)
        .outerjoin(Household, Household.id == Applicant.household_id)
        .outerjoin(RankingVersion, in_force)
        .where(Child.cycle_id == cycle)
        .order_by(Child.tag)
    )


def _missed_deadline(at: datetime, cycle: Cycle, round_: MarketRound) -> bool:
    """Say whether a ranking came late for a main round, by the deadline that stands now: it may have been moved.

    In a backfill round a newcomer counts as late by the lottery's own rule (lottery.md, section 3).
    """
    return round_.kind is Kind.MAIN and at >= cycle.deadline


def _claims(session: Session, cycle: str) -> dict[uuid.UUID, Claimed]:
    """Return what approved claims say, by application."""
    found: dict[uuid.UUID, tuple[set[str], dict[str, set[str]]]] = {}
    rows = session.execute(
        select(Claim.applicant_id, Claim.fact, Claim.school_id).where(
            Claim.cycle_id == cycle, Claim.status == "approved"
        )
    )
    for applicant, fact, school in rows:
        flags, at = found.setdefault(applicant, (set(), {}))
        (flags if school is None else at.setdefault(school, set())).add(fact)
    return {
        applicant: Claimed(frozenset(flags), {school: frozenset(facts) for school, facts in at.items()})
        for applicant, (flags, at) in found.items()
    }


def _unknown_to_either(session: Session, cycle: str) -> Iterator[str]:
    """Yield tags that only the log or only the tables have."""
    logged = (
        select(cast(LogEntry.body, JSONB)["tag"].astext.label("tag"))
        .where(LogEntry.cycle_id == cycle, LogEntry.type.in_(TAGGED))
        .distinct()
        .subquery()
    )
    known = select(func.encode(Child.tag, "hex").label("tag")).where(Child.cycle_id == cycle).subquery()
    rows = session.execute(
        select(func.coalesce(logged.c.tag, known.c.tag))
        .select_from(logged)
        .outerjoin(known, logged.c.tag == known.c.tag, full=True)
        .where(logged.c.tag.is_(None) | known.c.tag.is_(None))
    )
    yield from rows.scalars()
