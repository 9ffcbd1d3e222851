"""The result of a round for one child."""

import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant, Child
from enrollment.directory.models import Program, School
from enrollment.directory.names import name_for_families
from enrollment.results.explanations import explanation_for_family
from enrollment.rounds.models import CutoffRow, Exclusion, FrozenProgram, FrozenRow, Placed, Round, WaitingPlace
from enrollment.rounds.public_numbers import public_numbers
from enrollment.waitlists.places import PlaceOnWaitlist
from lottery.explain.facts import not_listed

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

    @property
    def name_for_families(self) -> str:
        """Return the program's name as families know it."""
        return name_for_families(self.program_name, self.school_name)


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


def held_before(session: Session, round_: Round, ticket: str) -> str | None:
    """Return the program of the seat that a child held when a round was frozen, if any."""
    line = session.scalar(select(FrozenRow.line).where(FrozenRow.round_id == round_.id, FrozenRow.tag == ticket))
    holds = json.loads(line)["holds"] if line else None
    return str(holds["program"]) if holds else None


def not_listed_at(session: Session, round_: Round, ticket: str) -> list[str]:
    """Return the programs that a round did not consider for a child, because the school did not list the child."""
    screened = select(FrozenProgram.program_id).where(
        FrozenProgram.round_id == round_.id, FrozenProgram.document.contains('"ranked":')
    )
    if session.scalars(screened.limit(1)).first() is None:
        return []
    explanation = explanation_for_family(session, round_, ticket)
    return [at.program.id for at in explanation.programs if not_listed(at)]


def places_after(session: Session, round_: Round, ticket: str) -> list[PlaceOnWaitlist]:
    """Return a child's places on the waitlists that a round left, by program and group."""
    rows = session.execute(
        select(
            WaitingPlace.program_id,
            Program.name,
            School.name,
            WaitingPlace.seat_group,
            WaitingPlace.place,
            CutoffRow.waiting,
        )
        .join(Program, Program.id == WaitingPlace.program_id)
        .join(School, School.id == Program.school_id)
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
        PlaceOnWaitlist(
            program=program,
            program_name=name,
            school_name=school,
            group=group,
            place=place,
            waiting=number if (program, group) in shown else None,
            drawn=True,
            is_live=False,
        )
        for program, name, school, group, place, number in rows
    ]
