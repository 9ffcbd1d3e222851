"""A round that is being published: its placements, and the rules that were frozen for its programs."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from enrollment.cycles.models import Cycle
from enrollment.seats.models import Offer

MAIN = "main"
SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Placement:
    """A seat that the round gives to a child."""

    tag: str
    program: str
    group: str
    choice: int | None
    priority_class: str


@dataclass(frozen=True, slots=True)
class ProgramInRound:
    """A program in the round, under its frozen rules."""

    rules_version: int
    groups: Mapping[str, int]
    """The seats of each group, as the rules set them, in precedence order."""
    target: int
    """The most seats that may be filled now. Over-offers stop counting after the main round."""
    over_offer: int
    releases: bool
    """Whether a vacated reserved seat is open to all children."""
    waiting: Mapping[str, int]
    """The number of children that the round left waiting at each group."""
    why_not: str | None
    hours_to_answer: int
    backfill_of: str
    """The level that set the backfill rule: `operator:district`, `school:lincoln`, `program:lincoln-kg`, `default`."""
    seats_of: str
    """The level that set the number of seats, in the same form."""


@dataclass(frozen=True, slots=True)
class PublishedRound:
    """A round that is being published in this transaction."""

    round: str
    kind: str
    cycle: Cycle
    now: datetime
    programs: Mapping[str, ProgramInRound]
    only_seat: tuple[str, int] | None
    """The program and number of the only vacancy that the round fills. None: the round fills every seat."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A child who gets a new seat, and the offer for the seat that the child leaves, if any."""

    child: uuid.UUID
    placement: Placement
    former: Offer | None
