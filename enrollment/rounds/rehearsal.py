"""Rehearse a round: the same match on what the tables have now, with a random seed and no consequence."""

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
from enrollment.failures import Breakage
from enrollment.jobs import enqueue, is_waiting
from enrollment.languages import Say
from enrollment.problems import NotFound, Problem, sentence
from enrollment.rounds.freeze import one_seat, read_back_whole
from enrollment.rounds.locks import read_round, refuse_other_state
from enrollment.rounds.match_job import report_document
from enrollment.rounds.models import Rehearsal, Round
from enrollment.rounds.snapshot import take_snapshot
from lottery.engines import Engine, match_market
from lottery.explain.report import report
from lottery.market.canonical import Json
from lottery.market.json_reader import UnusableInput
from lottery.market.model import Kind
from lottery.market.model import Round as MarketRound
from lottery.match.verify import verify

REHEARSE = "rehearse"
"""The job that carries a rehearsal out."""

SEED_BYTES = 32

MAX_LINES = 20
"""Of what the lottery has against a market."""

UNUSABLE_MARKET = sentence("The lottery refused the market: {problem}")

BROKEN_OFF = sentence(
    "The rehearsal broke off, and so did every further try: {error}. Report this to the people who run the service, "
    "then ask for another rehearsal."
)

JOB_GONE = sentence("The job of this rehearsal is gone. Ask for another rehearsal.")

ASK_ADMINISTRATOR = sentence("The rehearsal could not be run. Ask an administrator for the reason.")


def ask_for_rehearsal(session: Session, round_: Round, *, staff: Staff) -> Rehearsal:
    """Have an open round rehearsed by a worker, and tell the log that it is one.

    Raises:
        OtherState: if the round is frozen already.
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
        NotFound: if there is none.
    """
    rehearsal = session.get(Rehearsal, rehearsal_id)
    if rehearsal is None or rehearsal.round_id != round_id:
        raise NotFound
    return rehearsal


def rehearse(sessions: "sessionmaker[Session]", rehearsal_id: str) -> None:
    """Carry a rehearsal out, on one state of things. Only totals of it are kept, and its seed is not.

    As in an official round the fast engine matches and the verifier holds its outcome against the reference's, so where
    they differ it is told before anything is frozen. A complaint stops nothing here: the totals are the fast engine's.
    A rehearsal that is refused ends at once, with the reason: another try would be refused as well.
    """
    try:
        totals = _totals(sessions, rehearsal_id)
    except UnusableInput as refusal:
        problem = "\n".join(refusal.lines()[:MAX_LINES])
        _end(sessions, rehearsal_id, reason=_reason(UNUSABLE_MARKET, {"problem": problem}))
    except Problem as refusal:
        if is_lost(refusal):
            raise  # it is no refusal, and another try comes
        _end(sessions, rehearsal_id, reason=_reason(refusal.detail, refusal.values))
    else:
        if totals is not None:
            _end(sessions, rehearsal_id, totals=totals)


def give_up_rehearsal(sessions: "sessionmaker[Session]", rehearsal_id: str, breakage: Breakage) -> None:
    """End a rehearsal that broke off at its last try."""
    _end(sessions, rehearsal_id, reason=_reason(BROKEN_OFF, {"error": str(breakage)}))


def lost_its_job(session: Session, rehearsal: Rehearsal) -> bool:
    """Say whether a rehearsal waits for a job that is no longer there, as after a restore."""
    return rehearsal.state == "waiting" and not is_waiting(session, REHEARSE, str(rehearsal.id))


def reason_in_words(rehearsal: Rehearsal, say: Say) -> str | None:
    """Return why a rehearsal failed, in the reader's language; None if it did not."""
    if rehearsal.reason is None:
        return None
    values = cast("Mapping[str, str | int]", rehearsal.reason["values"])
    return say(str(rehearsal.reason["detail"]), **values)


def _totals(sessions: "sessionmaker[Session]", rehearsal_id: str) -> dict[str, Json] | None:
    """Match once, and return the totals; None if the rehearsal has ended."""
    with transaction(sessions) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        rehearsal = session.get(Rehearsal, uuid.UUID(rehearsal_id))
        if rehearsal is None or rehearsal.state != "waiting":
            return None
        round_ = read_round(session, rehearsal.round_id)
        held = read_cycle(session, round_.cycle_id)
        snapshot = take_snapshot(
            session,
            held.cycle,
            MarketRound(round_.id, Kind(round_.kind)),
            now=held.now,
            one=one_seat(session, round_),
        )
        seeds = _seeds(session, round_)
    market = read_back_whole(snapshot.market)
    seed = secrets.token_bytes(SEED_BYTES)
    outcome = match_market(market, seed=seed, seeds=seeds, engine=Engine.FAST)
    complaints = verify(market, outcome, seeds=seeds)
    return {
        **report_document(report(market, outcome, seeds=seeds)),
        "excluded": len(snapshot.excluded),
        "complaints": [str(complaint) for complaint in complaints[:10]],
    }


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


def _seeds(session: Session, round_: Round) -> dict[str, bytes]:
    rounds = session.query(Round).filter(Round.cycle_id == round_.cycle_id, Round.state == "published")
    return {other.id: other.seed for other in rounds if other.seed is not None}
