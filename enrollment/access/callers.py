"""Who is asking, as types that a route's signature names.

A route says `partner: Annotated[Partner, Security(the_partner, scopes=["results:read"])]`, and there is no other way to
get a `Partner`. What is outside the caller's scope is not found rather than forbidden.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, OAuth2, SecurityScopes
from sqlalchemy import Row, Text, cast, false, func, or_, select, update
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from enrollment.access.client_addresses import address_of
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
from enrollment.access.tokens import MAX_TOKEN, Client, partner_of_token
from enrollment.database import InTransaction, transaction
from enrollment.problems import Forbidden, NotFound, Problem, Unauthenticated, sentence
from enrollment.settings import Settings

PARTNER_SCOPES: Mapping[str, str] = {
    "catalog:read": "Read cycles, schools and programs; they are public, and the scope is for the sake of the record.",
    "applications:read": "Read the applications that the partner brought.",
    "applications:write": "Make and change them, and their rankings.",
    "results:read": "Read their results, waitlist places and explanations.",
    "offers:write": "Accept and decline their offers, and leave waitlists.",
}

STAFF_SCOPES: Mapping[str, str] = {
    "records:read": "Read what the role may see.",
    "schools:write": "Take part, and set rules.",
    "claims:decide": "Approve and deny claims.",
    "catalog:write": "Set cycles, operators, schools, programs, zones.",
    "access:manage": "Make partners and staff, and give roles.",
    "rounds:run": "Rehearse, freeze, draw, match, void.",
    "rounds:publish": "Publish what another administrator ran.",
    "placements:write": "Ask for placements outside the lottery, and approve those of others.",
}


USE_NOTED = timedelta(minutes=1)
"""How exactly it is noted when a session was last used."""


class SessionNeeded(Problem):
    """A personal token for something that only the person may do."""

    status = 403
    title = sentence("Session needed")
    detail = sentence("A personal token cannot do this. Sign in with POST /v1/sessions and use the session's token.")


class SecondFactorNeeded(Problem):
    """A session without its second factor."""

    status = 403
    title = sentence("Sign-in not finished")
    detail = sentence("Send your second factor to POST /v1/presence first.")


class SecondFactorMissing(Problem):
    """An account that needs a second factor and has none."""

    status = 403
    title = sentence("Second factor not set up")
    detail = sentence(
        "Set up a passkey with POST /v1/second-factors/passkeys, or an authenticator app with POST "
        "/v1/second-factors/totp. Until then this account can do nothing else."
    )


class PresenceNeeded(Problem):
    """An act that needs a fresh proof of presence."""

    status = 403
    title = sentence("Proof of presence needed")
    detail = sentence(
        "Send your second factor to POST /v1/presence, then repeat this request within {minutes} minutes. A personal "
        "token cannot do this."
    )


class RoleKind(StrEnum):
    """What a member of the staff is."""

    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    SCHOOL = "school"


@dataclass(frozen=True, slots=True)
class Role:
    """A role, with the operator or the school that it is for."""

    kind: RoleKind
    operator: str | None = None
    school: str | None = None

    def __str__(self) -> str:
        """Return the role as logs name it: `administrator`, `school:lincoln`."""
        place = self.operator or self.school
        return self.kind.value if place is None else f"{self.kind}:{place}"


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner site that is asking."""

    id: str
    scopes: frozenset[str]
    address: str | None = None

    @property
    def actor(self) -> str:
        """Return how the log names it."""
        return f"partner:{self.id}"

    @property
    def account(self) -> str:
        """Return how the security log names it."""
        return self.actor


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of the staff who is asking."""

    id: str
    roles: tuple[Role, ...]
    scopes: frozenset[str]
    token: uuid.UUID | None = None
    is_session: bool = False
    present_for: int | None = None
    """If a fresh proof of presence is missing: for how many minutes one holds. None: it is there."""
    address: str | None = None

    @property
    def account(self) -> str:
        """Return how the security log names them."""
        return f"staff:{self.id}"

    def is_(self, kind: RoleKind) -> bool:
        """Say whether one of the roles is of that kind."""
        return any(role.kind is kind for role in self.roles)

    @property
    def is_administrator(self) -> bool:
        """Say whether the whole lottery is theirs to run."""
        return self.is_(RoleKind.ADMINISTRATOR)

    @property
    def sees_everything(self) -> bool:
        """Say whether nothing is outside their scope for reading."""
        return self.is_administrator or self.is_(RoleKind.AUDITOR)

    def acts_for_operator(self, operator: str) -> bool:
        """Say whether they may set what an operator sets."""
        return self.is_administrator or Role(RoleKind.OPERATOR, operator=operator) in self.roles

    def acts_for_school(self, school: str, *, operator: str) -> bool:
        """Say whether they may set what a school sets, as its own staff, its operator's, or an administrator."""
        return self.acts_for_operator(operator) or Role(RoleKind.SCHOOL, school=school) in self.roles

    def actor_for(self, *kinds: RoleKind) -> str:
        """Return how the public log names them: by the role that they act in, never by name."""
        held = [kind for kind in kinds if self.is_(kind)]
        return f"staff:{(held or [self.roles[0].kind])[0]}"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session of somebody, which may still lack the second factor."""

    id: str
    token: uuid.UUID
    proved: bool
    present: bool
    has_factor: bool
    must_have_factor: bool
    address: str | None
    digest: bytes
    """Of the token that the request came with."""

    @property
    def account(self) -> str:
        """Return how the security log names them."""
        return f"staff:{self.id}"


bearer = HTTPBearer(scheme_name="staff", description="A session's or a personal token.", auto_error=False)
client_credentials = OAuth2(
    scheme_name="partner",
    description="A partner's access token, from /v1/oauth/token.",
    flows={"clientCredentials": {"tokenUrl": "/v1/oauth/token", "scopes": dict(PARTNER_SCOPES)}},
    auto_error=False,
)


def digest_of(secret: str) -> bytes:
    """Return what is kept of a random secret. It has 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def _token(request: Request) -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip() or len(token) > MAX_TOKEN:
        raise Unauthenticated
    return token.strip()


