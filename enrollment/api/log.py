"""The public log."""

from typing import Annotated

from fastapi import APIRouter, Query

from enrollment.api.schemas.log import EntriesOut, EntryOut, TreeOut
from enrollment.audit.log import read_entries, tree_head
from enrollment.database import InTransaction
from enrollment.field_types import WholeNumber
from enrollment.problems import BadRequest, sentence

router = APIRouter()

MOST = 1_000
FARTHEST = 2**53 - 1


class RangeRefused(BadRequest):
    """The range of entries is reversed or too long."""

    title = sentence("Invalid range")
    detail = sentence("Set end to at least start, and at most {most} above start.")


@router.get("/v1/log/tree", tags=["log"])
def read_log_tree(session: InTransaction) -> TreeOut:
    """Read the log's size and root."""
    head = tree_head(session)
    return TreeOut(size=head.size, root=head.root.hex())


@router.get("/v1/log/entries", tags=["log"])
def list_log_entries(
    session: InTransaction,
    start: Annotated[int, Query(ge=0, le=FARTHEST, description="First index."), WholeNumber] = 0,
    end: Annotated[int | None, Query(ge=0, le=FARTHEST, description="One past the last index."), WholeNumber] = None,
) -> EntriesOut:
    """Read log entries in order, at most 1,000 at a time."""
    last = start + MOST if end is None else end
    if not start <= last <= start + MOST:
        raise RangeRefused(most=MOST)
    size = tree_head(session).size
    return EntriesOut(
        size=size,
        entries=[
            EntryOut(index=entry.index, entry=entry.body, leaf_hash=entry.leaf_hash.hex())
            for entry in read_entries(session, start=start, end=last)
        ],
    )
