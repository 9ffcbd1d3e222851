"""Run a preview in a job: read the markets from one state of the tables, draw many times, and store totals."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from enrollment.connections import is_lost
from enrollment.cycles.locks import read_cycle
from enrollment.database import clock, transaction
from enrollment.dates import values_to_store
from enrollment.failures import Breakage
from enrollment.previews.cells import Layout
from enrollment.previews.groups import Grouping
from enrollment.previews.hiding import Earlier, Scope, scopes_of
from enrollment.previews.market import read_market
from enrollment.previews.models import Preview, PreviewGrouping
from enrollment.previews.proposal import MAX_PROGRAMS, NothingToPreview, tried_programs
from enrollment.previews.requests import reason_document
from enrollment.previews.results import result_document
from enrollment.problems import Problem, sentence
from enrollment.rules.levels import Subject, read_levels, read_stored_rules
from enrollment.rules.model import Level
from enrollment.stored_values import fields_of
from lottery.market.canonical import Json
from lottery.market.json_reader import UnusableInput
from lottery.simulate.parallel import blocks_of
from lottery.simulate.program_counts import ComparedCounts, compare_on, ready

MAX_GROUPINGS = 60
"""How many different groupings of a program's children previews may show in a cycle."""

UNUSABLE_MARKET = sentence("The lottery cannot use the market: {problem}")

BROKEN_OFF = sentence(
    "The preview failed, and every retry failed too: {error}. Report this to the people who run the service, then ask "
    "for another preview."
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A preview that is ready for its draws."""

    basis: str
    draws: int
    seed: bytes
    layout: Layout
    scopes: Sequence[Scope]


def run_preview(sessions: "sessionmaker[Session]", preview_id: str) -> None:
    """Run a preview, unless it has ended: a job may run twice. A proposal that no longer works ends at once."""
    try:
        result, scopes = _result(sessions, preview_id)
    except UnusableInput as refusal:
        _fail(sessions, preview_id, reason_document(UNUSABLE_MARKET, {"problem": refusal.lines()[0]}))
    except Problem as refusal:
        if is_lost(refusal):
            raise  # the connection was lost: the job tries again
        _fail(sessions, preview_id, reason_document(refusal.detail, values_to_store(refusal.values)))
    else:
        if result is not None:
            _store(sessions, preview_id, result, scopes)


def give_up_preview(sessions: "sessionmaker[Session]", preview_id: str, breakage: Breakage) -> None:
    """End a preview after its last try failed."""
    _fail(sessions, preview_id, reason_document(BROKEN_OFF, {"error": str(breakage)}))


def seed_of(cycle: str) -> bytes:
    """Return the seed of a cycle's previews, always the same: a repeated preview tells nothing new."""
    return hashlib.sha256(b"enrollment preview\0" + cycle.encode()).digest()


def _result(sessions: "sessionmaker[Session]", preview_id: str) -> tuple[dict[str, Json] | None, Sequence[Scope]]:
    with transaction(sessions) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        preview = session.get(Preview, uuid.UUID(preview_id))
        if preview is None or preview.state != "waiting":
            return None, ()
        prepared = _prepare(session, preview)
    counts = None
    if any(scope.hidden is None for scope in prepared.scopes):
        counts = _count(sessions, preview_id, prepared)
    return result_document(prepared.layout, prepared.scopes, counts, basis=prepared.basis), prepared.scopes


def _prepare(session: Session, preview: Preview) -> Prepared:
    cycle = read_cycle(session, preview.cycle_id).cycle
    subject = Subject(cycle.id, cast("Level", preview.level), preview.subject_id)
    proposal = fields_of(preview.proposal)
    rules = read_stored_rules(fields_of(proposal.get("rules")))
    tried = tried_programs(session, cycle, subject, rules, join=bool(proposal.get("join")))
    if not tried:
        raise NothingToPreview(cycle=cycle.id, most=MAX_PROGRAMS)
    levels = read_levels(session, cycle.id, [one.program for one in tried])
    market = read_market(session, cycle, tried, levels, basis=preview.basis)
    layout = Layout(market, cycle.child_facts)
    scopes = scopes_of(layout, preview.owner, _earlier(session, preview))
    return Prepared(preview.basis, preview.draws, seed_of(cycle.id), layout, scopes)


def _earlier(session: Session, preview: Preview) -> Earlier:
    """Return the groupings that earlier previews of the same rankings showed."""
    found: dict[str, list[Grouping]] = {}
    rows = session.execute(
        select(PreviewGrouping.scope, PreviewGrouping.groups).where(
            PreviewGrouping.cycle_id == preview.cycle_id, PreviewGrouping.basis == preview.basis
        )
    )
    for scope, groups in rows:
        found.setdefault(scope, []).append(Grouping.from_bytes(groups))
    return Earlier(found, MAX_GROUPINGS)


def _count(sessions: "sessionmaker[Session]", preview_id: str, prepared: Prepared) -> ComparedCounts:
    """Draw block by block, and note the progress."""
    layout, own = prepared.layout, set(prepared.layout.tried)
    markets = [
        ready(
            columns,
            layout.choices,
            counted_as,
            sums=layout.sums,
            elsewhere=lambda name: name not in own,
            seed=prepared.seed,
        )
        for columns, counted_as in zip(layout.market.columns(), layout.counted_as, strict=True)
    ]
    total: ComparedCounts | None = None
    for block in blocks_of(prepared.draws, sum(len(one.ranking) for one in layout.market.applicants)):
        counted = compare_on(markets[0], markets[1:], block)
        total = counted if total is None else total + counted
        _note_progress(sessions, preview_id, total.draws)
    return cast("ComparedCounts", total)


def _note_progress(sessions: "sessionmaker[Session]", preview_id: str, drawn: int) -> None:
    with transaction(sessions) as session:
        session.execute(
            update(Preview).where(Preview.id == uuid.UUID(preview_id), Preview.state == "waiting").values(drawn=drawn)
        )


def _store(
    sessions: "sessionmaker[Session]", preview_id: str, result: Mapping[str, Json], scopes: Sequence[Scope]
) -> None:
    with transaction(sessions) as session:
        preview = session.get(Preview, uuid.UUID(preview_id), with_for_update={"key_share": True})
        if preview is None or preview.state != "waiting":
            return
        for scope in scopes:
            for grouping in scope.groupings:
                session.execute(
                    insert(PreviewGrouping)
                    .values(
                        id=uuid.uuid4(),
                        cycle_id=preview.cycle_id,
                        basis=preview.basis,
                        scope=scope.name,
                        digest=grouping.digest(),
                        groups=grouping.to_bytes(),
                    )
                    .on_conflict_do_nothing()
                )
        preview.result, preview.drawn, preview.state = dict(result), preview.draws, "done"
        preview.ended_at = clock(session)


def _fail(sessions: "sessionmaker[Session]", preview_id: str, reason: Mapping[str, Json]) -> None:
    with transaction(sessions) as session:
        preview = session.get(Preview, uuid.UUID(preview_id), with_for_update={"key_share": True})
        if preview is not None and preview.state == "waiting":
            preview.reason, preview.state, preview.ended_at = dict(reason), "failed", clock(session)
