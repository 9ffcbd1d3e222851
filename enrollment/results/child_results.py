"""The result of a round for one child."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child
from enrollment.directory.models import Program, School
from enrollment.rounds.models import CutoffRow, Exclusion, FrozenRow, Placed, Round, WaitingPlace
from enrollment.rounds.public_numbers import public_numbers
from enrollment.waitlists.places import PlaceOnWaitlist

TOO_LATE = "too-late"


@dataclass(frozen=True, slots=True)
class ChildPlacement:
    """The seat that a round gave to a child."""

    program: str
    program_name: str
    school: str
    school_name: str
    group: str
    choice: int | None


def ticket_of(session: Session, applicant: Applicant) -> str:
    """Return an application's ticket: the child's tag in hex."""
    return session.get_one(Child, applicant.child_id).tag.hex()


def placement_of(session: Session, round_: Round, ticket: str) -> ChildPlacement | None:
    """Return the seat that a round gave to a child."""
    row = session.execute(
        select(Placed.program_id, Program.name, School.id, School.name, Placed.seat_group, Placed.choice)
        .join(Program, Program.id == Placed.program_id)
        .join(School, School.id == Program.school_id)
        .where(Placed.round_id == round_.id, Placed.tag == ticket)
    ).one_or_none()
    return None if row is None else ChildPlacement(*row)


def excluded_from(session: Session, round_: Round, ticket: str) -> str | None:
    """Return the code of why a child was not in a round. None: the child was in the round."""
    if session.get(FrozenRow, (round_.id, ticket)) is not None:
        return None
    exclusion = session.get(Exclusion, (round_.id, ticket))
    return exclusion.reason if exclusion else TOO_LATE


def places_after(session: Session, round_: Round, ticket: str) -> list[PlaceOnWaitlist]:
    """Return a child's places on the waitlists that a round left, by program and group."""
    rows = session.execute(
        select(WaitingPlace.program_id, Program.name, WaitingPlace.seat_group, WaitingPlace.place, CutoffRow.waiting)
        .join(Program, Program.id == WaitingPlace.program_id)
        .join(
            CutoffRow,
            (CutoffRow.round_id == WaitingPlace.round_id)
            & (CutoffRow.program_id == WaitingPlace.program_id)
            & (CutoffRow.seat_group == WaitingPlace.seat_group),
        )
        .where(WaitingPlace.round_id == round_.id, WaitingPlace.tag == ticket)
        .order_by(WaitingPlace.program_id, WaitingPlace.seat_group)
    )
    shown = public_numbers(session, round_).shown.waiting
    return [
        PlaceOnWaitlist(program, name, group, place, number if (program, group) in shown else None, drawn=True)
        for program, name, group, place, number in rows
    ]
