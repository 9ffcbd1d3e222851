"""Read the entries of the public log."""

import json

from sqlalchemy import select

from enrollment.audit.models import LogEntry
from enrollment.database import transaction
from lottery.market.canonical import Json
from people import Service


def entries(service: Service, type_: str) -> list[dict[str, Json]]:
    """Return the log's entries of a type."""
    with transaction(service.sessions) as session:
        bodies = session.scalars(select(LogEntry.body).where(LogEntry.type == type_).order_by(LogEntry.id)).all()
    return [json.loads(body) for body in bodies]
