"""Guards: what a route's signature asks of its caller.

A route takes `partner: ReadsResults`, and there is no other way to get a `Partner`. Whatever is outside the caller's
scope is answered as not found.
"""

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer, OAuth2, SecurityScopes
from starlette.concurrency import run_in_threadpool

from enrollment.access.callers import Partner, RoleKind, SignedIn, Staff
from enrollment.access.identification import (
    Caller,
    SessionNeeded,
    identify_session,
    identify_staff,
    is_partner_token,
    token_of,
)
from enrollment.access.scopes import PARTNER_SCOPES
from enrollment.access.tokens import Client, partner_of_token
from enrollment.database import InTransaction, transaction
from enrollment.problems import Forbidden, NotFound, Problem, Unauthenticated, sentence

staff_bearer = HTTPBearer(scheme_name="staff", description="A session's or a personal token.", auto_error=False)
client_credentials = OAuth2(
    scheme_name="partner",
    description="A partner's access token, from /v1/oauth/token.",
    flows={"clientCredentials": {"tokenUrl": "/v1/oauth/token", "scopes": dict(PARTNER_SCOPES)}},
    auto_error=False,
)

StaffBearer = Annotated[object, Security(staff_bearer)]
PartnerBearer = Annotated[str | None, Security(client_credentials)]
"""How OpenAPI says that the caller signs in."""


class PresenceNeeded(Problem):
    """An act that needs a fresh proof of presence."""

    status = 403
    title = sentence("Proof of presence needed")
    detail = sentence(
        "Send your second factor to POST /v1/presence, then repeat this request within {minutes} minutes. A personal "
        "token cannot do this."
    )


def require_session(session: InTransaction, request: Request, _: StaffBearer = None) -> SignedIn:
    """Let anybody in who has a session, also one that still lacks the second factor.

    Raises:
        Unauthenticated: if the token is missing, unknown, expired or revoked.
        Forbidden: if it is a partner's.
        SessionNeeded: if it is a personal token.
    """
    return identify_session(session, request)


def refuse_scopes(held: frozenset[str], wanted: SecurityScopes) -> None:
    """Refuse a token that has not the scopes that a route asks for.

    Raises:
        Forbidden: naming those that are missing.
    """
    missing = sorted(set(wanted.scopes) - held)
    if missing:
        raise Forbidden(needs=", ".join(missing))


def require_partner(wanted: SecurityScopes, caller: Caller, _: PartnerBearer = None) -> Partner:
    """Let a partner in that has the scopes.

    Raises:
        Forbidden: if it is no partner, or a scope is missing.
    """
    if not isinstance(caller, Partner):
        raise Forbidden(needs="a partner's access token")
    refuse_scopes(caller.scopes, wanted)
    return caller


async def require_client(wanted: SecurityScopes, request: Request, _: PartnerBearer = None) -> Client:
    """Let in who has a partner's signed token with the scopes; whether the partner is still there, the act looks.

    Raises:
        Unauthenticated: if the token is missing, unknown, expired or revoked.
        Forbidden: if it is a member of the staff's, or a scope is missing.
    """
    token = token_of(request)
    if not is_partner_token(token):
        await run_in_threadpool(_refuse_staff, request)
    client = partner_of_token(token, request.app.state.settings)
    if client is None:
        raise Unauthenticated
    refuse_scopes(client.scopes, wanted)
    return client


def _refuse_staff(request: Request) -> None:
    with transaction(request.app.state.sessions) as session:
        identify_staff(session, request)
    raise Forbidden(needs="a partner's access token")


