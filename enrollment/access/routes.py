"""Tokens, partners, staff over HTTP."""

import base64
import binascii
import re
import uuid
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Form, Path, Request, Response, status
from pydantic import BaseModel, Field
from sqlalchemy import select

from enrollment.access import service
from enrollment.access.callers import AnyStaff, ManagesAccess
from enrollment.access.models import PartnerAccount, PartnerSecret, StaffAccount, StaffToken
from enrollment.access.once import Once, OnceRoute
from enrollment.access.schemas import (
    AccessTokenShown,
    PartnerBody,
    PartnerChange,
    PartnerShown,
    PersonalTokenBody,
    RoleBody,
    SecretShown,
    SignIn,
    StaffBody,
    StaffChange,
    StaffShown,
    StaffTokenShown,
)
from enrollment.access.tokens import Client, access_token
from enrollment.database import InTransaction
from enrollment.paging import Page, Paging
from enrollment.preconditions import IfMatch, refuse_stale, show_version
from enrollment.problems import BadRequest, NotFound, Unauthenticated, sentence
from enrollment.wire import Id

router = APIRouter(route_class=OnceRoute)

MOST_FORM = 2_000

ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


class ClientUnknown(Unauthenticated):
    """The client id or its secret is wrong."""

    title = sentence("The client is not known")
    detail = sentence("Check client_id and client_secret; a revoked secret no longer works.")


class GrantUnsupported(BadRequest):
    """Another grant than client credentials was asked for."""

    title = sentence("This grant is not given")
    detail = sentence("Send grant_type=client_credentials.")


class ScopeRefused(BadRequest):
    """A scope that the partner does not have."""

    title = sentence("A scope was asked for that this client does not have")
    detail = sentence("Ask for some of its own scopes, or leave scope out to get all of them.")


class TokenRequest(BaseModel):
    """The form of RFC 6749, section 4.4.2; the client's name and secret may be in HTTP Basic instead."""

    grant_type: Annotated[str, Field(max_length=100, examples=["client_credentials"])]
    scope: Annotated[str, Field(max_length=MOST_FORM)] = ""
    client_id: Annotated[str, Field(max_length=MOST_FORM)] = ""
    client_secret: Annotated[str, Field(max_length=MOST_FORM)] = ""


