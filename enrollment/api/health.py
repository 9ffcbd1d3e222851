"""`GET /v1/health`: what works and since when, for administrators."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field
from sqlalchemy.orm import Session

from enrollment.access.callers import WatchesService
from enrollment.audit.sequencer import SEQUENCER_LOOP
from enrollment.database import InTransaction, clock
from enrollment.failures import WorkFailure
from enrollment.field_types import Wire
from enrollment.health import (
    PartState,
    database_since,
    failure_count,
    failures,
    job_counts,
    oldest_unsealed,
    parts,
    runners,
)
from enrollment.secret_rotation import missing_secrets
from enrollment.settings import Settings

router = APIRouter(tags=["service"])

REMEDY = (
    "Set the former secret as ENROLLMENT_SECOND_SECRET and restart all processes. If it is lost, have the owners of "
    "authenticator apps set up new ones."
)


class DatabaseHealth(Wire):
    """The database."""

    works: bool
    since: Annotated[datetime, Field(description="When its server was started.")]


class PartHealth(Wire):
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


class JobQueue(Wire):
    """How many jobs of a kind are in a state."""

    name: str
    state: str
    number: int
    oldest: Annotated[datetime | None, Field(description="When the oldest one that is not done was asked for.")]


class JobHealth(Wire):
    """Jobs, and the runners that do them."""

    works: Annotated[bool, Field(description="Whether a runner of jobs gave a sign of life in the last 30 seconds.")]
    runners: int
    last_heartbeat: datetime | None
    queue: list[JobQueue]


class FailedWork(Wire):
    """One piece of work that failed and is not done."""

    work: Annotated[str, Field(description="The loop or the kind of job.")]
    subject: Annotated[str, Field(description="The id of the offer, calendar, round, cycle or rehearsal.")]
    error: str
    place: str
    first_at: datetime
    last_at: datetime
    times: int
    next_at: Annotated[datetime | None, Field(description="When it is tried again; None: it is not.")]


class Failures(Wire):
    """Work that failed and is not done: how much, and the latest 100."""

    number: int
    latest: list[FailedWork]


class LogHealth(Wire):
    """The log."""

    oldest_unsealed_seconds: Annotated[
        float | None, Field(description="Age of the oldest entry without a place in the log; None: there is none.")
    ]
    last_sequencer_pass: datetime | None


class CycleWithoutSecret(Wire):
    """A cycle whose SIS ids need a secret that is not set."""

    cycle: str
    secret: Annotated[str, Field(description="The id of the secret, as `enrollment rotate-secret` names it.")]


class SecretsHealth(Wire):
    """Whether every secret that something in use needs is set."""

    works: bool
    cycles: list[CycleWithoutSecret]
    authenticator_apps: Annotated[int, Field(description="How many apps are sealed under a secret that is not set.")]
    remedy: Annotated[str | None, Field(description="What to do; None: every secret is set.")]


class Health(Wire):
    """What works and since when, in all processes."""

    at: datetime
    works: Annotated[bool, Field(description="Whether everything below works and no work has failed.")]
    database: DatabaseHealth
    parts: list[PartHealth]
    jobs: JobHealth
    failures: Failures
    log: LogHealth
    secrets: SecretsHealth


@router.get("/v1/health")
def read_health(request: Request, session: InTransaction, _: WatchesService) -> Health:
    """Read what works and since when: the database, each loop, jobs, the log; and the work that failed."""
    return _health(session, request.app.state.settings)


def _health(session: Session, settings: Settings) -> Health:
    secrets = _secrets(session, settings)
    found, jobs, failed = parts(session), _jobs(session), failure_count(session)
    unsealed = oldest_unsealed(session)
    sequencer = next((part for part in found if part.name == SEQUENCER_LOOP), None)
    return Health(
        at=clock(session),
        works=bool(found) and all(part.works for part in found) and jobs.works and secrets.works and not failed,
        database=DatabaseHealth(works=True, since=database_since(session)),
        parts=[_part(part) for part in found],
        jobs=jobs,
        failures=Failures(number=failed, latest=[_failed(one) for one in failures(session)]),
        log=LogHealth(
            oldest_unsealed_seconds=None if unsealed is None else unsealed.total_seconds(),
            last_sequencer_pass=sequencer.last_pass if sequencer else None,
        ),
        secrets=secrets,
    )


def _secrets(session: Session, settings: Settings) -> SecretsHealth:
    missing = missing_secrets(session, settings)
    works = not missing.cycles and not missing.apps
    return SecretsHealth(
        works=works,
        cycles=[CycleWithoutSecret(cycle=one.cycle, secret=one.key or "") for one in missing.cycles],
        authenticator_apps=missing.apps,
        remedy=None if works else REMEDY,
    )


def _jobs(session: Session) -> JobHealth:
    found = runners(session)
    queue = [
        JobQueue(name=one.name, state=one.state, number=one.number, oldest=one.oldest) for one in job_counts(session)
    ]
    return JobHealth(works=found.alive > 0, runners=found.alive, last_heartbeat=found.last_heartbeat, queue=queue)


def _part(part: PartState) -> PartHealth:
    return PartHealth.model_validate(part, from_attributes=True)


def _failed(one: WorkFailure) -> FailedWork:
    return FailedWork(
        work=one.work,
        subject=one.subject,
        error=one.kind,
        place=one.place,
        first_at=one.first_at,
        last_at=one.last_at,
        times=one.times,
        next_at=one.next_at,
    )
