"""Rehearse a round: match the present applications with a random seed, and keep only totals."""

import secrets
import uuid
from collections.abc import Mapping
from typing import cast

from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.callers import RoleKind, Staff
from enrollment.audit.log import append
from enrollment.connections import is_lost
from enrollment.cycles.locks import read_cycle
from enrollment.database import transaction
from enrollment.dates import values_to_store
from enrollment.failures import Breakage
from enrollment.jobs import enqueue, is_waiting
from enrollment.languages import Say
from enrollment.problems import NotFound, Problem, sentence
from enrollment.rounds.freeze import only_seat
from enrollment.rounds.frozen_market import read_back_whole
from enrollment.rounds.locks import read_round, refuse_other_state
from enrollment.rounds.match_job import report_document
from enrollment.rounds.models import Rehearsal, Round
from enrollment.rounds.seeds import seeds_for_market
from enrollment.rounds.snapshot import Snapshot, take_snapshot
from lottery.engines import Engine, match_market
from lottery.explain.report import report
from lottery.market.canonical import Json
from lottery.market.json_reader import UnusableInput
from lottery.market.model import Kind
from lottery.market.model import Round as MarketRound
from lottery.match.verify import verify

REHEARSE = "rehearse"
"""The name of the job."""

SEED_BYTES = 32

MAX_LINES = 20
"""The most problems of a market that a reason names."""

UNUSABLE_MARKET = sentence("The lottery cannot use the market: {problem}")

BROKEN_OFF = sentence(
    "The rehearsal failed, and every retry failed too: {error}. Report this to the people who run the service, then "
    "ask for another rehearsal."
)

JOB_GONE = sentence("The rehearsal was lost before it ran. Ask for another rehearsal.")

ASK_ADMINISTRATOR = sentence("The rehearsal failed. Ask an administrator for the reason.")


def ask_for_rehearsal(session: Session, round_: Round, *, staff: Staff) -> Rehearsal:
    """Have a worker rehearse an open round, and append the rehearsal to the log.

    Raises:
        OtherState: if the round is already frozen.
    """
    refuse_other_state(round_, "open")
    rehearsal = Rehearsal(id=uuid.uuid4(), round_id=round_.id, asked_by=staff.id)
    session.add(rehearsal)
    append(
        session,
        "round.rehearsal",
        cycle=round_.cycle_id,
        actor=staff.actor_for(RoleKind.ADMINISTRATOR),
        fields={"round": round_.id, "rehearsal": str(rehearsal.id)},
    )
    session.flush()
    session.refresh(rehearsal)
    enqueue(session, REHEARSE, str(rehearsal.id))
    return rehearsal


def read_rehearsal(session: Session, round_id: str, rehearsal_id: uuid.UUID) -> Rehearsal:
    """Return a rehearsal of a round.

    Raises:
        NotFound: if the round has no such rehearsal.
    """
    rehearsal = session.get(Rehearsal, rehearsal_id)
    if rehearsal is None or rehearsal.round_id != round_id:
        raise NotFound
    return rehearsal


def rehearse(sessions: "sessionmaker[Session]", rehearsal_id: str) -> None:
    """Run a rehearsal on one state of the tables. Only totals are stored; the seed is not.

    As in a real round, the fast engine matches and the verifier compares the outcome with the reference engine. So a
    difference is known before anything is frozen. Complaints are listed with the totals of the fast engine.
    A refused rehearsal ends at once with the reason, because another try would be refused too.
    """
    try:
        totals = _totals(sessions, rehearsal_id)
    except UnusableInput as refusal:
        problem = "\n".join(refusal.lines()[:MAX_LINES])
        _end(sessions, rehearsal_id, reason=_reason(UNUSABLE_MARKET, {"problem": problem}))
    except Problem as refusal:
        if is_lost(refusal):
            raise  # the connection was lost: the job tries again
        _end(sessions, rehearsal_id, reason=_reason(refusal.detail, values_to_store(refusal.values)))
    else:
        if totals is not None:
            _end(sessions, rehearsal_id, totals=totals)


def give_up_rehearsal(sessions: "sessionmaker[Session]", rehearsal_id: str, breakage: Breakage) -> None:
    """End a rehearsal after its last try failed."""
    _end(sessions, rehearsal_id, reason=_reason(BROKEN_OFF, {"error": str(breakage)}))


def lost_its_job(session: Session, rehearsal: Rehearsal) -> bool:
    """Say whether a rehearsal waits for a job that no longer exists, as after a restore."""
    return rehearsal.state == "waiting" and not is_waiting(session, REHEARSE, str(rehearsal.id))


def reason_in_words(rehearsal: Rehearsal, say: Say) -> str | None:
    """Return why a rehearsal failed, in the reader's language. None: it did not fail."""
    if rehearsal.reason is None:
        return None
    values = cast("Mapping[str, str | int]", rehearsal.reason["values"])
    return say(str(rehearsal.reason["detail"]), **values)


def _totals(sessions: "sessionmaker[Session]", rehearsal_id: str) -> dict[str, Json] | None:
    """Match once and return the totals, or None if the rehearsal has ended."""
    with transaction(sessions) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        rehearsal = session.get(Rehearsal, uuid.UUID(rehearsal_id))
        if rehearsal is None or rehearsal.state != "waiting":
            return None
        snapshot = _snapshot(session, read_round(session, rehearsal.round_id))
        seeds = seeds_for_market(session, snapshot.market)
    market = read_back_whole(snapshot.market)
    seed = secrets.token_bytes(SEED_BYTES)
    outcome = match_market(market, seed=seed, seeds=seeds, engine=Engine.FAST)
    complaints = verify(market, outcome, seeds=seeds)
    return {
        **report_document(report(market, outcome, seeds=seeds, submitted=snapshot.submitted)),
        "excluded": len(snapshot.excluded),
        "complaints": [str(complaint) for complaint in complaints[:10]],
    }


def _snapshot(session: Session, round_: Round) -> Snapshot:
    cycle_now = read_cycle(session, round_.cycle_id)
    return take_snapshot(
        session,
        cycle_now.cycle,
        MarketRound(round_.id, Kind(round_.kind)),
        now=cycle_now.now,
        only_seat=only_seat(session, round_),
    )


def _end(
    sessions: "sessionmaker[Session]",
    rehearsal_id: str,
    *,
    totals: dict[str, Json] | None = None,
    reason: dict[str, Json] | None = None,
) -> None:
    with transaction(sessions) as session:
        rehearsal = session.get(Rehearsal, uuid.UUID(rehearsal_id), with_for_update={"key_share": True})
        if rehearsal is not None and rehearsal.state == "waiting":
            rehearsal.totals, rehearsal.reason = totals, reason
            rehearsal.state = "done" if reason is None else "failed"


def _reason(detail: str, values: Mapping[str, str | int]) -> dict[str, Json]:
    return {"detail": detail, "values": dict(values)}
