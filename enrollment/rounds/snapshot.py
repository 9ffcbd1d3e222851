"""Build the market of a round from the tables."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import cast, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child, Claim, Household
from enrollment.audit.models import LogEntry
from enrollment.cycles.models import Cycle
from enrollment.database import Table
from enrollment.rankings.models import RankingVersion
from enrollment.rounds.earlier_rounds import read_earlier_rounds
from enrollment.rounds.market_applicants import read_applicants
from enrollment.rules.backfill import Backfilled, OneSeat, for_backfill, with_seats_for
from enrollment.rules.in_force import InForce, rules_in_force
from enrollment.rules.levels import read_stored_rules
from enrollment.rules.to_market import policy_of, read_back
from enrollment.seats.models import Offer
from enrollment.time_zones import day_in
from lottery.market.model import Applicant as MarketApplicant
from lottery.market.model import Kind, Market
from lottery.market.model import Round as MarketRound
from lottery.market.rules import Program

TAGGED = ("ranking.put", "ranking.withdraw", "facts.set")
"""The log entries with a tag. Each of these tags is in the market, or excluded with a reason."""

READ: tuple[type[Table], ...] = (Child, Applicant, Household, RankingVersion, Claim, LogEntry, Offer)
"""The tables that a snapshot joins."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The market that a round would freeze now."""

    market: Market
    excluded: Sequence[tuple[str, str]]
    """Tags that are not in the market, each with the reason, by tag."""
    rules: Sequence[InForce]
    """The rules of every program of the market, by program."""
    settled: Mapping[str, Backfilled]
    """Each program as the round has it, by id."""
    mismatched: Sequence[str]
    """Tags on which the tables and the log disagree. A freeze refuses them."""
    submitted: Mapping[str, Sequence[str]]
    """The rankings as submitted, by tag, where they have programs that are not in the market."""


def take_snapshot(
    session: Session, cycle: Cycle, round_: MarketRound, *, now: datetime, only_seat: OneSeat | None = None
) -> Snapshot:
    """Build the market that a round would freeze now, with the exclusions and their reasons.

    Args:
        session: a transaction that sees one state: it locks the cycle, or is a repeatable read.
        cycle: the cycle.
        round_: the round.
        now: the time. A backfill rule may depend on the day in the cycle's time zone.
        only_seat: the only seat that the round fills.
    """
    rules = rules_in_force(session, cycle.id)
    programs = {in_force.program: read_back(in_force.market) for in_force in rules}
    earlier = read_earlier_rounds(session, cycle.id, programs)
    found = read_applicants(session, cycle, round_, programs, earlier)
    day = day_in(cycle.time_zone, now)
    settled = _settle_programs(programs, rules, round_, found.applicants, on=day, only_seat=only_seat)
    return Snapshot(
        market=Market(
            earlier.before(round_),
            policy_of(cycle),
            tuple(settled[in_force.program].program for in_force in rules),
            tuple(found.applicants),
        ),
        excluded=found.excluded,
        rules=rules,
        settled=settled,
        mismatched=sorted([*found.mismatched, *_tags_on_one_side(session, cycle.id)]),
        submitted=found.submitted,
    )


def count_rows(session: Session) -> None:
    """Update the statistics of the tables that a snapshot joins.

    Many rows may have come in on the last evening. With the old statistics, PostgreSQL would join them one by one.
    """
    for table in READ:
        session.execute(text(f"ANALYZE {table.__tablename__}"))


def _settle_programs(
    programs: Mapping[str, Program],
    rules: Sequence[InForce],
    round_: MarketRound,
    applicants: Sequence[MarketApplicant],
    *,
    on: date,
    only_seat: OneSeat | None,
) -> dict[str, Backfilled]:
    """Return each program with the seats that the round fills: all seats, or those that the backfill rule allows."""
    held: dict[str, Counter[str]] = {}
    for applicant in applicants:
        if applicant.holds:
            held.setdefault(applicant.holds.program, Counter())[applicant.holds.group] += 1
    settled = {}
    for in_force in rules:
        program = programs[in_force.program]
        held_here = held.get(program.id, Counter())
        if round_.kind is Kind.BACKFILL:
            settled[program.id] = _backfilled(program, in_force, held_here, applicants, on=on, only_seat=only_seat)
        else:
            settled[program.id] = Backfilled(with_seats_for(program, held_here), None, program.seats)
    return settled


def _backfilled(
    program: Program,
    in_force: InForce,
    held: Mapping[str, int],
    applicants: Sequence[MarketApplicant],
    *,
    on: date,
    only_seat: OneSeat | None,
) -> Backfilled:
    return for_backfill(
        program,
        read_stored_rules(in_force.rules),
        on=on,
        held=held,
        one=only_seat,
        waiting=lambda: _waiting_by_group(program, applicants),
    )


def _waiting_by_group(program: Program, applicants: Sequence[MarketApplicant]) -> Counter[str]:
    """Count the children who rank a program above their held seat, by the seat groups that are open to them."""
    count: Counter[str] = Counter()
    for applicant in applicants:
        if program.id in _ranked_above_held(applicant) and program.eligible.holds(applicant, program.school, ()):
            count.update(_groups_open_to(applicant, program))
    return count


def _ranked_above_held(applicant: MarketApplicant) -> Sequence[str]:
    ranking = applicant.ranking
    if applicant.holds and applicant.holds.program in ranking:
        return ranking[: ranking.index(applicant.holds.program)]
    return ranking


def _groups_open_to(applicant: MarketApplicant, program: Program) -> Iterator[str]:
    for group in program.precedence:
        reserve = program.reserve(group)
        if reserve is None or reserve.admits.holds(applicant, program.school, ()):
            yield group


def _tags_on_one_side(session: Session, cycle: str) -> Iterator[str]:
    """Yield the tags that only the log or only the tables have."""
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
