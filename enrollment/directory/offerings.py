"""Lock the programs of a cycle before a change of their seats or rules."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.directory.models import Offering


def lock_programs(session: Session, cycle: str, programs: Collection[str]) -> None:
    """Lock programs of a cycle in order of their ids. Lock children before programs.

    The query orders ids as Python does, in every database locale, so that code with sorted ids locks in this order.
    """
    session.execute(
        select(Offering.program_id)
        .where(Offering.cycle_id == cycle, Offering.program_id.in_(programs))
        .order_by(Offering.program_id.collate("C"))
        .with_for_update(key_share=True)
    ).all()
