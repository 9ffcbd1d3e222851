"""The history of a child's moves on waitlists."""

import uuid
from collections.abc import Iterator

from sqlalchemy import Select, select

from enrollment.directory.models import Program, School
from enrollment.seats.models import WaitlistMove


def select_moves(child: uuid.UUID) -> Select[WaitlistMove, str, str]:
    """Select a child's moves, each with the present names of the program and its school.

    Moves are written under a lock, so their ids are in the order of their commits.
    """
    return (
        select(WaitlistMove, Program.name, School.name)
        .join(Program, Program.id == WaitlistMove.program_id)
        .join(School, School.id == Program.school_id)
        .where(WaitlistMove.child_id == child)
    )


def reasons_of(move: WaitlistMove) -> Iterator[tuple[str, str | None, int]]:
    """Yield the code, the priority class, and the number of children of each well-formed reason of a move."""
    for reason in move.reasons if isinstance(move.reasons, list) else []:
        match reason:
            case [str(code), str() | None as priority_class, int(number)]:
                yield code, priority_class, number
