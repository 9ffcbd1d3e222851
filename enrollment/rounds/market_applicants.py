"""Read the applicants of a market from the tables.

No name, birth date, address or contact is read here. They are in the table `person`, which this module does not use.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, select, text
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child, Claim, Household
from enrollment.cycles.models import Cycle
from enrollment.rankings.models import RankingVersion
from enrollment.rounds.earlier_rounds import NO_EARLIER_ROUNDS, EarlierRounds
from enrollment.rules.in_force import rules_in_force
from enrollment.rules.to_market import read_back
from lottery.market.model import Applicant as MarketApplicant
from lottery.market.model import HeldSeat, Kind
from lottery.market.model import Round as MarketRound
from lottery.market.rules import Program

WITHDRAWN = "withdrawn"
NO_RANKING = "no-ranking"
ONLY_WITHDRAWN_PROGRAMS = "ranked-only-withdrawn-programs"

ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class ApplicantsFound:
    """The children of a cycle, sorted into applicants of the market and exclusions, in the order of tags."""

    applicants: list[MarketApplicant] = field(default_factory=list)
    excluded: list[tuple[str, str]] = field(default_factory=list)
    """Tags that are not in the market, each with the reason."""
    mismatched: list[str] = field(default_factory=list)
    """Tags whose last ranking differs between the tables and the log."""
    submitted: dict[str, Sequence[str]] = field(default_factory=dict)
    """The rankings as submitted, by tag, where they have programs that the market's rankings do not have."""


@dataclass(frozen=True, slots=True)
class ApprovedClaims:
    """The approved claims of one child."""

    flags: frozenset[str]
    at: Mapping[str, frozenset[str]]
    """Facts by school."""


NO_CLAIMS = ApprovedClaims(frozenset(), {})


def children_ranking(session: Session, cycle: Cycle, program: str) -> list[MarketApplicant]:
    """Return the children who rank a program now, by tag. A school previews them before the freeze."""
    round_ = MarketRound(cycle.id, Kind.MAIN)
    programs = {rules.program: read_back(rules.market) for rules in rules_in_force(session, cycle.id)}
    return read_applicants(session, cycle, round_, programs, NO_EARLIER_ROUNDS, ranking=[program]).applicants


def read_applicants(
    session: Session,
    cycle: Cycle,
    round_: MarketRound,
    programs: Mapping[str, Program],
    earlier: EarlierRounds,
    *,
    ranking: Collection[str] | None = None,
) -> ApplicantsFound:
    """Read the applicants of a market and the exclusions: all, or only those who rank one of some programs."""
    reader = _ApplicantReader(cycle, round_, programs, earlier, _approved_claims(session, cycle.id))
    # The query returns every row, so the plan must be the fastest for all rows and not for the first ones.
    session.execute(text("SET LOCAL cursor_tuple_fraction = 1"))
    query = _children(cycle.id)
    if ranking is not None:
        query = query.where(RankingVersion.programs.overlap(list(ranking)))
    found = ApplicantsFound()
    for row in session.execute(query.execution_options(yield_per=ROWS_AT_ONCE)):
        reader.add(row, found)
    return found


@dataclass(frozen=True, slots=True)
class _ApplicantReader:
    """Turns a child's row into an applicant of the market or an exclusion."""

    cycle: Cycle
    round: MarketRound
    programs: Mapping[str, Program]
    earlier: EarlierRounds
    claims: Mapping[uuid.UUID, ApprovedClaims]

    def add(self, row: Row[*tuple[Any, ...]], found: ApplicantsFound) -> None:
        """Add a child to the applicants or to the exclusions."""
        tag = row.tag.hex()
        if row.programs is not None and row.leaf_hash != row.last_leaf:
            found.mismatched.append(tag)
        ranking = tuple(program for program in row.programs or () if program in self.programs)
        listed = row.submitted or row.programs or ()
        held = self._held_seat(tag, row.grade)
        if row.id is None:
            found.excluded.append((tag, WITHDRAWN))
        elif ranking or held:
            found.applicants.append(self._applicant(row, tag, ranking, held))
            if len(ranking) < len(listed):
                found.submitted[tag] = listed
        else:
            found.excluded.append((tag, ONLY_WITHDRAWN_PROGRAMS if row.programs else NO_RANKING))

    def _held_seat(self, tag: str, grade: str | None) -> HeldSeat | None:
        """Return the child's held seat. A market has no seats of programs that left or have another grade."""
        seat = self.earlier.held_seats.get(tag)
        if seat and (seat.program not in self.programs or self.programs[seat.program].grade != grade):
            return None
        return seat

    def _applicant(
        self, row: Row[*tuple[Any, ...]], tag: str, ranking: tuple[str, ...], held: HeldSeat | None
    ) -> MarketApplicant:
        claims = self.claims.get(row.id, NO_CLAIMS)
        drawn_in, late = self.earlier.drawn.get(tag) or (self.round.id, self._missed_deadline(row.at))
        return MarketApplicant(
            id=tag,
            grade=row.grade,
            ranking=ranking,
            zones=frozenset(row.zones),
            flags=claims.flags,
            at=claims.at,
            attends=row.attends,
            household=row.ticket,
            together=row.together,
            late=late,
            holds=held,
            drawn_in=drawn_in,
        )

    def _missed_deadline(self, submitted_at: datetime) -> bool:
        """Say whether a ranking was late for a main round, by the deadline of now, which may have been moved.

        In a backfill round, new children count as late by the market's own rule
        (docs/reference/specification.md, section 3).
        """
        return self.round.kind is Kind.MAIN and submitted_at >= self.cycle.deadline


def _children(cycle: str) -> Select[*tuple[Any, ...]]:
    """Select every child of a cycle with the active application and the current ranking, by tag."""
    active = and_(Applicant.child_id == Child.id, Applicant.withdrawn_at.is_(None))
    current = and_(RankingVersion.applicant_id == Applicant.id, RankingVersion.version == Applicant.ranking_version)
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
            RankingVersion.submitted,
            RankingVersion.at,
            RankingVersion.leaf_hash,
        )
        .outerjoin(Applicant, active)
        .outerjoin(Household, Household.id == Applicant.household_id)
        .outerjoin(RankingVersion, current)
        .where(Child.cycle_id == cycle)
        .order_by(Child.tag)
    )


def _approved_claims(session: Session, cycle: str) -> dict[uuid.UUID, ApprovedClaims]:
    """Return the approved claims by application."""
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
        applicant: ApprovedClaims(frozenset(flags), {school: frozenset(facts) for school, facts in at.items()})
        for applicant, (flags, at) in found.items()
    }
