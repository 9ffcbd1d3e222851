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
from enrollment.problems import Forbidden, InvalidToken, NotFound, Problem, bearer_challenge, sentence

staff_bearer = HTTPBearer(scheme_name="staff", description="A session token or a personal token.", auto_error=False)
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
    """The request needs a fresh proof of presence."""

    status = 403
    title = sentence("Proof of presence needed")
    detail = sentence(
        "Send your second factor to POST /v1/presence, then repeat this request within {minutes} minutes. A personal "
        "token cannot do this."
    )


def require_session(session: InTransaction, request: Request, _: StaffBearer = None) -> SignedIn:
    """Admit a session, even before its second factor.

    Raises:
        Unauthenticated, InvalidToken: if the token is missing, unknown, expired or revoked.
        Forbidden: if the token is a partner's.
        SessionNeeded: if the token is a personal token.
    """
    return identify_session(session, request)


def refuse_scopes(granted: frozenset[str], needed: SecurityScopes) -> None:
    """Refuse a token without the scopes that a route needs.

    Raises:
        Forbidden: with the missing scopes.
    """
    missing = sorted(set(needed.scopes) - granted)
    if missing:
        said = "the access token lacks a scope"
        challenge = bearer_challenge("insufficient_scope", said, scope=" ".join(sorted(needed.scopes)))
        raise Forbidden(needs=", ".join(missing), headers={"WWW-Authenticate": challenge})


def require_partner(needed: SecurityScopes, caller: Caller, _: PartnerBearer = None) -> Partner:
    """Admit a partner with the scopes.

    Raises:
        Forbidden: if the caller is not a partner, or a scope is missing.
    """
    if not isinstance(caller, Partner):
        raise Forbidden(needs="a partner's access token")
    refuse_scopes(caller.scopes, needed)
    return caller


async def require_client(needed: SecurityScopes, request: Request, _: PartnerBearer = None) -> Client:
    """Admit a partner's signed token with the scopes. The verb checks that the partner is still active.

    Raises:
        Unauthenticated, InvalidToken: if the token is missing, unknown, expired or revoked.
        Forbidden: if the token belongs to staff, or a scope is missing.
    """
    token = token_of(request)
    if not is_partner_token(token):
        await run_in_threadpool(_refuse_staff, request)
    client = partner_of_token(token, request.app.state.settings)
    if client is None:
        raise InvalidToken
    refuse_scopes(client.scopes, needed)
    return client


def _refuse_staff(request: Request) -> None:
    with transaction(request.app.state.sessions) as session:
        identify_staff(session, request)
    raise Forbidden(needs="a partner's access token")


def require_staff(needed: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Admit staff with the scopes. The route checks the place.

    Raises:
        Forbidden: if the caller lacks the role or a scope.
    """
    if not isinstance(caller, Staff):
        raise Forbidden(needs="a staff account")
    refuse_scopes(caller.scopes, needed)
    return caller


def require_administrator(needed: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Admit an administrator with the scopes.

    Raises:
        Forbidden: if the caller lacks the role or a scope.
    """
    staff = require_staff(needed, caller)
    if not staff.is_administrator:
        raise Forbidden(needs=sentence("the administrator role"))
    return staff


def refuse_absent(staff: Staff) -> None:
    """Refuse staff without a fresh proof of presence.

    Raises:
        PresenceNeeded: if the proof is too old, or the token is a personal token.
    """
    if staff.present_for is not None:
        raise PresenceNeeded(minutes=staff.present_for)


def require_present_staff(needed: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Admit staff with the scopes and a fresh proof of presence.

    Raises:
        Forbidden: if the caller lacks the role or a scope.
        SessionNeeded: if the token is a personal token.
        PresenceNeeded: if the proof is too old.
    """
    staff = require_staff(needed, caller)
    if not staff.is_session:
        raise SessionNeeded
    refuse_absent(staff)
    return staff


def require_present_administrator(needed: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Admit an administrator with the scopes and a fresh proof of presence.

    Raises:
        Forbidden: if the caller lacks the role or a scope.
        PresenceNeeded: if the proof is too old, or the token is a personal token.
    """
    staff = require_administrator(needed, caller)
    refuse_absent(staff)
    return staff


def require_reader(needed: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Admit an administrator or an auditor, to read the records of all schools.

    Raises:
        Forbidden: if the caller has neither role, or a scope is missing.
    """
    staff = require_staff(needed, caller)
    if not staff.sees_everything:
        raise Forbidden(needs=sentence("the administrator or auditor role"))
    return staff


def require_auditor(needed: SecurityScopes, caller: Caller, _: StaffBearer = None) -> Staff:
    """Admit an auditor, to read a whole round under its tickets. Tickets have no names, but they can be traced.

    Raises:
        Forbidden: if the caller lacks the role or a scope.
    """
    staff = require_staff(needed, caller)
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
"""The guards that need only the caller: for routes that check the caller before they read the body."""


def refuse_stranger(*, allowed: bool) -> None:
    """Answer a record outside the caller's scope as not found.

    Raises:
        NotFound: unless the read is allowed.
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
