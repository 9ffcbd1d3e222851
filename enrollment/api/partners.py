"""Partner accounts, their secrets and access tokens."""

import base64
import binascii
import re
import uuid
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Form, Path, Request, Response, status
from sqlalchemy import select

from enrollment.access import partners
from enrollment.access.attempt_limits import keep_and_refuse
from enrollment.access.client_addresses import address_of
from enrollment.access.guards import ManagesAccess, PresentToManageAccess
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.access.inputs import PartnerChangeIn, PartnerIn
from enrollment.access.models import PartnerAccount, PartnerSecret
from enrollment.access.tokens import Client, access_token
from enrollment.api.schemas.partners import AccessTokenIn, AccessTokenOut, PartnerOut, SecretOut
from enrollment.database import InTransaction
from enrollment.field_types import Id
from enrollment.paging import Page, Paging
from enrollment.preconditions import IfMatch, refuse_stale, show_version
from enrollment.problems import BadRequest, NotFound, Unauthenticated, sentence

router = APIRouter(route_class=IdempotentRoute, tags=["access"])

ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class ClientUnknown(Unauthenticated):
    """The client id or its secret is wrong."""

    title = sentence("Invalid client credentials")
    detail = sentence("Check client_id and client_secret. A revoked secret no longer works.")


class GrantUnsupported(BadRequest):
    """The request asks for a grant type other than client credentials."""

    title = sentence("Unsupported grant type")
    detail = sentence("Send grant_type=client_credentials.")


class ScopeRefused(BadRequest):
    """The request asks for a scope that the partner does not have."""

    title = sentence("Scope not allowed")
    detail = sentence(
        "This client does not have every requested scope. Request only its own scopes, or omit scope to get "
        "all of them."
    )


@router.post("/v1/oauth/token")
def create_access_token(
    request: Request, response: Response, session: InTransaction, form: Annotated[AccessTokenIn, Form()]
) -> AccessTokenOut:
    """Exchange client credentials for an access token (RFC 6749, section 4.4)."""
    if form.grant_type != "client_credentials":
        raise GrantUnsupported
    name, secret = _basic(request) or (form.client_id, form.client_secret)
    if not ID.fullmatch(name):
        raise ClientUnknown
    client = partners.client_with_secret(session, client_id=name, secret=secret)
    if client is None:
        partners.record_client_failure(session, name, address_of(request))
        keep_and_refuse(session, ClientUnknown())
    scopes = frozenset(form.scope.split()) or client.scopes
    if not scopes <= client.scopes:
        raise ScopeRefused
    response.headers["Cache-Control"] = "no-store"
    settings = request.app.state.settings
    return AccessTokenOut(
        token_type="Bearer",  # noqa: S106 - the type, not a secret
        access_token=access_token(Client(client.id, scopes, client.secret), settings),
        expires_in=settings.token_minutes * 60,
        scope=" ".join(sorted(scopes)),
    )


def _basic(request: Request) -> tuple[str, str] | None:
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise ClientUnknown from None
    return (unquote(name), unquote(secret)) if colon else None


@router.get("/v1/partners")
def list_partners(session: InTransaction, _: ManagesAccess, paging: Paging) -> Page[PartnerOut]:
    """List the partners."""
    found = paging.read(session, select(PartnerAccount), by=[PartnerAccount.id])
    return found.show(lambda partner: _partner_out(partner, partners.valid_secrets(session, partner.id)))


@router.post("/v1/partners", status_code=status.HTTP_201_CREATED, dependencies=[Idempotent])
def create_partner(
    session: InTransaction, staff: PresentToManageAccess, response: Response, body: PartnerIn
) -> PartnerOut:
    """Make a partner. Then make a secret for it."""
    partner = partners.make_partner(session, body, by=staff)
    show_version(response, partner.version)
    return _partner_out(partner, [])


@router.get("/v1/partners/{partner}")
def read_partner(
    session: InTransaction, _: ManagesAccess, response: Response, partner: Annotated[Id, Path()]
) -> PartnerOut:
    """Read a partner, with the ids and dates of its valid secrets."""
    found = session.get(PartnerAccount, partner)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _partner_out(found, partners.valid_secrets(session, partner))


@router.put("/v1/partners/{partner}")
def change_partner(
    session: InTransaction,
    staff: PresentToManageAccess,
    response: Response,
    partner: Annotated[Id, Path()],
    body: PartnerChangeIn,
    if_match: IfMatch = None,
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
