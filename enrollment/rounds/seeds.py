"""The seeds of earlier rounds."""

from collections.abc import Collection, Mapping

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from enrollment.rounds.models import FrozenRow, Round
from lottery.market.model import Market


def seeds_before(session: Session, round_: Round) -> Mapping[str, bytes]:
    """Return the seeds of the earlier rounds in which the applicants of a frozen round were drawn."""
    return _seeds(session, select(FrozenRow.drawn_in).where(FrozenRow.round_id == round_.id).distinct(), round_.id)


def seeds_for_market(session: Session, market: Market) -> Mapping[str, bytes]:
    """Return the seeds of the earlier rounds in which the applicants of a market were drawn."""
    return _seeds(session, {applicant.drawn_in for applicant in market.applicants}, market.round.id)


def _seeds(session: Session, drawn_in: Select[str] | Collection[str], this_round: str) -> Mapping[str, bytes]:
    rows = session.execute(
        select(Round.id, Round.seed).where(Round.id.in_(drawn_in), Round.id != this_round).order_by(Round.id)
    )
    return {round_id: seed for round_id, seed in rows if seed is not None}
