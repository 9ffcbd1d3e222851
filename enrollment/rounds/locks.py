"""Make a round, and hold it for a step: first its cycle, then itself, so that no two steps wait for each other."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.cycles.locks import lock_cycle
from enrollment.cycles.models import Cycle
from enrollment.problems import Conflict, NotFound, sentence
from enrollment.rounds.models import Round
from enrollment.rounds.schemas import SeatOfRound
from enrollment.seats.models import Vacancy
from enrollment.seats.vacancies import FREE
from lottery.market.model import Kind

RUNNING = ("frozen", "drawn", "matched")


class RoundNotFound(NotFound):
    """There is no round of that id."""

    title = sentence("There is no such round")
    detail = sentence("GET /v1/cycles/CYCLE/rounds lists those that there are.")


class AnotherRound(Conflict):
    """A round that is not over stands in the way of another."""

    title = sentence("Another round stands in the way")
    detail = sentence("The round {round} is {state}; a cycle has one round at a time. Go on with that one, or void it.")


class MainRoundMissing(Conflict):
    """A backfill round before the main round is published."""

    title = sentence("No main round is published yet")
    detail = sentence("A backfill round goes on from a published main round; run that one first.")


class SeatNotFree(Conflict):
    """A round for a seat that is not free."""

    title = sentence("There is no such free seat")
    detail = sentence(
        "GET /v1/cycles/{cycle}/vacancies lists the free seats; a round for one of them is a backfill round."
    )


class OtherState(Conflict):
    """A step for which the round is not ready, or which is done already."""

    title = sentence("The round is not at this step")
    detail = sentence(
        "The round {round} is {state}, and this step is for a round that is {wanted}. GET /v1/rounds/{round} shows "
        "what has been done."
    )


@dataclass(frozen=True, slots=True)
class LockedRound:
    """A round and its cycle, both locked until the transaction ends, and the time."""

    round: Round
    cycle: Cycle
    now: datetime


def make_round(
    session: Session, cycle_id: str, kind: Kind, *, seat: SeatOfRound | None = None, calendar: uuid.UUID | None = None
) -> Round:
    """Make an open round; nothing is fixed by it.

    Args:
        session: a transaction.
        cycle_id: the cycle.
        kind: main or backfill.
        seat: the seat that a backfill round for one seat is for.
        calendar: the calendar that makes it, if one does.

    Raises:
        CycleNotFound: if there is no such cycle.
        AnotherRound: if one is not over yet, or the main round is published already.
        MainRoundMissing: if it is a backfill round before the main round.
        SeatNotFree: if it is for a seat that is none of the free ones.
    """
    cycle = lock_cycle(session, cycle_id).cycle
    rounds = session.scalars(select(Round).where(Round.cycle_id == cycle_id)).all()
    for other in rounds:
        over = other.state in ("published", "void")
        if not over or (kind is Kind.MAIN and other.kind == Kind.MAIN and other.state == "published"):
            raise AnotherRound(round=other.id, state=other.state)
    if kind is Kind.BACKFILL and not any(other.kind == Kind.MAIN and other.state == "published" for other in rounds):
        raise MainRoundMissing
    if seat is not None:
        _refuse_seat(session, cycle_id, kind, seat)
    attempt = 1 + sum(other.kind == kind for other in rounds)
    round_ = Round(
        id=_id_of(cycle.id, kind, attempt),
        cycle_id=cycle.id,
        kind=kind.value,
        attempt=attempt,
        calendar_id=calendar,
        only_program=seat.program if seat else None,
        only_vacancy=seat.vacancy if seat else None,
    )
    session.add(round_)
    session.flush()
    session.refresh(round_)
    return round_


def _refuse_seat(session: Session, cycle: str, kind: Kind, seat: SeatOfRound) -> None:
    vacancy = session.get(Vacancy, (cycle, seat.program, seat.vacancy))
    if kind is Kind.MAIN or vacancy is None or vacancy.status not in FREE:
        raise SeatNotFree(cycle=cycle)


def _id_of(cycle: str, kind: Kind, attempt: int) -> str:
    """Return `2027-main`, for a second attempt `2027-main.2`; backfill rounds are counted from 1."""
    if kind is Kind.BACKFILL:
        return f"{cycle}-backfill-{attempt}"
    return f"{cycle}-main" if attempt == 1 else f"{cycle}-main.{attempt}"


def lock_round_and_cycle(session: Session, round_id: str) -> LockedRound:
    """Lock a round's cycle and then the round, for a step that also changes what the cycle takes.

    Raises:
        RoundNotFound: if there is none.
    """
    cycle_id = session.scalar(select(Round.cycle_id).where(Round.id == round_id))
    if cycle_id is None:
        raise RoundNotFound
    held = lock_cycle(session, cycle_id)
    return LockedRound(lock_round(session, round_id), held.cycle, held.now)


def lock_round(session: Session, round_id: str) -> Round:
    """Lock a round alone, for a step that leaves its cycle as it is.

    The step must take no cycle afterwards: others hold the cycle and wait for the round.

    Raises:
        RoundNotFound: if there is none.
    """
    round_ = session.get(Round, round_id, with_for_update={"key_share": True}, populate_existing=True)
    if round_ is None:
        raise RoundNotFound
    return round_


def read_round(session: Session, round_id: str) -> Round:
    """Read a round.

    Raises:
        RoundNotFound: if there is none.
    """
    round_ = session.get(Round, round_id)
    if round_ is None:
        raise RoundNotFound
    return round_


def refuse_other_state(round_: Round, *wanted: str) -> None:
    """Refuse a step for which a round is not ready, or which somebody else was quicker to do.

    Raises:
        OtherState: naming the state that it is in.
    """
    if round_.state not in wanted:
        raise OtherState(round=round_.id, state=round_.state, wanted=" or ".join(wanted))


def latest_published(session: Session, cycle_id: str) -> Round | None:
    """Return the round of a cycle that was published last."""
    return session.scalars(
        select(Round)
        .where(Round.cycle_id == cycle_id, Round.state == "published")
        .order_by(Round.published_at.desc())
        .limit(1)
    ).one_or_none()
