"""Sign in: check the attempt limits, the password and the second factor.

Failed attempts count per account and address, so a stranger elsewhere cannot lock the owner out. Attempts from unknown
addresses count together, so many addresses do not help an attacker. A known device has its own token and its own count,
so the owner can sign in whatever others do.
"""

import secrets
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.accounts import FOR_ROWS, roles_of
from enrollment.access.attempt_limits import (
    AttemptLimit,
    LimitExceeded,
    clear_attempts,
    count_attempt,
    forget_old_attempts,
    seconds_until,
    uncount_attempt,
)
from enrollment.access.client_addresses import keyed
from enrollment.access.identification import must_have_factor
from enrollment.access.inputs import SessionIn
from enrollment.access.models import KnownPlace, StaffAccount
from enrollment.access.passwords import hash_of, is_right, needs_new_hash
from enrollment.access.second_factors import SecondFactorRefused, app_code_is_right, factors_of
from enrollment.access.security_log import Event, Somebody, record
from enrollment.access.sessions import NewToken, open_session
from enrollment.database import clock, transaction
from enrollment.problems import Problem, Unauthenticated, sentence
from enrollment.settings import Settings

MAX_FROM_PLACE = 5
MAX_FROM_DEVICE = 10
MAX_FROM_ADDRESS = 50
MAX_FROM_STRANGERS = 20
MAX_CODES = 10
"""Attempts in 15 minutes."""

Needs = Literal["second-factor", "second-factor-setup"]
"""The next step of a new session."""


class SignInRefused(Unauthenticated):
    """The name or password is wrong, or the account is closed. The answer does not say which."""

    title = sentence("Sign-in failed")
    detail = sentence(
        "Check the name and the password. If you forgot the password, ask an administrator for a new code."
    )


class TooManySignIns(Problem):
    """Too many sign-in attempts."""

    status = 429
    title = sentence("Too many sign-in attempts")
    detail = sentence(
        "Wait {seconds} seconds and try again. You can also sign in from a device that you used before, or "
        "ask another administrator to unlock the account."
    )


@dataclass(frozen=True, slots=True)
class SignedInNow:
    """A new session, its next step, and the token of the known device."""

    new: NewToken
    needs: Needs | None
    device: str


@dataclass(frozen=True, slots=True)
class _CountedAttempt:
    """A counted attempt: its limits, and the account's password hash."""

    limits: tuple[AttemptLimit, ...]
    exceeded: LimitExceeded | None
    seconds: int
    password: str | None


def sign_in(sessions: "sessionmaker[Session]", body: SessionIn, *, address: str, settings: Settings) -> SignedInNow:
    """Open a session for a name and a password. A refusal does not undo the count of the attempt.

    No transaction is open while the password is hashed, because hashing is slow on purpose.

    Args:
        sessions: opens the transactions.
        body: the name, the password, and optionally a code and a device token.
        address: the hash of the client's address.
        settings: the settings.

    Raises:
        SignInRefused: if the name or the password is wrong, or the account is closed.
        SecondFactorRefused: if the password is right and the code is not.
        TooManySignIns: after too many attempts.
    """
    with transaction(sessions) as session:
        attempt = _count(session, body, address, settings)
    if attempt.exceeded is not None:
        raise TooManySignIns(headers={"Retry-After": str(attempt.seconds)}, seconds=attempt.seconds)
    right = is_right(attempt.password, body.password)
    new_hash = hash_of(body.password) if right and attempt.password and needs_new_hash(attempt.password) else None
    with transaction(sessions) as session:
        done = _finish(session, body, attempt, right=right, new_hash=new_hash, address=address, settings=settings)
    if isinstance(done, Problem):
        raise done
    return done


def _count(session: Session, body: SessionIn, address: str, settings: Settings) -> _CountedAttempt:
    """Count the attempt against each limit in a fixed order. Stop at the first exceeded limit."""
    now = clock(session)
    forget_old_attempts(session, now)
    account = session.get(StaffAccount, body.id)
    limits = _limits(session, body, address, settings)
    counted = []
    for limit in limits:
        counted.append(limit)
        exceeded = count_attempt(session, limit, now, forgiven=account.unlocked_at if account else None)
        if exceeded is not None:
            if exceeded.first and account is not None:
                record(session, Event.SIGN_IN_LIMITED, Somebody(f"staff:{body.id}", address))
            return _CountedAttempt(tuple(counted), exceeded, seconds_until(exceeded.until, now), None)
    return _CountedAttempt(tuple(counted), None, 0, account.password if account and account.active else None)