def _is_signed(token: str) -> bool:
    """Say whether it is a partner's: a signed access token has two dots, the random tokens of staff have none."""
    return token.count(".") == 2  # noqa: PLR2004


def _partner(session: Session, request: Request) -> Partner:
    client = partner_of_token(_token(request), request.app.state.settings)
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
        raise Unauthenticated
    return Partner(client.id, client.scopes & frozenset(row.scopes), address_of(request))


HAS_FACTOR = or_(
    select(Passkey.id).where(Passkey.staff_id == StaffAccount.id).exists(),
    select(AuthenticatorApp.id)
    .where(AuthenticatorApp.staff_id == StaffAccount.id, AuthenticatorApp.confirmed_at.is_not(None))
    .exists(),
)


def _row_of(session: Session, request: Request) -> Row[uuid.UUID, str, str, list[str], bool, bool, bool, bool]:
    """Return the session or personal token that a request comes with, and note that it is used."""
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
            StaffToken.digest == digest_of(_token(request)),
            StaffToken.revoked_at.is_(None),
            StaffToken.expires_at > now,
            or_(StaffToken.kind == "personal", used > now - timedelta(minutes=settings.session_idle_minutes)),
            StaffAccount.active,
        )
    ).one_or_none()
    if row is None:
        raise Unauthenticated
    if row.kind == "session" and row.to_note:
        # Somebody who notes it already is enough: nobody waits for this row.
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


def _staff(session: Session, request: Request) -> Staff:
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
    """Return who is asking, of whatever kind.

    Raises:
        Unauthenticated: if the token is missing, unknown, expired or revoked.
        SecondFactorMissing, SecondFactorNeeded: if a session still lacks the second factor.
    """
    known: Partner | Staff | None = getattr(request.state, "caller", None)
    if known is None:
        found = _partner if _is_signed(_token(request)) else _staff
        known = request.state.caller = found(session, request)
    return known


