"""What earlier rounds left: the seats that children hold, and the round that drew each child's number."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from enrollment.applicants.models import Child
from enrollment.rounds.models import FrozenRow, Round
from enrollment.seats.models import LIVE, Offer
from lottery.market.model import HeldSeat
from lottery.market.rules import OPEN, Program


@dataclass(frozen=True, slots=True)
class EarlierRounds:
    """Held seats and draws of the published rounds of a cycle, by tag."""

    held_seats: Mapping[str, HeldSeat]
    drawn: Mapping[str, tuple[str, bool]]
    """The round that drew the child's number, and whether the child was late in that round."""


NO_EARLIER_ROUNDS = EarlierRounds({}, {})


def read_earlier_rounds(session: Session, cycle: str, programs: Mapping[str, Program]) -> EarlierRounds:
    """Return the seats that children hold now, and the published round that drew each child's number."""
    return EarlierRounds(_held_seats(session, cycle, programs), _draws(session, cycle))


def _draws(session: Session, cycle: str) -> dict[str, tuple[str, bool]]:
    rows = session.execute(
        select(FrozenRow.tag, FrozenRow.drawn_in, FrozenRow.late)
        .join(Round, Round.id == FrozenRow.round_id)
        .where(Round.cycle_id == cycle, Round.state == "published")
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
