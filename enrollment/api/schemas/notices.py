"""Notices in answers."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from enrollment.field_types import Wire
from enrollment.stored_values import StoredFields


class NoticeOut(Wire):
    """News for a family. It has ids only."""

    id: int
    number: Annotated[
        int, Field(description="The number in your list of this cycle: 1, 2, 3, without gaps.", examples=[1])
    ]
    event: str
    at: datetime
    about: StoredFields
