"""Read the entries of the public log."""

import json

from sqlalchemy import select

from enrollment.audit.models import LogEntry
from enrollment.database import transaction
from enrollment.seats.models import VacancyChange
from lottery.market.canonical import Json
from people import Service


def entries(service: Service, type_: str) -> list[dict[str, Json]]:
    """Return the log's entries of a type."""
    with transaction(service.sessions) as session:
        bodies = session.scalars(select(LogEntry.body).where(LogEntry.type == type_).order_by(LogEntry.id)).all()
    return [json.loads(body) for body in bodies]


def ledger_lines(service: Service) -> list[dict[str, Json]]:
    """Return the lines of the ledger to which the log's entries commit."""
    with transaction(service.sessions) as session:
        lists = session.scalars(select(VacancyChange.lines).order_by(VacancyChange.id)).all()
    return [line for lines in lists for line in json.loads(lines)]
