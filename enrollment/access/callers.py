"""Who is asking, as types that a route's signature names.

A route says `partner: Annotated[Partner, Security(the_partner, scopes=["results:read"])]`, and there is no other way to
get a `Partner`. What is outside the caller's scope is not found rather than forbidden.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, OAuth2, SecurityScopes
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from enrollment.access.models import PartnerAccount, StaffAccount, StaffRole, StaffToken
from enrollment.access.tokens import Client, partner_of_token
from enrollment.database import InTransaction, transaction
from enrollment.problems import Forbidden, NotFound, Unauthenticated, sentence

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


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner site that is asking."""

    id: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """Return how the log names it."""
        return f"partner:{self.id}"


@dataclass(frozen=True, slots=True)
class Staff:
    """A member of the staff who is asking."""

    id: str
    roles: tuple[Role, ...]
    scopes: frozenset[str]

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
    if kind.lower() != "bearer" or not token.strip():
        raise Unauthenticated
    return token.strip()


def _partner(session: Session, request: Request) -> Partner:
    client = partner_of_token(_token(request), request.app.state.settings)
    row = (
        client
        and session.execute(
            select(PartnerAccount.scopes).where(PartnerAccount.id == client.id, PartnerAccount.active)
        ).one_or_none()
    )
    if not client or not row:
        raise Unauthenticated
    return Partner(client.id, client.scopes & frozenset(row.scopes))


def _staff(session: Session, request: Request) -> Staff:
    row = session.execute(
        select(StaffToken.scopes, StaffToken.staff_id)
        .join(StaffAccount, StaffAccount.id == StaffToken.staff_id)
        .where(
            StaffToken.digest == digest_of(_token(request)),
            StaffToken.revoked_at.is_(None),
            StaffToken.expires_at > func.clock_timestamp(),
            StaffAccount.active,
        )
    ).one_or_none()
    if row is None:
        raise Unauthenticated
    roles = session.execute(
        select(StaffRole.kind, StaffRole.operator_id, StaffRole.school_id)
        .where(StaffRole.staff_id == row.staff_id)
        .order_by(StaffRole.kind, StaffRole.operator_id, StaffRole.school_id)
    )
    found = tuple(Role(RoleKind(kind), operator, school) for kind, operator, school in roles)
    if not found:
        raise Forbidden(needs="a role")
    return Staff(row.staff_id, found, frozenset(row.scopes))


def identify(session: InTransaction, request: Request) -> Partner | Staff:
    """Return who is asking, of whatever kind.

    Raises:
        Unauthenticated: if the token is missing, unknown, expired or revoked.
    """
    known: Partner | Staff | None = getattr(request.state, "caller", None)
    if known is None:
        # A signed access token has two dots; the random tokens of staff have none.
        found = _partner if _token(request).count(".") == 2 else _staff  # noqa: PLR2004
        known = request.state.caller = found(session, request)
    return known


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
    if token.count(".") != 2:  # noqa: PLR2004 - as in `identify`
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
    guard: guard for guard in (the_partner, the_staff, the_administrator, the_reader, the_auditor)
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
