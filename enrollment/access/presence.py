"""Proof of presence: ask for the second factor again before sensitive requests."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from sqlalchemy import update
from sqlalchemy.orm import Session

from enrollment.access.accounts import end_tokens, lock_account
from enrollment.access.attempt_limits import (
    AttemptLimit,
    clear_attempts,
    count_attempt,
    keep_and_refuse,
    seconds_until,
)
from enrollment.access.callers import SignedIn, Staff
from enrollment.access.client_addresses import keyed
from enrollment.access.digests import digest_of
from enrollment.access.inputs import PasskeyIn, PasswordChangeIn, ProofIn
from enrollment.access.models import StaffAccount, StaffToken
from enrollment.access.passkeys import add_passkey, passkey_is_right
from enrollment.access.passwords import hash_of, is_right, places_of_staff, refuse_guessable
from enrollment.access.second_factors import (
    SecondFactorRefused,
    app_code_is_right,
    confirm_app,
    factors_of,
    new_recovery_codes,
    recovery_code_is_right,
)
from enrollment.access.security_log import Event, record
from enrollment.database import clock
from enrollment.problems import Fault, MalformedBody, Problem, Unauthenticated, sentence
from enrollment.settings import Settings

MAX_PROOFS = 10
"""Second factor attempts in 15 minutes. An attempt needs the right password first."""


@dataclass(frozen=True, slots=True)
class Proved:
    """The end of a proof, and the new session token."""

    until: datetime
    token: str


@dataclass(frozen=True, slots=True)
class Added:
    """Recovery codes of the first second factor, and the new session token."""

    recovery_codes: list[str] | None
    token: str


class TooManyProofs(Problem):
    """Too many second factor attempts."""

    status = 429
    title = sentence("Too many attempts")
    detail = sentence(
        "Wait {seconds} seconds and try again. If someone else made these attempts, tell an administrator."
    )


class PasswordRefused(Problem):
    """The current password is wrong."""

    status = 403
    title = sentence("Password not accepted")
    detail = sentence("Check your current password. If you forgot it, ask an administrator for a new code.")


def prove_presence(session: Session, proof: ProofIn, *, by: SignedIn, settings: Settings) -> Proved:
    """Accept a proof of presence. Return its end, and the new session token.

    Raises:
        MalformedBody: unless exactly one proof was sent.
        SecondFactorRefused: if the proof is wrong. The attempt counts.
        TooManyProofs: after ten attempts in 15 minutes.
    """
    if len(proof.kinds) != 1:
        detail = sentence("Send one proof: a code, a recovery code, a passkey, or a password.")
        raise MalformedBody(faults=[Fault("", "one-proof", detail)])
    account, limit, now = _begin(session, by, settings)
    kind = proof.kinds[0]
    if not _is_proof(session, account, proof, by=by, settings=settings):
        _refuse(session, by, kind)
    clear_attempts(session, limit)
    token = _mark(session, by, now)
    record(session, Event.PROVED, by, {"by": kind})
    return Proved(now + timedelta(minutes=settings.presence_minutes), token)


def _is_proof(session: Session, account: StaffAccount, proof: ProofIn, *, by: SignedIn, settings: Settings) -> bool:
    if proof.code is not None:
        return app_code_is_right(session, by.id, proof.code, settings)
    if proof.recovery_code is not None:
        return recovery_code_is_right(session, by.id, proof.recovery_code, by=by)
    if proof.passkey is not None:
        return passkey_is_right(session, proof.passkey, by=by, settings=settings)
    # An account with a second factor cannot use the password as a proof.
    return not by.has_factor and is_right(account.password, proof.password or "")


def finish_app(session: Session, code: str, *, by: SignedIn, settings: Settings) -> Added:
    """Confirm a new authenticator app. Return recovery codes with the first second factor.

    Raises:
        PresenceNeeded, AppNotBegun, SecondFactorRefused, TooManyProofs: if the app cannot be confirmed.
    """
    _, limit, now = _begin(session, by, settings)
    if not confirm_app(session, code, by=by, settings=settings):
        _refuse(session, by, "code")
    clear_attempts(session, limit)
    return _added(session, by, now)


def finish_passkey(session: Session, body: PasskeyIn, *, by: SignedIn, settings: Settings) -> Added:
    """Add a passkey. Return recovery codes with the first second factor.

    Raises:
        PresenceNeeded, TooManyPasskeys, PasskeyThere, SecondFactorRefused, TooManyProofs: if the passkey cannot be
            added.
    """
    _, limit, now = _begin(session, by, settings)
    if not add_passkey(session, body, by=by, settings=settings):
        _refuse(session, by, "passkey")
    clear_attempts(session, limit)
    return _added(session, by, now)


def _added(session: Session, by: SignedIn, now: datetime) -> Added:
    """Mark the new second factor as proved in this session. Every other session must prove it too."""
    session.execute(
        update(StaffToken).where(StaffToken.staff_id == by.id, StaffToken.id != by.token).values(proved_at=None)
    )
    token = _mark(session, by, now)
    if factors_of(session, by.id).recovery_codes:
        return Added(None, token)
    return Added(new_recovery_codes(session, by.id, by=by), token)


def _begin(session: Session, by: SignedIn | Staff, settings: Settings) -> tuple[StaffAccount, AttemptLimit, datetime]:
    """Lock the account, and count an attempt before the check."""
    account = lock_account(session, by.id)
    now = clock(session)
    limit = AttemptLimit(keyed(settings, "attempts", f"proof\n{by.id}"), MAX_PROOFS)
    exceeded = count_attempt(session, limit, now, forgiven=account.unlocked_at)
    if exceeded is not None:
        seconds = seconds_until(exceeded.until, now)
        if exceeded.first:
            record(session, Event.PROOF_LIMITED, by)
        keep_and_refuse(session, TooManyProofs(headers={"Retry-After": str(seconds)}, seconds=seconds))
    return account, limit, now


def _refuse(session: Session, by: SignedIn, kind: str) -> NoReturn:
    record(session, Event.PROOF_FAILED, by, {"by": kind})
    keep_and_refuse(session, SecondFactorRefused())


def _mark(session: Session, by: SignedIn, now: datetime) -> str:
    """Mark the session as proved, and replace its token, so that the earlier token gains nothing.

    Raises:
        Unauthenticated: if another proof has replaced the token already.
    """
    token = session.get_one(StaffToken, by.token, populate_existing=True)
    if token.digest != by.digest or token.revoked_at is not None:
        raise Unauthenticated
    words = secrets.token_urlsafe(32)
    token.proved_at, token.digest = now, digest_of(words)
    session.flush()
    return words


def change_password(session: Session, body: PasswordChangeIn, *, by: Staff, settings: Settings) -> None:
    """Change the caller's password, and end every other session and every personal token.

    Raises:
        PasswordRefused: if the current password is wrong. The attempt counts.
        TooManyProofs: after ten attempts in 15 minutes.
        MalformedBody: if the new password is easy to guess.
    """
    account, limit, _ = _begin(session, by, settings)
    if not is_right(account.password, body.password):
        record(session, Event.PROOF_FAILED, by, {"by": "password"})
        keep_and_refuse(session, PasswordRefused())
    clear_attempts(session, limit)
    refuse_guessable(
        body.new_password,
        account=account.id,
        name=account.name,
        places=places_of_staff(session),
        pointer="/new_password",
    )
    account.password = hash_of(body.new_password)
    end_tokens(session, account.id, but=by.token)
    session.flush()
    record(session, Event.PASSWORD_CHANGED, by)
