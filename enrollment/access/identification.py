"""Identify the caller by the request's access token."""

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Row, Text, cast, false, func, or_, select, update
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner, Role, RoleKind, SignedIn, Staff
from enrollment.access.client_addresses import address_of
from enrollment.access.digests import digest_of
from enrollment.access.models import (
    AuthenticatorApp,
    PartnerAccount,
    PartnerSecret,
    Passkey,
    SessionUse,
    StaffAccount,
    StaffRole,
    StaffToken,
)
from enrollment.access.tokens import MAX_TOKEN, partner_of_token
from enrollment.database import InTransaction
from enrollment.problems import Forbidden, InvalidToken, Problem, Unauthenticated, sentence
from enrollment.settings import Settings

USE_NOTED = timedelta(minutes=1)
"""How exactly the service records the last use of a session."""


class SessionNeeded(Problem):
    """The request needs a session, and a personal token came."""

    status = 403
    title = sentence("Session needed")
    detail = sentence("A personal token cannot do this. Sign in with POST /v1/sessions and use the session's token.")


class SecondFactorNeeded(Problem):
    """The session still lacks its second factor."""

    status = 403
    title = sentence("Sign-in not finished")
    detail = sentence("Send your second factor to POST /v1/presence first.")


class SecondFactorMissing(Problem):
    """The account needs a second factor and has none."""

    status = 403
    title = sentence("Second factor not set up")
    detail = sentence(
        "Set up a passkey with POST /v1/second-factors/passkeys, or an authenticator app with POST "
        "/v1/second-factors/totp. Until then this account can do nothing else."
    )


def token_of(request: Request) -> str:
    """Return the bearer token of a request.

    Raises:
        Unauthenticated, InvalidToken: if the request has none, or one that cannot be a token.
    """
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise Unauthenticated
    if not token.strip() or len(token) > MAX_TOKEN:
        raise InvalidToken
    return token.strip()


def is_partner_token(token: str) -> bool:
    """Say whether a token is a partner's. A signed access token has two dots; a staff token has none."""
    return token.count(".") == 2  # noqa: PLR2004


def identify_partner(session: Session, request: Request) -> Partner:
    """Return the partner that a request's token names.

    Raises:
        Unauthenticated, InvalidToken: if the token or its partner is not valid.
    """
    client = partner_of_token(token_of(request), request.app.state.settings)
    row = (
        client
        and session.execute(
            select(PartnerAccount.scopes)
            .join(PartnerSecret, PartnerSecret.partner_id == PartnerAccount.id)
            .where(
                PartnerAccount.id == client.id,
                PartnerAccount.active,
                cast(PartnerSecret.id, Text) == client.secret,
                PartnerSecret.revoked_at.is_(None),
            )
        ).one_or_none()
    )
    if not client or not row:
        raise InvalidToken
    return Partner(client.id, client.scopes & frozenset(row.scopes), address_of(request))


HAS_FACTOR = or_(
    select(Passkey.id).where(Passkey.staff_id == StaffAccount.id).exists(),
    select(AuthenticatorApp.id)
    .where(AuthenticatorApp.staff_id == StaffAccount.id, AuthenticatorApp.confirmed_at.is_not(None))
    .exists(),
)


