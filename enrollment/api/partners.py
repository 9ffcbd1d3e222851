"""Partner accounts, their secrets and access tokens."""

import base64
import binascii
import re
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Form, Path, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy import select
from starlette.exceptions import HTTPException

from enrollment.access import partners
from enrollment.access.attempt_limits import keep_and_refuse
from enrollment.access.client_addresses import address_of
from enrollment.access.guards import ManagesAccess, PresentToManageAccess
from enrollment.access.idempotency import Handler, Idempotent, IdempotentRoute
from enrollment.access.inputs import PartnerChangeIn, PartnerIn
from enrollment.access.models import PartnerAccount, PartnerSecret
from enrollment.access.tokens import Client, access_token
from enrollment.api.schemas.partners import AccessTokenIn, AccessTokenOut, PartnerOut, SecretOut
from enrollment.database import InTransaction
from enrollment.field_faults import faults_of
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.preconditions import SHOWS_ETAG, IfMatchAlways, refuse_stale, show_version
from enrollment.problems import BadRequest, Fault, NotFound, Unauthenticated, sentence

router = APIRouter(route_class=IdempotentRoute, tags=["access"])

ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

NOT_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""Headers of every answer to a request for an access token (RFC 6749, section 5.1)."""


class ClientUnknown(Unauthenticated):
    """The client id or its secret is wrong."""

    oauth_error = "invalid_client"
    title = sentence("Invalid client credentials")
    detail = sentence("Check client_id and client_secret. A revoked secret no longer works.")

    def __init__(self) -> None:
        super().__init__()
        self.headers = {**NOT_STORED, "WWW-Authenticate": 'Basic realm="oauth", charset="UTF-8"'}


class TokenRequestInvalid(BadRequest):
    """The request for an access token lacks a parameter, repeats one, or names its client in two ways."""

    oauth_error = "invalid_request"
    title = sentence("Invalid token request")
    detail = sentence(
        "Send a form (application/x-www-form-urlencoded) with grant_type=client_credentials, each parameter once, and "
        "the client id and secret either by HTTP Basic or in the form."
    )

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        super().__init__(faults=faults, headers=NOT_STORED)


class GrantUnsupported(BadRequest):
    """The request asks for a grant type other than client credentials."""

    oauth_error = "unsupported_grant_type"
    title = sentence("Unsupported grant type")
    detail = sentence("Send grant_type=client_credentials.")

    def __init__(self) -> None:
        super().__init__(headers=NOT_STORED)


class ScopeRefused(BadRequest):
    """The request asks for a scope that the partner does not have."""

    oauth_error = "invalid_scope"
    title = sentence("Scope not allowed")
    detail = sentence(
        "This client does not have every requested scope. Request only its own scopes, or omit scope to get "
        "all of them."
    )

    def __init__(self) -> None:
        super().__init__(headers=NOT_STORED)


class TokenRoute(APIRoute):
    """Refuse a malformed form as RFC 6749 says."""

    def get_route_handler(self) -> Handler:
        """Wrap FastAPI's handler, which reads the form."""
        answer_request = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                form = await request.form()
                refuse_repeated(form.multi_items())
                return await answer_request(request)
            except RequestValidationError as error:
                raise TokenRequestInvalid(list(faults_of(error.errors(), error.body))) from None
            except HTTPException:
                raise TokenRequestInvalid from None

        return answer


def refuse_repeated(items: Sequence[tuple[str, object]]) -> None:
    """Refuse a form that has a parameter twice (RFC 6749, section 3.2).

    Raises:
        TokenRequestInvalid: with each parameter that the form has twice.
    """
    times = Counter(name for name, _ in items)
    detail = sentence("appears {times} times; send it once")
    known = AccessTokenIn.model_fields
    faults = [
        Fault(f"/{name}", "repeated-parameter", detail, {"times": times[name]}) for name in known if times[name] > 1
    ]
    if faults:
        raise TokenRequestInvalid(faults)


tokens = APIRouter(route_class=TokenRoute, tags=["access"])