def the_session(session: InTransaction, request: Request, _: Annotated[object, Security(bearer)] = None) -> SignedIn:
    """Let anybody in who has a session, also one that still lacks the second factor.

    Raises:
        Unauthenticated: if the token is missing, unknown, expired or revoked.
        Forbidden: if it is a partner's.
        SessionNeeded: if it is a personal token.
    """
    if _is_signed(_token(request)):
        request.state.caller = _partner(session, request)
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
        digest=digest_of(_token(request)),
    )


Caller = Annotated[Partner | Staff, Depends(identify)]


def refuse_scopes(held: frozenset[str], wanted: SecurityScopes) -> None:
    """Refuse a token that has not the scopes that a route asks for.

    Raises:
        Forbidden: naming those that are missing.
    """
    missing = sorted(set(wanted.scopes) - held)
    if missing:
        raise Forbidden(needs=", ".join(missing))


def the_partner(
    wanted: SecurityScopes, caller: Caller, _: Annotated[str | None, Security(client_credentials)] = None
) -> Partner:
    """Let a partner in that has the scopes.

    Raises:
        Forbidden: if it is no partner, or a scope is missing.
    """
    if not isinstance(caller, Partner):
        raise Forbidden(needs="a partner's access token")
    refuse_scopes(caller.scopes, wanted)
    return caller


async def the_client(
    wanted: SecurityScopes, request: Request, _: Annotated[str | None, Security(client_credentials)] = None
) -> Client:
    """Let in who has a partner's signed token with the scopes; whether the partner is still there, the act looks.

    Raises:
        Unauthenticated: if the token is missing, unknown, expired or revoked.
        Forbidden: if it is a member of the staff's, or a scope is missing.
    """
    token = _token(request)
    if not _is_signed(token):
        await run_in_threadpool(_refuse_staff, request)
    client = partner_of_token(token, request.app.state.settings)
    if client is None:
        raise Unauthenticated
    refuse_scopes(client.scopes, wanted)
    return client


def _refuse_staff(request: Request) -> None:
    with transaction(request.app.state.sessions) as session:
        _staff(session, request)
    raise Forbidden(needs="a partner's access token")


def the_staff(wanted: SecurityScopes, caller: Caller, _: Annotated[object, Security(bearer)] = None) -> Staff:
    """Let a member of the staff in who has the scopes; what of, the route says.

    Raises:
        Forbidden: if it is none, or a scope is missing.
    """
    if not isinstance(caller, Staff):
        raise Forbidden(needs="a staff account")
    refuse_scopes(caller.scopes, wanted)
    return caller


def the_administrator(wanted: SecurityScopes, caller: Caller, _: Annotated[object, Security(bearer)] = None) -> Staff:
    """Let an administrator in who has the scopes.

    Raises:
        Forbidden: if it is none, or a scope is missing.
    """
    staff = the_staff(wanted, caller)
    if not staff.is_administrator:
        raise Forbidden(needs=sentence("the role of administrator"))
    return staff


def refuse_absent(staff: Staff) -> None:
    """Refuse whoever has not proved lately to be there.

    Raises:
        PresenceNeeded: if the proof is too old, or the token is a personal one.
    """
    if staff.present_for is not None:
        raise PresenceNeeded(minutes=staff.present_for)


def the_present_staff(wanted: SecurityScopes, caller: Caller, _: Annotated[object, Security(bearer)] = None) -> Staff:
    """Let a member of the staff in who has the scopes and has just proved to be there.

    Raises:
        Forbidden: if it is none, or a scope is missing.
        SessionNeeded: if it is a personal token.
        PresenceNeeded: if the proof is too old.
    """
    staff = the_staff(wanted, caller)
    if not staff.is_session:
        raise SessionNeeded
    refuse_absent(staff)
    return staff


