"""Live waitlists as families and schools read them, and leaving one."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Child
from enrollment.cycles.locks import CycleNow, in_any_phase
from enrollment.directory.models import Program
from enrollment.problems import NotFound
from enrollment.rankings.changes import drop_program
from enrollment.rankings.versions import Ranker
from enrollment.seats.models import Offer, WaitlistPlace
from enrollment.seats.offers import live_offer


@dataclass(frozen=True, slots=True)
class Place:
    """A child's place on a live waitlist."""

    program: str
    program_name: str
    group: str
    place: int
    waiting: int
    drawn: bool


def places_now(session: Session, child: uuid.UUID) -> list[Place]:
    """Return where a child waits now, by program and group."""
    own = select(WaitlistPlace).where(WaitlistPlace.child_id == child).subquery()
    waiting = (
        select(func.count())
        .where(
            WaitlistPlace.cycle_id == own.c.cycle_id,
            WaitlistPlace.program_id == own.c.program_id,
            WaitlistPlace.seat_group == own.c.seat_group,
        )
        .scalar_subquery()
    )
    rows = session.execute(
        select(own.c.program_id, Program.name, own.c.seat_group, own.c.place, waiting, own.c.drawn)
        .join(Program, Program.id == own.c.program_id)
        .order_by(own.c.program_id, own.c.seat_group)
    )
    return [Place(*row) for row in rows]


def waiting_now(session: Session, cycle: str, program: str) -> Sequence[Row[WaitlistPlace, bytes]]:
    """Return a program's live waitlists with the children's tags, by group and place."""
    return session.execute(
        select(WaitlistPlace, Child.tag)
        .join(Child, Child.id == WaitlistPlace.child_id)
        .where(WaitlistPlace.cycle_id == cycle, WaitlistPlace.program_id == program)
        .order_by(WaitlistPlace.seat_group, WaitlistPlace.place)
    ).all()


def leave_waitlist(session: Session, held: CycleNow, ranker: Ranker, program: str, *, actor: str) -> None:
    """Take a program out of a child's ranking, so that it waits there no more; the seat that it holds stays.

    Raises:
        NotFound: if the child does not rank it, or holds its seat there.
    """
    offer: Offer | None = live_offer(session, ranker.child_id)
    holds_it = offer is not None and offer.program_id == program
    if holds_it or not drop_program(session, actor, in_any_phase(held), ranker, program):
        raise NotFound
