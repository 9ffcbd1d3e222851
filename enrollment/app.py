"""The service, put together: the only place, beside the command line, that knows every feature."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Response
from prometheus_client import generate_latest
from sqlalchemy import text
from starlette.middleware import Middleware

from enrollment.access.routes import router as access_routes
from enrollment.answers import answer_with_problems
from enrollment.applicants.routes import claim_router as claim_routes
from enrollment.applicants.routes import router as applicant_routes
from enrollment.audit.routes import router as log_routes
from enrollment.audit.sequencer import sequencing
from enrollment.cycles.routes import router as cycle_routes
from enrollment.database import InTransaction, connect, hot_pool, sessions_of
from enrollment.docs.routes import router as docs_routes
from enrollment.exchange.routes import router as roster_routes
from enrollment.jobs import Loop, Work, run_worker
from enrollment.notify.notice_numbers import numbering_notices
from enrollment.observe import Bounded, Metrics, Observed, log_as_json
from enrollment.openapi import describe
from enrollment.query_parameters import UsableQuery
from enrollment.rankings.routes import hot_router as hot_ranking_routes
from enrollment.rankings.routes import router as ranking_routes
from enrollment.rounds.auditor_routes import router as auditor_routes
from enrollment.rounds.calendar import keep_calendars
from enrollment.rounds.matching import match_round
from enrollment.rounds.rehearsing import REHEARSE, rehearse
from enrollment.rounds.result_routes import router as result_routes
from enrollment.rounds.routes import router as round_routes
from enrollment.rounds.steps import MATCH
from enrollment.rounds.waitlists import look_after_waitlists
from enrollment.schools.cycle_directory_routes import router as cycle_directory_routes
from enrollment.schools.cycle_routes import router as cycle_change_routes
from enrollment.schools.directory_routes import router as directory_routes
from enrollment.schools.participation_routes import router as participation_routes
from enrollment.schools.preset_routes import router as preset_routes
from enrollment.schools.rules_routes import router as rules_routes
from enrollment.schools.zone_routes import imports as zone_import_routes
from enrollment.schools.zone_routes import router as zone_routes
from enrollment.seats.family_routes import router as family_seat_routes
from enrollment.seats.offers import expire_due, remind_due
from enrollment.seats.seat_routes import router as seat_routes
from enrollment.settings import Settings, settings_of_environment

ROUTERS = (
    applicant_routes,
    claim_routes,
    hot_ranking_routes,
    ranking_routes,
    family_seat_routes,
    seat_routes,
    roster_routes,
    round_routes,
    result_routes,
    auditor_routes,
    participation_routes,
    rules_routes,
    preset_routes,
    docs_routes,
    log_routes,
    access_routes,
    cycle_routes,
    cycle_change_routes,
    directory_routes,
    cycle_directory_routes,
    zone_routes,
    zone_import_routes,
)

JOBS: Mapping[str, Work] = {MATCH: match_round, REHEARSE: rehearse}

LOOPS = (
    sequencing(),
    Loop("expiries", expire_due, 1.0),
    Loop("reminders", remind_due, 5.0),
    Loop("calendar", keep_calendars, 2.0),
    Loop("waitlists", look_after_waitlists, 1.0),
    numbering_notices(),
)


def create_app(settings: Settings) -> FastAPI:
    """Return the service for these settings. Nothing is connected before the first request."""
    log_as_json()
    metrics = Metrics()
    app = FastAPI(
        title="Common Enrollment Lottery",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        lifespan=_lifespan,
        dependencies=[UsableQuery],
        middleware=[Middleware(Observed, metrics=metrics), Middleware(Bounded)],
    )
    app.state.settings = settings
    app.state.engine = connect(settings.database_url, connections=settings.connections - settings.connections // 3)
    app.state.sessions = sessions_of(app.state.engine)
    app.state.pool = hot_pool(settings.database_url, connections=max(2, settings.connections // 3))
    app.state.metrics = metrics
    _add_vital_signs(app)
    for router in ROUTERS:
        app.include_router(router)
    answer_with_problems(app)
    describe(app)
    return app


def create_app_from_environment() -> FastAPI:
    """Return the service with its settings read from the environment: for `uvicorn --factory`."""
    return create_app(settings_of_environment())


async def work(settings: Settings) -> None:
    """Run jobs and the sequencer until cancelled."""
    engine = connect(settings.database_url, connections=4)
    try:
        await run_worker(settings.database_url, sessions_of(engine), JOBS, LOOPS, stalled_after=settings.stalled_after)
    finally:
        engine.dispose()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    worker = asyncio.create_task(work(app.state.settings)) if app.state.settings.worker_inside else None
    await app.state.pool.open(wait=False)
    yield
    await app.state.pool.close()
    if worker is not None:
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker
    app.state.engine.dispose()


def _add_vital_signs(app: FastAPI) -> None:
    @app.get("/healthz", tags=["service"])
    def healthz() -> dict[str, str]:
        """Say that the process is up."""
        return {"status": "up"}

    @app.get("/readyz", tags=["service"])
    def readyz(session: InTransaction) -> dict[str, str]:
        """Say that the database answers; 503 if it does not."""
        session.execute(text("SELECT 1"))
        return {"status": "ready"}

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(app.state.metrics.registry), media_type="text/plain; version=0.0.4")
