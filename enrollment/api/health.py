"""The health of the service, for administrators."""

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session

from enrollment.access.guards import WatchesService
from enrollment.api.schemas.health import (
    CycleWithoutSecretOut,
    DatabaseHealthOut,
    FailedWorkOut,
    HealthOut,
    JobHealthOut,
    JobQueueOut,
    LogHealthOut,
    PartHealthOut,
    SecretsHealthOut,
    WorkFailuresOut,
)
from enrollment.audit.sequencer import SEQUENCER_LOOP
from enrollment.database import InTransaction, clock
from enrollment.failures import WorkFailure
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
    "Set the earlier secret as ENROLLMENT_SECOND_SECRET, and restart all processes. If the secret is lost, ask the "
    "owners of authenticator apps to set up new apps."
)


@router.get("/v1/health")
def read_health(request: Request, session: InTransaction, _: WatchesService) -> HealthOut:
    """Read the health of the database, each loop, the jobs and the log, and the work that failed."""
    return _health(session, request.app.state.settings)


def _health(session: Session, settings: Settings) -> HealthOut:
    secrets = _secrets(session, settings)
    found, jobs, failed = parts(session), _jobs(session), failure_count(session)
    unsealed = oldest_unsealed(session)
    sequencer = next((part for part in found if part.name == SEQUENCER_LOOP), None)
    return HealthOut(
        at=clock(session),
        works=bool(found) and all(part.works for part in found) and jobs.works and secrets.works and not failed,
        database=DatabaseHealthOut(works=True, since=database_since(session)),
        parts=[_part(part) for part in found],
        jobs=jobs,
        failures=WorkFailuresOut(number=failed, latest=[_failed(one) for one in failures(session)]),
        log=LogHealthOut(
            oldest_unsealed_seconds=None if unsealed is None else unsealed.total_seconds(),
            last_sequencer_pass=sequencer.last_pass if sequencer else None,
        ),
        secrets=secrets,
    )


def _secrets(session: Session, settings: Settings) -> SecretsHealthOut:
    missing = missing_secrets(session, settings)
    works = not missing.cycles and not missing.apps
    return SecretsHealthOut(
        works=works,
        cycles=[CycleWithoutSecretOut(cycle=one.cycle, secret=one.key or "") for one in missing.cycles],
        authenticator_apps=missing.apps,
        remedy=None if works else REMEDY,
    )


def _jobs(session: Session) -> JobHealthOut:
    found = runners(session)
    queue = [
        JobQueueOut(name=one.name, state=one.state, number=one.number, oldest=one.oldest) for one in job_counts(session)
    ]
    return JobHealthOut(works=found.alive > 0, runners=found.alive, last_heartbeat=found.last_heartbeat, queue=queue)


def _part(part: PartState) -> PartHealthOut:
    return PartHealthOut.model_validate(part, from_attributes=True)


def _failed(one: WorkFailure) -> FailedWorkOut:
    return FailedWorkOut(
        work=one.work,
        subject=one.subject,
        error=one.kind,
        place=one.place,
        first_at=one.first_at,
        last_at=one.last_at,
        times=one.times,
        next_at=one.next_at,
    )
