"""Rankings over HTTP."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response, status
from sqlalchemy import any_, func, select, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.access.guards import ReadsApplications, Submits, WritesApplications
from enrollment.access.idempotency import Idempotent, IdempotentRoute
from enrollment.applicants.applications import bringing, find_applicant, lock_applicant, put_applicant
from enrollment.applicants.family_locks import Bringing, lock_families, take_back
from enrollment.applicants.models import Applicant
from enrollment.cycles.locks import lock_open_cycle, read_cycle
from enrollment.cycles.models import Cycle
from enrollment.database import InTransaction
from enrollment.directory.models import Offering
from enrollment.error_handlers import reader_language
from enrollment.field_types import Id
from enrollment.languages import Say, in_language
from enrollment.paging import Page, Paging
from enrollment.preconditions import IfMatch, VersionMissing, etag, refuse_stale, show_version
from enrollment.problems import Fault, NotFound, Problem
from enrollment.rankings import submission as submitting
from enrollment.rankings.models import RankingVersion
from enrollment.rankings.schemas import (
    Batch,
    BatchOut,
    BatchRow,
    FaultOut,
    RankingIn,
    RankingOut,
    RankingRowOut,
    Sealed,
    Validated,
    Warned,
    WarnedApplicant,
)
from enrollment.rankings.versions import (
    Ranking,
    faults_of,
    keep_draft,
    lock_ranker,
    newest_of,
    ranking_of,
    submit_ranking,
    versions_of,
    withdraw_ranking,
    withdrawn_programs,
)
from enrollment.settings import Settings

router = APIRouter(route_class=IdempotentRoute, tags=["rankings"])
hot_router = APIRouter(tags=["rankings"])

APPLICANT = "/v1/cycles/{cycle}/applicants/{reference}"


@hot_router.put(f"{APPLICANT}/ranking", response_model=RankingOut)
async def put_ranking(
    request: Request,
    client: Submits,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    body: RankingIn,
    if_match: IfMatch = None,
) -> Response:
    """Submit a ranking, or keep a draft; the answer comes once it is stored and in the log, and is a promise."""
    pool: submitting.Pool = request.app.state.pool
    ranking = await submitting.put_ranking(pool, client, cycle=cycle, reference=reference, body=body, if_match=if_match)
    shown = _ranking_shown(ranking, {}).model_dump_json()
    return Response(shown, media_type="application/json", headers={"ETag": etag(ranking.version)})


@router.get(f"{APPLICANT}/ranking")
def read_ranking(
    session: InTransaction,
    partner: ReadsApplications,
    response: Response,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> RankingOut:
    """Read the newest version of a ranking, with a warning for each program that has left since."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    newest = newest_of(session, applicant.id)
    if newest is None:
        raise NotFound
    show_version(response, newest.version)
    return _ranking_shown(newest, withdrawn_programs(session, cycle, newest.programs))


@router.delete(f"{APPLICANT}/ranking")
def delete_ranking(
    session: InTransaction,
    partner: WritesApplications,
    response: Response,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    if_match: IfMatch = None,
) -> RankingOut:
    """Withdraw the ranking in force; the application stays."""
    taking = lock_open_cycle(session, cycle)
    ranker = lock_ranker(session, partner, cycle=cycle, reference=reference)
    if ranker.newest is None:
        raise NotFound
    refuse_stale(if_match, ranker.newest.version)
    withdrawn = withdraw_ranking(session, partner.actor, taking, ranker)
    show_version(response, withdrawn.version)
    return _ranking_shown(withdrawn, {})


@router.get(f"{APPLICANT}/ranking/versions")
def list_versions(
    session: InTransaction,
    partner: ReadsApplications,
    paging: Paging,
    *,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
) -> Page[RankingOut]:
    """Read the versions of a ranking, newest first."""
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    found = paging.read(session, versions_of(applicant.id), by=[RankingVersion.version], newest_first=True)
    return found.show(lambda version: _ranking_shown(ranking_of(version), {}))


@router.post(f"{APPLICANT}/validate")
def validate(
    session: InTransaction,
    partner: ReadsApplications,
    request: Request,
    cycle: Annotated[Id, Path()],
    reference: Annotated[Id, Path()],
    body: RankingIn,
) -> Validated:
    """Say what would be said to a ranking if it were sent; nothing is stored, so no Idempotency-Key is asked for."""
    held = read_cycle(session, cycle)
    applicant = find_applicant(session, partner, cycle=cycle, reference=reference)
    most = held.cycle.most_ranks
    faults = faults_of(session, body.programs, cycle=cycle, grade=applicant.grade, most=most, draft=body.draft)
    say = in_language(reader_language(request))
    return Validated(usable=not faults, errors=[_fault_shown(fault, say) for fault in faults])


@router.get("/v1/cycles/{cycle}/warnings")
def list_warnings(
    session: InTransaction,
    partner: ReadsApplications,
    paging: Paging,
    cycle: Annotated[Id, Path()],
) -> Page[WarnedApplicant]:
    """List your applicants who ranked programs that have left, so that you can tell the families."""
    read_cycle(session, cycle)
    # An applicant is a row, so that none is cut in two where the list ends.
    left = func.jsonb_agg(
        aggregate_order_by(func.jsonb_build_array(Offering.program_id, Offering.reason), Offering.program_id)
    )
    asked = (
        select(Applicant.reference, left)
        .join(
            RankingVersion,
            (RankingVersion.applicant_id == Applicant.id) & (RankingVersion.version == Applicant.ranking_version),
        )
        .join(Offering, Offering.program_id == any_(RankingVersion.programs))
        .where(
            Applicant.cycle_id == cycle,
            Applicant.partner_id == partner.id,
            Offering.cycle_id == cycle,
            Offering.status == "out",
        )
        .group_by(Applicant.reference)
    )
    return paging.read(session, asked, by=[Applicant.reference]).show(_warned_applicant)


