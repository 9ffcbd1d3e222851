"""The security log, for administrators and auditors."""

from typing import Annotated

from fastapi import APIRouter, Query

from enrollment.access.guards import ReadsRecords
from enrollment.access.models import SecurityEvent, SecurityPlace
from enrollment.access.security_log import Event, events
from enrollment.api.schemas.security_log import SecurityEventOut
from enrollment.database import InTransaction
from enrollment.paging import FeedPage, Paging

router = APIRouter(tags=["access"])


@router.get("/v1/security-log")
def read_security_log(
    session: InTransaction,
    _: ReadsRecords,
    paging: Paging,
    account: Annotated[
        str | None,
        Query(pattern=r"^[A-Za-z0-9._:-]{1,80}$", description="Only events of this account, for example `staff:ann`."),
    ] = None,
    event: Annotated[Event | None, Query(description="Only events of this kind.")] = None,
) -> FeedPage[SecurityEventOut]:
    """Read sign-ins, failed attempts, denied requests, access changes and reads of children's names, oldest first.

    Keep `resume_cursor` to continue later from the same place.
    """
    query = events(session, account=account, event=event)
    return paging.read_feed(session, query, by=SecurityPlace.place, show=_event_out)


def _event_out(place: int, row: SecurityEvent) -> SecurityEventOut:
    return SecurityEventOut.model_validate(
        {
            "place": place,
            "at": row.at,
            "event": row.event,
            "account": row.account,
            "about": dict(row.about),
            "address": row.address,
        }
    )
