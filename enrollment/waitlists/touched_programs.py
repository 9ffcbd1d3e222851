"""Find the programs whose waitlists may change, from the log.

The log names the children of every act. So a feature that changes a child's standing does not need to know waitlists.
"""

import json
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child
from enrollment.audit.models import LogEntry, LogLeaf
from enrollment.directory.models import Program
from enrollment.rankings.models import RankingVersion
from enrollment.seats.models import LIVE, Offer, SeatChange, WaitlistPlace

ABOUT_A_CHILD = ("ranking.put", "ranking.withdraw", "facts.set")
ABOUT_A_SEAT = "seat.change"
ABOUT_ALL = ("round.publish", "rules.put")


def touched_programs(session: Session, cycle: str, *, since: int | None) -> set[str] | None:
    """Return the programs whose waitlists may have changed since a size of the log. None: all programs."""
    if since is None:
        return None
    entries = _entries(session, cycle, since)
    if any(entry.type in ABOUT_ALL for entry in entries):
        return None
    tags = {bytes.fromhex(json.loads(entry.body)["tag"]) for entry in entries if entry.type in ABOUT_A_CHILD}
    children = set(session.scalars(select(Child.id).where(Child.cycle_id == cycle, Child.tag.in_(tags))))
    leaves = [entry.leaf_hash for entry in entries if entry.type == ABOUT_A_SEAT]
    seats = session.execute(
        select(SeatChange.child_id, SeatChange.program_id).where(SeatChange.leaf_hash.in_(leaves))
    ).all()
    children |= {child for child, _ in seats}
    return {program for _, program in seats} | _programs_of(session, children)


def _entries(session: Session, cycle: str, since: int) -> Sequence[Row[*tuple[Any, ...]]]:
    return session.execute(
        select(LogEntry.type, LogEntry.body, LogEntry.leaf_hash)
        .join(LogLeaf, LogLeaf.entry_id == LogEntry.id)
        .where(
            LogLeaf.index >= since,
            LogEntry.cycle_id == cycle,
            LogEntry.type.in_([*ABOUT_A_CHILD, ABOUT_A_SEAT, *ABOUT_ALL]),
        )
    ).all()


def _programs_of(session: Session, children: Collection[uuid.UUID]) -> set[str]:
    """Return the programs that children or members of their households rank, wait at, or have a seat beside."""
    households = select(Applicant.household_id).where(
        Applicant.child_id.in_(children), Applicant.household_id.is_not(None)
    )
    members = select(Applicant.child_id).where(
        Applicant.child_id.in_(children) | Applicant.household_id.in_(households)
    )
    return {*_waited_at(session, members), *_ranked(session, members), *_at_schools_of_seats(session, members)}


def _waited_at(session: Session, children: Select[uuid.UUID]) -> Sequence[str]:
    query = select(WaitlistPlace.program_id).where(WaitlistPlace.child_id.in_(children)).distinct()
    return session.scalars(query).all()


def _ranked(session: Session, children: Select[uuid.UUID]) -> Sequence[str]:
    return session.scalars(
        select(func.unnest(RankingVersion.programs))
        .join(
            Applicant,
            (Applicant.id == RankingVersion.applicant_id) & (Applicant.ranking_version == RankingVersion.version),
        )
        .where(Applicant.child_id.in_(children), Applicant.withdrawn_at.is_(None))
        .distinct()
    ).all()


def _at_schools_of_seats(session: Session, children: Select[uuid.UUID]) -> Sequence[str]:
    """Return the programs of the schools where children hold seats.

    A child who left a household may have had a sibling priority at such a school.
    """
    schools = select(Program.school_id).join(Offer, Offer.program_id == Program.id)
    schools = schools.where(Offer.child_id.in_(children), Offer.status.in_(LIVE))
    return session.scalars(select(Program.id).where(Program.school_id.in_(schools))).all()
