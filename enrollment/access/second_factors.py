"""Second factors: authenticator apps (TOTP, RFC 6238), passkeys and recovery codes.

The database's clock decides on app codes, with half a minute of tolerance on both sides. Each code works once.
"""

import base64
import hmac
import secrets
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from enrollment.access.accounts import lock_account
from enrollment.access.callers import SignedIn, Staff
from enrollment.access.derived_keys import Key, key_of, keys_of
from enrollment.access.guards import PresenceNeeded
from enrollment.access.models import AuthenticatorApp, Passkey, RecoveryCode
from enrollment.access.one_time_codes import digest_of_code, new_code
from enrollment.access.security_log import Actor, Event, record
from enrollment.database import clock
from enrollment.problems import Conflict, NotFound, Problem, sentence
from enrollment.settings import Settings

STEP_SECONDS = 30
TOLERATED_STEPS = (-1, 0, 1)
ISSUER = "Common Enrollment Lottery"
RECOVERY_CODES = 10
RECOVERY_GROUPS = 6
"""A code has 117 random bits, so a plain hash of it is safe to store."""
NONCE_BYTES = 12
SEALED_FOR = "second-factor"


class SecondFactorRefused(Problem):
    """The second factor is wrong, or was used before."""

    status = 403
    title = sentence("Second factor not accepted")
    detail = sentence(
        "Check the code, or use another passkey. Each code works once, for half a minute. Wait for the next code."
    )


class AppNotBegun(Conflict):
    """No authenticator app waits for confirmation."""

    title = sentence("No authenticator app to confirm")
    detail = sentence("Set up an authenticator app with POST /v1/second-factors/totp first.")


class LastSecondFactor(Conflict):
    """No second factor would remain."""

    title = sentence("Last second factor")
    detail = sentence("Your role needs a second factor. Add another second factor first, then remove this one.")


@dataclass(frozen=True, slots=True)
class Factors:
    """The second factors of an account."""

    app: AuthenticatorApp | None
    passkeys: list[Passkey]
    recovery_codes: int
    """The number of unused codes."""

    @property
    def all(self) -> "list[AuthenticatorApp | Passkey]":
        """Return the authenticator app, if any, and the passkeys."""
        return [*([self.app] if self.app else []), *self.passkeys]


class Sealed(StrEnum):
    """Whether an app's secret is sealed under the newest key."""

    BEFORE = "before"
    NOW = "now"
    UNREADABLE = "unreadable"
    """The app is sealed under a secret that is not set."""


@dataclass(frozen=True, slots=True)
class NewApp:
    """The secret of a new authenticator app, shown once."""

    secret: str
    uri: str


def factors_of(session: Session, staff_id: str) -> Factors:
    """Return the confirmed second factors of an account."""
    app = session.get(AuthenticatorApp, staff_id, populate_existing=True)
    passkeys = session.scalars(select(Passkey).where(Passkey.staff_id == staff_id).order_by(Passkey.made_at)).all()
    left = session.execute(
        select(func.count())
        .select_from(RecoveryCode)
        .where(RecoveryCode.staff_id == staff_id, RecoveryCode.used_at.is_(None))
    ).scalar_one()
    return Factors(app if app and app.confirmed_at else None, list(passkeys), left)


def refuse_unproved(by: SignedIn, settings: Settings) -> None:
    """Refuse to add a second factor without a fresh proof of an existing one.

    Raises:
        PresenceNeeded: so that a stolen session cannot add a second factor.
    """
    if not by.present and (by.has_factor or by.proved):
        raise PresenceNeeded(minutes=settings.presence_minutes)


def begin_app(session: Session, *, by: SignedIn, settings: Settings) -> NewApp:
    """Make the secret of a new authenticator app. The app counts after a code confirms it.

    Raises:
        PresenceNeeded: if the account has a second factor without a fresh proof.
        AppThere: if the account has an authenticator app.
    """
    refuse_unproved(by, settings)
    lock_account(session, by.id)
    app = session.get(AuthenticatorApp, by.id, populate_existing=True)
    if app is not None and app.confirmed_at is not None:
        raise AppThere
    secret = pyotp.random_base32()
    if app is None:
        app = AuthenticatorApp(staff_id=by.id, id=uuid.uuid4(), last_step=0)
        session.add(app)
    app.sealed = seal(secret, staff_id=by.id, settings=settings)
    session.flush()
    return NewApp(secret, pyotp.TOTP(secret).provisioning_uri(name=by.id, issuer_name=ISSUER))


class AppThere(Conflict):
    """The account has an authenticator app already."""

    title = sentence("Authenticator app already set up")
    detail = sentence(
        "Add a passkey as another second factor. To replace the app, remove it with DELETE /v1/second-factors first."
    )


