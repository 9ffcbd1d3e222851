"""Lock programs of a cycle: for a change of their seats or of their rules."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.directory.models import Offering


def lock_programs(session: Session, cycle: str, programs: Collection[str]) -> None:
    """Lock programs of a cycle, in order of their ids; in the order of locks they come after the child.

    Ids are compared as Python compares them, whatever the database's language, so that sorted code locks in this order.
    """
    session.execute(
        select(Offering.program_id)
        .where(Offering.cycle_id == cycle, Offering.program_id.in_(programs))
        .order_by(Offering.program_id.collate("C"))
        .with_for_update(key_share=True)
    ).all()
