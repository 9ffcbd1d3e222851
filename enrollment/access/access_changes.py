"""Access changes that take two administrators: one requests the change, and another approves it.

Each administrator sees one part of the owner's code, so neither can take over the account alone.
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Select, case, delete, func, select, update
from sqlalchemy.orm import Session

from enrollment.access.accounts import (
    FOR_ROWS,
    LastAdministrator,
    add_account,
    administrators,
    append_public,
    end_tokens,
    is_administrator,
    lock_access,
    lock_account,
    makes_administrator,
    refuse_former_administrator,
    roles_in,
    roles_of,
    set_roles,
)
from enrollment.access.callers import Role, Staff
from enrollment.access.inputs import AccessChangeIn, RoleIn
from enrollment.access.invitations import CODE_GROUPS, invite
from enrollment.access.models import AccessChange, AuthenticatorApp, Passkey, RecoveryCode, StaffAccount
from enrollment.access.one_time_codes import digest_of_code, new_code
from enrollment.access.partners import IdTaken
from enrollment.access.security_log import COMMAND_LINE, Event, record
from enrollment.access.two_people import refuse_second_person
from enrollment.database import clock
from enrollment.problems import Conflict, Fault, MalformedBody, NotFound, sentence
from enrollment.settings import Settings
from lottery.market.canonical import Json

OPEN_FOR = timedelta(days=7)
"""How long an access change waits for approval."""

PUBLIC_NAMES = {"make": "made", "roles": "changed", "reset": "reset", "close": "closed"}


class ChangeWaiting(Conflict):
    """Another change of the same account is open."""

    title = sentence("Account change already pending")
    detail = sentence(
        "Ask another administrator to approve or refuse that change first. GET /v1/access-changes lists it."
    )


class AccessChangeDecided(Conflict):
    """The access change is not open."""

    title = sentence("Access change not open")
    detail = sentence("This change was already decided, or it expired. GET /v1/access-changes lists the open changes.")


class AccessChangeOutdated(Conflict):
    """The account or the requesting administrator has changed."""

    title = sentence("Access change outdated")
    detail = sentence(
        "The account, or the administrator who asked, has changed since the request. Refuse this change and "
        "request it again."
    )


class OwnAccessChange(Conflict):
    """The requester tries to approve the request."""

    title = sentence("Approval of your own request")
    detail = sentence("You cannot approve your own request. Ask another administrator to approve it.")


def ask_for_change(session: Session, body: AccessChangeIn, *, by: Staff) -> tuple[AccessChange, str | None]:
    """Request an access change. Return it with the first part of the code, if the owner will need one.

    Raises:
        MalformedBody: if a field is missing or does not fit the kind of change.
        NotFound: if the account does not exist.
        IdTaken: if the new account exists already.
        ChangeWaiting: if another change of the account is open.
    """
    _refuse_unfit(body)
    lock_access(session)
    refuse_former_administrator(session, by)
    now = clock(session)
    session.execute(
        update(AccessChange)
        .where(AccessChange.staff_id == body.staff, AccessChange.status == "asked", AccessChange.expires_at <= now)
        .values(status="expired")
    )
    waiting = select(AccessChange.id).where(AccessChange.staff_id == body.staff, AccessChange.status == "asked")
    if session.execute(waiting).first():
        raise ChangeWaiting
    account = session.get(StaffAccount, body.staff)
    if body.what == "make" and account is not None:
        raise IdTaken(id=body.staff)
    if body.what != "make" and account is None:
        raise NotFound
    code = new_code(CODE_GROUPS) if _hands_out_code(session, body) else None
    change = AccessChange(
        id=uuid.uuid4(),
        staff_id=body.staff,
        what=body.what,
        about={"name": body.name, "roles": [role.model_dump() for role in body.roles]},
        staff_version=account.version if account else None,
        reason=body.reason,
        digest=digest_of_code(code) if code else None,
        asked_by=by.id,
        asked_at=now,
        expires_at=now + OPEN_FOR,
        status="asked",
    )
    session.add(change)
    session.flush()
    record(session, Event.CHANGE_ASKED, by, _about(change))
    return change, code


def _refuse_unfit(body: AccessChangeIn) -> None:
    faults = []
    if (body.name is not None) != (body.what == "make"):
        faults.append(Fault("/name", "name-unfit", sentence("Send a name only to make an account.")))
    if bool(body.roles) != (body.what in ("make", "roles")):
        detail = sentence("Send roles only to make an account or to change its roles.")
        faults.append(Fault("/roles", "roles-unfit", detail))
    if faults:
        raise MalformedBody(faults=faults)


def _hands_out_code(session: Session, body: AccessChangeIn) -> bool:
    """Say whether the owner must confirm the account again, so that an earlier intruder cannot become administrator."""
    if body.what in ("make", "reset"):
        return True
    gains = makes_administrator(roles_in(body.roles)) and not makes_administrator(roles_of(session, body.staff))
    return body.what == "roles" and gains


def changes_with_status(status: str | None) -> Select[AccessChange, str]:
    """Select access changes with their current status, optionally only those with one status."""
    is_expired = (AccessChange.status == "asked") & (AccessChange.expires_at <= func.clock_timestamp())
    current = case((is_expired, "expired"), else_=AccessChange.status)
    query = select(AccessChange, current)
    return query if status is None else query.where(current == status)


def approve_change(
    session: Session, change_id: uuid.UUID, *, by: Staff, reason: str, settings: Settings
) -> tuple[AccessChange, str | None]:
    """Approve an access change as the second administrator. Return it with the second part of the code.

    Raises:
        NotFound: if the change does not exist.
        AccessChangeDecided, AccessChangeOutdated: if the change is no longer open or valid.
        OwnAccessChange, AccountConfirmedLater, SponsorCannotApprove: if the caller cannot be the second person.
        LastAdministrator: if no administrator would remain.
        IdTaken, UnknownPlace: if the account cannot be made.
    """
    change = _lock_open(session, change_id, by=by)
    refuse_second_person(session, by.id, asked_by=change.asked_by, begun_at=change.asked_at, same=OwnAccessChange)
    if not is_administrator(session, change.asked_by):
        raise AccessChangeOutdated
    account, code = _carry_out(session, change, by=by, settings=settings)
    if not administrators(session):
        raise LastAdministrator
    account.version += 1
    _decide(session, change, "approved", by=by, reason=reason)
    record(session, Event.CHANGE_APPROVED, by, _about(change))
    return change, code


def _carry_out(
    session: Session, change: AccessChange, *, by: Staff, settings: Settings
) -> tuple[StaffAccount, str | None]:
    roles = roles_in(RoleIn.model_validate(role) for role in _listed(change.about["roles"]))
    if change.what == "make":
        account = add_account(session, change.staff_id, str(change.about["name"]), roles, by=by)
        return account, invite(session, account, sponsor=None, by=by, settings=settings, first=change.digest)
    account = lock_account(session, change.staff_id)
    if account.version != change.staff_version:
        raise AccessChangeOutdated
    before = roles_of(session, account.id)
    end_tokens(session, account.id)
    code = None
    if change.what == "close":
        account.active = False
    if change.what == "roles":
        set_roles(session, account.id, roles)
    if change.digest is not None:
        remove_credentials(session, account)
        code = invite(session, account, sponsor=None, by=by, settings=settings, first=change.digest)
    session.flush()
    append_public(session, PUBLIC_NAMES[change.what], by, before=before, after=_after(session, change, before))
    return account, code


def _after(session: Session, change: AccessChange, before: Sequence[Role]) -> Sequence[Role]:
    if change.what == "close":
        return []
    return roles_of(session, change.staff_id) if change.what == "roles" else before


def remove_credentials(session: Session, account: StaffAccount) -> None:
    """Remove an account's password and second factors, and reopen it. Its owner accepts an invitation next."""
    account.password, account.confirmed_at, account.active = None, None, True
    for table in (AuthenticatorApp, Passkey, RecoveryCode):
        session.execute(delete(table).where(table.staff_id == account.id))


