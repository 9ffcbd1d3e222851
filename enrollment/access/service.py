"""Make partners and staff, give and take secrets, sign in."""

import secrets
import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Select, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.callers import STAFF_SCOPES, Role, RoleKind, Staff, digest_of
from enrollment.access.models import PartnerAccount, PartnerSecret, StaffAccount, StaffRole, StaffToken
from enrollment.access.schemas import (
    PartnerBody,
    PartnerChange,
    PersonalTokenBody,
    SignIn,
    StaffBody,
    StaffChange,
)
from enrollment.database import clock, transaction
from enrollment.problems import Conflict, NotFound, Unauthenticated, sentence
from enrollment.settings import Settings

MOST_SECRETS = 2
MOST_FAILURES = 5
LOCKED = timedelta(minutes=15)

HASHER = PasswordHasher()
NOBODY = HASHER.hash("nobody's password, so that an unknown name takes as long to refuse as a known one")


class IdTaken(Conflict):
    """Something of that id is there already."""

    title = sentence("The id is taken")
    detail = sentence("Choose another id; {id} is there already.")


class TwoSecretsAlready(Conflict):
    """A partner has two valid secrets."""

    title = sentence("Two secrets are valid already")
    detail = sentence("Revoke the one that is no longer in use, then make a new one.")


class LastAdministrator(Conflict):
    """Nobody would be left to run the lottery."""

    title = sentence("This is the last administrator")
    detail = sentence("Make another administrator first; publishing takes two.")


class UnknownPlace(Conflict):
    """A role names a school or an operator that is not there."""

    title = sentence("A role names an operator or a school that is not there")
    detail = sentence("Make the operator or the school first, or correct its id.")


class SignInRefused(Unauthenticated):
    """Name or password is wrong, or the account is locked or closed; which, is not said."""

    title = sentence("The sign-in was refused")
    detail = sentence("Check name and password. After five wrong passwords an account is locked for 15 minutes.")


def make_partner(session: Session, body: PartnerBody) -> PartnerAccount:
    """Make a partner, without a secret yet.

    Raises:
        IdTaken: if there is one of that id.
    """
    if session.get(PartnerAccount, body.id):
        raise IdTaken(id=body.id)
    partner = PartnerAccount(id=body.id, name=body.name, scopes=list(body.scopes), active=True, version=1)
    session.add(partner)
    session.flush()
    return partner


def hold_partner(session: Session, partner_id: str) -> PartnerAccount:
    """Return a partner, locked for a change.

    Raises:
        NotFound: if there is none.
    """
    partner = session.get(PartnerAccount, partner_id, with_for_update=True)
    if partner is None:
        raise NotFound
    return partner


def change_partner(session: Session, partner: PartnerAccount, body: PartnerChange) -> None:
    """Change a partner's name, scopes, and whether it may come in."""
    partner.name, partner.scopes, partner.active = body.name, list(body.scopes), body.active
    partner.version += 1
    session.flush()


def valid_secrets(session: Session, partner_id: str) -> Sequence[PartnerSecret]:
    """Return a partner's valid secrets, oldest first."""
    return session.scalars(
        select(PartnerSecret)
        .where(PartnerSecret.partner_id == partner_id, PartnerSecret.revoked_at.is_(None))
        .order_by(PartnerSecret.made_at)
    ).all()


def make_secret(session: Session, partner: PartnerAccount) -> tuple[PartnerSecret, str]:
    """Make a secret for a partner that was locked, and return it with the words that are shown once.

    Raises:
        TwoSecretsAlready: if two are valid.
    """
    if len(valid_secrets(session, partner.id)) >= MOST_SECRETS:
        raise TwoSecretsAlready
    words = secrets.token_urlsafe(32)
    secret = PartnerSecret(id=uuid.uuid4(), partner_id=partner.id, digest=digest_of(words), made_at=clock(session))
    session.add(secret)
    session.flush()
    return secret, words


def revoke_secret(session: Session, partner: PartnerAccount, secret_id: uuid.UUID) -> None:
    """Make a secret invalid at once.

    Raises:
        NotFound: if the partner has no such valid secret.
    """
    found = [secret for secret in valid_secrets(session, partner.id) if secret.id == secret_id]
    if not found:
        raise NotFound
    found[0].revoked_at = clock(session)
    session.flush()


def partner_with_secret(session: Session, *, client_id: str, secret: str) -> PartnerAccount | None:
    """Return the active partner whose secret it is, or None."""
    return session.scalars(
        select(PartnerAccount)
        .join(PartnerSecret, PartnerSecret.partner_id == PartnerAccount.id)
        .where(
            PartnerAccount.id == client_id,
            PartnerAccount.active,
            PartnerSecret.digest == digest_of(secret),
            PartnerSecret.revoked_at.is_(None),
        )
    ).one_or_none()


def make_staff(session: Session, body: StaffBody) -> StaffAccount:
    """Make a staff account with its roles.

    Raises:
        IdTaken: if there is one of that id.
        UnknownPlace: if a role names what is not there.
    """
    if session.get(StaffAccount, body.id):
        raise IdTaken(id=body.id)
    staff = StaffAccount(id=body.id, name=body.name, password=HASHER.hash(body.password), active=True, version=1)
    session.add(staff)
    session.flush()
    _set_roles(session, body.id, [Role(RoleKind(role.role), role.operator, role.school) for role in body.roles])
    return staff