@tokens.post("/v1/oauth/token")
def create_access_token(
    request: Request, response: Response, session: InTransaction, form: Annotated[AccessTokenIn, Form()]
) -> AccessTokenOut:
    """Exchange client credentials for an access token (RFC 6749, section 4.4)."""
    if form.grant_type != "client_credentials":
        raise GrantUnsupported
    name, secret = _credentials(request, form)
    client = partners.client_with_secret(session, client_id=name, secret=secret)
    if client is None:
        partners.record_client_failure(session, name, address_of(request))
        keep_and_refuse(session, ClientUnknown())
    scopes = frozenset(form.scope.split()) or client.scopes
    if not scopes <= client.scopes:
        raise ScopeRefused
    response.headers.update(NOT_STORED)
    settings = request.app.state.settings
    return AccessTokenOut(
        token_type="Bearer",  # noqa: S106 - the type, not a secret
        access_token=access_token(Client(client.id, scopes, client.secret), settings),
        expires_in=settings.token_minutes * 60,
        scope=" ".join(sorted(scopes)),
    )


def _credentials(request: Request, form: AccessTokenIn) -> tuple[str, str]:
    """Return the client id and the secret, from HTTP Basic or from the form.

    Raises:
        TokenRequestInvalid: if the request has a secret in both places, or two different ids.
        ClientUnknown: if the request has no usable id.
    """
    basic = _basic(request)
    if basic and (form.client_secret or form.client_id not in ("", basic[0])):
        raise TokenRequestInvalid
    name, secret = basic or (form.client_id, form.client_secret)
    if not ID.fullmatch(name) or "\0" in secret:
        raise ClientUnknown
    return name, secret


def _basic(request: Request) -> tuple[str, str] | None:
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise ClientUnknown from None
    if not colon:
        raise ClientUnknown
    return unquote(name), unquote(secret)


@router.get("/v1/partners")
def list_partners(session: InTransaction, _: ManagesAccess, paging: Paging) -> Page[PartnerOut]:
    """List the partners."""
    found = paging.read(session, select(PartnerAccount), by=[PartnerAccount.id])
    return found.show(lambda partner: _partner_out(partner, partners.valid_secrets(session, partner.id)))


@router.post("/v1/partners", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent], openapi_extra=SHOWS_ETAG)
def create_partner(
    session: InTransaction, staff: PresentToManageAccess, response: Response, body: PartnerIn
) -> PartnerOut:
    """Make a partner. Then make a secret for it."""
    partner = partners.make_partner(session, body, by=staff)
    show_version(response, partner.version)
    return _partner_out(partner, [])


@router.get("/v1/partners/{partner}", openapi_extra=SHOWS_ETAG)
def read_partner(
    session: InTransaction, _: ManagesAccess, response: Response, partner: Annotated[Id, Path()]
) -> PartnerOut:
    """Read a partner, with the ids and dates of its valid secrets."""
    found = session.get(PartnerAccount, partner)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _partner_out(found, partners.valid_secrets(session, partner))


@router.put("/v1/partners/{partner}", openapi_extra=SHOWS_ETAG)
def change_partner(
    session: InTransaction,
    staff: PresentToManageAccess,
    response: Response,
    partner: Annotated[Id, Path()],
    body: PartnerChangeIn,
    if_match: IfMatchAlways = None,
) -> PartnerOut:
    """Change a partner. `active: false` stops its tokens at once."""
    found = partners.lock_partner(session, partner)
    refuse_stale(if_match, found.version)
    partners.change_partner(session, found, body, by=staff)
    show_version(response, found.version)
    return _partner_out(found, partners.valid_secrets(session, partner))


@router.post("/v1/partners/{partner}/secrets", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def create_secret(session: InTransaction, staff: PresentToManageAccess, partner: Annotated[Id, Path()]) -> SecretOut:
    """Make a secret. The answer shows it once.

    A partner may have two valid secrets, so it can replace one while it uses the other.
    """
    secret, words = partners.make_secret(session, partners.lock_partner(session, partner), by=staff)
    return SecretOut(id=secret.id, made_at=secret.made_at, secret=words)


@router.delete("/v1/partners/{partner}/secrets/{secret}", status_code=status.HTTP_204_NO_CONTENT)
def revoke_secret(
    session: InTransaction, staff: PresentToManageAccess, partner: Annotated[Id, Path()], secret: uuid.UUID
) -> None:
    """Revoke a secret. Access tokens that were issued with it stop working."""
    partners.revoke_secret(session, partners.lock_partner(session, partner), secret, by=staff)


def _partner_out(partner: PartnerAccount, valid: Sequence[PartnerSecret]) -> PartnerOut:
    return PartnerOut(
        id=partner.id,
        name=partner.name,
        scopes=partner.scopes,
        active=partner.active,
        secrets=[SecretOut(id=secret.id, made_at=secret.made_at) for secret in valid],
    )
