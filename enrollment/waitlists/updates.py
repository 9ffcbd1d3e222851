"""Update live waitlists: find the changes that the log tells of, store them, and notify partners."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from enrollment.audit.models import LogLeaf
from enrollment.cycles.models import Cycle
from enrollment.database import transaction
from enrollment.failures import for_each, not_waiting
from enrollment.rounds.models import Round
from enrollment.seats.models import WaitlistLook
from enrollment.waitlists.changes import changed_waitlists
from enrollment.waitlists.model import ListChange
from enrollment.waitlists.move_notices import notify_partners
from enrollment.waitlists.storage import lock_children, replace_waitlists, store_moves
from enrollment.waitlists.touched_programs import touched_programs

UPDATE_LOCK = 0x77616974
"""The advisory lock of an update, so that one update runs at a time: `wait` in hex."""

WAITLISTS = "waitlists"
"""The name of the loop that updates waitlists."""


def update_waitlists(sessions: "sessionmaker[Session]") -> None:
    """Update the waitlists of every cycle with a published main round and without a running round."""
    with transaction(sessions) as session:
        cycles = session.scalars(
            select(Cycle.id)
            .join(Round, Round.id == Cycle.main_round)
            .where(Round.state == "published", Cycle.running_round.is_(None), not_waiting(WAITLISTS, Cycle.id))
            .order_by(Cycle.id)
        ).all()
    for_each(sessions, WAITLISTS, cycles, update_cycle)


def update_cycle(sessions: "sessionmaker[Session]", cycle_id: str) -> None:
    """Read the log from the end of the last update, and update the waitlists that it touches.

    A second transaction reads one state of the tables and writes nothing. So no act is in the way of what is written,
    and the next update finds the acts that this one did not see.
    """
    with transaction(sessions) as session:
        if not session.execute(select(func.pg_try_advisory_xact_lock(UPDATE_LOCK))).scalar_one():
            return
        last = session.get(WaitlistLook, cycle_id)
        with transaction(sessions) as snapshot:
            snapshot.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            log_size = snapshot.execute(select(func.coalesce(func.max(LogLeaf.index) + 1, 0))).scalar_one()
            if last is not None and last.log_size == log_size:
                return
            programs = touched_programs(snapshot, cycle_id, since=last.log_size if last else None)
            changes = list(changed_waitlists(snapshot, snapshot.get_one(Cycle, cycle_id), programs))
        if changes:
            _store(session, cycle_id, changes, log_size=log_size)
        session.merge(WaitlistLook(cycle_id=cycle_id, log_size=log_size))


def _store(session: Session, cycle: str, changes: Sequence[ListChange], *, log_size: int) -> None:
    lock_children(session, changes)
    replace_waitlists(session, cycle, changes)
    store_moves(session, cycle, changes)
    notify_partners(session, cycle, changes, log_size=log_size)