def require_staff(wanted: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Let a member of the staff in who has the scopes; what of, the route says.

    Raises:
        Forbidden: if it is none, or a scope is missing.
    """
    if not isinstance(caller, Staff):
        raise Forbidden(needs="a staff account")
    refuse_scopes(caller.scopes, wanted)
    return caller


def require_administrator(wanted: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Let an administrator in who has the scopes.

    Raises:
        Forbidden: if it is none, or a scope is missing.
    """
    staff = require_staff(wanted, caller)
    if not staff.is_administrator:
        raise Forbidden(needs=sentence("the administrator role"))
    return staff


def refuse_absent(staff: Staff) -> None:
    """Refuse whoever has not proved lately to be there.

    Raises:
        PresenceNeeded: if the proof is too old, or the token is a personal one.
    """
    if staff.present_for is not None:
        raise PresenceNeeded(minutes=staff.present_for)


def require_present_staff(wanted: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Let a member of the staff in who has the scopes and has just proved to be there.

    Raises:
        Forbidden: if it is none, or a scope is missing.
        SessionNeeded: if it is a personal token.
        PresenceNeeded: if the proof is too old.
    """
    staff = require_staff(wanted, caller)
    if not staff.is_session:
        raise SessionNeeded
    refuse_absent(staff)
    return staff


def require_present_administrator(wanted: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Let an administrator in who has the scopes and has just proved to be there.

    Raises:
        Forbidden: if it is none, or a scope is missing.
        PresenceNeeded: if the proof is too old, or the token is a personal one.
    """
    staff = require_administrator(wanted, caller)
    refuse_absent(staff)
    return staff


def require_reader(wanted: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Let an administrator or an auditor in, to read what no school sees whole.

    Raises:
        Forbidden: if it is neither, or a scope is missing.
    """
    staff = require_staff(wanted, caller)
    if not staff.sees_everything:
        raise Forbidden(needs=sentence("the administrator or auditor role"))
    return staff


def require_auditor(wanted: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Let an auditor in, to read a whole round under its tickets: without names, yet not anonymous.

    Raises:
        Forbidden: if it is none, or a scope is missing.
    """
    staff = require_staff(wanted, caller)
    if not staff.is_(RoleKind.AUDITOR):
        raise Forbidden(needs=sentence("the auditor role"))
    return staff


Guard = Callable[[SecurityScopes, Partner | Staff], object]

GUARDS: Mapping[object, Guard] = {
    guard: guard
    for guard in (
        require_partner,
        require_staff,
        require_present_staff,
        require_administrator,
        require_present_administrator,
        require_reader,
        require_auditor,
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


Administers = Annotated[Staff, Security(require_administrator, scopes=["catalog:write"])]
ManagesAccess = Annotated[Staff, Security(require_administrator, scopes=["access:manage"])]
RunsRounds = Annotated[Staff, Security(require_administrator, scopes=["rounds:run"])]
Publishes = Annotated[Staff, Security(require_administrator, scopes=["rounds:publish"])]
ReadsRecords = Annotated[Staff, Security(require_reader, scopes=["records:read"])]
WatchesService = Annotated[Staff, Security(require_administrator, scopes=["records:read"])]
Audits = Annotated[Staff, Security(require_auditor, scopes=["records:read"])]
Decides = Annotated[Staff, Security(require_staff, scopes=["claims:decide"])]
AnyStaff = Annotated[Staff, Security(require_staff, scopes=["records:read"])]
ReadsApplications = Annotated[Partner, Security(require_partner, scopes=["applications:read"])]
Submits = Annotated[Client, Security(require_client, scopes=["applications:write"])]
WritesApplications = Annotated[Partner, Security(require_partner, scopes=["applications:write"])]
ReadsResults = Annotated[Partner, Security(require_partner, scopes=["results:read"])]
AnswersOffers = Annotated[Partner, Security(require_partner, scopes=["offers:write"])]
Places = Annotated[Staff, Security(require_administrator, scopes=["placements:write"])]

InSession = Annotated[SignedIn, Depends(require_session)]
ActsForSelf = Annotated[Staff, Security(require_present_staff, scopes=["records:read"])]
PresentToManageAccess = Annotated[Staff, Security(require_present_administrator, scopes=["access:manage"])]
PresentToRunRounds = Annotated[Staff, Security(require_present_administrator, scopes=["rounds:run"])]
PresentToPublish = Annotated[Staff, Security(require_present_administrator, scopes=["rounds:publish"])]
PresentToPlace = Annotated[Staff, Security(require_present_administrator, scopes=["placements:write"])]
PresentToAdminister = Annotated[Staff, Security(require_present_administrator, scopes=["catalog:write"])]
