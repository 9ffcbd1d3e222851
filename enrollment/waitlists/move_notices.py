"""Notify partners of moves on waitlists."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Applicant
from enrollment.notify.notices import NewNotice, notify
from enrollment.waitlists.model import ListChange, ListKey, Move


def notify_partners(session: Session, cycle: str, changes: Sequence[ListChange], *, log_size: int) -> None:
    """Notify the partner of each child who was on a waitlist and moved. The log size makes each notice unique."""
    rows = session.execute(
        select(Applicant.child_id, Applicant.partner_id, Applicant.reference).where(
            Applicant.cycle_id == cycle, Applicant.withdrawn_at.is_(None)
        )
    )
    applications = {child: (partner, reference) for child, partner, reference in rows}
    notify(
        session,
        [
            _notice(cycle, change.key, move, *applications[move.child], log_size=log_size)
            for change in changes
            for move in change.moves
            if move.was is not None and move.child in applications
        ],
    )


def _notice(cycle: str, key: ListKey, move: Move, partner: str, reference: str, *, log_size: int) -> NewNotice:
    program, group = key
    return NewNotice(
        cycle,
        partner,
        "waitlist.moved",
        f"{program} {group} {move.child} {log_size}",
        {
            "reference": reference,
            "program": program,
            "group": group,
            "was": move.was,
            "became": move.became,
        },
    )
