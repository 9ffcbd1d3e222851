"""The tables of operators, schools, programs, participation and offerings."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Float, ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Table


class Operator(Table):
    """An organization that runs schools: a district, a charter network, or the board of a stand-alone charter."""

    __tablename__ = "operator"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")


class School(Table):
    """A school of the city's directory. A school in the directory need not take part in a cycle."""

    __tablename__ = "school"
    __table_args__ = (
        CheckConstraint("sector IN ('district', 'charter')", name="sector"),
        CheckConstraint("nces_id ~ '^[0-9]{12}$'", name="nces_id"),
        CheckConstraint("(longitude IS NULL) = (latitude IS NULL)", name="point"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    operator_id: Mapped[str] = mapped_column(ForeignKey("operator.id"), index=True)
    name: Mapped[str]
    sector: Mapped[str]
    nces_id: Mapped[str | None]
    """Schools that share a building may share the id."""
    longitude: Mapped[float | None] = mapped_column(Float)
    latitude: Mapped[float | None] = mapped_column(Float)
    version: Mapped[int] = mapped_column(server_default="1")


class Program(Table):
    """One school's seats at one grade (and track)."""

    __tablename__ = "program"

    id: Mapped[str] = mapped_column(primary_key=True)
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id"), index=True)
    grade: Mapped[str]
    track: Mapped[str | None]
    name: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")


class Participation(Table):
    """Whether a school takes part in a cycle with a grade."""

    __tablename__ = "participation"
    __table_args__ = (CheckConstraint("status IN ('in', 'out')", name="status"),)

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id"), primary_key=True)
    grade: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    agreement_version: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class ParticipationVersion(Table):
    """How often a school's participation in a cycle changed; its ETag is this number."""

    __tablename__ = "participation_version"

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id"), primary_key=True)
    version: Mapped[int]


class Offering(Table):
    """A program in a cycle: whether it takes part, and which version of its rules is in force."""

    __tablename__ = "offering"
    __table_args__ = (CheckConstraint("status IN ('in', 'out')", name="status"),)

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    program_id: Mapped[str] = mapped_column(ForeignKey("program.id"), primary_key=True)
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id"), index=True)
    grade: Mapped[str]
    status: Mapped[str]
    reason: Mapped[str | None]
    """Why the program left the cycle."""
    rules_version: Mapped[int | None]
    """None: the program has no usable rules yet."""
    seats: Mapped[int | None]
