"""Act as everybody over HTTP: the service of a test, and clients for each kind of caller.

`service.administrator()` and the like make the account and its session in the database, with the second factor proved;
everything else that a test needs it does through the API, as its users would.
"""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import httpx2
import pyotp
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.accounts import roles_in, set_roles
from enrollment.access.digests import digest_of
from enrollment.access.inputs import PartnerIn, RoleIn
from enrollment.access.models import AuthenticatorApp, SessionUse, StaffAccount, StaffToken
from enrollment.access.partners import lock_partner, make_partner, make_secret
from enrollment.access.scopes import STAFF_SCOPES, PartnerScope
from enrollment.access.second_factors import seal
from enrollment.app import JOBS, LOOPS, create_app
from enrollment.database import clock, transaction
from enrollment.health import failures
from enrollment.settings import Settings
from lock_order import Watch, by_the_service, watch_engine, watched_connection
from lottery.market.canonical import Json
from recorded_examples import record

SECRET = "tests only: " + "x" * 40
METRICS_TOKEN = "a token for metrics"  # noqa: S105 - of tests only
PASSWORD = "an invented password"  # noqa: S105 - of tests only
QUICK_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""Of `PASSWORD`, and made and checked in no time."""
APP_SECRET = "JBSWY3DPEHPK3PXP" * 2
"""Of every account's authenticator app."""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
"""When accounts were confirmed: before anything that they approve was begun."""

GIVES_NEW_TOKEN = ("/v1/presence", "/v1/second-factors/totp/confirm", "/v1/second-factors/passkeys")
"""Where a session gets a new token, which its caller uses from then on."""

ALL_PARTNER_SCOPES: list[PartnerScope] = [
    "catalog:read",
    "applications:read",
    "applications:write",
    "results:read",
    "offers:write",
]


def settings_for(database: str) -> Settings:
    """Return a test's settings."""
    return Settings(
        database_url=database,
        secret=SecretStr(SECRET),
        connections=8,
        hosts=("testserver",),
        metrics_token=SecretStr(METRICS_TOKEN),
    )


class Caller:
    """Somebody with a token. Sends a new Idempotency-Key with every POST unless one is given."""

    def __init__(self, client: TestClient, token: str | None) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers that say who it is."""
        return self._headers

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response:
        """Read."""
        return self._client.get(path, headers={**self._headers, **(headers or {})})

    def with_token(self, token: str) -> "Caller":
        """Return a caller with a token, at the same address."""
        return Caller(self._client, token)

    def sign_in(self, name: str, password: str = PASSWORD, **more: Json) -> httpx2.Response:
        """Sign in."""
        return self.post("/v1/sessions", {"id": name, "password": password, **more})

    def put(self, path: str, body: Json, if_match: str | None = None) -> httpx2.Response:
        """Put, with the ETag if one is given."""
        match = {"If-Match": if_match} if if_match else {}
        return self._client.put(path, json=body, headers={**self._headers, **match})

    def change(self, path: str, body: Json) -> httpx2.Response:
        """Put what is there already: read its ETag first."""
        return self.put(path, body, self.get(path).headers["ETag"])

    def post(
        self, path: str, body: Json = None, key: str | None = None, if_match: str | None = None
    ) -> httpx2.Response:
        """Act, on the version of an ETag if one is given."""
        headers = {**self._headers, "Idempotency-Key": key or uuid.uuid4().hex}
        if if_match:
            headers["If-Match"] = if_match
        if body is None:
            answer = self._client.post(path, headers=headers)
        else:
            answer = self._client.post(path, json=body, headers=headers)
        if answer.is_success and path in GIVES_NEW_TOKEN:
            self._headers = {"Authorization": f"Bearer {answer.json()['token']}"}
        return answer

    def post_form(self, path: str, form: Mapping[str, str]) -> httpx2.Response:
        """Send a form."""
        return self._client.post(path, data=dict(form), headers=self._headers)

    def post_raw(self, path: str, body: bytes, key: str | None = "raw") -> httpx2.Response:
        """Send bytes as they are."""
        once = {"Idempotency-Key": key} if key else {}
        headers = {**self._headers, **once, "Content-Type": "application/json"}
        return self._client.post(path, content=body, headers=headers)

    def delete(self, path: str, if_match: str | None = None) -> httpx2.Response:
        """Delete, with the ETag if one is given."""
        match = {"If-Match": if_match} if if_match else {}
        return self._client.delete(path, headers={**self._headers, **match})


def add_staff(session: Session, name: str, roles: Sequence[RoleIn], *, settings: Settings) -> None:
    """Add an account that its owner confirmed long ago; an administrator's has an authenticator app."""
    session.add(StaffAccount(id=name, name=name, password=QUICK_HASH, confirmed_at=LONG_AGO, active=True, version=1))
    session.flush()
    set_roles(session, name, roles_in(roles))
    if any(role.role == "administrator" for role in roles):
        sealed = seal(APP_SECRET, staff_id=name, settings=settings)
        session.add(AuthenticatorApp(staff_id=name, id=uuid.uuid4(), sealed=sealed, confirmed_at=LONG_AGO))
        session.flush()


