"""Store changed waitlists and their moves."""

import json
from collections.abc import Sequence

from sqlalchemy import ARRAY, Uuid, delete, func, literal, select, tuple_
from sqlalchemy.orm import Session

from enrollment.applicants.models import Child
from enrollment.database import copy_rows
from enrollment.seats.models import WaitlistMove, WaitlistPlace
from enrollment.waitlists.model import ListChange


def lock_children(session: Session, changes: Sequence[ListChange]) -> None:
    """Lock the children in the order of their ids, as foreign keys will. Only a change of a SIS id waits for it."""
    children = {waiting.child for change in changes for waiting in change.new}
    children |= {move.child for change in changes for move in change.moves}
    query = select(Child.id).where(Child.id == func.any(literal(list(children), ARRAY(Uuid)))).order_by(Child.id)
    session.execute(query.with_for_update(read=True, key_share=True)).all()


def replace_waitlists(session: Session, cycle: str, changes: Sequence[ListChange]) -> None:
    """Replace the stored order of the changed waitlists."""
    session.execute(
        delete(WaitlistPlace)
        .where(
            WaitlistPlace.cycle_id == cycle,
            tuple_(WaitlistPlace.program_id, WaitlistPlace.seat_group).in_([change.key for change in changes]),
        )
        .execution_options(synchronize_session=False)
    )
    copy_rows(
        session,
        WaitlistPlace,
        ["cycle_id", "program_id", "seat_group", "child_id", "place", "priority_class", "drawn"],
        (
            (cycle, *change.key, waiting.child, place, waiting.priority_class, waiting.drawn)
            for change in changes
            for place, waiting in enumerate(change.new, start=1)
        ),
    )


def store_moves(session: Session, cycle: str, changes: Sequence[ListChange]) -> None:
    """Store the moves with their reasons."""
    copy_rows(
        session,
        WaitlistMove,
        ["cycle_id", "program_id", "seat_group", "child_id", "was", "became", "reasons"],
        (
            (cycle, *change.key, move.child, move.was, move.became, json.dumps(move.reasons))
            for change in changes
            for move in change.moves
        ),
    )