def the_present_administrator(
    wanted: SecurityScopes, caller: Caller, _: Annotated[object, Security(bearer)] = None
) -> Staff:
    """Let an administrator in who has the scopes and has just proved to be there.

    Raises:
        Forbidden: if it is none, or a scope is missing.
        PresenceNeeded: if the proof is too old, or the token is a personal one.
    """
    staff = the_administrator(wanted, caller)
    refuse_absent(staff)
    return staff


def the_reader(wanted: SecurityScopes, caller: Caller, _: Annotated[object, Security(bearer)] = None) -> Staff:
    """Let an administrator or an auditor in, to read what no school sees whole.

    Raises:
        Forbidden: if it is neither, or a scope is missing.
    """
    staff = the_staff(wanted, caller)
    if not staff.sees_everything:
        raise Forbidden(needs=sentence("the role of administrator or auditor"))
    return staff


def the_auditor(wanted: SecurityScopes, caller: Caller, _: Annotated[object, Security(bearer)] = None) -> Staff:
    """Let an auditor in, to read a whole round under its tickets: without names, yet not anonymous.

    Raises:
        Forbidden: if it is none, or a scope is missing.
    """
    staff = the_staff(wanted, caller)
    if not staff.is_(RoleKind.AUDITOR):
        raise Forbidden(needs=sentence("the role of auditor"))
    return staff


Guard = Callable[[SecurityScopes, Partner | Staff], object]

GUARDS: Mapping[object, Guard] = {
    guard: guard
    for guard in (
        the_partner,
        the_staff,
        the_present_staff,
        the_administrator,
        the_present_administrator,
        the_reader,
        the_auditor,
    )
}
"""What checks a known caller, by itself: for routes that check the caller before the rest of the request."""


def refuse_stranger(*, allowed: bool) -> None:
    """Refuse what is outside the caller's scope as if it were not there.

    Raises:
        NotFound: unless it is allowed.
    """
    if not allowed:
        raise NotFound


Administers = Annotated[Staff, Security(the_administrator, scopes=["catalog:write"])]
ManagesAccess = Annotated[Staff, Security(the_administrator, scopes=["access:manage"])]
RunsRounds = Annotated[Staff, Security(the_administrator, scopes=["rounds:run"])]
Publishes = Annotated[Staff, Security(the_administrator, scopes=["rounds:publish"])]
ReadsRecords = Annotated[Staff, Security(the_reader, scopes=["records:read"])]
WatchesService = Annotated[Staff, Security(the_administrator, scopes=["records:read"])]
Audits = Annotated[Staff, Security(the_auditor, scopes=["records:read"])]
Decides = Annotated[Staff, Security(the_staff, scopes=["claims:decide"])]
AnyStaff = Annotated[Staff, Security(the_staff, scopes=["records:read"])]
ReadsApplications = Annotated[Partner, Security(the_partner, scopes=["applications:read"])]
Submits = Annotated[Client, Security(the_client, scopes=["applications:write"])]
WritesApplications = Annotated[Partner, Security(the_partner, scopes=["applications:write"])]
ReadsResults = Annotated[Partner, Security(the_partner, scopes=["results:read"])]
AnswersOffers = Annotated[Partner, Security(the_partner, scopes=["offers:write"])]
Places = Annotated[Staff, Security(the_administrator, scopes=["placements:write"])]

InSession = Annotated[SignedIn, Depends(the_session)]
ActsForSelf = Annotated[Staff, Security(the_present_staff, scopes=["records:read"])]
PresentToManageAccess = Annotated[Staff, Security(the_present_administrator, scopes=["access:manage"])]
PresentToRunRounds = Annotated[Staff, Security(the_present_administrator, scopes=["rounds:run"])]
PresentToPublish = Annotated[Staff, Security(the_present_administrator, scopes=["rounds:publish"])]
PresentToPlace = Annotated[Staff, Security(the_present_administrator, scopes=["placements:write"])]
PresentToAdminister = Annotated[Staff, Security(the_present_administrator, scopes=["catalog:write"])]
