"""Sessions and personal tokens."""

import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from enrollment.access.accounts import lock_account
from enrollment.access.callers import SignedIn, Staff
from enrollment.access.digests import digest_of
from enrollment.access.identification import SessionNeeded
from enrollment.access.inputs import PersonalTokenIn
from enrollment.access.models import SessionUse, StaffToken
from enrollment.access.scopes import STAFF_SCOPES
from enrollment.access.security_log import Event, record
from enrollment.database import clock
from enrollment.problems import NotFound
from enrollment.settings import Settings


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token and its text, which is shown once."""

    token: StaffToken
    words: str


def open_session(session: Session, staff_id: str, *, proved: bool, settings: Settings) -> NewToken:
    """Open a session. Without a proof it can do nothing before the second factor."""
    new = _make_token(
        session,
        staff_id,
        kind="session",
        name="session",
        scopes=sorted(STAFF_SCOPES),
        holds=timedelta(hours=settings.session_hours),
    )
    new.token.proved_at = new.token.made_at if proved else None
    session.flush()
    session.add(SessionUse(token_id=new.token.id, last_at=new.token.made_at))
    session.flush()
    return new


def make_personal_token(session: Session, body: PersonalTokenIn, *, by: Staff) -> NewToken:
    """Make a personal token with some of its owner's scopes. A personal token cannot make another.

    Raises:
        SessionNeeded: if the caller uses a personal token.
    """
    if not by.is_session:
        raise SessionNeeded
    lock_account(session, by.id)
    scopes = sorted(by.scopes.intersection(body.scopes))
    new = _make_token(session, by.id, kind="personal", name=body.name, scopes=scopes, holds=timedelta(days=body.days))
    record(session, Event.TOKEN_MADE, by, {"token": str(new.token.id), "scopes": scopes, "days": body.days})
    return new


def tokens_of(session: Session, staff: Staff) -> Select[StaffToken]:
    """Select the caller's own valid tokens."""
    return select(StaffToken).where(
        StaffToken.staff_id == staff.id, StaffToken.revoked_at.is_(None), StaffToken.expires_at > clock(session)
    )


def revoke_token(session: Session, token_id: uuid.UUID, *, by: Staff) -> None:
    """End one of the caller's sessions or personal tokens. A personal token can end only itself.

    Raises:
        NotFound: if the caller has no such valid token.
        SessionNeeded: if a personal token tries to end another token.
    """
    lock_account(session, by.id)
    token = session.get(StaffToken, token_id, populate_existing=True)
    if token is None or token.staff_id != by.id or token.revoked_at is not None:
        raise NotFound
    if not by.is_session and token.id != by.token:
        raise SessionNeeded
    token.revoked_at = clock(session)
    session.flush()
    event = Event.SESSION_ENDED if token.kind == "session" else Event.TOKEN_REVOKED
    record(session, event, by, {"token": str(token.id)})


def end_sessions(session: Session, *, by: SignedIn) -> None:
    """End all sessions of the caller. Personal tokens stay."""
    lock_account(session, by.id)
    session.execute(
        update(StaffToken)
        .where(StaffToken.staff_id == by.id, StaffToken.kind == "session", StaffToken.revoked_at.is_(None))
        .values(revoked_at=clock(session))
    )
    record(session, Event.SESSIONS_ENDED, by)


def _make_token(
    session: Session, staff_id: str, *, kind: str, name: str, scopes: list[str], holds: timedelta
) -> NewToken:
    words = secrets.token_urlsafe(32)
    now = clock(session)
    token = StaffToken(
        id=uuid.uuid4(),
        staff_id=staff_id,
        kind=kind,
        name=name,
        digest=digest_of(words),
        scopes=scopes,
        made_at=now,
        expires_at=now + holds,
    )
    session.add(token)
    session.flush()
    return NewToken(token, words)
