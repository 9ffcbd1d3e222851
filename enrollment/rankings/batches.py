"""Batches: many applications and rankings in one request, each row stored or refused separately."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from enrollment.access.callers import Partner
from enrollment.applicants.applications import keys_of_application, lock_applicant, put_applicant
from enrollment.applicants.family_locks import ApplicationKeys, lock_families, remove_unused
from enrollment.applicants.models import Applicant
from enrollment.cycles.locks import lock_open_cycle
from enrollment.cycles.models import Cycle
from enrollment.preconditions import VersionMissing
from enrollment.problems import Problem
from enrollment.rankings.changes import keep_draft, submit_ranking
from enrollment.rankings.inputs import BatchRowIn
from enrollment.rankings.versions import Ranking, lock_ranker
from enrollment.settings import Settings


@dataclass(frozen=True, slots=True)
class RowResult:
    """The result of one row: a ranking if the row had one, or the problem that refused the row."""

    ranking: Ranking | None = None
    problem: Problem | None = None


def put_batch(
    session: Session, partner: Partner, rows: Sequence[BatchRowIn], *, settings: Settings
) -> Sequence[RowResult]:
    """Store many applications and rankings, and return the result of each row in the order sent.

    Rows are stored in order of cycle and reference. If two rows have the same reference, the last row wins.
    """
    open_cycles = _lock_open_cycles(session, rows)
    keys = [_keys(settings, open_cycles[row.cycle], row) for row in rows if row.cycle in open_cycles]
    new = lock_families(session, partner, keys)
    order = sorted(range(len(rows)), key=lambda place: (rows[place].cycle, rows[place].reference))
    results = {place: _put_row(session, partner, rows[place], settings) for place in order}
    done = [rows[place] for place in order if results[place].problem is None]
    remove_unused(session, new, stored=_children_of(session, partner, done))
    return [results[place] for place in range(len(rows))]


def _lock_open_cycles(session: Session, rows: Iterable[BatchRowIn]) -> Mapping[str, Cycle]:
    """Take shared locks on the cycles of rows, and return the cycles that accept applications now."""
    cycles: dict[str, Cycle] = {}
    for cycle in sorted({row.cycle for row in rows}):
        try:
            cycles[cycle] = lock_open_cycle(session, cycle).cycle
        except Problem:
            continue  # each row of this cycle is refused for the same reason
    return cycles


def _keys(settings: Settings, cycle: Cycle, row: BatchRowIn) -> ApplicationKeys:
    if row.applicant is None:
        return ApplicationKeys(row.cycle, row.reference)
    return keys_of_application(settings, cycle, row.reference, row.applicant)


def _put_row(session: Session, partner: Partner, row: BatchRowIn, settings: Settings) -> RowResult:
    try:
        try:
            return RowResult(_store_row(session, partner, row, settings))
        except VersionMissing:
            # Another request created the application a moment ago. A row changes a stored application.
            return RowResult(_store_row(session, partner, row, settings))
    except Problem as problem:
        return RowResult(problem=problem)


def _store_row(session: Session, partner: Partner, row: BatchRowIn, settings: Settings) -> Ranking | None:
    with session.begin_nested():
        open_cycle = lock_open_cycle(session, row.cycle)
        if row.applicant is not None:
            former = lock_applicant(session, partner, cycle=row.cycle, reference=row.reference)
            with _faults_in("/applicant"):
                put_applicant(
                    session, partner, open_cycle.cycle, row.reference, row.applicant, former=former, settings=settings
                )
        if row.ranking is None:
            return None
        ranker = lock_ranker(session, partner, cycle=row.cycle, reference=row.reference)
        act = keep_draft if row.ranking.draft else submit_ranking
        with _faults_in("/ranking"):
            return act(session, partner, open_cycle, ranker, row.ranking.programs)


@contextmanager
def _faults_in(part: str) -> Iterator[None]:
    """Let the faults of a problem point into the row: they are in one part of it."""
    try:
        yield
    except Problem as problem:
        problem.faults = tuple(replace(fault, pointer=part + fault.pointer) for fault in problem.faults)
        raise


def _children_of(session: Session, partner: Partner, rows: Iterable[BatchRowIn]) -> Sequence[uuid.UUID]:
    """Return the children of the applications that rows stored."""
    places = [(row.cycle, row.reference) for row in rows if row.applicant is not None]
    return session.scalars(
        select(Applicant.child_id).where(
            Applicant.partner_id == partner.id, tuple_(Applicant.cycle_id, Applicant.reference).in_(places)
        )
    ).all()
