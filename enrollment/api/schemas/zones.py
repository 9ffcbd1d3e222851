"""Zones on the wire."""

from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Wire
from enrollment.stored_values import StoredTexts

Found = Literal["point", "border", "no zone", "no zones"]


class ZoneOut(Wire):
    """A zone of a cycle, or one of its shapes where it has several for different grades."""

    zone: str
    name: str | None
    school: Annotated[str | None, Field(description="Whose zone it is; null: nobody's, such as a ring of distance.")]
    grades: Annotated[StoredTexts | None, Field(description="The grades that it is for; null: all.")]
    vintage: str


class ZonesAtPointOut(Wire):
    """The zones that a point is in."""

    cycle: str
    grade: str | None
    vintage: Annotated[str | None, Field(description="The newest vintage among the cycle's zones.")]
    found: Annotated[
        Found,
        Field(
            description="`point`: inside; `border`: on a border, and every zone that touches it is listed; `no zone`: "
            "in none of the cycle's zones; `no zones`: the cycle has none."
        ),
    ]
    zones: list[ZoneOut]
    detail: Annotated[str, Field(description="The same in a sentence, in the reader's language.")]


class ImportFaultOut(Wire):
    """One thing that is wrong with a file."""

    pointer: Annotated[str, Field(description="JSON pointer into the file.", examples=["/features/12/geometry"])]
    code: str
    detail: str


class ZonesImportOut(Wire):
    """What became of a file of zones, or would become of it."""

    cycle: str
    applied: Annotated[bool, Field(description="False: this was a dry run, or there are faults; nothing was changed.")]
    usable: bool
    zones: Annotated[int, Field(description="Zones in the file.")]
    shapes: Annotated[int, Field(description="Their shapes; a zone may have one for each band of grades.")]
    faults: Annotated[list[ImportFaultOut], Field(description="What to correct; with any, nothing is applied.")]
    notes: Annotated[list[ImportFaultOut], Field(description="What is allowed, and may still not be meant.")]
