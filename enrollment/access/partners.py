"""Partners and their secrets."""

import secrets
import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.access.attempt_limits import AttemptLimit, count_attempt
from enrollment.access.callers import Partner
from enrollment.access.digests import digest_of
from enrollment.access.inputs import PartnerChangeIn, PartnerIn
from enrollment.access.models import PartnerAccount, PartnerSecret
from enrollment.access.security_log import COMMAND_LINE, Actor, Event, Somebody, record
from enrollment.access.tokens import Client
from enrollment.database import clock
from enrollment.problems import Conflict, NotFound, sentence

MAX_SECRETS = 2


class IdTaken(Conflict):
    """The id is taken."""

    title = sentence("Id already taken")
    detail = sentence("The id {id} already exists. Choose another id.")


class TwoSecretsAlready(Conflict):
    """The partner has two valid secrets already."""

    title = sentence("Two valid secrets already")
    detail = sentence("Revoke the secret that is no longer in use. Then make a new secret.")


def make_partner(session: Session, body: PartnerIn, *, by: Actor | Somebody = COMMAND_LINE) -> PartnerAccount:
    """Make a partner without a secret.

    Raises:
        IdTaken: if the id is taken.
    """
    if session.get(PartnerAccount, body.id):
        raise IdTaken(id=body.id)
    partner = PartnerAccount(id=body.id, name=body.name, scopes=list(body.scopes), active=True, version=1)
    session.add(partner)
    session.flush()
    record(session, Event.PARTNER_MADE, by, {"partner": body.id, "scopes": sorted(body.scopes)})
    return partner


def lock_partner(session: Session, partner_id: str) -> PartnerAccount:
    """Return a partner, locked for a change.

    Raises:
        NotFound: if the partner does not exist.
    """
    partner = session.get(PartnerAccount, partner_id, with_for_update={"key_share": True})
    if partner is None:
        raise NotFound
    return partner


def change_partner(session: Session, partner: PartnerAccount, body: PartnerChangeIn, *, by: Actor) -> None:
    """Change a partner's name, scopes and active state."""
    said = (body.name, sorted(body.scopes), body.active)
    if said == (partner.name, sorted(partner.scopes), partner.active):
        return
    partner.name, partner.scopes, partner.active = body.name, list(body.scopes), body.active
    partner.version += 1
    session.flush()
    record(
        session,
        Event.PARTNER_CHANGED,
        by,
        {"partner": partner.id, "scopes": sorted(body.scopes), "active": body.active},
    )


def valid_secrets(session: Session, partner_id: str) -> Sequence[PartnerSecret]:
    """Return a partner's valid secrets, oldest first."""
    return session.scalars(
        select(PartnerSecret)
        .where(PartnerSecret.partner_id == partner_id, PartnerSecret.revoked_at.is_(None))
        .order_by(PartnerSecret.made_at)
    ).all()


def make_secret(
    session: Session, partner: PartnerAccount, *, by: Actor | Somebody = COMMAND_LINE
) -> tuple[PartnerSecret, str]:
    """Make a secret for a locked partner, and return it with its text, which is shown once.

    Raises:
        TwoSecretsAlready: if two secrets are valid.
    """
    if len(valid_secrets(session, partner.id)) >= MAX_SECRETS:
        raise TwoSecretsAlready
    words = secrets.token_urlsafe(32)
    secret = PartnerSecret(id=uuid.uuid4(), partner_id=partner.id, digest=digest_of(words), made_at=clock(session))
    session.add(secret)
    session.flush()
    record(session, Event.SECRET_MADE, by, {"partner": partner.id, "secret": str(secret.id)})
    return secret, words


def revoke_secret(session: Session, partner: PartnerAccount, secret_id: uuid.UUID, *, by: Actor) -> None:
    """Revoke a secret, and with it every access token that was issued for it.

    Raises:
        NotFound: if the partner has no such valid secret.
    """
    found = [secret for secret in valid_secrets(session, partner.id) if secret.id == secret_id]
    if not found:
        raise NotFound
    found[0].revoked_at = clock(session)
    session.flush()
    record(session, Event.SECRET_REVOKED, by, {"partner": partner.id, "secret": str(secret_id)})


def client_with_secret(session: Session, *, client_id: str, secret: str) -> Client | None:
    """Return the active partner with this secret, or None."""
    row = session.execute(
        select(PartnerAccount.scopes, PartnerSecret.id)
        .join(PartnerSecret, PartnerSecret.partner_id == PartnerAccount.id)
        .where(
            PartnerAccount.id == client_id,
            PartnerAccount.active,
            PartnerSecret.digest == digest_of(secret),
            PartnerSecret.revoked_at.is_(None),
        )
    ).one_or_none()
    return None if row is None else Client(client_id, frozenset(row[0]), str(row[1]))


def record_client_failure(session: Session, client_id: str, address: str) -> None:
    """Record the first wrong secret of an existing partner in 15 minutes per address."""
    if session.get(PartnerAccount, client_id) is None:
        return
    limit = AttemptLimit(digest_of(f"client {client_id} {address}")[:16], most=1)
    if count_attempt(session, limit, clock(session), forgiven=None) is None:
        record(session, Event.CLIENT_FAILED, Somebody(Partner(client_id, frozenset()).account, address))
