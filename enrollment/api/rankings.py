"""Routes of rankings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response, status

from enrollment.access.guards import ReadsApplications, Submits, WritesApplications
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.api.schemas.rankings import (
    ApplicantWarningsOut,
    BatchIn,
    BatchOut,
    BatchRowOut,
    MalformedRow,
    ProgramWarningOut,
    RankingCheckOut,
    RankingFaultOut,
    RankingOut,
    RankingReceiptOut,
)
from enrollment.applicants.applications import find_applicant
from enrollment.applicants.models import Applicant
from enrollment.cycles.locks import lock_open_cycle, read_cycle
from enrollment.cycles.models import Cycle
from enrollment.database import InTransaction
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import Say, in_language
from enrollment.paging import Page, Paging
from enrollment.preconditions import SHOWS_ETAG, IfMatch, IfMatchAlways, etag, refuse_stale, show_version
from enrollment.problems import Fault, MalformedBody, NotFound, Problem
from enrollment.rankings import batches, changes, submission
from enrollment.rankings.batches import RowResult
from enrollment.rankings.faults import find_faults
from enrollment.rankings.inputs import BatchRowIn, RankingIn
from enrollment.rankings.models import RankingVersion
from enrollment.rankings.versions import Ranking, lock_ranker, newest_of, ranking_of, versions_of
from enrollment.rankings.withdrawn_programs import applicants_to_warn, programs_that_left, withdrawn_programs

router = APIRouter(route_class=IdempotentRoute, tags=["rankings"])
hot_router = APIRouter(tags=["rankings"])

APPLICANT = "/v1/cycles/{cycle}/applicants/{reference}"


@hot_router.put(f"{APPLICANT}/ranking", response_model=RankingOut, openapi_extra=SHOWS_ETAG)
async def submit_ranking(
    request: Request,
    client: Submits,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    body: RankingIn,
    if_match: IfMatch = None,
) -> Response:
    """Submit a ranking, or store a draft. When you get the answer, the ranking is stored and in the log."""
    pool: submission.Pool = request.app.state.pool
    stored = await submission.put_ranking(pool, client, cycle=cycle, reference=reference, body=body, if_match=if_match)
    answer = _show_ranking(stored.ranking, stored.cycle, stored.withdrawn).model_dump_json()
    return Response(answer, media_type="application/json", headers={"ETag": etag(stored.ranking.version)})


@router.get(f"{APPLICANT}/ranking", openapi_extra=SHOWS_ETAG)
def read_ranking(
    session: InTransaction,
    partner: ReadsApplications,
    response: Response,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> RankingOut:
    """Read the newest version of a ranking, with a warning for each program that no longer takes part."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    newest = newest_of(session, applicant.id)
    if newest is None:
        raise NotFound
    show_version(response, newest.version)
    return _show_ranking(newest, read_cycle(session, cycle).cycle, withdrawn_programs(session, cycle, newest.programs))


@router.delete(f"{APPLICANT}/ranking", openapi_extra=SHOWS_ETAG)
def withdraw_ranking(
    session: InTransaction,
    partner: WritesApplications,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    if_match: IfMatchAlways = None,
) -> RankingOut:
    """Withdraw the ranking in force. The application stays."""
    open_cycle = lock_open_cycle(session, cycle)
    ranker = lock_ranker(session, partner, cycle=cycle, reference=reference)
    if ranker.newest is None:
        raise NotFound
    refuse_stale(if_match, ranker.newest.version)
    withdrawn = changes.withdraw_ranking(session, partner.actor, open_cycle, ranker)
    show_version(response, withdrawn.version)
    return _show_ranking(withdrawn, open_cycle.cycle, {})


