"""Answers about zones."""

from typing import Annotated, Literal

from pydantic import Field

from enrollment.field_types import Wire
from enrollment.stored_values import StoredTexts

Found = Literal["point", "border", "no zone", "no zones"]


class ZoneOut(Wire):
    """A zone of a cycle, or one area of a zone that has separate areas for different grades."""

    zone: str
    name: str | None
    school: Annotated[
        str | None, Field(description="The school that owns the zone; null: no school, such as a distance ring.")
    ]
    grades: Annotated[StoredTexts | None, Field(description="The grades of the zone; null: all grades.")]
    vintage: str


class ZonesAtPointOut(Wire):
    """The zones of a point."""

    cycle: str
    grade: str | None
    vintage: Annotated[str | None, Field(description="The newest vintage among the cycle's zones.")]
    found: Annotated[
        Found,
        Field(
            description="`point`: the point is inside the listed zones. `border`: the point is on a border, and the "
            "list has every zone that touches it. `no zone`: the point is outside all zones of the cycle. `no zones`: "
            "the cycle has no zones."
        ),
    ]
    zones: list[ZoneOut]
    detail: Annotated[str, Field(description="The result in a sentence, in the reader's language.")]


class ImportFaultOut(Wire):
    """A fault of a file, or a note about it."""

    pointer: Annotated[str, Field(description="A JSON pointer into the file.", examples=["/features/12/geometry"])]
    code: str
    detail: str


class OutsideZonesOut(Wire):
    """The schools and addresses that lie in no zone of a file."""

    schools: Annotated[list[str], Field(description="The schools of the directory whose point is in no zone.")]
    addresses: Annotated[int, Field(description="The number of applicants whose addresses are all in no zone.")]


class ZonesImportOut(Wire):
    """The result of an import of zones, or of its dry run."""

    cycle: str
    applied: Annotated[bool, Field(description="False: a dry run, or a file with faults; nothing changed.")]
    usable: bool
    zones: Annotated[int, Field(description="The number of zones in the file.")]
    shapes: Annotated[int, Field(description="The number of areas; a zone may have an area for each grade band.")]
    faults: Annotated[list[ImportFaultOut], Field(description="Faults to correct; a file with faults is not imported.")]
    notes: Annotated[list[ImportFaultOut], Field(description="Points that are allowed but may be mistakes.")]
    outside: Annotated[
        OutsideZonesOut | None, Field(description="What lies in no zone of the file; null: the file is not usable.")
    ] = None
