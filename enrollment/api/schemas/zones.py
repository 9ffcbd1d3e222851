"""Answers about zones."""

import uuid
from datetime import datetime
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
    """The schools and children whose addresses lie in no zone of a file."""

    schools: Annotated[list[str], Field(description="The schools of the directory whose point is in no zone.")]
    children: Annotated[int, Field(description="The number of children whose addresses are all in no zone.")]


class ZonesShiftOut(Wire):
    """How many children of a program come to meet a part of its rules, and how many no longer do."""

    part: Annotated[Literal["eligible", "class", "reserve"], Field(description="The part of the rules.")]
    name: Annotated[str | None, Field(description="The class or the reserve; null for `eligible`.")]
    gain: int
    lose: int


class ZonesProgramEffectOut(Wire):
    """What new zones change at one program."""

    program: str
    children: Annotated[int, Field(description="The children who rank the program and stand differently there.")]
    shifts: list[ZonesShiftOut]


class ZonesEffectOut(Wire):
    """What new zones change for the children of a cycle, in numbers."""

    children: Annotated[int, Field(description="The children with an active application.")]
    changed: Annotated[int, Field(description="The children whose zones change.")]
    without_zone: Annotated[int, Field(description="The children who had a zone and have none in the new file.")]
    set_by_staff: Annotated[int, Field(description="The children whose zones staff set. They keep these zones.")]
    set_by_staff_lost: Annotated[int, Field(description="Those of them with a zone that the new file does not have.")]
    programs: list[ZonesProgramEffectOut]
    rules: Annotated[
        list[ImportFaultOut],
        Field(
            description="Rules that need a zone that the file does not have. The file cannot be used while there are."
        ),
    ]


ZonesChangeStatus = Literal["proposed", "approved", "refused"]


class ZonesChangeOut(Wire):
    """New zones for a cycle that has opened."""

    id: uuid.UUID
    cycle: str
    sha256: Annotated[str, Field(description="The hash of the file, as the log has it once the zones are in force.")]
    status: ZonesChangeStatus
    actor: str
    proposed_by: str
    reason: str
    at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None


class ZonesChangeDetailOut(ZonesChangeOut):
    """New zones for a cycle that has opened, and what they change for whom."""

    effect: Annotated[
        ZonesEffectOut | None,
        Field(description="What the zones change, computed now; null: the change was decided earlier."),
    ]


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
    effect: Annotated[
        ZonesEffectOut | None,
        Field(description="What the file changes for children who applied; null: the cycle has not opened."),
    ] = None
    change: Annotated[
        ZonesChangeOut | None, Field(description="The proposal that waits for a second administrator.")
    ] = None
