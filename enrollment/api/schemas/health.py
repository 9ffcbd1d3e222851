"""The health of the service on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from enrollment.field_types import Wire


class DatabaseHealthOut(Wire):
    """The database."""

    works: bool
    since: Annotated[datetime, Field(description="When its server was started.")]


class PartHealthOut(Wire):
    """One loop, or the runner of jobs, over all processes that have it."""

    name: str
    works: bool
    since: Annotated[datetime, Field(description="Since when it works, or fails.")]
    processes: Annotated[int, Field(description="How many processes have it.")]
    last_pass: datetime | None
    last_success: datetime | None
    failing_since: datetime | None
    error: Annotated[str | None, Field(description="The class of the last error.")]
    place: Annotated[str | None, Field(description="The file and the line that raised it.")]


class JobQueueOut(Wire):
    """How many jobs of a kind are in a state."""

    name: str
    state: str
    number: int
    oldest: Annotated[datetime | None, Field(description="When the oldest one that is not done was asked for.")]


class JobHealthOut(Wire):
    """Jobs, and the runners that do them."""

    works: Annotated[bool, Field(description="Whether a runner of jobs gave a sign of life in the last 30 seconds.")]
    runners: int
    last_heartbeat: datetime | None
    queue: list[JobQueueOut]


class FailedWorkOut(Wire):
    """One piece of work that failed and is not done."""

    work: Annotated[str, Field(description="The loop or the kind of job.")]
    subject: Annotated[str, Field(description="The id of the offer, calendar, round, cycle or rehearsal.")]
    error: str
    place: str
    first_at: datetime
    last_at: datetime
    times: int
    next_at: Annotated[datetime | None, Field(description="When it is tried again; None: it is not.")]


class WorkFailuresOut(Wire):
    """Work that failed and is not done: how much, and the latest 100."""

    number: int
    latest: list[FailedWorkOut]


class LogHealthOut(Wire):
    """The log."""

    oldest_unsealed_seconds: Annotated[
        float | None, Field(description="Age of the oldest entry without a place in the log; None: there is none.")
    ]
    last_sequencer_pass: datetime | None


class CycleWithoutSecretOut(Wire):
    """A cycle whose SIS ids need a secret that is not set."""

    cycle: str
    secret: Annotated[str, Field(description="The id of the secret, as `enrollment rotate-secret` names it.")]


class SecretsHealthOut(Wire):
    """Whether every secret that something in use needs is set."""

    works: bool
    cycles: list[CycleWithoutSecretOut]
    authenticator_apps: Annotated[int, Field(description="How many apps are sealed under a secret that is not set.")]
    remedy: Annotated[str | None, Field(description="What to do; None: every secret is set.")]


class HealthOut(Wire):
    """What works and since when, in all processes."""

    at: datetime
    works: Annotated[bool, Field(description="Whether everything below works and no work has failed.")]
    database: DatabaseHealthOut
    parts: list[PartHealthOut]
    jobs: JobHealthOut
    failures: WorkFailuresOut
    log: LogHealthOut
    secrets: SecretsHealthOut
