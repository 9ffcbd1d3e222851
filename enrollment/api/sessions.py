"""Sign in and out, prove presence, and manage your own tokens, password and second factors."""

import json
import uuid
from typing import cast

from fastapi import APIRouter, Request, Response, status

from enrollment.access import passkeys, presence, second_factors, sessions
from enrollment.access.client_addresses import address_of
from enrollment.access.guards import ActsForSelf, AnyStaff, InSession
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.access.identification import must_have_factor
from enrollment.access.inputs import PasskeyIn, PasswordChangeIn, PersonalTokenIn, ProofIn, SessionIn
from enrollment.access.models import AuthenticatorApp, Passkey, StaffToken
from enrollment.access.sign_in import sign_in
from enrollment.api.schemas.sessions import (
    AppConfirmationIn,
    AppOut,
    FactorAddedOut,
    FactorOut,
    FactorsOut,
    PasskeyOptions,
    PresenceOut,
    RecoveryCodesOut,
    SessionOut,
    StaffTokenOut,
)
from enrollment.database import InTransaction
from enrollment.paging import Page, Paging

router = APIRouter(route_class=IdempotentRoute, tags=["access"])

FACTORS = "/v1/second-factors"


@router.post("/v1/sessions", status_code=status.HTTP_201_CREATED)
def open_session(request: Request, response: Response, body: SessionIn) -> SessionOut:
    """Sign in as staff. The session token lasts some hours and allows everything that your roles allow."""
    state = request.app.state
    done = sign_in(state.sessions, body, address=address_of(request), settings=state.settings)
    response.headers["Cache-Control"] = "no-store"
    shown = _token_out(done.new.token, done.new.words)
    return SessionOut(**shown.model_dump(), needs=done.needs, device=done.device)


@router.delete("/v1/sessions", status_code=status.HTTP_204_NO_CONTENT)
def sign_out_everywhere(session: InTransaction, by: InSession) -> None:
    """End all your sessions, including this one. To end one session, use `DELETE /v1/tokens/{token}`."""
    sessions.end_sessions(session, by=by)


@router.post("/v1/presence/options")
def begin_presence(request: Request, session: InTransaction, by: InSession) -> PasskeyOptions:
    """Get the passkey options with which a browser proves your presence. They work once, for five minutes."""
    options = passkeys.options_to_prove(session, by=by, settings=request.app.state.settings)
    return cast("PasskeyOptions", json.loads(options))


@router.post("/v1/presence")
def prove_presence(request: Request, session: InTransaction, by: InSession, body: ProofIn) -> PresenceOut:
    """Prove your presence, to finish signing in or before a request that needs a fresh proof."""
    proved = presence.prove_presence(session, body, by=by, settings=request.app.state.settings)
    return PresenceOut(until=proved.until, token=proved.token)


@router.post("/v1/password", status_code=status.HTTP_204_NO_CONTENT, dependencies=[Idempotent])
def change_password(request: Request, session: InTransaction, by: ActsForSelf, body: PasswordChangeIn) -> None:
    """Change your password. Your other sessions and your personal tokens end."""
    presence.change_password(session, body, by=by, settings=request.app.state.settings)


@router.get("/v1/tokens")
def list_tokens(session: InTransaction, staff: AnyStaff, paging: Paging) -> Page[StaffTokenOut]:
    """List your own valid sessions and personal tokens, newest first."""
    query = sessions.tokens_of(session, staff)
    return paging.read(session, query, by=[StaffToken.made_at, StaffToken.id], newest_first=True).show(_token_out)


