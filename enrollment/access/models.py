"""Partners, staff, what they come in with (hashed or sealed), and the answers already given."""

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
    """An argon2 hash; None until the owner has set a password."""
    confirmed_at: Mapped[datetime | None]
    """When the owner last took up an invitation. The account approves nothing that began before."""
    sponsor: Mapped[str | None]
    """The administrator who alone handed out the code that the owner took up; None where two did."""
    unlocked_at: Mapped[datetime | None]
    """When another administrator forgave the wrong passwords and codes that were tried before."""
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
    proved_at: Mapped[datetime | None]
    """When the owner last proved in this session to be there. None: the session still lacks the second factor."""


class SessionUse(Table):
    """When a session was last used; apart, so that nobody who locks a session waits for a request that uses it."""

    __tablename__ = "session_use"

    token_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("staff_token.id"), primary_key=True)
    last_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Invitation(Table):
    """A code with which the owner of an account sets a password, once; of two parts where two people hand it out."""

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
    """A change of access that takes two administrators: asked for by one, approved or refused by another."""

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
    """The name and the roles that are asked for, where the change has any."""
    staff_version: Mapped[int | None]
    """The account as it was when the change was asked for; None: there was none."""
    reason: Mapped[str]
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of the part of the code that the asking administrator was shown."""
    asked_by: Mapped[str]
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    status: Mapped[str] = mapped_column(server_default="asked")
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    decision_reason: Mapped[str | None]


class AuthenticatorApp(Table):
    """The secret of an app that shows codes (TOTP), sealed; it counts once its owner has typed a code."""

    __tablename__ = "authenticator_app"

    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(default=uuid.uuid4, unique=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """The last half minute whose code was taken; a code of the same or an earlier one is taken no more."""


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
    """What a session's passkey has to sign next; taken away when it was answered, rightly or not."""

    __tablename__ = "passkey_challenge"
    __table_args__ = (CheckConstraint("purpose IN ('add', 'prove')", name="purpose"),)

    token_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("staff_token.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(primary_key=True)
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]


class RecoveryCode(Table):
    """A code that stands in for a lost second factor, once."""

    __tablename__ = "recovery_code"

    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[datetime | None]


class Attempts(Table):
    """How often something was tried of late, for an account, an address or both; the key is a keyed hash."""

    __tablename__ = "attempts"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    number: Mapped[int]
    since: Mapped[datetime] = mapped_column(index=True)


class KnownPlace(Table):
    """A device or an address from which the owner of an account has signed in; the key is a keyed hash."""

    __tablename__ = "known_place"

    staff_id: Mapped[str] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    last_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class SecurityEvent(Table):
    """What happened to accounts and sessions, and who read names. It only grows: triggers refuse every change."""

    __tablename__ = "security_event"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    """Identifies, and orders nothing: ids commit out of order."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), index=True)
    account: Mapped[str | None]
    """The account that acted or was tried, as the log of requests would name it: `staff:ann`, `partner:portal`."""
    event: Mapped[str]
    about: Mapped[Document]
    address: Mapped[str | None]
    """A keyed hash of the client's address: the same address, the same hash."""


class SecurityPlace(Table):
    """An event's place in the security log, given when the log is read: no event comes later before another."""

    __tablename__ = "security_place"

    place: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(ForeignKey("security_event.id"), unique=True)


class GivenAnswer(Table):
    """The answer to a POST, to be given again if the same Idempotency-Key comes again."""

    __tablename__ = "given_answer"
    __table_args__ = (Index(None, "given_at"),)

    caller: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    roles: Mapped[str | None]
    """The roles of a member of the staff who acted; with others, the answer is not given again."""
    status: Mapped[int]
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    body: Mapped[str] = mapped_column(Text)
    given_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
