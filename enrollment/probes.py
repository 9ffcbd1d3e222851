"""`/healthz` and `/readyz`: whether this process is up, and whether it works.

Both answer without a pooled connection or a thread, so they stay correct under load, and within seconds when the
database hangs.
"""

import asyncio

from fastapi import APIRouter, Request

from enrollment.connections import ServerWatch
from enrollment.problems import Fault, Problem, sentence
from enrollment.worker_status import WorkerStatus

LOOK_SECONDS = 2
"""Seconds that the database may take to accept a new connection."""

router = APIRouter(tags=["service"])


class NotReady(Problem):
    """A part of this process does not work."""

    status = 503
    title = sentence("Service not ready")
    detail = sentence("The listed parts do not work. The service keeps trying, so you do not need to restart it.")

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults=faults, headers={"Retry-After": "1"})


class VitalSigns:
    """The parts of this process that may fail.

    Args:
        url: the database's address.
        worker: the worker inside this process, if any.
    """

    def __init__(self, url: str, worker: WorkerStatus | None) -> None:
        self.server = ServerWatch(url, patience=LOOK_SECONDS)
        self.worker = worker

    async def faults(self) -> list[Fault]:
        """Return a fault for each part that does not work."""
        faults = []
        if not await self._database_answers():
            faults.append(Fault("", "database", sentence("the database does not answer")))
        if self.worker is not None and self.worker.jobs_fail:
            faults.append(Fault("", "jobs", sentence("the job runner does not run")))
        if self.worker is not None and (failing := self.worker.failing_loops()):
            detail = sentence("these loops fail: {loops}")
            faults.append(Fault("", "loops", detail, {"loops": ", ".join(failing)}))
        return faults

    async def _database_answers(self) -> bool:
        try:
            return await asyncio.wait_for(self.server.answers(), LOOK_SECONDS)
        except TimeoutError:
            return False


@router.get("/healthz")
async def check_liveness() -> dict[str, str]:
    """Check that the process is up."""
    return {"status": "up"}


@router.get("/readyz")
async def check_readiness(request: Request) -> dict[str, str]:
    """Check that everything in this process works. Status 503 lists the database, jobs or loops that do not."""
    signs: VitalSigns = request.app.state.vital_signs
    faults = await signs.faults()
    if faults:
        raise NotReady(faults)
    return {"status": "ready"}
