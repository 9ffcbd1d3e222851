"""The table of zones."""

from sqlalchemy import (
    ForeignKey,
    LargeBinary,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Table


class Zone(Table):
    """An attendance area of a cycle, for some grades; WGS84."""

    __tablename__ = "zone"

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True)
    """The number of the area; a zone may have an area for each grade band."""
    name: Mapped[str | None]
    school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id"), index=True)
    grades: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """The grades of the area; None: all grades."""
    vintage: Mapped[str]
    shape: Mapped[bytes] = mapped_column(LargeBinary)
    """Polygon or MultiPolygon as WKB, longitude before latitude."""