def _limits(session: Session, body: SessionIn, address: str, settings: Settings) -> list[AttemptLimit]:
    device = _place(settings, body.id, f"device\n{body.device}")
    if body.device is not None and session.get(KnownPlace, (body.id, device)) is not None:
        return [AttemptLimit(keyed(settings, "attempts", f"device\n{device.hex()}"), MAX_FROM_DEVICE)]
    known = session.get(KnownPlace, (body.id, _place(settings, body.id, f"address\n{address}"))) is not None
    limits = [
        AttemptLimit(keyed(settings, "attempts", f"place\n{body.id}\n{address}"), MAX_FROM_PLACE),
        AttemptLimit(keyed(settings, "attempts", f"address\n{address}"), MAX_FROM_ADDRESS),
    ]
    if not known:
        strangers = keyed(settings, "attempts", f"strangers\n{body.id}")
        limits.append(AttemptLimit(strangers, MAX_FROM_STRANGERS))
    return limits


def _place(settings: Settings, account: str, place: str) -> bytes:
    return keyed(settings, "known-place", f"{account}\n{place}")


def _finish(
    session: Session,
    body: SessionIn,
    attempt: _CountedAttempt,
    *,
    right: bool,
    new_hash: str | None,
    address: str,
    settings: Settings,
) -> SignedInNow | Problem:
    """Open the session, or return the refusal. Record either in the same transaction."""
    somebody = Somebody(f"staff:{body.id}", address)
    account = session.get(StaffAccount, body.id, with_for_update=FOR_ROWS) if right else None
    if account is None or not account.active or account.password != attempt.password:
        if session.get(StaffAccount, body.id) is not None:
            record(session, Event.SIGN_IN_FAILED, somebody)
        return SignInRefused()
    if new_hash is not None:
        account.password = new_hash
    clear_attempts(session, attempt.limits[0])
    for limit in attempt.limits[1:]:
        uncount_attempt(session, limit)
    has = factors_of(session, account.id)
    has_factor = bool(has.all)
    proved = not has_factor
    if has_factor and body.code is not None:
        refusal = _refuse_code(session, body.code, somebody, account, settings)
        if refusal is not None:
            return refusal
        proved = True
    needs: Needs | None = None if proved else "second-factor"
    if not has_factor and must_have_factor(roles_of(session, account.id), settings):
        needs, proved = "second-factor-setup", False
    new = open_session(session, account.id, proved=proved, settings=settings)
    device = _know(session, account.id, address, body.device, settings)
    record(session, Event.SIGNED_IN, somebody, {"token": str(new.token.id), "needs": needs})
    return SignedInNow(new, needs, device)


def _refuse_code(
    session: Session, code: str, somebody: Somebody, account: StaffAccount, settings: Settings
) -> Problem | None:
    now = clock(session)
    limit = AttemptLimit(keyed(settings, "attempts", f"proof\n{account.id}"), MAX_CODES)
    exceeded = count_attempt(session, limit, now, forgiven=account.unlocked_at)
    if exceeded is not None:
        seconds = seconds_until(exceeded.until, now)
        if exceeded.first:
            record(session, Event.PROOF_LIMITED, somebody)
        return TooManySignIns(headers={"Retry-After": str(seconds)}, seconds=seconds)
    if not app_code_is_right(session, account.id, code, settings):
        record(session, Event.PROOF_FAILED, somebody, {"by": "code"})
        return SecondFactorRefused()
    clear_attempts(session, limit)
    return None


def _know(session: Session, account: str, address: str, device: str | None, settings: Settings) -> str:
    """Remember the address and the device. Return the device token."""
    known = session.get(KnownPlace, (account, _place(settings, account, f"device\n{device}")))
    token = device if device is not None and known is not None else secrets.token_urlsafe(24)
    for place in (f"address\n{address}", f"device\n{token}"):
        row = insert(KnownPlace).values(staff_id=account, key=_place(settings, account, place))
        session.execute(
            row.on_conflict_do_update(
                index_elements=[KnownPlace.staff_id, KnownPlace.key], set_={"last_at": row.excluded.last_at}
            )
        )
    return token
