"""The tables of children, households, applications and claims. Personal data has a table of its own."""

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Documents, Table


class Child(Table):
    """A child in a cycle. The lottery number comes from the tag. A child who starts over keeps the tag."""

    __tablename__ = "child"
    __table_args__ = (UniqueConstraint("cycle_id", "sis_digest"), CheckConstraint("length(tag) = 16", name="tag"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    tag: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    """16 random bytes."""
    sis_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    """A keyed digest of the child's id in the student information system."""
    last_leaf: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The leaf hash of the last ranking entry with this tag."""
    seat_grade: Mapped[str | None]
    """The grade of the seat that the child holds. None: the child holds no seat."""


class Household(Table):
    """Children who live together. With its code, another guardian's application can join."""

    __tablename__ = "household"
    __table_args__ = (UniqueConstraint("cycle_id", "partner_id", "reference"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    partner_id: Mapped[str] = mapped_column(ForeignKey("partner.id"))
    reference: Mapped[str]
    """The partner's own id of the household."""
    code: Mapped[str] = mapped_column(unique=True)
    ticket: Mapped[str] = mapped_column(unique=True)
    """The random id of the household in markets."""


class Applicant(Table):
    """One child's application in one cycle, under the partner's own reference."""

    __tablename__ = "applicant"
    __table_args__ = (
        UniqueConstraint("cycle_id", "partner_id", "reference"),
        Index("uq_applicant_live_child", "child_id", unique=True, postgresql_where="withdrawn_at IS NULL"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    partner_id: Mapped[str] = mapped_column(ForeignKey("partner.id"))
    reference: Mapped[str]
    child_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("child.id"), index=True)
    grade: Mapped[str]
    attends: Mapped[str | None]
    """The present school: an id from the directory, or any id of a school outside it."""
    household_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("household.id"), index=True)
    together: Mapped[bool]
    zones: Mapped[list[str]] = mapped_column(ARRAY(Text))
    zone_method: Mapped[str]
    """How the zones were found: `point`, `border`, `no zone`, `no address`, or `override`."""
    zone_vintage: Mapped[str | None]
    language: Mapped[str]
    facts_salt: Mapped[bytes] = mapped_column(LargeBinary)
    """The salt of the last commitment to the settled facts."""
    transfer_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The digest of the code with which the family can move the application to another partner."""
    ranking_version: Mapped[int | None]
    """The version of the ranking in force. None: the family submitted no ranking, or withdrew it."""
    withdrawn_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default="1")
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Person(Table):
    """Names, birth dates, addresses and contacts. No other table has them, and no match reads them.

    A withdrawn application erases the row. An application that comes back brings a new row.
    """

    __tablename__ = "person"

    applicant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("applicant.id"), primary_key=True)
    given_name: Mapped[str]
    family_name: Mapped[str]
    birth_date: Mapped[date]
    guardians: Mapped[Documents]
    addresses: Mapped[Documents]


class Claim(Table):
    """A fact that gives priority once it is approved."""

    __tablename__ = "claim"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'approved', 'denied')", name="status"),
        CheckConstraint(
            "(status = 'pending') = (decided_by IS NULL) AND (decided_by IS NULL) = (basis IS NULL)", name="decided"
        ),
        UniqueConstraint("applicant_id", "fact", "school_id", postgresql_nulls_not_distinct=True),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    cycle_id: Mapped[str] = mapped_column(ForeignKey("cycle.id"))
    applicant_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("applicant.id"), index=True)
    fact: Mapped[str]
    school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id"), index=True)
    """The school where the fact is true. None: the fact is about the child."""
    status: Mapped[str]
    made_by: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    basis: Mapped[str | None]
    reason: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default="1")
