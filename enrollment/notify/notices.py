"""Write notices: what partners are to tell families, each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from enrollment.notify.models import Notice

AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that a partner is to know."""

    cycle: str
    partner: str
    event: str
    subject: str
    about: Mapping[str, str | int | None]


def notify(session: Session, noticed: Sequence[Noticed]) -> None:
    """Write notices; of what was noticed before there is nothing new."""
    for start in range(0, len(noticed), AT_ONCE):
        rows = [
            {
                "cycle_id": one.cycle,
                "partner_id": one.partner,
                "event": one.event,
                "subject": one.subject,
                "about": dict(one.about),
            }
            for one in noticed[start : start + AT_ONCE]
        ]
        session.execute(insert(Notice).on_conflict_do_nothing(), rows)
