"""Create main and backfill rounds."""

import uuid
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.cycles.locks import lock_cycle
from enrollment.field_types import Id, Wire
from enrollment.problems import Conflict, sentence
from enrollment.rounds.models import Round
from enrollment.seats.models import Vacancy
from enrollment.seats.vacancies import FREE
from lottery.market.model import Kind

OVER = ("published", "void")


class AnotherRound(Conflict):
    """The cycle has an unfinished round, or a published main round."""

    title = sentence("Another round exists")
    detail = sentence(
        "The round {round} is {state}. A cycle has one round at a time and one published main round. Finish or void "
        "that round first."
    )


class MainRoundMissing(Conflict):
    """No main round is published yet."""

    title = sentence("No published main round")
    detail = sentence("A backfill round follows a published main round. Run and publish the main round first.")


class SeatNotFree(Conflict):
    """The seat that the round is for is not free."""

    title = sentence("Seat not available")
    detail = sentence(
        "This seat is not free, or the round is not a backfill round. GET /v1/cycles/{cycle}/vacancies lists the free "
        "seats."
    )


class RoundSeatIn(Wire):
    """The only seat that a backfill round fills."""

    program: Id
    vacancy: Annotated[int, Field(ge=1, le=1_000_000, description="The vacancy's number in the program.")]


def make_round(
    session: Session, cycle_id: str, kind: Kind, *, seat: RoundSeatIn | None = None, calendar: uuid.UUID | None = None
) -> Round:
    """Make an open round. Nothing is frozen yet.

    Args:
        session: a transaction.
        cycle_id: the cycle.
        kind: main or backfill.
        seat: the only seat that a backfill round fills.
        calendar: the calendar that makes the round, if any.

    Raises:
        CycleNotFound: if the cycle does not exist.
        AnotherRound: if another round is unfinished, or the main round is already published.
        MainRoundMissing: if a backfill round is asked for before the main round is published.
        SeatNotFree: if the seat is not free.
    """
    cycle = lock_cycle(session, cycle_id).cycle
    rounds = session.scalars(select(Round).where(Round.cycle_id == cycle_id)).all()
    _refuse_other_rounds(rounds, kind)
    if seat is not None:
        _refuse_taken_seat(session, cycle_id, kind, seat)
    attempt = 1 + sum(other.kind == kind for other in rounds)
    round_ = Round(
        id=_round_id(cycle.id, kind, attempt),
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


def _refuse_other_rounds(rounds: Sequence[Round], kind: Kind) -> None:
    published_main = [other for other in rounds if other.kind == Kind.MAIN and other.state == "published"]
    for other in rounds:
        if other.state not in OVER or (kind is Kind.MAIN and other in published_main):
            raise AnotherRound(round=other.id, state=other.state)
    if kind is Kind.BACKFILL and not published_main:
        raise MainRoundMissing


def _refuse_taken_seat(session: Session, cycle: str, kind: Kind, seat: RoundSeatIn) -> None:
    vacancy = session.get(Vacancy, (cycle, seat.program, seat.vacancy))
    if kind is Kind.MAIN or vacancy is None or vacancy.status not in FREE:
        raise SeatNotFree(cycle=cycle)


def _round_id(cycle: str, kind: Kind, attempt: int) -> str:
    """Return `2027-main`, for a second attempt `2027-main.2`. Backfill rounds are numbered from 1."""
    if kind is Kind.BACKFILL:
        return f"{cycle}-backfill-{attempt}"
    return f"{cycle}-main" if attempt == 1 else f"{cycle}-main.{attempt}"
