"""Passkeys (WebAuthn): challenges and their verification."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from enrollment.access.accounts import lock_account
from enrollment.access.callers import SignedIn
from enrollment.access.inputs import PasskeyIn, PasskeyProofIn
from enrollment.access.models import Passkey, PasskeyChallenge
from enrollment.access.second_factors import ISSUER, refuse_unproved
from enrollment.access.security_log import Event, record
from enrollment.database import clock
from enrollment.problems import Conflict, sentence
from enrollment.settings import Settings

CHALLENGE_HOLDS = timedelta(minutes=5)
MAX_PASSKEYS = 20

ADD, PROVE = "add", "prove"


class TooManyPasskeys(Conflict):
    """The account has too many passkeys."""

    title = sentence("Too many passkeys")
    detail = sentence("Remove a passkey that you no longer use, then add this one.")


class PasskeyThere(Conflict):
    """The passkey is registered already."""

    title = sentence("Passkey already added")
    detail = sentence("Use this passkey to confirm your presence, or add another passkey.")


@dataclass(frozen=True, slots=True)
class Site:
    """The relying party of the passkeys: its id and origin, from the public address."""

    id: str
    origin: str


def site_of(settings: Settings) -> Site:
    """Return the site of the service."""
    address = urlsplit(settings.public_url)
    return Site(address.hostname or "localhost", f"{address.scheme}://{address.netloc}")


def options_to_add(session: Session, *, by: SignedIn, settings: Settings) -> str:
    """Return the options to make a passkey, as JSON for `navigator.credentials.create`.

    Raises:
        PresenceNeeded: if the account has a second factor without a fresh proof.
    """
    refuse_unproved(by, settings)
    options = webauthn.generate_registration_options(
        rp_id=site_of(settings).id,
        rp_name=ISSUER,
        user_id=by.id.encode(),
        user_name=by.id,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_known_to(session, by.id),
    )
    _keep(session, by, ADD, options.challenge)
    return webauthn.options_to_json(options)


def options_to_prove(session: Session, *, by: SignedIn, settings: Settings) -> str:
    """Return the options to use a passkey, as JSON for `navigator.credentials.get`."""
    options = webauthn.generate_authentication_options(
        rp_id=site_of(settings).id,
        allow_credentials=_known_to(session, by.id),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    _keep(session, by, PROVE, options.challenge)
    return webauthn.options_to_json(options)


def _known_to(session: Session, staff_id: str) -> list[PublicKeyCredentialDescriptor]:
    ids = session.scalars(select(Passkey.credential_id).where(Passkey.staff_id == staff_id)).all()
    return [PublicKeyCredentialDescriptor(id=credential) for credential in ids]


def _keep(session: Session, by: SignedIn, purpose: str, challenge: bytes) -> None:
    row = {"challenge": challenge, "expires_at": clock(session) + CHALLENGE_HOLDS}
    session.execute(
        insert(PasskeyChallenge)
        .values(token_id=by.token, purpose=purpose, **row)
        .on_conflict_do_update(index_elements=[PasskeyChallenge.token_id, PasskeyChallenge.purpose], set_=row)
    )


def _take(session: Session, by: SignedIn, purpose: str) -> bytes | None:
    """Delete and return the session's challenge, which allows one answer."""
    row = session.execute(
        delete(PasskeyChallenge)
        .where(PasskeyChallenge.token_id == by.token, PasskeyChallenge.purpose == purpose)
        .returning(PasskeyChallenge.challenge, PasskeyChallenge.expires_at)
    ).one_or_none()
    return None if row is None or row.expires_at <= clock(session) else row.challenge


def add_passkey(session: Session, body: PasskeyIn, *, by: SignedIn, settings: Settings) -> bool:
    """Add a passkey that signed the session's challenge. Say whether the signature was right.

    Raises:
        PresenceNeeded: if the account has a second factor without a fresh proof.
        TooManyPasskeys, PasskeyThere: if the account has too many passkeys, or this passkey already.
    """
    refuse_unproved(by, settings)
    lock_account(session, by.id)
    if len(_known_to(session, by.id)) >= MAX_PASSKEYS:
        raise TooManyPasskeys
    challenge, site = _take(session, by, ADD), site_of(settings)
    if challenge is None:
        return False
    try:
        made = webauthn.verify_registration_response(
            credential=body.credential.model_dump(by_alias=True),
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - the caller's bytes go through several parsers, and any failure is a refusal
        return False
    if session.scalar(select(Passkey.id).where(Passkey.credential_id == made.credential_id)):
        raise PasskeyThere
    session.add(
        Passkey(
            id=uuid.uuid4(),
            staff_id=by.id,
            name=body.name,
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
        )
    )
    session.flush()
    record(session, Event.FACTOR_ADDED, by, {"factor": "passkey"})
    return True


def passkey_is_right(session: Session, answer: PasskeyProofIn, *, by: SignedIn, settings: Settings) -> bool:
    """Say whether a passkey of the account signed the session's challenge. Call it with the account locked."""
    challenge, site = _take(session, by, PROVE), site_of(settings)
    passkey = session.scalars(
        select(Passkey).where(Passkey.staff_id == by.id, Passkey.credential_id == answer.credential_id())
    ).one_or_none()
    if challenge is None or passkey is None:
        return False
    try:
        proof = webauthn.verify_authentication_response(
            credential=answer.model_dump(by_alias=True),
            expected_challenge=challenge,
            expected_rp_id=site.id,
            expected_origin=site.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except Exception:  # noqa: BLE001 - as in `add_passkey`
        return False
    passkey.sign_count = proof.new_sign_count
    session.flush()
    return True
