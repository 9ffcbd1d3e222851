"""Write and select notices: news that partners tell families, each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.notify.models import Notice

ROWS_PER_INSERT = 5_000


@dataclass(frozen=True, slots=True)
class NewNotice:
    """News for a partner."""

    cycle: str
    partner: str
    event: str
    subject: str
    about: Mapping[str, str | int | None]


def notify(session: Session, notices: Sequence[NewNotice]) -> None:
    """Write notices, except those whose event and subject already have one."""
    for start in range(0, len(notices), ROWS_PER_INSERT):
        rows = [
            {
                "cycle_id": notice.cycle,
                "partner_id": notice.partner,
                "event": notice.event,
                "subject": notice.subject,
                "about": dict(notice.about),
            }
            for notice in notices[start : start + ROWS_PER_INSERT]
        ]
        session.execute(insert(Notice).on_conflict_do_nothing(), rows)


def numbered_notices(cycle: str, partner: str) -> Select[Notice]:
    """Select a partner's readable notices in a cycle."""
    return select(Notice).where(Notice.cycle_id == cycle, Notice.partner_id == partner, Notice.number.is_not(None))
