"""From tables to a market: the one place where what the service holds becomes what the lottery reads.

Nobody's name, birth date, address or contact is read here: those stand in the table `person`, and this module does not
know it.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, cast, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child, Claim, Household
from enrollment.audit.models import LogEntry
from enrollment.cycles.models import Cycle
from enrollment.database import Table
from enrollment.rankings.models import RankingVersion
from enrollment.rounds.models import FrozenRow, Round
from enrollment.rules.backfill import Backfilled, OneSeat, for_backfill, with_seats_for
from enrollment.rules.in_force import InForce, rules_in_force
from enrollment.rules.levels import read_stored_rules
from enrollment.rules.to_market import read_back
from enrollment.seats.models import LIVE, Offer
from lottery.market.model import Applicant as Entry
from lottery.market.model import HeldSeat, Kind, Late, Market, Policy, Twins
from lottery.market.model import Round as MarketRound
from lottery.market.rules import OPEN, Program, TieBreak

WITHDRAWN = "withdrawn"
NO_RANKING = "no-ranking"
ONLY_WITHDRAWN_PROGRAMS = "ranked-only-withdrawn-programs"

TAGGED = ("ranking.put", "ranking.withdraw", "facts.set")
"""The entries that have a tag: each tag of them is in the market, or excluded with a reason."""

ROWS_AT_ONCE = 5_000

READ: tuple[type[Table], ...] = (Child, Applicant, Household, RankingVersion, Claim, LogEntry, Offer)
"""The tables that a snapshot joins."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a round would freeze now."""

    market: Market
    excluded: Sequence[tuple[str, str]]
    """Tags that are not in the market, each with its reason, in order."""
    rules: Sequence[InForce]
    """Of every program of the market, in order of ids."""
    settled: Mapping[str, Backfilled]
    """What each program's backfill rule came to, by id; for a main round, its match target."""
    astray: Sequence[str]
    """Tags on whose last ranking the tables and the log do not agree; a freeze refuses any."""


@dataclass(frozen=True, slots=True)
class Before:
    """What was before a round: who holds which seat, and which published round drew whose number."""

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


def take_snapshot(
    session: Session, cycle: Cycle, round_: MarketRound, *, now: datetime, one: OneSeat | None = None
) -> Snapshot:
    """Build the market that a round would freeze now, and say who is left out of it and why.

    Args:
        session: a transaction that sees one state of things: it holds the cycle, or is a repeatable read.
        cycle: the cycle.
        round_: the round that it is for.
        now: the day of a backfill round settles what fills.
        one: the seat that a round for one seat is for.
    """
    rules = rules_in_force(session, cycle.id)
    programs = {one.program: read_back(one.market) for one in rules}
    before = left_before(session, cycle.id, programs)
    applicants, excluded, astray = _children(session, cycle, round_, programs, before)
    held = Counter(applicant.holds for applicant in applicants if applicant.holds)
    settled = {its.program: _settled(programs[its.program], its, round_, held, now, one, applicants) for its in rules}
    return Snapshot(
        market=Market(
            round_,
            policy_of(cycle),
            tuple(settled[one.program].program for one in rules),
            tuple(applicants),
        ),
        excluded=excluded,
        rules=rules,
        settled=settled,
        astray=sorted([*astray, *_unknown_to_either(session, cycle.id)]),
    )


def policy_of(cycle: Cycle) -> Policy:
    """Return a cycle's policy as a market has it."""
    return Policy(
        tie_break=TieBreak(cycle.tie_break),
        late=Late(cycle.late),
        grade_order=tuple(cycle.sibling_order or reversed(cycle.grades)),
        twins=Twins(cycle.twins),
    )


def count_rows(session: Session) -> None:
    """Have the database count what a snapshot reads, so that it reads it in a sensible way.

    On the last evening more may have come in than it counted last, and what it then takes for a few rows it would join
    one by one.
    """
    for table in READ:
        session.execute(text(f"ANALYZE {table.__tablename__}"))


