"""The tables of zones, and of new zones that wait for a second administrator."""

import uuid
from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Table


class AreaColumns:
    """The columns of an attendance area, for some grades; WGS84."""

    id: Mapped[str] = mapped_column(primary_key=True)
    """The zone's id."""
    part: Mapped[int] = mapped_column(primary_key=True)
    """The number of the area; a zone may have an area for each grade band."""
    name: Mapped[str | None]
    school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id"), index=True)
    grades: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """The grades of the area; None: all grades."""
    vintage: Mapped[str]
    shape: Mapped[bytes] = mapped_column(LargeBinary)
    """Polygon or MultiPolygon as WKB, longitude before latitude."""


class Zone(AreaColumns, Table):
    """An attendance area of a cycle."""

    __tablename__ = "zone"

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)


class ZonesChange(Table):
    """New zones for a cycle that has opened: proposed by one administrator, approved or refused by another."""

    __tablename__ = "zones_change"
    __table_args__ = (
        CheckConstraint("status IN ('proposed', 'approved', 'refused')", name="status"),
        CheckConstraint("decided_by IS NULL OR status = 'refused' OR decided_by <> proposed_by", name="two_people"),
        CheckConstraint("(status = 'proposed') = (decided_by IS NULL)", name="decided"),
        CheckConstraint("btrim(reason) <> ''", name="reason"),
        Index("uq_zones_change_proposed", "cycle_id", unique=True, postgresql_where="status = 'proposed'"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    """The hash of the file."""
    status: Mapped[str]
    actor: Mapped[str]
    proposed_by: Mapped[str]
    """The account, so that nobody approves their own change."""
    reason: Mapped[str]
    at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]


class ProposedZone(AreaColumns, Table):
    """An area of a change that waits. Approving the change moves it to the zones of the cycle."""

    __tablename__ = "proposed_zone"

    change_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("zones_change.id"), primary_key=True)
