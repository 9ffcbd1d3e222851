"""Lock and read rounds. A step locks the cycle before the round, so that two steps never wait for each other."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from enrollment.cycles.locks import lock_cycle
from enrollment.cycles.models import Cycle
from enrollment.problems import Conflict, NotFound, sentence
from enrollment.rounds.models import Round

RUNNING = ("frozen", "drawn", "matched")


class RoundNotFound(NotFound):
    """No round has this id."""

    title = sentence("Round not found")
    detail = sentence("No round has this id. GET /v1/cycles/CYCLE/rounds lists the rounds of a cycle.")


class OtherState(Conflict):
    """The round is not in the state that the step needs."""

    title = sentence("Wrong round state")
    detail = sentence(
        "The round {round} is {state}. This step needs a round that is {wanted}. GET /v1/rounds/{round} shows the "
        "steps that are done."
    )


@dataclass(frozen=True, slots=True)
class LockedRound:
    """A round and its cycle, both locked until the transaction ends, and the time."""

    round: Round
    cycle: Cycle
    now: datetime


def lock_round_and_cycle(session: Session, round_id: str) -> LockedRound:
    """Lock a round's cycle and then the round, for a step that also changes the cycle.

    Raises:
        RoundNotFound: if the round does not exist.
    """
    cycle_id = session.scalar(select(Round.cycle_id).where(Round.id == round_id))
    if cycle_id is None:
        raise RoundNotFound
    cycle_now = lock_cycle(session, cycle_id)
    return LockedRound(lock_round(session, round_id), cycle_now.cycle, cycle_now.now)


def lock_round(session: Session, round_id: str) -> Round:
    """Lock a round alone, for a step that does not change its cycle.

    The step must not lock a cycle afterwards: another step may hold the cycle and wait for the round.

    Raises:
        RoundNotFound: if the round does not exist.
    """
    round_ = session.get(Round, round_id, with_for_update={"key_share": True}, populate_existing=True)
    if round_ is None:
        raise RoundNotFound
    return round_


def read_round(session: Session, round_id: str) -> Round:
    """Read a round without a lock.

    Raises:
        RoundNotFound: if the round does not exist.
    """
    round_ = session.get(Round, round_id)
    if round_ is None:
        raise RoundNotFound
    return round_


def refuse_other_state(round_: Round, *wanted: str) -> None:
    """Refuse a step that the round's state does not allow.

    Raises:
        OtherState: with the round's state and the states that the step needs.
    """
    if round_.state not in wanted:
        raise OtherState(round=round_.id, state=round_.state, wanted=" or ".join(wanted))


def select_rounds(cycle_id: str) -> Select[Round]:
    """Select the rounds of a cycle."""
    return select(Round).where(Round.cycle_id == cycle_id)


def latest_published(session: Session, cycle_id: str) -> Round | None:
    """Return the round of a cycle that was published last."""
    return session.scalars(
        select(Round)
        .where(Round.cycle_id == cycle_id, Round.state == "published")
        .order_by(Round.published_at.desc())
        .limit(1)
    ).one_or_none()