def left_before(session: Session, cycle: str, programs: Mapping[str, Program]) -> Before:
    """Return who holds which seat now, and in which published round each number was drawn."""
    drawn: dict[str, tuple[str, bool]] = {}
    rows = session.execute(
        select(FrozenRow.tag, FrozenRow.drawn_in, FrozenRow.late)
        .join(Round, Round.id == FrozenRow.round_id)
        .where(Round.cycle_id == cycle, Round.state == "published")
        .order_by(Round.published_at)
    )
    for tag, drawn_in, late in rows:
        drawn[tag] = (drawn_in, late)
    seats = session.execute(
        select(Child.tag, Offer.program_id, Offer.seat_group)
        .join(Offer, Offer.child_id == Child.id)
        .where(Offer.cycle_id == cycle, Offer.status.in_(LIVE))
    )
    return Before({tag.hex(): _held(programs, program, group) for tag, program, group in seats}, drawn)


def _held(programs: Mapping[str, Program], program: str, group: str) -> HeldSeat:
    """Return a held seat; in the open group, where the school's rules no longer have the one that it was given in."""
    its = programs.get(program)
    return HeldSeat(program, group if its is None or group in its.precedence else OPEN)


def _settled(
    program: Program,
    rules: InForce,
    round_: MarketRound,
    held: Mapping[HeldSeat, int],
    now: datetime,
    one: OneSeat | None,
    applicants: Sequence[Entry],
) -> Backfilled:
    here = {seat.group: number for seat, number in held.items() if seat.program == program.id}
    if round_.kind is Kind.BACKFILL:
        return for_backfill(
            program,
            read_stored_rules(rules.rules),
            on=now.date(),
            held=here,
            one=one,
            waiting=lambda: _waiting_at(program, applicants),
        )
    return Backfilled(with_seats_for(program, here), None, program.seats)


def _waiting_at(program: Program, applicants: Sequence[Entry]) -> Counter[str]:
    """Count who ranks a program above what they hold, by the seat groups in which they may have a seat."""
    count: Counter[str] = Counter()
    for child in applicants:
        above = child.ranking
        if child.holds and child.holds.program in above:
            above = above[: above.index(child.holds.program)]
        if program.id not in above or not program.eligible.holds(child, program.school, ()):
            continue
        for group in program.precedence:
            reserve = program.reserve(group)
            if reserve is None or not reserve.closed or reserve.when.holds(child, program.school, ()):
                count[group] += 1
    return count


def _children(
    session: Session,
    cycle: Cycle,
    round_: MarketRound,
    programs: Mapping[str, Program],
    before: Before,
    *,
    ranking: Collection[str] | None = None,
) -> tuple[list[Entry], list[tuple[str, str]], list[str]]:
    """Return the market's applicants, who is left out and why, and whose last ranking is not the log's; by tag.

    With `ranking` it is only those who rank one of these programs.
    """
    claims = _claims(session, cycle.id)
    # All rows are wanted, and not the first ones soon.
    session.execute(text("SET LOCAL cursor_tuple_fraction = 1"))
    applicants: list[Entry] = []
    excluded: list[tuple[str, str]] = []
    astray: list[str] = []
    asked = _asked(cycle.id)
    if ranking is not None:
        asked = asked.where(RankingVersion.programs.overlap(list(ranking)))
    for row in session.execute(asked.execution_options(yield_per=ROWS_AT_ONCE)):
        tag = row.tag.hex()
        if row.id is None:
            excluded.append((tag, WITHDRAWN))
            continue
        if row.programs is not None and row.leaf_hash != row.last_leaf:
            astray.append(tag)
        ranked = tuple(program for program in row.programs or () if program in programs)
        holds = before.held.get(tag)
        if holds and (holds.program not in programs or programs[holds.program].grade != row.grade):
            holds = None  # a market has no place for a seat of a program that left, or of another grade
        if not ranked and holds is None:
            excluded.append((tag, ONLY_WITHDRAWN_PROGRAMS if row.programs else NO_RANKING))
            continue
        drawn_in, late = before.drawn.get(tag) or (round_.id, _missed_deadline(row.at, cycle, round_))
        applicants.append(
            Entry(
                id=tag,
                grade=row.grade,
                ranking=ranked,
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
    programs = {one.program: read_back(one.market) for one in rules_in_force(session, cycle.id)}
    applicants, _, _ = _children(session, cycle, round_, programs, NOTHING_BEFORE, ranking=[program])
    return applicants


def children_waiting(
    session: Session, cycle: Cycle, round_: MarketRound, programs: Mapping[str, Program], which: Collection[str] | None
) -> list[Entry]:
    """Return the children as a backfill round would have them now, by tag; only who ranks one of `which`, if given."""
    before = left_before(session, cycle.id, programs)
    applicants, _, _ = _children(session, cycle, round_, programs, before, ranking=which)
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
