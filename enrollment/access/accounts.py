"""Staff accounts and their roles.

Lock order: a change of access takes `lock_access` first, then accounts, then the rows of an account. None of these
locks is taken after the lock of a cycle, a round or a child.
"""

import uuid
from collections.abc import Iterable, Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from enrollment.access.callers import Role, RoleKind, Staff
from enrollment.access.inputs import RoleIn, StaffChangeIn, StaffIn
from enrollment.access.invitations import invite
from enrollment.access.models import Invitation, StaffAccount, StaffRole, StaffToken
from enrollment.access.partners import IdTaken
from enrollment.access.passwords import hash_of, refuse_guessable
from enrollment.access.security_log import COMMAND_LINE, Actor, Event, Somebody, record
from enrollment.audit.log import append
from enrollment.database import clock
from enrollment.problems import Conflict, Forbidden, NotFound, sentence
from enrollment.settings import Settings
from lottery.market.canonical import Json

ACCESS = 0x616363657373
"""The advisory lock under which access changes: `access` in hex."""

FOR_ROWS = {"key_share": True}
"""Lock a row for a change, and let others add rows that refer to it."""

ENOUGH_ADMINISTRATORS = 2


class LastAdministrator(Conflict):
    """No administrator would remain."""

    title = sentence("Last administrator")
    detail = sentence("This change would leave no administrator. Make another administrator first.")


class UnknownPlace(Conflict):
    """A role names an unknown school or operator."""

    title = sentence("Unknown operator or school in a role")
    detail = sentence("Create the operator or the school first, or correct its id.")


class SecondAdministratorNeeded(Conflict):
    """The change of access takes two administrators."""

    title = sentence("Second administrator needed")
    detail = sentence(
        "Ask for this change with POST /v1/access-changes. It takes effect when another administrator approves it."
    )


class OwnAccount(Conflict):
    """Owners cannot unlock their own account."""

    title = sentence("Cannot unlock your own account")
    detail = sentence("Another administrator must unlock your account.")


class AdministratorsThere(Conflict):
    """The command line cannot make a third administrator."""

    title = sentence("Two administrators already confirmed")
    detail = sentence(
        "Request another administrator with POST /v1/access-changes. A second administrator must approve the request."
    )


def lock_access(session: Session) -> None:
    """Allow one change of access at a time, so that each sees the results of the others."""
    session.execute(select(func.pg_advisory_xact_lock(ACCESS)))


def lock_account(session: Session, staff_id: str) -> StaffAccount:
    """Return an account, locked for a change.

    Raises:
        NotFound: if the account does not exist.
    """
    staff = session.get(StaffAccount, staff_id, with_for_update=FOR_ROWS, populate_existing=True)
    if staff is None:
        raise NotFound
    return staff


def refuse_former_administrator(session: Session, by: Staff) -> None:
    """Refuse a caller who is no longer an administrator. Call it under `lock_access`.

    Raises:
        Forbidden: if another request removed the role.
    """
    if not is_administrator(session, by.id):
        raise Forbidden(needs=sentence("the administrator role"))


def is_administrator(session: Session, staff_id: str) -> bool:
    """Say whether an account can sign in as an administrator."""
    return staff_id in administrators(session)


def administrators(session: Session) -> frozenset[str]:
    """Return the administrators who can sign in."""
    rows = session.scalars(
        select(StaffRole.staff_id)
        .join(StaffAccount, StaffAccount.id == StaffRole.staff_id)
        .where(
            StaffRole.kind == RoleKind.ADMINISTRATOR,
            StaffAccount.active,
            StaffAccount.confirmed_at.is_not(None),
            StaffAccount.password.is_not(None),
        )
    )
    return frozenset(rows)


def make_staff(session: Session, body: StaffIn, *, by: Staff, settings: Settings) -> tuple[StaffAccount, str]:
    """Make an account without the administrator role. Return it with its invitation code.

    Raises:
        SecondAdministratorNeeded: for an administrator account.
        IdTaken: if the id is taken.
        UnknownPlace: if a role names an unknown school or operator.
    """
    lock_access(session)
    refuse_former_administrator(session, by)
    roles = roles_in(body.roles)
    if makes_administrator(roles):
        raise SecondAdministratorNeeded
    staff = add_account(session, body.id, body.name, roles, by=by)
    code = invite(session, staff, sponsor=by.id, by=by, settings=settings)
    return staff, code


def invite_again(session: Session, staff_id: str, *, by: Staff, settings: Settings) -> tuple[StaffAccount, str]:
    """Make a new invitation for an unconfirmed account without the administrator role.

    Raises:
        NotFound: if the account does not exist.
        SecondAdministratorNeeded: if the account was confirmed, was closed, or is an administrator's.
    """
    lock_access(session)
    refuse_former_administrator(session, by)
    staff = lock_account(session, staff_id)
    if staff.confirmed_at is not None or not staff.active or _two_parts(session, staff_id):
        raise SecondAdministratorNeeded
    return staff, invite(session, staff, sponsor=by.id, by=by, settings=settings)


def _two_parts(session: Session, staff_id: str) -> bool:
    """Say whether two administrators must hand out the account's invitation."""
    two = select(Invitation.id).where(Invitation.staff_id == staff_id, Invitation.second_digest.is_not(None))
    return makes_administrator(roles_of(session, staff_id)) or session.execute(two).first() is not None