def reset_from_command_line(session: Session, staff_id: str, *, settings: Settings) -> str:
    """Reset an account from the command line, and return its invitation code.

    Raises:
        NotFound: if the account does not exist.
    """
    lock_access(session)
    account = lock_account(session, staff_id)
    end_tokens(session, account.id)
    remove_credentials(session, account)
    account.version += 1
    roles = roles_of(session, account.id)
    append_public(session, PUBLIC_NAMES["reset"], COMMAND_LINE, before=roles, after=roles)
    return invite(session, account, sponsor=None, by=COMMAND_LINE, settings=settings)


def refuse_change(session: Session, change_id: uuid.UUID, *, by: Staff, reason: str) -> AccessChange:
    """Refuse an access change, or withdraw an own request.

    Raises:
        NotFound: if the change does not exist.
        AccessChangeDecided: if the change is no longer open.
    """
    change = _lock_open(session, change_id, by=by)
    _decide(session, change, "refused", by=by, reason=reason)
    record(session, Event.CHANGE_REFUSED, by, _about(change))
    return change


def _lock_open(session: Session, change_id: uuid.UUID, *, by: Staff) -> AccessChange:
    lock_access(session)
    refuse_former_administrator(session, by)
    change = session.get(AccessChange, change_id, with_for_update=FOR_ROWS, populate_existing=True)
    if change is None:
        raise NotFound
    if change.status != "asked" or change.expires_at <= clock(session):
        raise AccessChangeDecided
    return change


def _decide(session: Session, change: AccessChange, status: str, *, by: Staff, reason: str) -> None:
    change.status, change.decided_by, change.decided_at = status, by.id, clock(session)
    change.decision_reason = reason
    session.flush()


def _about(change: AccessChange) -> dict[str, Json]:
    roles = roles_in(RoleIn.model_validate(role) for role in _listed(change.about["roles"]))
    return {
        "change": str(change.id),
        "what": change.what,
        "staff": change.staff_id,
        "roles": [str(role) for role in roles],
    }


def _listed(roles: object) -> Sequence[object]:
    return roles if isinstance(roles, list) else []
