"""Find the waitlists whose order changed."""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child
from enrollment.cycles.models import Cycle
from enrollment.rankings.models import RankingVersion
from enrollment.seats.models import LIVE, Offer, WaitlistPlace
from enrollment.waitlists.model import ListChange, ListKey, Waiting
from enrollment.waitlists.moves import moves_between
from enrollment.waitlists.order import waitlists_now

Lists = Mapping[ListKey, Sequence[Waiting]]


def changed_waitlists(session: Session, cycle: Cycle, programs: Collection[str] | None) -> Iterator[ListChange]:
    """Yield the waitlists of some programs whose order changed, with every move and its reasons. None: all programs."""
    if programs is not None and not programs:
        return
    now = waitlists_now(session, cycle, programs)
    before = _stored_waitlists(session, cycle.id, programs)
    gone = _why_gone(session, cycle.id, now, before)
    returned = _gave_up_a_seat(session, cycle.id)
    for key in sorted({*now, *before}):
        new, old = now.get(key, []), before.get(key, [])
        if new != old:
            gone_here = {child: reason for (program, child), reason in gone.items() if program == key[0]}
            yield ListChange(key, new, list(moves_between(old, new, gone_here, returned)))


def _stored_waitlists(session: Session, cycle: str, programs: Collection[str] | None) -> dict[ListKey, list[Waiting]]:
    query = (
        select(WaitlistPlace)
        .where(WaitlistPlace.cycle_id == cycle)
        .order_by(WaitlistPlace.program_id, WaitlistPlace.seat_group, WaitlistPlace.place)
    )
    if programs is not None:
        query = query.where(WaitlistPlace.program_id.in_(programs))
    found: dict[ListKey, list[Waiting]] = {}
    for row in session.scalars(query):
        found.setdefault((row.program_id, row.seat_group), []).append(
            Waiting(row.child_id, row.priority_class, row.drawn)
        )
    return found


def _gave_up_a_seat(session: Session, cycle: str) -> set[uuid.UUID]:
    """Return the children who gave up or lost a seat, and have not changed the ranking since.

    The act that gives up a seat removes its program from the ranking at the same time.
    """
    query = (
        select(Offer.child_id)
        .join(Applicant, (Applicant.child_id == Offer.child_id) & Applicant.withdrawn_at.is_(None))
        .join(
            RankingVersion,
            (RankingVersion.applicant_id == Applicant.id) & (RankingVersion.version == Applicant.ranking_version),
        )
        .where(
            Offer.cycle_id == cycle,
            Offer.status.in_(["declined", "expired"]),
            Offer.closed_at >= RankingVersion.at,
        )
    )
    return set(session.scalars(query))


def _why_gone(session: Session, cycle: str, now: Lists, before: Lists) -> dict[tuple[str, uuid.UUID], str]:
    """Return why children are no longer on a program's waitlists, by program and child."""
    gone = _gone(now, before)
    rows = session.execute(
        select(Child.id, Applicant.id, RankingVersion.programs, Offer.program_id)
        .outerjoin(Applicant, (Applicant.child_id == Child.id) & Applicant.withdrawn_at.is_(None))
        .outerjoin(
            RankingVersion,
            (RankingVersion.applicant_id == Applicant.id) & (RankingVersion.version == Applicant.ranking_version),
        )
        .outerjoin(Offer, (Offer.child_id == Child.id) & Offer.status.in_(LIVE))
        .where(Child.cycle_id == cycle, Child.id.in_({child for _, child in gone}))
    )
    states = {child: (applicant, ranking or [], seat) for child, applicant, ranking, seat in rows}
    return {(program, child): _reason(program, *states[child]) for program, child in gone}


def _gone(now: Lists, before: Lists) -> set[tuple[str, uuid.UUID]]:
    gone: set[tuple[str, uuid.UUID]] = set()
    for key, waiting in before.items():
        still_there = {one.child for one in now.get(key, ())}
        gone |= {(key[0], one.child) for one in waiting if one.child not in still_there}
    return gone


def _reason(program: str, applicant: uuid.UUID | None, ranking: Sequence[str], seat: str | None) -> str:
    if applicant is None:
        return "withdrawn"
    if seat == program or (seat is not None and program in ranking):
        return "placed"
    return "facts" if program in ranking else "left"
