"""What earlier rounds left: the seats that children hold, and the round that drew each child's number."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Child
from enrollment.rounds.models import FrozenRow, Round
from enrollment.seats.models import LIVE, Offer
from lottery.market.model import HeldSeat, Kind
from lottery.market.model import Round as MarketRound
from lottery.market.rules import OPEN, Program


@dataclass(frozen=True, slots=True)
class EarlierRounds:
    """Held seats and draws of the published rounds of a cycle, by tag."""

    held_seats: Mapping[str, HeldSeat]
    drawn: Mapping[str, tuple[str, bool]]
    """The round that drew the child's number, and whether the child was late in that round."""
    order: tuple[str, ...]
    """The rounds that drew these numbers, in the order of the draws."""

    def before(self, round_: MarketRound) -> MarketRound:
        """Return a round that lists these rounds. Whoever was drawn later stays behind in a backfill round."""
        return replace(round_, earlier=self.order) if round_.kind is Kind.BACKFILL else round_


NO_EARLIER_ROUNDS = EarlierRounds({}, {}, ())


def read_earlier_rounds(session: Session, cycle: str, programs: Mapping[str, Program]) -> EarlierRounds:
    """Return the seats that children hold now, and the published round that drew each child's number."""
    published = _published(session, cycle)
    drawn = _draws(session, published)
    drew = {drawn_in for drawn_in, _ in drawn.values()}
    return EarlierRounds(
        _held_seats(session, cycle, programs), drawn, tuple(round_id for round_id in published if round_id in drew)
    )


def read_draws(session: Session, cycle: str, tags: Collection[str]) -> dict[str, tuple[str, bool]]:
    """Return the published round that drew each child's number, and whether the child was late for the main round."""
    return _draws(session, _published(session, cycle), FrozenRow.tag.in_(tags))


def _published(session: Session, cycle: str) -> Sequence[str]:
    """Return the published rounds of a cycle, in the order in which they drew."""
    query = select(Round.id).where(Round.cycle_id == cycle, Round.state == "published").order_by(Round.published_at)
    return session.scalars(query).all()


def _draws(session: Session, rounds: Sequence[str], *which: ColumnElement[bool]) -> dict[str, tuple[str, bool]]:
    """Return each child's draw, as the last of these rounds with the child says it."""
    rows = session.execute(
        select(FrozenRow.tag, FrozenRow.drawn_in, FrozenRow.late)
        .join(Round, Round.id == FrozenRow.round_id)
        .where(Round.id.in_(rounds), *which)
        .order_by(Round.published_at)
    )
    return {tag: (drawn_in, late) for tag, drawn_in, late in rows}


def _held_seats(session: Session, cycle: str, programs: Mapping[str, Program]) -> dict[str, HeldSeat]:
    rows = session.execute(
        select(Child.tag, Offer.program_id, Offer.seat_group)
        .join(Offer, Offer.child_id == Child.id)
        .where(Offer.cycle_id == cycle, Offer.status.in_(LIVE))
    )
    return {tag.hex(): _held_seat(programs, program, group) for tag, program, group in rows}


def _held_seat(programs: Mapping[str, Program], program_id: str, group: str) -> HeldSeat:
    """Return a held seat. If the rules no longer have its seat group, the seat counts as an open seat."""
    program = programs.get(program_id)
    return HeldSeat(program_id, group if program is None or group in program.precedence else OPEN)