@router.post("/v1/applicants:batch", dependencies=[Idempotent])
def put_batch(session: InTransaction, partner: WritesApplications, request: Request, body: Batch) -> BatchOut:
    """Put many applications and rankings; each row is done or refused by itself, and the answer says which.

    Rows are done by cycle and reference, and answered in the order in which they were sent. A row changes what is there
    without an If-Match: of two rows with the same reference the last one sent stands.
    """
    rows, settings = body.rows, request.app.state.settings
    open_ = {cycle: held for cycle in sorted({row.cycle for row in rows}) if (held := _open(session, cycle))}
    brought = [_bringing(settings, open_[row.cycle], row) for row in rows if row.cycle in open_]
    made = lock_families(session, partner, brought)
    order = sorted(range(len(rows)), key=lambda place: (rows[place].cycle, rows[place].reference))
    told = {place: _row(session, partner, request, rows[place]) for place in order}
    take_back(session, made, kept=_children_of(session, partner, [rows[place] for place in order if told[place].done]))
    return BatchOut(rows=[told[place] for place in range(len(rows))])


def _open(session: Session, cycle: str) -> Cycle | None:
    """Lock a cycle for sharing, and return it if it takes applications now."""
    try:
        return lock_open_cycle(session, cycle).cycle
    except Problem:
        return None


def _bringing(settings: Settings, cycle: Cycle, row: BatchRow) -> Bringing:
    if row.applicant is None:
        return Bringing(row.cycle, row.reference)
    return bringing(settings, cycle, row.reference, row.applicant)


def _children_of(session: Session, partner: Partner, rows: Sequence[BatchRow]) -> Sequence[uuid.UUID]:
    """Return the children whose applications some rows stored."""
    brought = [(row.cycle, row.reference) for row in rows if row.applicant is not None]
    return session.scalars(
        select(Applicant.child_id).where(
            Applicant.partner_id == partner.id, tuple_(Applicant.cycle_id, Applicant.reference).in_(brought)
        )
    ).all()


def _row(session: Session, partner: Partner, request: Request, row: BatchRow) -> RankingRowOut:
    settings = request.app.state.settings
    try:
        try:
            ranking = _put_row(session, partner, settings, row)
        except VersionMissing:
            # Another request made the application a moment ago. A row changes what is there.
            ranking = _put_row(session, partner, settings, row)
    except Problem as problem:
        return _refused(row, problem, in_language(reader_language(request)))
    return RankingRowOut(
        reference=row.reference,
        done=True,
        status=status.HTTP_200_OK,
        code=None,
        detail=None,
        errors=[],
        version=ranking.version if ranking else None,
        confirmation=ranking.confirmation if ranking else None,
    )


def _put_row(session: Session, partner: Partner, settings: Settings, row: BatchRow) -> Ranking | None:
    with session.begin_nested():
        taking = lock_open_cycle(session, row.cycle)
        if row.applicant is not None:
            found = lock_applicant(session, partner, cycle=row.cycle, reference=row.reference)
            put_applicant(session, partner, taking.cycle, row.reference, row.applicant, found=found, settings=settings)
        if row.ranking is None:
            return None
        ranker = lock_ranker(session, partner, cycle=row.cycle, reference=row.reference)
        act = keep_draft if row.ranking.draft else submit_ranking
        return act(session, partner, taking, ranker, row.ranking.programs)


def _refused(row: BatchRow, problem: Problem, say: Say) -> RankingRowOut:
    return RankingRowOut(
        reference=row.reference,
        done=False,
        status=problem.status,
        code=problem.code(),
        detail=say(problem.detail, **problem.values),
        errors=[_fault_shown(fault, say) for fault in problem.faults],
        version=None,
        confirmation=None,
    )


def _fault_shown(fault: Fault, say: Say) -> FaultOut:
    return FaultOut(pointer=fault.pointer, code=fault.code, detail=say(fault.detail, **fault.values))


def _warned_applicant(reference: str, programs: Sequence[tuple[str, str | None]]) -> WarnedApplicant:
    return WarnedApplicant(reference=reference, warnings=[_warned(*one) for one in programs])


def _warned(program: str, reason: str | None) -> Warned:
    return Warned(program=program, code="program-withdrawn", reason=reason)


def _ranking_shown(ranking: Ranking, left: Mapping[str, str | None]) -> RankingOut:
    return RankingOut(
        version=ranking.version,
        programs=ranking.programs,
        draft=ranking.kind == "draft",
        withdrawn=ranking.kind == "withdrawn",
        late=ranking.late,
        confirmation=ranking.confirmation,
        at=ranking.at,
        receipt=Sealed(leaf_hash=ranking.leaf_hash.hex()) if ranking.leaf_hash else None,
        warnings=[_warned(program, left[program]) for program in ranking.programs if program in left],
    )
