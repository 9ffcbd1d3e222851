"""Log each change of a child's seat as a commitment, and keep what opens the commitment."""

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
"""The status of a seat before it is offered to the child."""

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
    """A change of a seat's status, and its cause."""

    was: str
    became: str
    cause: str
    """The cause in the log: `offer.accept`, `offer.decline`, `offer.expire`, `withdraw`, `backfill`, or `OUTSIDE`."""
    reason_code: str
    actor: str
    at: datetime
    round: str | None = None


def log_change(session: Session, seat: Seat, change: Change) -> None:
    """Append the log entry of a change, and store what opens its commitment."""
    _log(session, seat, change, {"tag": seat.tag})


def log_placement(
    session: Session, seat: Seat, change: Change, *, school: str, requested_by: str, approved_by: str
) -> None:
    """Append the log entry of an administrative placement. It names the school and two people, and no child.

    The commitment includes the child's tag, so nobody can later claim that another child was placed.
    """
    _log(session, seat, change, {"school": school, "asked": requested_by, "approved": approved_by})


def committed(seat: Seat, change: Change) -> dict[str, Json]:
    """Return the values that the log entry of a change commits to."""
    values: dict[str, Json] = {"program": seat.program, "group": seat.group, "from": change.was, "to": change.became}
    return {**values, "tag": seat.tag} if change.cause == OUTSIDE else values


def _log(session: Session, seat: Seat, change: Change, public: dict[str, Json]) -> None:
    salt = new_salt()
    commit = keyed(salt, "seat", rfc8785.dumps({**committed(seat, change)}))
    fields = {**public, "commit": commit.hex(), "cause": change.cause, "code": change.reason_code}
    leaf = append(session, "seat.change", cycle=seat.cycle, actor=change.actor, fields=fields, at=change.at)
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
