"""Invitations: a one-time code with which an account owner sets the password."""

import hashlib
import uuid
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import NoReturn

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from enrollment.access.attempt_limits import AttemptLimit, count_attempt, keep_and_refuse
from enrollment.access.inputs import InvitationAcceptanceIn
from enrollment.access.models import Invitation, StaffAccount
from enrollment.access.one_time_codes import digest_of_code, new_code
from enrollment.access.passwords import hash_of, places_of_staff, refuse_guessable
from enrollment.access.security_log import Actor, Event, Somebody, record
from enrollment.database import clock
from enrollment.problems import Unauthenticated, sentence
from enrollment.settings import Settings

CODE_GROUPS = 5


class InvitationRefused(Unauthenticated):
    """The invitation is not valid. The answer does not say whether the account, the code or the time is wrong."""

    title = sentence("Invitation not valid")
    detail = sentence(
        "Check the account id and both parts of the code, if you have two. If the code has expired or was "
        "already used, ask an administrator for a new code."
    )


def invite(
    session: Session,
    staff: StaffAccount,
    *,
    sponsor: str | None,
    by: Actor | Somebody,
    settings: Settings,
    first: bytes | None = None,
) -> str:
    """Replace the invitation of an account, and return its code, which is shown once.

    Args:
        session: the transaction.
        staff: the account.
        sponsor: the administrator who hands out the code alone.
        by: the caller.
        settings: the settings.
        first: the digest of the first part, if another administrator has it. The code is then the second part.
    """
    code = new_code(CODE_GROUPS)
    session.execute(delete(Invitation).where(Invitation.staff_id == staff.id, Invitation.used_at.is_(None)))
    now = clock(session)
    session.add(
        Invitation(
            id=uuid.uuid4(),
            staff_id=staff.id,
            digest=first or digest_of_code(code),
            second_digest=digest_of_code(code) if first else None,
            sponsor=sponsor,
            made_at=now,
            expires_at=now + timedelta(hours=settings.invitation_hours),
        )
    )
    session.flush()
    record(session, Event.INVITATION_MADE, by, {"staff": staff.id, "parts": 2 if first else 1})
    return code


def invitation_expiry(session: Session, staff_id: str) -> datetime:
    """Return when the open invitation of an account expires."""
    query = select(Invitation.expires_at).where(Invitation.staff_id == staff_id, Invitation.used_at.is_(None))
    return session.scalars(query).one()


def accept_invitation(session: Session, body: InvitationAcceptanceIn, *, address: str) -> None:
    """Set the password of an account with its complete invitation code.

    Raises:
        InvitationRefused: if the account or the code is wrong, or the invitation has expired.
        MalformedBody: if the password is easy to guess. The code stays valid.
    """
    staff = session.get(StaffAccount, body.id, with_for_update={"key_share": True})
    now = clock(session)
    invitation = session.scalars(
        select(Invitation).where(
            Invitation.staff_id == body.id, Invitation.used_at.is_(None), Invitation.expires_at > now
        )
    ).one_or_none()
    if staff is None or not staff.active or invitation is None or not _is_right(invitation, body):
        _refuse(session, body.id, address, now, known=staff is not None)
    refuse_guessable(body.password, account=staff.id, name=staff.name, places=places_of_staff(session))
    staff.password, staff.confirmed_at, staff.sponsor = hash_of(body.password), now, invitation.sponsor
    staff.version += 1
    invitation.used_at = now
    session.flush()
    record(session, Event.INVITATION_ACCEPTED, Somebody(f"staff:{staff.id}", address))


def _refuse(session: Session, name: str, address: str, now: datetime, *, known: bool) -> NoReturn:
    """Refuse a code. Record the first failure in 15 minutes per address, if the account exists."""
    limit = AttemptLimit(hashlib.sha256(f"invitation\n{name}\n{address}".encode()).digest()[:16], most=1)
    if known and count_attempt(session, limit, now, forgiven=None) is None:
        record(session, Event.INVITATION_FAILED, Somebody(f"staff:{name}", address))
    keep_and_refuse(session, InvitationRefused())


def _is_right(invitation: Invitation, body: InvitationAcceptanceIn) -> bool:
    first = compare_digest(invitation.digest, digest_of_code(body.invitation_code))
    if invitation.second_digest is None:
        return first and body.second_code is None
    return compare_digest(invitation.second_digest, digest_of_code(body.second_code or "")) and first