@router.get(f"{APPLICANT}/ranking/versions")
def list_ranking_versions(
    session: InTransaction,
    partner: ReadsApplications,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> Page[RankingOut]:
    """List the versions of a ranking, newest first."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    page = paging.read(session, versions_of(applicant.id), by=[RankingVersion.version], newest_first=True)
    cycle_now, gone = read_cycle(session, cycle), programs_that_left(session, cycle)
    return page.show(lambda version: _show_ranking(ranking_of(version), cycle_now.cycle, gone))


@router.post(f"{APPLICANT}/validate")
def validate_ranking(
    session: InTransaction,
    partner: ReadsApplications,
    request: Request,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    body: RankingIn,
) -> RankingCheckOut:
    """Check a ranking without saving it. This request needs no Idempotency-Key."""
    max_ranks = read_cycle(session, cycle).cycle.most_ranks
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    faults = find_faults(
        session, body.programs, cycle=cycle, grade=applicant.grade, max_ranks=max_ranks, draft=body.draft
    )
    say = in_language(reader_language(request))
    return RankingCheckOut(usable=not faults, errors=[_show_fault(fault, say) for fault in faults])


@router.get("/v1/cycles/{cycle}/warnings")
def list_ranking_warnings(
    session: InTransaction,
    partner: ReadsApplications,
    paging: Paging,
    cycle: Annotated[Id, Path()],
) -> Page[ApplicantWarningsOut]:
    """List your applicants who ranked programs that no longer take part, so you can tell the families."""
    read_cycle(session, cycle)
    return paging.read(session, applicants_to_warn(partner, cycle), by=[Applicant.reference]).show(_show_warnings)


@router.post("/v1/applicants:batch", dependencies=[Idempotent])
def put_batch(session: InTransaction, partner: WritesApplications, request: Request, body: BatchIn) -> BatchOut:
    """Store many applications and rankings. Each row is stored or refused separately, and the answer tells which.

    Rows are stored in order of cycle and reference, and answered in the order sent. A row changes a stored application
    without If-Match. If two rows have the same reference, the last row wins.
    """
    say = in_language(reader_language(request))
    read = [row for row in body.rows if isinstance(row, BatchRowIn)]
    results = iter(batches.put_batch(session, partner, read, settings=request.app.state.settings))
    done = [
        RowResult(problem=MalformedBody(faults=row.faults)) if isinstance(row, MalformedRow) else next(results)
        for row in body.rows
    ]
    return BatchOut(
        rows=[
            _show_row(row.reference, result, say, place=place)
            for place, (row, result) in enumerate(zip(body.rows, done, strict=True))
        ]
    )


def _show_row(reference: str, result: RowResult, say: Say, *, place: int) -> BatchRowOut:
    if result.problem is not None:
        return _show_refused(reference, result.problem, say, place=place)
    ranking = result.ranking
    return BatchRowOut(
        reference=reference,
        done=True,
        status=status.HTTP_200_OK,
        code=None,
        detail=None,
        errors=[],
        version=ranking.version if ranking else None,
        confirmation=ranking.confirmation if ranking else None,
    )


def _show_refused(reference: str, problem: Problem, say: Say, *, place: int) -> BatchRowOut:
    faults = [replace(fault, pointer=f"/rows/{place}{fault.pointer}") for fault in problem.faults]
    return BatchRowOut(
        reference=reference,
        done=False,
        status=problem.status,
        code=problem.code(),
        detail=say(problem.detail, **problem.values),
        errors=[_show_fault(fault, say) for fault in faults],
        version=None,
        confirmation=None,
    )


def _show_fault(fault: Fault, say: Say) -> RankingFaultOut:
    return RankingFaultOut(pointer=fault.pointer, code=fault.code, detail=say(fault.detail, **fault.values))


def _show_warnings(reference: str, programs: Sequence[tuple[str, str | None]]) -> ApplicantWarningsOut:
    warnings = [_show_warning(program, reason) for program, reason in programs]
    return ApplicantWarningsOut(reference=reference, warnings=warnings)


def _show_warning(program: str, reason: str | None) -> ProgramWarningOut:
    return ProgramWarningOut(program=program, code="program-withdrawn", reason=reason)


def _show_ranking(ranking: Ranking, cycle: Cycle, withdrawn: Mapping[str, str | None]) -> RankingOut:
    return RankingOut(
        version=ranking.version,
        programs=ranking.programs,
        draft=ranking.kind == "draft",
        withdrawn=ranking.kind == "withdrawn",
        late=ranking.is_late(cycle),
        confirmation=ranking.confirmation,
        at=ranking.at,
        receipt=RankingReceiptOut(leaf_hash=ranking.leaf_hash.hex()) if ranking.leaf_hash else None,
        warnings=[_show_warning(program, withdrawn[program]) for program in ranking.programs if program in withdrawn],
    )
