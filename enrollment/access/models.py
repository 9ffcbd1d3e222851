"""Tables of partners, staff, credentials (hashed or sealed), the security log and stored answers."""

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from enrollment.database import Document, Table


class PartnerAccount(Table):
    """A site through which families apply. Its id is also its OAuth client id."""

    __tablename__ = "partner"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    active: Mapped[bool] = mapped_column(server_default="true")
    version: Mapped[int] = mapped_column(server_default="1")
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class PartnerSecret(Table):
    """A secret of a partner. Two may be valid, so a partner can replace one while it uses the other."""

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
    """An argon2 hash; None until the owner has set a password."""
    confirmed_at: Mapped[datetime | None]
    """When the owner last accepted an invitation. The account cannot approve earlier requests."""
    sponsor: Mapped[str | None]
    """The administrator who handed out the invitation code alone; None if two did."""
    unlocked_at: Mapped[datetime | None]
    """When another administrator last unlocked the account."""
    active: Mapped[bool] = mapped_column(server_default="true")
    version: Mapped[int] = mapped_column(server_default="1")
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class StaffRole(Table):
    """A role of a person: for everything, for one operator and its schools, or for one school."""

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
    """A session or a personal token. Only its digest is stored."""

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
    proved_at: Mapped[datetime | None]
    """The last proof of presence in this session; None while the second factor is missing."""


class SessionUse(Table):
    """The last use of a session. A separate table, so that locking a session never waits for a request that uses it."""

    __tablename__ = "session_use"

    token_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("staff_token.id"), primary_key=True)
    last_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Invitation(Table):
    """A one-time code with which an owner sets a password. It has two parts if two people hand it out."""

    __tablename__ = "staff_invitation"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), index=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    second_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    sponsor: Mapped[str | None]
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class AccessChange(Table):
    """An access change: one administrator requests it, another approves or refuses it."""

    __tablename__ = "access_change"
    __table_args__ = (
        CheckConstraint("what IN ('make', 'roles', 'reset', 'close')", name="what"),
        CheckConstraint("status IN ('asked', 'approved', 'refused', 'expired')", name="status"),
        CheckConstraint("status <> 'approved' OR decided_by <> asked_by", name="two_people"),
        Index("uq_access_change_asked", "staff_id", unique=True, postgresql_where="status = 'asked'"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    staff_id: Mapped[str]
    what: Mapped[str]
    about: Mapped[Document]
    """The requested name and roles, if any."""
    staff_version: Mapped[int | None]
    """The account's version at the time of the request; None for a new account."""
    reason: Mapped[str]
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The digest of the requester's part of the code."""
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(server_default="asked")
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]


class AuthenticatorApp(Table):
    """The sealed secret of an authenticator app (TOTP). It counts after its owner has confirmed a code."""

    __tablename__ = "authenticator_app"

    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4, unique=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The last half minute whose code was used. Codes of it and of earlier half minutes no longer work."""


class Passkey(Table):
    """A passkey (WebAuthn)."""

    __tablename__ = "passkey"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), index=True)
    name: Mapped[str]
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class PasskeyChallenge(Table):
    """The challenge that a session's passkey must sign next. Any answer deletes it."""

    __tablename__ = "passkey_challenge"
    __table_args__ = (CheckConstraint("purpose IN ('add', 'prove')", name="purpose"),)

    token_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("staff_token.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]


class RecoveryCode(Table):
    """A code that replaces a lost second factor once."""

    __tablename__ = "recovery_code"

    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[datetime | None]


class Attempts(Table):
    """Recent attempts for an account, an address or both. The key is a keyed hash."""

    __tablename__ = "attempts"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    number: Mapped[int]
    since: Mapped[datetime] = mapped_column(index=True)


class KnownPlace(Table):
    """A device or an address from which an owner has signed in. The key is a keyed hash."""

    __tablename__ = "known_place"

    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    last_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class SecurityEvent(Table):
    """An event of the security log. The table only grows: triggers refuse every change."""

    __tablename__ = "security_event"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """An id without an order, because ids commit out of order."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), index=True)
    account: Mapped[str | None]
    """The account that acted or was tried, for example `staff:ann` or `partner:portal`."""
    event: Mapped[str]
    about: Mapped[Document]
    address: Mapped[str | None]
    """A keyed hash of the client address. The same address has the same hash."""


class SecurityPlace(Table):
    """The place of an event in the security log, given when the log is read, so that the order never changes."""

    __tablename__ = "security_place"

    place: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(ForeignKey("security_event.id"), unique=True)


class GivenAnswer(Table):
    """The answer to a POST, repeated if the same Idempotency-Key comes again."""

    __tablename__ = "given_answer"
    __table_args__ = (Index(None, "given_at"),)

    caller: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    roles: Mapped[str | None]
    """The roles of the staff member who acted. With other roles the answer is not repeated."""
    status: Mapped[int]
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    body: Mapped[str] = mapped_column(Text)
    given_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
