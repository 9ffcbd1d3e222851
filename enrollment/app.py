"""Assemble the service. Only this module and the command line know every feature."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.middleware import Middleware

from enrollment.access.denied_acts import record_denied_acts
from enrollment.admission import Admission
from enrollment.api import (
    applicants,
    audit_files,
    claims,
    cycles,
    directory,
    health,
    log,
    notices,
    offers,
    participation,
    partners,
    placements,
    presets,
    previews,
    rankings,
    results,
    rosters,
    rounds,
    rules,
    rules_changes,
    rules_lint,
    security_log,
    sessions,
    staff,
    targets,
    vacancies,
    waitlists,
    zones,
    zones_changes,
)
from enrollment.audit.sequencer import sequencing
from enrollment.connections import ServerWatch
from enrollment.database import connect, hot_pool, sessions_of, transaction
from enrollment.error_handlers import answer_error, answer_with_problems
from enrollment.jobs import Job, Loop, run_worker
from enrollment.json_log import log_as_json, take_over_errors
from enrollment.lanes import Lane, Lanes, shares_of
from enrollment.middleware import Guarded
from enrollment.notify.notice_numbers import numbering_notices
from enrollment.openapi import describe, operation_id
from enrollment.previews.job import give_up_preview, run_preview
from enrollment.previews.requests import OLD_PREVIEWS, PREVIEW, delete_old_previews
from enrollment.probes import VitalSigns
from enrollment.probes import router as vital_sign_routes
from enrollment.problems import NotFound, OutcomeUnknown
from enrollment.query_parameters import UsableQuery
from enrollment.request_log import Metrics, Observed
from enrollment.rounds.calendar import CALENDAR, keep_calendars
from enrollment.rounds.match_job import MATCH, give_up_match, match_round
from enrollment.rounds.rehearsal import REHEARSE, give_up_rehearsal, rehearse
from enrollment.seats.offers import EXPIRIES, expire_due
from enrollment.seats.reminders import REMINDERS, remind_due
from enrollment.secret_rotation import warn_of_missing_secrets
from enrollment.settings import Settings, settings_of_environment
from enrollment.site.api_docs import router as docs_routes
from enrollment.waitlists.updates import WAITLISTS, update_waitlists
from enrollment.work_metrics import WorkMetrics
from enrollment.worker_status import WorkerStatus

ROUTERS = (
    applicants.router,
    claims.router,
    rankings.hot_router,
    rankings.router,
    notices.router,
    offers.router,
    waitlists.router,
    vacancies.router,
    targets.router,
    placements.router,
    rosters.router,
    rounds.router,
    results.router,
    audit_files.router,
    participation.router,
    rules.router,
    rules_changes.router,
    rules_lint.router,
    presets.router,
    previews.router,
    docs_routes,
    log.router,
    sessions.router,
    staff.router,
    partners.tokens,
    partners.router,
    security_log.router,
    cycles.router,
    directory.router,
    zones.router,
    zones.imports,
    zones_changes.router,
    health.router,
    vital_sign_routes,
)

SPARE_THREADS = 8

JOBS: Mapping[str, Job] = {
    MATCH: Job(match_round, give_up_match),
    REHEARSE: Job(rehearse, give_up_rehearsal),
    PREVIEW: Job(run_preview, give_up_preview),
}

LOOPS = (
    sequencing(),
    Loop(EXPIRIES, expire_due, 1.0),
    Loop(REMINDERS, remind_due, 5.0),
    Loop(CALENDAR, keep_calendars, 2.0),
    Loop(WAITLISTS, update_waitlists, 1.0),
    numbering_notices(),
    Loop(OLD_PREVIEWS, delete_old_previews, 3600.0),
)


def create_app(settings: Settings) -> FastAPI:
    """Return the app for these settings, without connecting to the database."""
    log_as_json()
    metrics = Metrics()
    shares = shares_of(settings.connections)
    lanes = Lanes(shares, wait_seconds=settings.queue_seconds, registry=metrics.registry)
    app = FastAPI(
        title="Common Enrollment Lottery",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,  # FastAPI's own route would ignore unknown query parameters
        servers=[{"url": settings.public_url or "/"}],
        generate_unique_id_function=operation_id,
        separate_input_output_schemas=False,  # both are the same, and a schema that names itself would be told twice
        redirect_slashes=False,  # a redirect would go to the host that the caller names
        lifespan=_lifespan,
        dependencies=[UsableQuery],
        middleware=[
            Middleware(Observed, metrics=metrics),
            Middleware(Guarded, hosts=settings.known_hosts, secure=settings.is_secure, answer_error=answer_error),
            Middleware(Admission, lanes=lanes, body_seconds=settings.body_seconds, answer_error=answer_error),
        ],
    )
    app.state.settings = settings
    app.state.lanes = lanes
    url, patience = settings.database_url, settings.database_patience
    calm = settings.connections - shares[Lane.RANKINGS]
    app.state.engine = connect(url, connections=calm, patience=patience, bounded=True)
    app.state.sessions = sessions_of(app.state.engine)
    app.state.pool = hot_pool(url, connections=shares[Lane.RANKINGS], patience=patience)
    app.state.metrics = metrics
    app.state.metrics_engine = connect(url, connections=1, patience=patience, bounded=True)
    app.state.vital_signs = VitalSigns(url, new_worker_status() if settings.worker_inside else None)
    app.state.work_metrics = WorkMetrics(sessions_of(app.state.metrics_engine), metrics.registry)
    app.get("/metrics", include_in_schema=False)(_metrics)
    for router in ROUTERS:
        app.include_router(router)
    app.get("/v1/openapi.json", include_in_schema=False)(_openapi)
    answer_with_problems(app)
    record_denied_acts(app)
    describe(app)
    return app


def create_app_from_environment() -> FastAPI:
    """Return the app of a separate process, with settings from the environment."""
    take_over_errors()
    return create_app(settings_of_environment())


def new_worker_status() -> WorkerStatus:
    """Return the initial status of a worker."""
    return WorkerStatus(loop.name for loop in LOOPS)


async def work(settings: Settings, status: WorkerStatus | None = None, server: ServerWatch | None = None) -> None:
    """Run jobs and loops until cancelled, through every database outage."""
    status = status or new_worker_status()
    server = server or ServerWatch(settings.database_url, patience=settings.database_patience)
    engine = connect(settings.database_url, connections=len(LOOPS) + 4, patience=settings.database_patience)
    sessions = sessions_of(engine)
    try:
        await run_worker(
            settings.database_url,
            sessions,
            JOBS,
            LOOPS,
            status=status,
            server=server,
            stalled_after=settings.stalled_after,
            patience=settings.database_patience,
        )
    finally:
        with suppress(DBAPIError, OutcomeUnknown), transaction(sessions) as session:
            status.remove(session)
        engine.dispose()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    # One thread for each admitted request, and some for requests outside the lanes.
    to_thread.current_default_thread_limiter().total_tokens = app.state.settings.connections + SPARE_THREADS
    signs: VitalSigns = app.state.vital_signs
    # The watch logs if the database is not up yet.
    background = [asyncio.create_task(_look_once_up(app))]
    if signs.worker is not None:
        background.append(asyncio.create_task(work(app.state.settings, signs.worker, signs.server)))
    await app.state.pool.open(wait=False)
    yield
    await app.state.pool.close()
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    app.state.engine.dispose()
    app.state.metrics_engine.dispose()


async def _look_once_up(app: FastAPI) -> None:
    """Wait for the database, then warn if stored data needs a secret that is not set."""
    await app.state.vital_signs.server.until_up()
    sessions = sessions_of(app.state.metrics_engine)
    looking = asyncio.create_task(asyncio.to_thread(warn_of_missing_secrets, sessions, app.state.settings))
    try:
        await asyncio.shield(looking)
    finally:
        await looking  # a thread cannot be cancelled, and it must return its connection before the engine closes


async def _openapi(request: Request) -> Response:
    return JSONResponse(request.app.openapi())


async def _metrics(request: Request) -> Response:
    state = request.app.state
    expected = state.settings.metrics_token
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if expected is None or not secrets.compare_digest(sent.encode(), expected.get_secret_value().encode()):
        raise NotFound
    await state.work_metrics.refresh()
    return Response(state.metrics.render(), media_type="text/plain; version=0.0.4")
