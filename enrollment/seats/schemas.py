"""Notices on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from enrollment.field_types import Wire
from enrollment.stored_values import StoredFields


class NoticeOut(Wire):
    """Something to tell a family: ids only."""

    id: int
    number: Annotated[int, Field(description="From 1 in your list of this cycle, without gaps.", examples=[1])]
    event: str
    at: datetime
    about: StoredFields
