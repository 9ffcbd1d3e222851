"""The history of a child's moves on waitlists."""

import uuid
from collections.abc import Iterator

from sqlalchemy import Select, select

from enrollment.seats.models import WaitlistMove


def select_moves(child: uuid.UUID) -> Select[WaitlistMove]:
    """Select a child's moves. Moves are written under a lock, so their ids are in the order of their commits."""
    return select(WaitlistMove).where(WaitlistMove.child_id == child)


def reasons_of(move: WaitlistMove) -> Iterator[tuple[str, str | None, int]]:
    """Yield the code, the priority class, and the number of children of each well-formed reason of a move."""
    for reason in move.reasons if isinstance(move.reasons, list) else []:
        match reason:
            case [str(code), str() | None as priority_class, int(number)]:
                yield code, priority_class, number
