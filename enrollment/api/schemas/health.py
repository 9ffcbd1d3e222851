"""The health of the service on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from enrollment.field_types import Wire


class DatabaseHealthOut(Wire):
    """The database."""

    works: bool
    since: Annotated[datetime, Field(description="When the database server started.")]


class PartHealthOut(Wire):
    """One loop, or the job runner, over all processes that run it."""

    name: str
    works: bool
    since: Annotated[datetime, Field(description="When the part began to work, or to fail.")]
    processes: Annotated[int, Field(description="The number of processes that run the part.")]
    last_pass: datetime | None
    last_success: datetime | None
    failing_since: datetime | None
    error: Annotated[str | None, Field(description="The class of the last error.")]
    place: Annotated[str | None, Field(description="The file and line that raised the error.")]


class JobQueueOut(Wire):
    """The number of jobs of one kind in one state."""

    name: str
    state: str
    number: int
    oldest: Annotated[datetime | None, Field(description="When the oldest unfinished job was requested.")]


class JobHealthOut(Wire):
    """The jobs and the job runners."""

    works: Annotated[bool, Field(description="Whether a job runner gave a sign of life in the last 30 seconds.")]
    runners: int
    last_heartbeat: datetime | None
    queue: list[JobQueueOut]


class FailedWorkOut(Wire):
    """A piece of work that failed and is not done yet."""

    work: Annotated[str, Field(description="The loop or the kind of job.")]
    subject: Annotated[str, Field(description="The id of the offer, calendar, round, cycle or rehearsal.")]
    error: str
    place: str
    first_at: datetime
    last_at: datetime
    times: int
    next_at: Annotated[
        datetime | None, Field(description="When the service tries again; null if it does not try again.")
    ]


class WorkFailuresOut(Wire):
    """The number of failed pieces of work, and the latest 100."""

    number: int
    latest: list[FailedWorkOut]


class LogHealthOut(Wire):
    """The log."""

    oldest_unsealed_seconds: Annotated[
        float | None,
        Field(description="Age of the oldest entry that still waits for its index; null if no entry waits."),
    ]
    last_sequencer_pass: datetime | None


class CycleWithoutSecretOut(Wire):
    """A cycle whose SIS ids need a secret that is not set."""

    cycle: str
    secret: Annotated[str, Field(description="The id of the secret, as `enrollment rotate-secret` names it.")]


class SecretsHealthOut(Wire):
    """Whether the service has every secret that it needs."""

    works: bool
    cycles: list[CycleWithoutSecretOut]
    authenticator_apps: Annotated[
        int, Field(description="The number of authenticator apps that need a secret that is not set.")
    ]
    remedy: Annotated[str | None, Field(description="What to do; null if every secret is set.")]


class HealthOut(Wire):
    """The health of the service over all processes."""

    at: datetime
    works: Annotated[bool, Field(description="Whether everything below works and no work has failed.")]
    database: DatabaseHealthOut
    parts: list[PartHealthOut]
    jobs: JobHealthOut
    failures: WorkFailuresOut
    log: LogHealthOut
    secrets: SecretsHealthOut
