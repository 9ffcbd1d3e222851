"""The security log: events of accounts, sessions, tokens and secrets, and reads of children's names.

It is separate from the public log, because it names accounts. It only grows: triggers refuse every change. It never
holds a secret or a child's name. Readers get events in the order of their places, which never changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from sqlalchemy import Select, func, insert, literal, select
from sqlalchemy.orm import Session

from enrollment.access.models import SecurityEvent, SecurityPlace
from lottery.market.canonical import Json

SECURITY_PLACES = 0x7365637572
"""The advisory lock that lets one reader at a time give places: `secur` in hex."""

LONGEST_TRANSACTION = timedelta(hours=1)
"""An event becomes visible within this time, so the search for new events skips older ones."""


class Event(StrEnum):
    """The kinds of events."""

    SIGNED_IN = "signed-in"
    SIGN_IN_FAILED = "sign-in-failed"
    SIGN_IN_LIMITED = "sign-in-limited"
    UNLOCKED = "unlocked"
    SESSION_ENDED = "session-ended"
    SESSIONS_ENDED = "sessions-ended"
    PROVED = "presence-proved"
    PROOF_FAILED = "presence-failed"
    PROOF_LIMITED = "presence-limited"
    TOKEN_MADE = "token-made"  # noqa: S105 - an event, not a token
    TOKEN_REVOKED = "token-revoked"  # noqa: S105 - likewise
    CLIENT_FAILED = "client-failed"
    PARTNER_MADE = "partner-made"
    PARTNER_CHANGED = "partner-changed"
    SECRET_MADE = "secret-made"  # noqa: S105 - likewise
    SECRET_REVOKED = "secret-revoked"  # noqa: S105 - likewise
    ACCOUNT_MADE = "account-made"
    ACCOUNT_CHANGED = "account-changed"
    CHANGE_ASKED = "access-change-asked"
    CHANGE_APPROVED = "access-change-approved"
    CHANGE_REFUSED = "access-change-refused"
    INVITATION_MADE = "invitation-made"
    INVITATION_ACCEPTED = "invitation-accepted"
    INVITATION_FAILED = "invitation-failed"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105 - likewise
    FACTOR_ADDED = "second-factor-added"
    FACTOR_REMOVED = "second-factor-removed"
    RECOVERY_CODES_MADE = "recovery-codes-made"
    RECOVERY_CODE_USED = "recovery-code-used"
    NAMES_READ = "names-read"
    DENIED = "act-denied"


class Actor(Protocol):
    """A caller, partner or staff, with the hash of the client address."""

    @property
    def account(self) -> str:
        """Return the account, such as `staff:ann`."""

    @property
    def address(self) -> str | None:
        """Return the hash of the address."""


@dataclass(frozen=True, slots=True)
class Somebody:
    """An account that is not signed in, or an unknown caller."""

    account: str | None
    address: str | None


COMMAND_LINE = Somebody("service:command-line", None)
"""A person at the command line of the deployment."""


def record(session: Session, event: Event, by: "Actor | Somebody", about: Mapping[str, Json] | None = None) -> None:
    """Write an event in the verb's own transaction.

    Args:
        session: the transaction.
        event: the kind of event.
        by: the caller, or the account that was attempt.
        about: ids of the subject; never a secret or a child's name.
    """
    session.execute(
        insert(SecurityEvent).values(event=event.value, account=by.account, address=by.address, about=dict(about or {}))
    )


def record_names_read(session: Session, by: Actor, what: str, **where: str) -> None:
    """Record a read of children's names: the list and its place, never the names."""
    record(session, Event.NAMES_READ, by, {"what": what, **where})


def events(session: Session, *, account: str | None, event: str | None) -> Select[int, SecurityEvent]:
    """Give a place to every new event, then select events with their places."""
    _give_places(session)
    query = select(SecurityPlace.place, SecurityEvent).join(SecurityEvent, SecurityEvent.id == SecurityPlace.event_id)
    if account is not None:
        query = query.where(SecurityEvent.account == account)
    return query if event is None else query.where(SecurityEvent.event == event)


def _give_places(session: Session) -> None:
    """Give the next place to every visible event without one, because events commit out of order."""
    session.execute(select(func.pg_advisory_xact_lock(SECURITY_PLACES)))
    newest = session.execute(
        select(SecurityPlace.place, SecurityEvent.at)
        .join(SecurityEvent, SecurityEvent.id == SecurityPlace.event_id)
        .order_by(SecurityPlace.place.desc())
        .limit(1)
    ).one_or_none()
    waiting = (
        select(SecurityEvent.id)
        .outerjoin(SecurityPlace, SecurityPlace.event_id == SecurityEvent.id)
        .where(SecurityPlace.event_id.is_(None))
        .order_by(SecurityEvent.id)
    )
    if newest is not None:
        waiting = waiting.where(SecurityEvent.at > newest.at - LONGEST_TRANSACTION)
    found = waiting.subquery()
    numbered = select(literal(newest.place if newest else 0) + func.row_number().over(order_by=found.c.id), found.c.id)
    session.execute(insert(SecurityPlace).from_select(["place", "event_id"], numbered))
