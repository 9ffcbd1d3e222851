"""Settings of a deployment, from the environment."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

SHORTEST_SECRET = 32


NO_ADDRESS = "must be the address of a PostgreSQL database: postgresql://name:password@host/database"


def _postgresql(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg") or not rest:
        raise ValueError(NO_ADDRESS)
    address = f"postgresql://{rest}"
    try:
        conninfo_to_dict(address)
        make_url(address)
    except (ProgrammingError, ValueError, ArgumentError):
        # The error messages quote the address, which may have a password.
        raise ValueError(NO_ADDRESS) from None
    return address


LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def _split(hosts: object) -> object:
    return [host.strip() for host in hosts.split(",") if host.strip()] if isinstance(hosts, str) else hosts


class Settings(BaseSettings):
    """The service's settings. Each is an environment variable: `ENROLLMENT_` and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="ENROLLMENT_", frozen=True, extra="ignore", populate_by_name=True)

    database_url: Annotated[
        str,
        AfterValidator(_postgresql),
        Field(validation_alias=AliasChoices("DATABASE_URL", "ENROLLMENT_DATABASE_URL")),
    ]
    """The PostgreSQL address: `postgresql://name:password@host/database`."""

    secret: Annotated[SecretStr, Field(min_length=SHORTEST_SECRET)]
    """Signs access tokens, keys the digests of SIS ids and seals authenticator apps. The same in every process."""

    second_secret: Annotated[SecretStr, Field(min_length=SHORTEST_SECRET)] | None = None
    """The earlier secret during a rotation. Its data stays valid; new data uses `secret`."""

    connections: Annotated[int, Field(ge=6, le=500)] = 24
    """Database connections of one web process, and so the requests that it carries out at once."""

    queue_seconds: Annotated[float, Field(gt=0, le=300)] = 20
    """Seconds that a request waits for its turn before it is refused."""

    http_connections: Annotated[int, Field(ge=10, le=100_000)] = 4_000
    """Client connections that one web process keeps open."""

    head_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    """Seconds in which the request headers must arrive."""

    body_seconds: Annotated[float, Field(gt=0, le=300)] = 30
    """Seconds in which a small body must arrive. A large body gets one more second for each 256 KiB."""

    zone_seconds: Annotated[int, Field(ge=1, le=90)] = 60
    """CPU seconds for the check of an uploaded zone file."""

    send_seconds: Annotated[float, Field(gt=0, le=300)] = 60
    """Seconds that a client may take to read a part of an answer."""

    token_minutes: Annotated[int, Field(ge=1, le=60)] = 15
    """Minutes until a partner's access token expires."""

    session_hours: Annotated[int, Field(ge=1, le=24)] = 8
    """Hours until a staff session expires."""

    session_idle_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    """Minutes without a request after which a staff session ends."""

    presence_minutes: Annotated[int, Field(ge=1, le=60)] = 10
    """Minutes that a proof of presence lasts, for freeze, publish, void, approvals and access changes."""

    second_factor: Literal["administrators", "staff"] = "administrators"
    """The staff who need a second factor: administrators, or all staff."""

    invitation_hours: Annotated[int, Field(ge=1, le=24)] = 24
    """Hours until an invitation to set a password expires."""

    worker_inside: bool = False
    """Whether the web process also runs jobs and the sequencer. Otherwise run `enrollment worker`."""

    stalled_after: Annotated[float, Field(ge=2, le=3600)] = 20
    """Seconds without a sign of life after which another worker restarts a job."""

    database_patience: Annotated[int, Field(ge=2, le=60)] = 5
    """Seconds after which a silent database is probed, and a new connection is given up."""

    public_url: str = "http://127.0.0.1:8000"
    """The public address of the service."""

    hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """More host names of the service, separated by commas, besides those of `public_url` and this machine."""

    metrics_token: SecretStr | None = None
    """The bearer token with which Prometheus reads `/metrics`. Without it nobody can read them."""

    @property
    def known_hosts(self) -> frozenset[str]:
        """Return every host name of the service, in lower case and without a port."""
        public = urlsplit(self.public_url).hostname or ""
        return frozenset({*(host.lower() for host in self.hosts), public, *LOOPBACK})

    @property
    def is_secure(self) -> bool:
        """Say whether callers use TLS."""
        return urlsplit(self.public_url).scheme == "https"


def settings_of_environment() -> Settings:
    """Read the settings from the environment.

    Raises:
        pydantic.ValidationError: with each missing or wrong setting.
    """
    return Settings.model_validate({})