@router.post("/v1/tokens", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def create_token(session: InTransaction, by: ActsForSelf, body: PersonalTokenIn) -> StaffTokenOut:
    """Make a personal token. The answer shows it once. Making a token needs a session, not a personal token."""
    new = sessions.make_personal_token(session, body, by=by)
    return _token_out(new.token, new.words)


@router.delete("/v1/tokens/{token}", status_code=status.HTTP_204_NO_CONTENT)
def revoke_token(session: InTransaction, by: AnyStaff, token: uuid.UUID) -> None:
    """End one of your sessions or personal tokens, even the current one. A personal token can end only itself."""
    sessions.revoke_token(session, token, by=by)


@router.get(FACTORS)
def list_second_factors(session: InTransaction, by: InSession) -> FactorsOut:
    """List your second factors."""
    has = second_factors.factors_of(session, by.id)
    return FactorsOut(data=[_factor_out(row) for row in has.all], recovery_codes_left=has.recovery_codes)


@router.post(f"{FACTORS}/totp", status_code=status.HTTP_201_CREATED)
def begin_authenticator_app(request: Request, response: Response, session: InTransaction, by: InSession) -> AppOut:
    """Begin to set up an authenticator app. Confirm it with a code before you use it."""
    response.headers["Cache-Control"] = "no-store"
    new = second_factors.begin_app(session, by=by, settings=request.app.state.settings)
    return AppOut(secret=new.secret, uri=new.uri)


@router.post(f"{FACTORS}/totp/confirm")
def confirm_authenticator_app(
    request: Request, response: Response, session: InTransaction, by: InSession, body: AppConfirmationIn
) -> FactorAddedOut:
    """Confirm the authenticator app with the code that it shows. Your first second factor brings recovery codes."""
    response.headers["Cache-Control"] = "no-store"
    added = presence.finish_app(session, body.code, by=by, settings=request.app.state.settings)
    return FactorAddedOut(recovery_codes=added.recovery_codes, token=added.token)


@router.post(f"{FACTORS}/passkeys/options")
def begin_passkey(request: Request, session: InTransaction, by: InSession) -> PasskeyOptions:
    """Get the options with which a browser makes a passkey. They work once, for five minutes."""
    return cast(
        "PasskeyOptions", json.loads(passkeys.options_to_add(session, by=by, settings=request.app.state.settings))
    )


@router.post(f"{FACTORS}/passkeys", status_code=status.HTTP_201_CREATED)
def add_passkey(
    request: Request, response: Response, session: InTransaction, by: InSession, body: PasskeyIn
) -> FactorAddedOut:
    """Add a passkey that the browser made. Your first second factor brings recovery codes."""
    response.headers["Cache-Control"] = "no-store"
    added = presence.finish_passkey(session, body, by=by, settings=request.app.state.settings)
    return FactorAddedOut(recovery_codes=added.recovery_codes, token=added.token)


@router.post(f"{FACTORS}/recovery-codes", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def create_recovery_codes(response: Response, session: InTransaction, by: ActsForSelf) -> RecoveryCodesOut:
    """Make new recovery codes. The earlier codes stop working."""
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodesOut(recovery_codes=second_factors.new_recovery_codes(session, by.id, by=by))


@router.delete(f"{FACTORS}/{{factor}}", status_code=status.HTTP_204_NO_CONTENT)
def remove_second_factor(request: Request, session: InTransaction, by: ActsForSelf, factor: uuid.UUID) -> None:
    """Remove a passkey or your authenticator app. You cannot remove the last second factor if your role needs one."""
    needed = must_have_factor(by.roles, request.app.state.settings)
    second_factors.remove_factor(session, factor, by=by, needed=needed)


def _token_out(token: StaffToken, words: str | None = None) -> StaffTokenOut:
    return StaffTokenOut(
        id=token.id, kind=token.kind, name=token.name, scopes=token.scopes, expires_at=token.expires_at, token=words
    )


def _factor_out(row: AuthenticatorApp | Passkey) -> FactorOut:
    if isinstance(row, Passkey):
        return FactorOut(id=row.id, kind="passkey", name=row.name, made_at=row.made_at)
    return FactorOut(id=row.id, kind="app", name=None, made_at=row.made_at)
