"""Routes of notices."""

from typing import Annotated

from fastapi import APIRouter, Path

from enrollment.access.guards import ReadsApplications
from enrollment.access.idempotency import IdempotentRoute
from enrollment.api.schemas.notices import NoticeOut
from enrollment.cycles.locks import read_cycle
from enrollment.database import InTransaction
from enrollment.field_types import Id
from enrollment.notify.models import Notice
from enrollment.notify.notices import numbered_notices
from enrollment.paging import FeedPage, Paging
from enrollment.stored_values import fields_of

router = APIRouter(route_class=IdempotentRoute, tags=["notices"])


@router.get("/v1/cycles/{cycle}/notices")
def list_notices(
    session: InTransaction,
    partner: ReadsApplications,
    paging: Paging,
    cycle: Annotated[Id, Path()],
) -> FeedPage[NoticeOut]:
    """List the news that you tell families, oldest first.

    Read pages until `next_cursor` is null, and keep `resume_cursor`. Next time, send it as `cursor` to read only newer
    notices. A notice appears within about a second. No notice ever appears before one that you have already read.
    """
    read_cycle(session, cycle)
    query = numbered_notices(cycle, partner.id)
    return paging.read_feed(session, query, by=Notice.number, show=_show_notice)


def _show_notice(notice: Notice) -> NoticeOut:
    return NoticeOut.model_validate(
        {
            "id": notice.id,
            "number": notice.number,
            "event": notice.event,
            "at": notice.at,
            "about": fields_of(notice.about),
        }
    )
