"""Operators, schools, programs; zones; who takes part; the rules in every version."""

import uuid
from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Document, Table


class Operator(Table):
    """Who runs schools: a district, a charter network, a stand-alone charter's board."""

    __tablename__ = "operator"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    version: Mapped[int] = mapped_column(server_default="1")


class School(Table):
    """A school of the city's directory, whether it takes part or not."""

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
    nces_id: Mapped[str | None] = mapped_column(unique=True)
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


class Zone(Table):
    """An attendance area of a cycle, for some grades; WGS84."""

    __tablename__ = "zone"

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    part: Mapped[int] = mapped_column(primary_key=True)
    """A zone may have several shapes, one a grade band."""
    name: Mapped[str | None]
    school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id"), index=True)
    grades: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """The grades that it is for; None: all."""
    vintage: Mapped[str]
    shape: Mapped[bytes] = mapped_column(LargeBinary)
    """Polygon or MultiPolygon as WKB, longitude before latitude."""


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
    """How often a school's participation in a cycle was put: what its ETag counts."""

    __tablename__ = "participation_version"

    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"), primary_key=True)
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id"), primary_key=True)
    version: Mapped[int]


class RulesSaid(Table):
    """What one level (operator, school, program) says of its rules in a cycle; every save is a version."""

    __tablename__ = "rules_said"
    __table_args__ = (
        CheckConstraint("level IN ('operator', 'school', 'program')", name="level"),
        CheckConstraint("status IN ('in force', 'proposed', 'refused', 'replaced')", name="status"),
        Index(
            "uq_rules_said_in_force",
            "cycle_id",
            "level",
            "subject_id",
            unique=True,
            postgresql_where="status = 'in force'",
        ),
        Index(
            "uq_rules_said_proposed",
            "cycle_id",
            "level",
            "subject_id",
            unique=True,
            postgresql_where="status = 'proposed'",
        ),
        UniqueConstraint("cycle_id", "level", "subject_id", "version"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    level: Mapped[str]
    subject_id: Mapped[str]
    """The operator's, school's or program's id."""
    version: Mapped[int]
    said: Mapped[Document]
    status: Mapped[str]
    actor: Mapped[str]
    proposed_by: Mapped[str]
    """The account, so that nobody approves their own change."""
    reason: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]


class ProgramRules(Table):
    """A program's rules in force, resolved, in one version: what the log has, and the freeze takes the last of."""

    __tablename__ = "program_rules"
    __table_args__ = (ForeignKeyConstraint(["cycle_id", "program_id"], ["offering.cycle_id", "offering.program_id"]),)

    cycle_id: Mapped[str] = mapped_column(primary_key=True)
    program_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    rules: Mapped[Document]
    """As the school says them, every part resolved."""
    came_from: Mapped[dict[str, str]] = mapped_column(JSONB)
    market: Mapped[Document]
    """The same in market form, for a main round."""
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary)
    """Of the entry that told of them."""
    actor: Mapped[str]
    reason: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


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
    """Why it is out, where it left."""
    rules_version: Mapped[int | None]
    """None: no rules that could be used yet."""
    seats: Mapped[int | None]