def confirm_app(session: Session, code: str, *, by: SignedIn, settings: Settings) -> bool:
    """Confirm a new authenticator app with a code that it shows. Say whether the code was right.

    Raises:
        PresenceNeeded: as in `begin_app`.
        AppNotBegun: if no app waits for confirmation.
    """
    refuse_unproved(by, settings)
    app = session.get(AuthenticatorApp, by.id, populate_existing=True)
    if app is None or app.confirmed_at is not None:
        raise AppNotBegun
    now = clock(session)
    if not _is_right(app, code, now, settings):
        return False
    app.confirmed_at = now
    session.flush()
    record(session, Event.FACTOR_ADDED, by, {"factor": "app"})
    return True


def app_code_is_right(session: Session, staff_id: str, code: str, settings: Settings) -> bool:
    """Say whether an app code is right now and unused. Call it with the account locked."""
    app = session.get(AuthenticatorApp, staff_id, populate_existing=True)
    return app is not None and app.confirmed_at is not None and _is_right(app, code, clock(session), settings)


def _is_right(app: AuthenticatorApp, code: str, now: datetime, settings: Settings) -> bool:
    secret = unseal(app.sealed, staff_id=app.staff_id, settings=settings)
    if secret is None:
        return False
    seal_anew(app, settings)
    codes, this = pyotp.TOTP(secret), int(now.timestamp()) // STEP_SECONDS
    for step in (this + by for by in TOLERATED_STEPS):
        if step > app.last_step and hmac.compare_digest(codes.at(step * STEP_SECONDS), code):
            app.last_step = step
            return True
    return False


def recovery_code_is_right(session: Session, staff_id: str, code: str, *, by: Actor) -> bool:
    """Use up a recovery code. Say whether it was right."""
    found = session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.staff_id == staff_id,
            RecoveryCode.digest == digest_of_code(code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=func.clock_timestamp())
        .returning(RecoveryCode.staff_id)
    ).first()
    if found is not None:
        record(session, Event.RECOVERY_CODE_USED, by)
    return found is not None


def new_recovery_codes(session: Session, staff_id: str, *, by: Actor) -> list[str]:
    """Replace the recovery codes, and return the new codes, to be shown once."""
    lock_account(session, staff_id)
    codes = [new_code(RECOVERY_GROUPS) for _ in range(RECOVERY_CODES)]
    session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))
    session.add_all(RecoveryCode(staff_id=staff_id, digest=digest_of_code(code)) for code in codes)
    session.flush()
    record(session, Event.RECOVERY_CODES_MADE, by)
    return codes


def remove_factor(session: Session, factor: uuid.UUID, *, by: Staff, needed: bool) -> None:
    """Remove a passkey or the authenticator app of the caller.

    Args:
        session: the transaction.
        factor: the id of the second factor.
        by: the caller.
        needed: whether the account needs a second factor.

    Raises:
        NotFound: if the caller has no such second factor.
        LastSecondFactor: if the account needs a second factor, and this one is the last.
    """
    lock_account(session, by.id)
    has = factors_of(session, by.id)
    rows = has.all
    found = [row for row in rows if row.id == factor]
    if not found:
        raise NotFound
    if needed and len(rows) == 1:
        raise LastSecondFactor
    session.delete(found[0])
    if len(rows) == 1:
        session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == by.id))
    session.flush()
    record(session, Event.FACTOR_REMOVED, by, {"factor": "app" if found[0] is has.app else "passkey"})


def seal(secret: str, *, staff_id: str, settings: Settings) -> bytes:
    """Encrypt an app's secret for its account, so that a copy of the database alone shows no codes."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key_of(settings, SEALED_FOR).key).encrypt(nonce, base64.b32decode(secret), staff_id.encode())


def unseal(sealed: bytes, *, staff_id: str, settings: Settings) -> str | None:
    """Decrypt an app's secret. Return None if it was sealed under a secret that is not set."""
    for key in keys_of(settings, SEALED_FOR):
        raw = _decrypted(sealed, staff_id, key)
        if raw is not None:
            return base64.b32encode(raw).decode()
    return None


def _decrypted(sealed: bytes, staff_id: str, key: Key) -> bytes | None:
    with suppress(InvalidTag):
        return AESGCM(key.key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], staff_id.encode())
    return None


def seal_anew(app: AuthenticatorApp, settings: Settings) -> Sealed:
    """Seal an app's secret under the newest key if needed. Call it with the account locked."""
    if _decrypted(app.sealed, app.staff_id, key_of(settings, SEALED_FOR)) is not None:
        return Sealed.BEFORE
    secret = unseal(app.sealed, staff_id=app.staff_id, settings=settings)
    if secret is None:
        return Sealed.UNREADABLE
    app.sealed = seal(secret, staff_id=app.staff_id, settings=settings)
    return Sealed.NOW
