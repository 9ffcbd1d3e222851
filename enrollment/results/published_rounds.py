"""Find the published round that a reader asks for."""

from datetime import datetime

from sqlalchemy.orm import Session

from enrollment.problems import NotFound, sentence
from enrollment.rounds.locks import RoundNotFound, latest_published, read_round
from enrollment.rounds.models import FrozenProgram, Round


class ResultsNotPublished(NotFound):
    """The round is not published, or the program was not in the round."""

    title = sentence("Results not published")
    detail = sentence(
        "No results are published for this yet. GET /v1/cycles/CYCLE/rounds shows the published rounds of a cycle."
    )


def published(session: Session, cycle: str, round_id: str | None) -> Round:
    """Return a published round of a cycle: the named round, or the last one.

    Raises:
        RoundNotFound: if the cycle has no round with this id.
        ResultsNotPublished: if the round is not published, or no round is.
    """
    found = latest_published(session, cycle) if round_id is None else session.get(Round, round_id)
    if round_id is not None and (found is None or found.cycle_id != cycle):
        raise RoundNotFound
    if found is None or found.state != "published":
        raise ResultsNotPublished
    return found


def published_round(session: Session, round_id: str) -> Round:
    """Return a round if it is published.

    Raises:
        RoundNotFound: if no round has this id.
        ResultsNotPublished: if the round is not published, or void.
    """
    found = read_round(session, round_id)
    if found.state != "published":
        raise ResultsNotPublished
    return found


def refuse_other_program(session: Session, round_: Round, program: str) -> None:
    """Refuse a program that was not in a round.

    Raises:
        ResultsNotPublished: if the program was not in the round.
    """
    if session.get(FrozenProgram, (round_.id, program)) is None:
        raise ResultsNotPublished


def published_time(round_: Round) -> datetime:
    """Return the time at which a published round was published."""
    if round_.published_at is None:
        raise ValueError("a published round has no time of publishing")
    return round_.published_at