def _row_of(session: Session, request: Request) -> Row[uuid.UUID, str, str, list[str], bool, bool, bool, bool]:
    """Return the session or personal token of a request, and record its use."""
    settings: Settings = request.app.state.settings
    now = func.clock_timestamp()
    used = func.coalesce(SessionUse.last_at, StaffToken.made_at)
    row = session.execute(
        select(
            StaffToken.id,
            StaffToken.kind,
            StaffToken.staff_id,
            StaffToken.scopes,
            StaffToken.proved_at.is_not(None).label("proved"),
            func.coalesce(StaffToken.proved_at > now - timedelta(minutes=settings.presence_minutes), false()).label(
                "present"
            ),
            HAS_FACTOR.label("has_factor"),
            (used < now - USE_NOTED).label("to_note"),
        )
        .join(StaffAccount, StaffAccount.id == StaffToken.staff_id)
        .outerjoin(SessionUse, SessionUse.token_id == StaffToken.id)
        .where(
            StaffToken.digest == digest_of(token_of(request)),
            StaffToken.revoked_at.is_(None),
            StaffToken.expires_at > now,
            or_(StaffToken.kind == "personal", used > now - timedelta(minutes=settings.session_idle_minutes)),
            StaffAccount.active,
        )
    ).one_or_none()
    if row is None:
        raise InvalidToken
    if row.kind == "session" and row.to_note:
        # If another request records the use already, this one does not wait for the row.
        free = select(SessionUse.token_id).where(SessionUse.token_id == row.id).with_for_update(skip_locked=True)
        session.execute(update(SessionUse).where(SessionUse.token_id.in_(free)).values(last_at=now))
    return row


def _roles_of(session: Session, staff: str) -> tuple[Role, ...]:
    roles = session.execute(
        select(StaffRole.kind, StaffRole.operator_id, StaffRole.school_id)
        .where(StaffRole.staff_id == staff)
        .order_by(StaffRole.kind, StaffRole.operator_id, StaffRole.school_id)
    )
    return tuple(Role(RoleKind(kind), operator, school) for kind, operator, school in roles)


def must_have_factor(roles: Iterable[Role], settings: Settings) -> bool:
    """Say whether an account with these roles needs a second factor."""
    return settings.second_factor == "staff" or any(role.kind is RoleKind.ADMINISTRATOR for role in roles)


def identify_staff(session: Session, request: Request) -> Staff:
    """Return the member of the staff that a request's token names.

    Raises:
        Unauthenticated, InvalidToken: if the token is missing, unknown, expired or revoked.
        Forbidden: if the account has no role.
        SecondFactorMissing, SecondFactorNeeded: if the second factor is still missing.
    """
    settings: Settings = request.app.state.settings
    row = _row_of(session, request)
    roles = _roles_of(session, row.staff_id)
    if not roles:
        raise Forbidden(needs="a role")
    if not row.has_factor and must_have_factor(roles, settings):
        raise SecondFactorMissing
    is_session = row.kind == "session"
    if is_session and not row.proved:
        raise SecondFactorNeeded
    return Staff(
        row.staff_id,
        roles,
        frozenset(row.scopes),
        token=row.id,
        is_session=is_session,
        present_for=None if is_session and row.present else settings.presence_minutes,
        address=address_of(request),
    )


def identify(session: InTransaction, request: Request) -> Partner | Staff:
    """Return the caller, partner or staff.

    Raises:
        Unauthenticated, InvalidToken: if the token is missing, unknown, expired or revoked.
        SecondFactorMissing, SecondFactorNeeded: if the second factor is still missing.
    """
    known: Partner | Staff | None = getattr(request.state, "caller", None)
    if known is None:
        found = identify_partner if is_partner_token(token_of(request)) else identify_staff
        known = request.state.caller = found(session, request)
    return known


def identify_session(session: Session, request: Request) -> SignedIn:
    """Return the session of a request, even before its second factor.

    Raises:
        Unauthenticated, InvalidToken: if the token is missing, unknown, expired or revoked.
        Forbidden: if the token is a partner's.
        SessionNeeded: if the token is a personal token.
    """
    if is_partner_token(token_of(request)):
        request.state.caller = identify_partner(session, request)
        raise Forbidden(needs="a staff account")
    row = _row_of(session, request)
    if row.kind != "session":
        raise SessionNeeded
    roles = _roles_of(session, row.staff_id)
    return SignedIn(
        row.staff_id,
        row.id,
        proved=row.proved,
        present=row.present,
        has_factor=row.has_factor,
        must_have_factor=must_have_factor(roles, request.app.state.settings),
        address=address_of(request),
        digest=digest_of(token_of(request)),
    )


Caller = Annotated[Partner | Staff, Depends(identify)]
