"""The security log over HTTP, for administrators and auditors."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from enrollment.access.callers import ReadsRecords
from enrollment.access.schemas import SecurityEventShown
from enrollment.access.security_log import Event, PlacedEvent, read_events
from enrollment.database import InTransaction
from enrollment.paging import Cursor, Limit, Page, number_of, page

router = APIRouter(tags=["access"])


@router.get("/v1/security-log")
def read_security_log(
    session: InTransaction,
    _: ReadsRecords,
    request: Request,
    response: Response,
    *,
    account: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9._:-]{1,80}$", description="Only of this account: `staff:ann`.")
    ] = None,
    event: Annotated[Event | None, Query(description="Only of this kind.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[SecurityEventShown]:
    """Read who signed in, failed to, was let in or denied, changed access, or read children's names; oldest first."""
    rows = read_events(session, after=number_of(cursor) or 0, limit=limit + 1, account=account, event=event)
    return page(rows, limit=limit, place=lambda row: str(row.place), show=_shown, request=request, response=response)


def _shown(placed: PlacedEvent) -> SecurityEventShown:
    row = placed.event
    return SecurityEventShown.model_validate(
        {
            "place": placed.place,
            "at": row.at,
            "event": row.event,
            "account": row.account,
            "about": dict(row.about),
            "address": row.address,
        }
    )