def unlock(session: Session, staff_id: str, *, by: Staff) -> None:
    """Forget the wrong passwords and codes that were tried on another person's account.

    Raises:
        NotFound: if the account does not exist.
        OwnAccount: if the account is the caller's own.
    """
    if staff_id == by.id:
        raise OwnAccount
    account = lock_account(session, staff_id)
    account.unlocked_at = clock(session)
    session.flush()
    record(session, Event.UNLOCKED, by, {"staff": staff_id})
    append_public(session, "unlocked", by, before=[], after=roles_of(session, staff_id))


def add_account(
    session: Session, staff_id: str, name: str, roles: Sequence[Role], *, by: Actor | Somebody
) -> StaffAccount:
    """Add an unconfirmed account. Call it under `lock_access`.

    Raises:
        IdTaken: if the id is taken.
        UnknownPlace: if a role names an unknown school or operator.
    """
    if session.get(StaffAccount, staff_id):
        raise IdTaken(id=staff_id)
    staff = StaffAccount(id=staff_id, name=name, active=True, version=1)
    session.add(staff)
    session.flush()
    set_roles(session, staff_id, roles)
    record(session, Event.ACCOUNT_MADE, by, {"staff": staff_id, "roles": [str(role) for role in roles]})
    append_public(session, "made", by, before=[], after=roles)
    return staff


def lock_for_change(session: Session, staff_id: str, *, by: Staff) -> StaffAccount:
    """Return an account, locked for a change by a current administrator.

    Raises:
        NotFound: if the account does not exist.
    """
    lock_access(session)
    refuse_former_administrator(session, by)
    return lock_account(session, staff_id)


def change_staff(session: Session, staff: StaffAccount, body: StaffChangeIn, *, by: Staff) -> None:
    """Change an account from `lock_for_change`. Closing it ends its sessions and tokens.

    Raises:
        SecondAdministratorNeeded: if the account is closed, or is or becomes an administrator's, unless only the name
            changes.
        UnknownPlace: if a role names an unknown school or operator.
    """
    before, after = roles_of(session, staff.id), roles_in(body.roles)
    same = set(before) == set(after) and body.active == staff.active
    if same and body.name == staff.name:
        return
    if not same and (makes_administrator([*before, *after]) or (body.active and not staff.active)):
        raise SecondAdministratorNeeded
    staff.name, staff.active = body.name, body.active
    staff.version += 1
    session.flush()
    if not same:
        set_roles(session, staff.id, after)
        append_public(session, "changed" if body.active else "closed", by, before=before, after=after)
    if not body.active:
        end_tokens(session, staff.id)
    about: dict[str, Json] = {"staff": staff.id, "roles": [str(role) for role in after], "active": body.active}
    record(session, Event.ACCOUNT_CHANGED, by, about)


def end_tokens(session: Session, staff_id: str, *, but: uuid.UUID | None = None) -> None:
    """End every session and personal token of a locked account, except one."""
    ended = update(StaffToken).where(StaffToken.staff_id == staff_id, StaffToken.revoked_at.is_(None))
    if but is not None:
        ended = ended.where(StaffToken.id != but)
    session.execute(ended.values(revoked_at=clock(session)))


def make_first_administrator(session: Session, name: str, password: str) -> StaffAccount:
    """Make one of the first administrators, from the command line.

    Raises:
        AdministratorsThere: if two administrators are confirmed.
        IdTaken: if the account exists.
        MalformedBody: if the password is easy to guess.
    """
    lock_access(session)
    if session.get(StaffAccount, name):
        raise IdTaken(id=name)
    if len(administrators(session)) >= ENOUGH_ADMINISTRATORS:
        raise AdministratorsThere
    refuse_guessable(password, account=name, name=name)
    staff = add_account(session, name, name, [Role(RoleKind.ADMINISTRATOR)], by=COMMAND_LINE)
    staff.password, staff.confirmed_at = hash_of(password), clock(session)
    session.flush()
    return staff


def roles_of(session: Session, staff_id: str) -> list[Role]:
    """Return the roles of an account."""
    rows = session.scalars(
        select(StaffRole)
        .where(StaffRole.staff_id == staff_id)
        .order_by(StaffRole.kind, StaffRole.operator_id, StaffRole.school_id)
    )
    return [Role(RoleKind(row.kind), row.operator_id, row.school_id) for row in rows]


def roles_in(roles: Iterable[RoleIn]) -> list[Role]:
    """Return the roles that a body names."""
    return [Role(RoleKind(role.role), role.operator, role.school) for role in roles]


def makes_administrator(roles: Iterable[Role]) -> bool:
    """Say whether the roles include administrator."""
    return any(role.kind is RoleKind.ADMINISTRATOR for role in roles)


def set_roles(session: Session, staff_id: str, roles: Iterable[Role]) -> None:
    """Replace an account's roles.

    Raises:
        UnknownPlace: if a role names an unknown school or operator.
    """
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


def append_public(
    session: Session, what: str, by: Actor | Somebody, *, before: Iterable[Role], after: Iterable[Role]
) -> None:
    """Append a change of access to the public log, by role and never by name."""
    actor = "staff:administrator" if isinstance(by, Staff) else "service"
    fields: dict[str, Json] = {
        "what": what,
        "roles_before": sorted({role.kind.value for role in before}),
        "roles_after": sorted({role.kind.value for role in after}),
    }
    append(session, "access.change", cycle=None, actor=actor, fields=fields)
