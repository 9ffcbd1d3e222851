"""What a deployment sets, from the environment. Read once, in `create_app` and the command line."""

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
        # What they say quotes the address, which may have a password in it.
        raise ValueError(NO_ADDRESS) from None
    return address


LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def _split(hosts: object) -> object:
    return [host.strip() for host in hosts.split(",") if host.strip()] if isinstance(hosts, str) else hosts


class Settings(BaseSettings):
    """The service's settings; each is an environment variable of its name in capitals after `ENROLLMENT_`."""

    model_config = SettingsConfigDict(env_prefix="ENROLLMENT_", frozen=True, extra="ignore", populate_by_name=True)

    database_url: Annotated[
        str,
        AfterValidator(_postgresql),
        Field(validation_alias=AliasChoices("DATABASE_URL", "ENROLLMENT_DATABASE_URL")),
    ]
    """Where PostgreSQL is: `postgresql://name:password@host/database`."""

    secret: Annotated[SecretStr, Field(min_length=SHORTEST_SECRET)]
    """Signs access tokens, keys the digests of SIS ids, seals authenticator apps; the same in every process."""

    second_secret: Annotated[SecretStr, Field(min_length=SHORTEST_SECRET)] | None = None
    """Known too while the secret is replaced: what was made under it counts, and nothing new is made under it."""

    connections: Annotated[int, Field(ge=6, le=500)] = 24
    """Database connections of one web process, which are also the requests that it carries out at once."""

    queue_seconds: Annotated[float, Field(gt=0, le=300)] = 20
    """Seconds that a request waits for its turn before it is told to come again."""

    http_connections: Annotated[int, Field(ge=10, le=100_000)] = 4_000
    """Connections of callers that one web process keeps open."""

    head_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    """Seconds in which the head of a request must arrive."""

    body_seconds: Annotated[float, Field(gt=0, le=300)] = 30
    """Seconds in which a small body must arrive; a large one has a second more for each 256 KiB."""

    zone_seconds: Annotated[int, Field(ge=1, le=90)] = 60
    """Seconds of a core that checking an uploaded file of zones may take."""

    send_seconds: Annotated[float, Field(gt=0, le=300)] = 60
    """Seconds that a caller may take to accept a part of an answer."""

    token_minutes: Annotated[int, Field(ge=1, le=60)] = 15
    """How long a partner's access token holds."""

    session_hours: Annotated[int, Field(ge=1, le=24)] = 8
    """How long a staff session holds."""

    session_idle_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    """After how many minutes without a request a staff session ends."""

    presence_minutes: Annotated[int, Field(ge=1, le=60)] = 10
    """How long a proof of presence holds for freeze, publish, void, approvals and changes of access."""

    second_factor: Literal["administrators", "staff"] = "administrators"
    """Who needs a second factor: administrators, or all staff."""

    invitation_hours: Annotated[int, Field(ge=1, le=24)] = 24
    """How long an invitation to set a password holds."""

    worker_inside: bool = False
    """Whether the web process also runs jobs and the sequencer: for one machine; otherwise run `enrollment worker`."""

    stalled_after: Annotated[float, Field(ge=2, le=3600)] = 20
    """Seconds without a sign of life after which a worker's job is begun again by another."""

    database_patience: Annotated[int, Field(ge=2, le=60)] = 5
    """Seconds that a silent database is waited for, before it is looked at, and a new connection is given up."""

    public_url: str = "http://127.0.0.1:8000"
    """Where the service is reached from outside."""

    hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Names by which callers may reach it, with commas between them, beside that of `public_url` and this machine's."""

    metrics_token: SecretStr | None = None
    """What Prometheus sends as a bearer token to read `/metrics`; without it nobody can read them."""

    @property
    def known_hosts(self) -> frozenset[str]:
        """Return every name by which callers may reach the service, in lower case and without a port."""
        public = urlsplit(self.public_url).hostname or ""
        return frozenset({*(host.lower() for host in self.hosts), public, *LOOPBACK})

    @property
    def is_secure(self) -> bool:
        """Say whether callers reach the service by TLS."""
        return urlsplit(self.public_url).scheme == "https"


def settings_of_environment() -> Settings:
    """Return the settings of the environment.

    Raises:
        pydantic.ValidationError: naming each one that is missing or wrong.
    """
    return Settings.model_validate({})
