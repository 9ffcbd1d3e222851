"""Rotate the service's secret, and list the data that still needs an older secret."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.accounts import lock_account
from enrollment.access.derived_keys import id_of_secret, ids_of_secrets
from enrollment.access.models import AuthenticatorApp
from enrollment.access.second_factors import Sealed, seal_anew, unseal
from enrollment.applicants.sis_ids import CycleKey, keys_in_use, missing_keys, take_newest_key, unused_keys
from enrollment.database import transaction
from enrollment.problems import OutcomeUnknown
from enrollment.settings import Settings


@dataclass(frozen=True, slots=True)
class Rotated:
    """The result of a rotation."""

    newest: str
    """The id of the secret for new data."""
    known: Sequence[str]
    """The ids of all secrets that are set."""
    sealed_now: int
    sealed_before: int
    unreadable_apps: Sequence[str]
    """Accounts whose authenticator app needs a secret that is not set."""
    moved_cycles: Sequence[str]
    """Cycles without SIS ids, which now use the newest secret."""
    cycles: Sequence[CycleKey]
    """Cycles that have SIS ids or may still get some."""

    @property
    def lacks_a_secret(self) -> bool:
        """Say whether stored data needs a secret that is not set."""
        return bool(self.unreadable_apps) or any(one.key not in self.known for one in self.cycles)


def rotate(sessions: "sessionmaker[Session]", settings: Settings) -> Rotated:
    """Move stored data to the newest secret as far as possible, one account or cycle at a time."""
    with transaction(sessions) as session:
        accounts = session.scalars(select(AuthenticatorApp.staff_id)).all()
        cycles = unused_keys(session, settings)
    sealed = {account: _seal_app(sessions, account, settings) for account in sorted(accounts)}
    moved = [cycle for cycle in cycles if _move_cycle(sessions, cycle, settings)]
    with transaction(sessions) as session:
        left = keys_in_use(session)
    results = list(sealed.values())
    return Rotated(
        newest=id_of_secret(settings),
        known=ids_of_secrets(settings),
        sealed_now=results.count(Sealed.NOW),
        sealed_before=results.count(Sealed.BEFORE),
        unreadable_apps=[account for account, when in sealed.items() if when is Sealed.UNREADABLE],
        moved_cycles=moved,
        cycles=left,
    )


def _seal_app(sessions: "sessionmaker[Session]", account: str, settings: Settings) -> Sealed | None:
    with transaction(sessions) as session:
        lock_account(session, account)
        app = session.get(AuthenticatorApp, account, populate_existing=True)
        return seal_anew(app, settings) if app else None


def _move_cycle(sessions: "sessionmaker[Session]", cycle: str, settings: Settings) -> bool:
    with transaction(sessions) as session:
        return take_newest_key(session, cycle, settings)


def describe_rotation(rotated: Rotated) -> Iterator[str]:
    """Yield the result in sentences, for the command line."""
    yield f"New tokens and codes use the secret {rotated.newest}."
    yield f"Authenticator apps: {rotated.sealed_now} sealed now, {rotated.sealed_before} sealed before."
    for account in rotated.unreadable_apps:
        yield f"The authenticator app of {account} needs a secret that is not set."
    for cycle in rotated.moved_cycles:
        yield f"The cycle {cycle} has no SIS ids yet. It will keep them under the secret {rotated.newest}."
    for one in rotated.cycles:
        yield _describe_cycle(one, rotated)


def _describe_cycle(one: CycleKey, rotated: Rotated) -> str:
    if one.key is None:
        return (
            f"The secret of the cycle {one.cycle} is not recorded. Run enrollment migrate before you rotate the secret."
        )
    if one.key not in rotated.known:
        return f"The cycle {one.cycle} needs the secret {one.key}, which is not set."
    if one.key == rotated.newest:
        return f"The cycle {one.cycle} uses the secret {one.key}."
    if one.over:
        return f"The cycle {one.cycle} takes no more applications. Keep the secret {one.key} until its last roster."
    return (
        f"The cycle {one.cycle} needs the secret {one.key}. Keep it in ENROLLMENT_SECOND_SECRET until the cycle ends."
    )


@dataclass(frozen=True, slots=True)
class MissingSecrets:
    """Cycles and the number of authenticator apps that need a secret that is not set."""

    cycles: Sequence[CycleKey]
    apps: int


def missing_secrets(session: Session, settings: Settings) -> MissingSecrets:
    """Return the data in use that needs a secret that is not set."""
    cycles = [one for one in missing_keys(session, settings) if not one.over]
    apps = session.scalars(select(AuthenticatorApp).order_by(AuthenticatorApp.staff_id)).all()
    return MissingSecrets(
        cycles, sum(unseal(app.sealed, staff_id=app.staff_id, settings=settings) is None for app in apps)
    )


def warn_of_missing_secrets(sessions: "sessionmaker[Session]", settings: Settings) -> None:
    """Log a warning if data in use needs a secret that is not set. The tables may not exist yet."""
    try:
        with transaction(sessions) as session:
            missing = missing_secrets(session, settings)
    except (SQLAlchemyError, OutcomeUnknown):
        return
    cycles = [one.cycle for one in missing.cycles]
    if cycles or missing.apps:
        structlog.get_logger().warning("a secret is not set", cycles=cycles, authenticator_apps=missing.apps)
