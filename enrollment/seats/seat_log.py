"""Tell the log what became of a child's seat, under a fresh salt, and keep what opens it."""

import uuid
from dataclasses import dataclass
from datetime import datetime

import rfc8785
from sqlalchemy.orm import Session

from enrollment.audit.log import append
from enrollment.audit.salts import new_salt
from enrollment.seats.models import SeatChange
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed

NONE = "none"
"""What a seat was to a child before it was offered."""

OUTSIDE = "placement.outside_lottery"


@dataclass(frozen=True, slots=True)
class Seat:
    """A child's seat."""

    cycle: str
    child: uuid.UUID
    tag: str
    program: str
    group: str


@dataclass(frozen=True, slots=True)
class Change:
    """What became of it, and by what."""

    was: str
    became: str
    cause: str
    """As the log names it: `offer.accept`, `offer.decline`, `offer.expire`, `withdraw`, `backfill`, or `OUTSIDE`."""
    reason_code: str
    actor: str
    at: datetime
    round: str | None = None


def tell_change(session: Session, seat: Seat, change: Change) -> None:
    """Append the entry of a change, and store what opens its commitment."""
    _store(session, seat, change, {"tag": seat.tag})


def tell_placement(session: Session, seat: Seat, change: Change, *, school: str, asked: str, approved: str) -> None:
    """Append the entry of a placement outside the lottery: it names the school and two people, and no child.

    The tag is in what is committed to, so that it cannot be said later to have been another child's.
    """
    _store(session, seat, change, {"school": school, "asked": asked, "approved": approved})


def committed(seat: Seat, change: Change) -> dict[str, Json]:
    """Return what the entry of a change commits to."""
    told: dict[str, Json] = {"program": seat.program, "group": seat.group, "from": change.was, "to": change.became}
    return {**told, "tag": seat.tag} if change.cause == OUTSIDE else told


def _store(session: Session, seat: Seat, change: Change, shown: dict[str, Json]) -> None:
    salt = new_salt()
    commit = keyed(salt, "seat", rfc8785.dumps({**committed(seat, change)}))
    fields = {**shown, "commit": commit.hex(), "cause": change.cause, "code": change.reason_code}
    leaf = append(session, "seat.change", cycle=seat.cycle, actor=change.actor, fields=fields)
    session.add(
        SeatChange(
            cycle_id=seat.cycle,
            child_id=seat.child,
            program_id=seat.program,
            seat_group=seat.group,
            was=change.was,
            became=change.became,
            cause=change.cause,
            reason_code=change.reason_code,
            round_id=change.round,
            salt=salt,
            leaf_hash=leaf,
            at=change.at,
        )
    )
