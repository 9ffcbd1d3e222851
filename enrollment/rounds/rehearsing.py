"""Rehearse a round: the same match on what the tables have now, with a random seed and no consequence."""

import secrets
import uuid

from sqlalchemy.orm import Session, sessionmaker

from enrollment.access.callers import RoleKind, Staff
from enrollment.audit.log import append
from enrollment.cycles.service import read_cycle
from enrollment.database import transaction
from enrollment.jobs import enqueue
from enrollment.problems import NotFound
from enrollment.rounds.frozen import one_seat
from enrollment.rounds.holding import read_round, refuse_other_state
from enrollment.rounds.matching import report_document
from enrollment.rounds.models import Rehearsal, Round
from enrollment.rounds.snapshot import take_snapshot
from lottery.canonical import Json
from lottery.engines import Engine, match
from lottery.market import Kind
from lottery.market import Round as MarketRound
from lottery.report import report
from lottery.verify import verify

REHEARSE = "rehearse"
"""The job that carries a rehearsal out."""

SEED_BYTES = 32


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
    """
    with transaction(sessions) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        rehearsal = session.get_one(Rehearsal, uuid.UUID(rehearsal_id))
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
    seed = secrets.token_bytes(SEED_BYTES)
    outcome = match(snapshot.market, seed=seed, seeds=seeds, engine=Engine.FAST)
    complaints = verify(snapshot.market, outcome, seeds=seeds)
    totals: dict[str, Json] = {
        **report_document(report(snapshot.market, outcome, seeds=seeds)),
        "excluded": len(snapshot.excluded),
        "complaints": [str(complaint) for complaint in complaints[:10]],
    }
    with transaction(sessions) as session:
        rehearsal = session.get_one(Rehearsal, uuid.UUID(rehearsal_id), with_for_update={"key_share": True})
        rehearsal.totals, rehearsal.state = totals, "done"


def _seeds(session: Session, round_: Round) -> dict[str, bytes]:
    rounds = session.query(Round).filter(Round.cycle_id == round_.cycle_id, Round.state == "published")
    return {other.id: other.seed for other in rounds if other.seed is not None}