def add_session(session: Session, name: str, token: str) -> None:
    """Add a session in which the owner has just proved to be there."""
    now = clock(session)
    row = StaffToken(
        id=uuid.uuid4(),
        staff_id=name,
        kind="session",
        name="session",
        digest=digest_of(token),
        scopes=sorted(STAFF_SCOPES),
        made_at=now,
        expires_at=now + timedelta(hours=8),
        proved_at=now,
    )
    session.add(row)
    session.flush()
    session.add(SessionUse(token_id=row.id, last_at=now))
    session.flush()


class Service:
    """The service on one database; its jobs are run when a test says so."""

    def __init__(self, database: str, settings: Settings | None = None) -> None:
        self.database = database
        self.settings = settings or settings_for(database)
        self.app: FastAPI = create_app(self.settings)
        self.watch = Watch(counts=by_the_service)
        watch_engine(self.app.state.engine, self.watch)
        self.app.state.pool.connection_class = watched_connection(self.watch)
        self._client = TestClient(self.app, raise_server_exceptions=False)
        record(self.app, self._client)

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.__exit__(kind, error, trace)
        assert not self.watch.broken, self.watch.broken

    @property
    def sessions(self) -> "sessionmaker[Session]":
        """Return the factory of sessions, for what a test must look at in the database."""
        factory: sessionmaker[Session] = self.app.state.sessions
        return factory

    def stranger_at(self, address: str) -> Caller:
        """Return a caller without a token, at an address of their own."""
        return Caller(TestClient(self.app, raise_server_exceptions=False, client=(address, 50_000)), None)

    def stranger(self) -> Caller:
        """Return a caller without a token."""
        return Caller(self._client, None)

    def with_token(self, token: str) -> Caller:
        """Return a caller with a token of the test's own."""
        return Caller(self._client, token)

    def administrator(self, name: str = "ann") -> Caller:
        """Return an administrator, signed in."""
        return self.staff(name, RoleIn(role="administrator"))

    def auditor(self, name: str = "otto") -> Caller:
        """Return an auditor, signed in."""
        return self.staff(name, RoleIn(role="auditor"))

    def school_staff(self, school: str, name: str | None = None) -> Caller:
        """Return a member of a school's staff, signed in; the school must be there."""
        return self.staff(name or f"{school}.office", RoleIn(role="school", school=school))

    def operator_staff(self, operator: str, name: str | None = None) -> Caller:
        """Return a member of an operator's staff, signed in; the operator must be there."""
        return self.staff(name or f"{operator}.office", RoleIn(role="operator", operator=operator))

    def staff(self, name: str, role: RoleIn) -> Caller:
        """Return a new member of the staff, signed in, with an authenticator app if the role needs one."""
        token = secrets.token_urlsafe(32)
        with transaction(self.sessions) as session:
            add_staff(session, name, [role], settings=self.settings)
            add_session(session, name, token)
        return Caller(self._client, token)

    def code(self, *, later: int = 0) -> str:
        """Return what every account's app shows now by the database's clock, or some half minutes later."""
        with transaction(self.sessions) as session:
            return pyotp.TOTP(APP_SECRET).at(int(clock(session).timestamp()) + 30 * later)

    def partner(self, name: str = "city-portal") -> Caller:
        """Return a new partner with every scope, with an access token."""
        with transaction(self.sessions) as session:
            make_partner(session, PartnerIn(id=name, name=name, scopes=ALL_PARTNER_SCOPES))
            _, secret = make_secret(session, lock_partner(session, name))
        answer = self._client.post("/v1/oauth/token", data={"grant_type": "client_credentials"}, auth=(name, secret))
        assert answer.status_code == 200, answer.text
        return Caller(self._client, answer.json()["access_token"])

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> httpx2.Response:
        """Send a request as it is."""
        return self._client.request(method, path, headers=dict(headers), content=body)

    def sequence(self) -> None:
        """Let every loop make a pass, in which nothing fails."""
        for loop in LOOPS:
            loop.run(self.sessions)
        with transaction(self.sessions) as session:
            assert [f"{one.work} {one.kind} {one.place}" for one in failures(session)] == []

    def run_job(self, name: str, subject: str) -> None:
        """Do what a worker would do with a job."""
        JOBS[name].run(self.sessions, subject)
