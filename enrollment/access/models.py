"""Partners, staff, their secrets (hashed) and the answers already given."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Table


class PartnerAccount(Table):
    """A site through which families come: its id is also its OAuth client id."""

    __tablename__ = "partner"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    active: Mapped[bool] = mapped_column(server_default="true")
    version: Mapped[int] = mapped_column(server_default="1")
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class PartnerSecret(Table):
    """One of a partner's secrets; two are valid at a time, so that one can be changed while the other is in use."""

    __tablename__ = "partner_secret"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    partner_id: Mapped[str] = mapped_column(ForeignKey("partner.id"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    revoked_at: Mapped[datetime | None]


class StaffAccount(Table):
    """A person who works for a school, an operator or the lottery."""

    __tablename__ = "staff"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    password: Mapped[str | None]
    """An argon2 hash; None until the person has set one."""
    failures: Mapped[int] = mapped_column(server_default="0")
    locked_until: Mapped[datetime | None]
    active: Mapped[bool] = mapped_column(server_default="true")
    version: Mapped[int] = mapped_column(server_default="1")
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class StaffRole(Table):
    """What a person may do: everything of a kind, or for one school, or for one operator and its schools."""

    __tablename__ = "staff_role"
    __table_args__ = (
        CheckConstraint("kind IN ('administrator', 'auditor', 'operator', 'school')", name="kind"),
        CheckConstraint("(kind = 'operator') = (operator_id IS NOT NULL)", name="operator"),
        CheckConstraint("(kind = 'school') = (school_id IS NOT NULL)", name="school"),
        UniqueConstraint("staff_id", "kind", "operator_id", "school_id", postgresql_nulls_not_distinct=True),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), index=True)
    kind: Mapped[str]
    operator_id: Mapped[str | None] = mapped_column(ForeignKey("operator.id"))
    school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id"))


class StaffToken(Table):
    """A session, or a personal token with scopes; only its digest is kept."""

    __tablename__ = "staff_token"
    __table_args__ = (CheckConstraint("kind IN ('session', 'personal')", name="kind"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), index=True)
    kind: Mapped[str]
    name: Mapped[str]
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class GivenAnswer(Table):
    """The answer to a POST, to be given again if the same Idempotency-Key comes again."""

    __tablename__ = "given_answer"
    __table_args__ = (Index(None, "given_at"),)

    caller: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int]
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    body: Mapped[str] = mapped_column(Text)
    given_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