def roles_of(session: Session, staff_id: str) -> list[Role]:
    """Return the roles of an account."""
    rows = session.scalars(
        select(StaffRole)
        .where(StaffRole.staff_id == staff_id)
        .order_by(StaffRole.kind, StaffRole.operator_id, StaffRole.school_id)
    )
    return [Role(RoleKind(row.kind), row.operator_id, row.school_id) for row in rows]


def hold_staff(session: Session, staff_id: str) -> StaffAccount:
    """Return an account, locked for a change.

    Raises:
        NotFound: if there is none.
    """
    staff = session.get(StaffAccount, staff_id, with_for_update=True)
    if staff is None:
        raise NotFound
    return staff


def change_staff(session: Session, staff: StaffAccount, body: StaffChange) -> None:
    """Change an account; closing it or a new password ends its sessions and tokens.

    Raises:
        LastAdministrator: if no administrator would be left.
        UnknownPlace: if a role names what is not there.
    """
    staff.name, staff.active = body.name, body.active
    staff.version += 1
    if body.password is not None:
        staff.password, staff.failures, staff.locked_until = HASHER.hash(body.password), 0, None
    if body.password is not None or not body.active:
        session.execute(
            update(StaffToken)
            .where(StaffToken.staff_id == staff.id, StaffToken.revoked_at.is_(None))
            .values(revoked_at=clock(session))
        )
    _set_roles(session, staff.id, [Role(RoleKind(role.role), role.operator, role.school) for role in body.roles])
    session.flush()
    if not administrators(session):
        raise LastAdministrator


def administrators(session: Session) -> int:
    """Count the administrators who can come in."""
    rows = session.execute(
        select(StaffRole.staff_id)
        .join(StaffAccount, StaffAccount.id == StaffRole.staff_id)
        .where(StaffRole.kind == RoleKind.ADMINISTRATOR, StaffAccount.active)
        .distinct()
    )
    return len(rows.all())


def _set_roles(session: Session, staff_id: str, roles: Iterable[Role]) -> None:
    session.execute(delete(StaffRole).where(StaffRole.staff_id == staff_id))
    try:
        with session.begin_nested():
            for role in roles:
                session.execute(
                    insert(StaffRole)
                    .values(
                        id=uuid.uuid4(),
                        staff_id=staff_id,
                        kind=role.kind.value,
                        operator_id=role.operator,
                        school_id=role.school,
                    )
                    .on_conflict_do_nothing()
                )
    except IntegrityError:
        raise UnknownPlace from None


def sign_in(sessions: "sessionmaker[Session]", body: SignIn, settings: Settings) -> tuple[StaffToken, str]:
    """Open a session for name and password; count what fails, in a transaction that the refusal does not undo.

    Raises:
        SignInRefused: if the name or the password is wrong, or the account is locked or closed.
    """
    with transaction(sessions) as session:
        staff = session.get(StaffAccount, body.id, with_for_update=True)
        known = staff.password if staff and staff.password else NOBODY
        right = _is_right(known, body.password)
        if staff is None:
            raise SignInRefused
        now = clock(session)
        locked = staff.locked_until is not None and staff.locked_until > now
        if right and staff.active and not locked:
            staff.failures, staff.locked_until = 0, None
            return _make_token(
                session, staff.id, kind="session", name="session", scopes=sorted(STAFF_SCOPES),
                holds=timedelta(hours=settings.session_hours),
            )  # fmt: skip
        if not locked:
            staff.failures += 1
            if staff.failures >= MOST_FAILURES:
                staff.failures, staff.locked_until = 0, now + LOCKED
    raise SignInRefused


def _is_right(known: str, password: str) -> bool:
    try:
        return HASHER.verify(known, password)
    except (VerificationError, InvalidHashError):
        return False


def make_personal_token(session: Session, staff: Staff, body: PersonalTokenBody) -> tuple[StaffToken, str]:
    """Make a personal token with some of the scopes that its owner has now."""
    scopes = sorted(staff.scopes.intersection(body.scopes))
    return _make_token(
        session, staff.id, kind="personal", name=body.name, scopes=scopes, holds=timedelta(days=body.days)
    )


def tokens_of(session: Session, staff: Staff) -> Select[StaffToken]:
    """Select the caller's own valid tokens."""
    return select(StaffToken).where(
        StaffToken.staff_id == staff.id, StaffToken.revoked_at.is_(None), StaffToken.expires_at > clock(session)
    )


def revoke_token(session: Session, staff: Staff, token_id: uuid.UUID) -> None:
    """Make one of the caller's own tokens invalid at once.

    Raises:
        NotFound: if the caller has no such valid token.
    """
    token = session.get(StaffToken, token_id)
    if token is None or token.staff_id != staff.id or token.revoked_at is not None:
        raise NotFound
    token.revoked_at = clock(session)
    session.flush()


def _make_token(
    session: Session, staff_id: str, *, kind: str, name: str, scopes: list[str], holds: timedelta
) -> tuple[StaffToken, str]:
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
    return token, words