@router.post("/v1/oauth/token", tags=["access"])
def give_access_token(
    request: Request, response: Response, session: InTransaction, form: Annotated[TokenRequest, Form()]
) -> AccessTokenShown:
    """Give a partner an access token for its client credentials (RFC 6749, section 4.4)."""
    if form.grant_type != "client_credentials":
        raise GrantUnsupported
    name, secret = _basic(request) or (form.client_id, form.client_secret)
    partner = service.partner_with_secret(session, client_id=name, secret=secret) if ID.fullmatch(name) else None
    if partner is None:
        raise ClientUnknown
    wanted = frozenset(form.scope.split()) or frozenset(partner.scopes)
    if not wanted <= frozenset(partner.scopes):
        raise ScopeRefused
    response.headers["Cache-Control"] = "no-store"
    settings = request.app.state.settings
    return AccessTokenShown(
        token_type="Bearer",  # noqa: S106 - the type, not a secret
        access_token=access_token(Client(partner.id, wanted), settings),
        expires_in=settings.token_minutes * 60,
        scope=" ".join(sorted(wanted)),
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


@router.post("/v1/sessions", status_code=status.HTTP_201_CREATED, tags=["access"])
def sign_in(request: Request, response: Response, body: SignIn) -> StaffTokenShown:
    """Sign in as staff; the token is good for some hours, for everything that the roles allow."""
    token, words = service.sign_in(request.app.state.sessions, body, request.app.state.settings)
    response.headers["Cache-Control"] = "no-store"
    return _token_shown(token, words)


@router.get("/v1/tokens", tags=["access"])
def list_own_tokens(session: InTransaction, staff: AnyStaff, paging: Paging) -> Page[StaffTokenShown]:
    """List your own valid sessions and personal tokens, newest first."""
    asked = service.tokens_of(session, staff)
    return paging.read(session, asked, by=[StaffToken.made_at, StaffToken.id], newest_first=True).show(_token_shown)


@router.post("/v1/tokens", status_code=status.HTTP_201_CREATED, dependencies=[Once], tags=["access"])
def make_token(session: InTransaction, staff: AnyStaff, body: PersonalTokenBody) -> StaffTokenShown:
    """Make a personal token; it is shown once."""
    return _token_shown(*service.make_personal_token(session, staff, body))


@router.delete("/v1/tokens/{token}", status_code=status.HTTP_204_NO_CONTENT, tags=["access"])
def revoke_token(session: InTransaction, staff: AnyStaff, token: uuid.UUID) -> None:
    """Revoke one of your own tokens, also the one you ask with."""
    service.revoke_token(session, staff, token)


@router.get("/v1/partners", tags=["access"])
def list_partners(session: InTransaction, _: ManagesAccess, paging: Paging) -> Page[PartnerShown]:
    """List the partners."""
    found = paging.read(session, select(PartnerAccount), by=[PartnerAccount.id])
    return found.show(lambda partner: _partner_shown(partner, service.valid_secrets(session, partner.id)))


@router.post("/v1/partners", status_code=status.HTTP_201_CREATED, dependencies=[Once], tags=["access"])
def make_partner(session: InTransaction, _: ManagesAccess, response: Response, body: PartnerBody) -> PartnerShown:
    """Make a partner; give it a secret next."""
    partner = service.make_partner(session, body)
    show_version(response, partner.version)
    return _partner_shown(partner, [])


@router.get("/v1/partners/{partner}", tags=["access"])
def read_partner(
    session: InTransaction, _: ManagesAccess, response: Response, partner: Annotated[Id, Path()]
) -> PartnerShown:
    """Read a partner, with the valid secrets' ids and dates."""
    found = session.get(PartnerAccount, partner)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _partner_shown(found, service.valid_secrets(session, partner))


@router.put("/v1/partners/{partner}", tags=["access"])
def change_partner(
    session: InTransaction,
    _: ManagesAccess,
    response: Response,
    partner: Annotated[Id, Path()],
    body: PartnerChange,
    if_match: IfMatch = None,
) -> PartnerShown:
    """Change a partner; `active: false` stops its tokens at once."""
    found = service.hold_partner(session, partner)
    refuse_stale(if_match, found.version)
    service.change_partner(session, found, body)
    show_version(response, found.version)
    return _partner_shown(found, service.valid_secrets(session, partner))


@router.post(
    "/v1/partners/{partner}/secrets", status_code=status.HTTP_201_CREATED, dependencies=[Once], tags=["access"]
)
def make_secret(session: InTransaction, _: ManagesAccess, partner: Annotated[Id, Path()]) -> SecretShown:
    """Make a secret; it is shown once. Two are valid at a time, so that one can be changed while the other is used."""
    secret, words = service.make_secret(session, service.hold_partner(session, partner))
    return SecretShown(id=secret.id, made_at=secret.made_at, secret=words)


@router.delete("/v1/partners/{partner}/secrets/{secret}", status_code=status.HTTP_204_NO_CONTENT, tags=["access"])
def revoke_secret(session: InTransaction, _: ManagesAccess, partner: Annotated[Id, Path()], secret: uuid.UUID) -> None:
    """Revoke a secret; access tokens made with it run out within their minutes."""
    service.revoke_secret(session, service.hold_partner(session, partner), secret)


@router.get("/v1/staff", tags=["access"])
def list_staff(session: InTransaction, _: ManagesAccess, paging: Paging) -> Page[StaffShown]:
    """List the staff accounts."""
    found = paging.read(session, select(StaffAccount), by=[StaffAccount.id])
    return found.show(lambda staff: _staff_shown(session, staff))


@router.post("/v1/staff", status_code=status.HTTP_201_CREATED, dependencies=[Once], tags=["access"])
def make_staff(session: InTransaction, _: ManagesAccess, response: Response, body: StaffBody) -> StaffShown:
    """Make a staff account with roles."""
    staff = service.make_staff(session, body)
    show_version(response, staff.version)
    return _staff_shown(session, staff)


@router.get("/v1/staff/{staff}", tags=["access"])
def read_staff(
    session: InTransaction, _: ManagesAccess, response: Response, staff: Annotated[Id, Path()]
) -> StaffShown:
    """Read a staff account."""
    found = session.get(StaffAccount, staff)
    if found is None:
        raise NotFound
    show_version(response, found.version)
    return _staff_shown(session, found)


@router.put("/v1/staff/{staff}", tags=["access"])
def change_staff(
    session: InTransaction,
    _: ManagesAccess,
    response: Response,
    staff: Annotated[Id, Path()],
    body: StaffChange,
    if_match: IfMatch = None,
) -> StaffShown:
    """Change a staff account; closing it or a new password ends its sessions and tokens."""
    found = service.hold_staff(session, staff)
    refuse_stale(if_match, found.version)
    service.change_staff(session, found, body)
    show_version(response, found.version)
    return _staff_shown(session, found)


def _partner_shown(partner: PartnerAccount, valid: Sequence[PartnerSecret]) -> PartnerShown:
    return PartnerShown(
        id=partner.id,
        name=partner.name,
        scopes=partner.scopes,
        active=partner.active,
        secrets=[SecretShown(id=secret.id, made_at=secret.made_at) for secret in valid],
    )


def _staff_shown(session: InTransaction, staff: StaffAccount) -> StaffShown:
    roles = [
        RoleBody(role=role.kind.value, operator=role.operator, school=role.school)
        for role in service.roles_of(session, staff.id)
    ]
    return StaffShown(id=staff.id, name=staff.name, roles=roles, active=staff.active)


def _token_shown(token: StaffToken, words: str | None = None) -> StaffTokenShown:
    return StaffTokenShown(
        id=token.id, kind=token.kind, name=token.name, scopes=token.scopes, expires_at=token.expires_at, token=words
    )
