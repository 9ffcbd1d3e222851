"""Accounts: invitations, changes that take two, second factors, limits of sign-in, and the security log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NEW = (
    "session_use",
    "passkey_challenge",
    "staff_invitation",
    "security_place",
    "recovery_code",
    "passkey",
    "known_place",
    "authenticator_app",
    "security_event",
    "attempts",
    "access_change",
)
"""The new tables, in an order in which they can be dropped."""

ONLY_GROW = ("security_event", "security_place")


def upgrade() -> None:
    """Go forward. Accounts and passwords stay; administrators set up a second factor when they next sign in."""
    op.create_table(
        "access_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("about", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("staff_version", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), server_default="asked", nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", sa.String(), nullable=True),
        sa.CheckConstraint("status <> 'approved' OR decided_by <> asked_by", name=op.f("ck_access_change_two_people")),
        sa.CheckConstraint(
            "status IN ('asked', 'approved', 'refused', 'expired')", name=op.f("ck_access_change_status")
        ),
        sa.CheckConstraint("what IN ('make', 'roles', 'reset', 'close')", name=op.f("ck_access_change_what")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_change")),
    )
    op.create_index(
        "uq_access_change_asked", "access_change", ["staff_id"], unique=True, postgresql_where="status = 'asked'"
    )
    op.create_table(
        "attempts",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attempts")),
    )
    op.create_index(op.f("ix_attempts_since"), "attempts", ["since"], unique=False)
    op.create_table(
        "security_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("account", sa.String(), nullable=True),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("about", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_event")),
    )
    op.create_index(op.f("ix_security_event_at"), "security_event", ["at"], unique=False)
    op.create_table(
        "authenticator_app",
        sa.Column("staff_id", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_authenticator_app_staff_id")),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_authenticator_app")),
        sa.UniqueConstraint("id", name=op.f("uq_authenticator_app_id")),
    )
    op.create_table(
        "known_place",
        sa.Column("staff_id", sa.String(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_known_place_staff_id")),
        sa.PrimaryKeyConstraint("staff_id", "key", name=op.f("pk_known_place")),
    )
    op.create_table(
        "passkey",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_passkey_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkey")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkey_credential_id")),
    )
    op.create_index(op.f("ix_passkey_staff_id"), "passkey", ["staff_id"], unique=False)
    op.create_table(
        "recovery_code",
        sa.Column("staff_id", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_recovery_code_staff_id")),
        sa.PrimaryKeyConstraint("staff_id", "digest", name=op.f("pk_recovery_code")),
    )
    op.create_table(
        "security_place",
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["security_event.id"], name=op.f("fk_security_place_event_id")),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_security_place")),
        sa.UniqueConstraint("event_id", name=op.f("uq_security_place_event_id")),
    )
    op.create_table(
        "staff_invitation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("staff_id", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("second_digest", sa.LargeBinary(), nullable=True),
        sa.Column("sponsor", sa.String(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name=op.f("fk_staff_invitation_staff_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_staff_invitation")),
    )
    op.create_index(op.f("ix_staff_invitation_staff_id"), "staff_invitation", ["staff_id"], unique=False)
    op.create_table(
        "passkey_challenge",
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("purpose IN ('add', 'prove')", name=op.f("ck_passkey_challenge_purpose")),
        sa.ForeignKeyConstraint(["token_id"], ["staff_token.id"], name=op.f("fk_passkey_challenge_token_id")),
        sa.PrimaryKeyConstraint("token_id", "purpose", name=op.f("pk_passkey_challenge")),
    )
    op.create_table(
        "session_use",
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["staff_token.id"], name=op.f("fk_session_use_token_id")),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_session_use")),
    )
    op.add_column("given_answer", sa.Column("roles", sa.String(), nullable=True))
    op.add_column("staff", sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("staff", sa.Column("sponsor", sa.String(), nullable=True))
    op.add_column("staff", sa.Column("unlocked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("staff_token", sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_column("staff", "failures")
    op.drop_column("staff", "locked_until")
    op.add_column("round", sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("round", sa.Column("void_asked_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE staff SET confirmed_at = made_at WHERE password IS NOT NULL")
    op.execute("UPDATE staff_token SET proved_at = made_at WHERE kind = 'session'")
    op.execute(
        "INSERT INTO session_use (token_id) SELECT id FROM staff_token "
        "WHERE kind = 'session' AND revoked_at IS NULL AND expires_at > clock_timestamp()"
    )
    running = (
        "state NOT IN ('published', 'void')"  # what a round has done stays, so the others keep their columns empty
    )
    op.execute(
        f"UPDATE round SET asked_at = coalesce(matched_at, clock_timestamp()) WHERE asked_by IS NOT NULL AND {running}"
    )
    op.execute(f"UPDATE round SET void_asked_at = clock_timestamp() WHERE void_asked_by IS NOT NULL AND {running}")
    for table in ONLY_GROW:
        op.execute(
            f"CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change_of_log()"
        )
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_log()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER only_grows")
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER never_emptied")


def downgrade() -> None:
    """Go back. Accounts that nobody has confirmed have no password, and stay closed to everybody."""
    op.drop_column("round", "void_asked_at")
    op.drop_column("round", "asked_at")
    op.add_column("staff", sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("staff", sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    op.drop_column("staff_token", "proved_at")
    op.drop_column("staff", "unlocked_at")
    op.drop_column("staff", "sponsor")
    op.drop_column("staff", "confirmed_at")
    op.drop_column("given_answer", "roles")
    for table in NEW:
        op.drop_table(table)
