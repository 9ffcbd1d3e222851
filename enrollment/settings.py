"""What a deployment sets, from the environment. Read once, in `create_app` and the command line."""

from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

SHORTEST_SECRET = 32


def _postgresql(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg") or not rest:
        raise ValueError("must be the address of a PostgreSQL database: postgresql://name:password@host/database")
    return f"postgresql://{rest}"


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
    """Signs access tokens and keys the digests of SIS ids; the same in every process, never changed within a cycle."""

    connections: Annotated[int, Field(ge=2, le=500)] = 24
    """Database connections that one web process keeps."""

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

    public_url: str = "http://127.0.0.1:8000"
    """Where the service is reached from outside."""


def settings_of_environment() -> Settings:
    """Return the settings of the environment.

    Raises:
        pydantic.ValidationError: naming each one that is missing or wrong.
    """
    return Settings.model_validate({})
