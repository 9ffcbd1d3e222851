"""Read places on live waitlists, and leave a waitlist."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child
from enrollment.cycles.locks import CycleNow, in_any_phase
from enrollment.directory.models import Program, School
from enrollment.problems import NotFound
from enrollment.rankings.changes import drop_program
from enrollment.rankings.models import RankingVersion
from enrollment.rankings.versions import Ranker
from enrollment.seats.models import Offer, WaitlistPlace
from enrollment.seats.offers import live_offer

MANY = 20
"""The fewest waiting children whose number a family is told.

With 10, the child at place 9 would know that nobody is behind, if the number is hidden.
"""


@dataclass(frozen=True, slots=True)
class PlaceOnWaitlist:
    """A child's place on a waitlist."""

    program: str
    program_name: str
    school_name: str
    group: str
    place: int
    waiting: int | None
    """How many children wait. None if they are few, because each of them could then work out too much."""
    drawn: bool
    is_live: bool
    """False: the place is as a round left it."""


def places_now(session: Session, applicant: Applicant) -> list[PlaceOnWaitlist]:
    """Return a child's places on live waitlists, by program and group.

    Waitlists are updated a moment after each act. A place that the child no longer waits for is left out at once.
    """
    own = select(WaitlistPlace).where(WaitlistPlace.child_id == applicant.child_id).subquery()
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
        select(own.c.program_id, Program.name, School.name, own.c.seat_group, own.c.place, waiting, own.c.drawn)
        .join(Program, Program.id == own.c.program_id)
        .join(School, School.id == Program.school_id)
        .order_by(own.c.program_id, own.c.seat_group)
    )
    above = _ranked_above_seat(session, applicant)
    return [
        PlaceOnWaitlist(
            program=program,
            program_name=name,
            school_name=school,
            group=group,
            place=place,
            waiting=number if number >= MANY else None,
            drawn=drawn,
            is_live=True,
        )
        for program, name, school, group, place, number, drawn in rows
        if program in above
    ]


def _ranked_above_seat(session: Session, applicant: Applicant) -> Sequence[str]:
    """Return the programs in the ranking in force that the child ranks above the held seat, if any."""
    ranked = session.scalar(
        select(RankingVersion.programs).where(
            RankingVersion.applicant_id == applicant.id, RankingVersion.version == applicant.ranking_version
        )
    )
    seat = live_offer(session, applicant.child_id)
    programs = list(ranked or ())
    return programs[: programs.index(seat.program_id)] if seat and seat.program_id in programs else programs


def read_live_waitlists(session: Session, cycle: str, program: str) -> Sequence[Row[WaitlistPlace, bytes]]:
    """Return a program's live waitlists with the children's tags, by group and place."""
    return session.execute(
        select(WaitlistPlace, Child.tag)
        .join(Child, Child.id == WaitlistPlace.child_id)
        .where(WaitlistPlace.cycle_id == cycle, WaitlistPlace.program_id == program)
        .order_by(WaitlistPlace.seat_group, WaitlistPlace.place)
    ).all()


def leave_waitlist(session: Session, cycle_now: CycleNow, ranker: Ranker, program: str, *, actor: str) -> None:
    """Remove a program from a child's ranking, and so from its waitlists. The child keeps the held seat.

    Raises:
        NotFound: if the child does not rank the program, or holds a seat there.
    """
    offer: Offer | None = live_offer(session, ranker.child_id)
    holds_seat = offer is not None and offer.program_id == program
    if holds_seat or not drop_program(session, actor, in_any_phase(cycle_now), ranker, program):
        raise NotFound
