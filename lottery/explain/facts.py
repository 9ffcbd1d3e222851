"""The facts behind one child's result, for each program and seat group.

They come from the market, the child's own number, and the published cutoffs, so a family can check each fact.
`lottery.explain.sentences` puts them into words.
"""

from dataclasses import dataclass
from enum import StrEnum

from lottery.market.canonical import Json
from lottery.market.model import condition_document, overflow_document
from lottery.market.outcome import LastAdmitted, Placement, last_document
from lottery.market.rules import Condition, Order, Program, Reserve
from lottery.match.standing import Barred


class Decided(StrEnum):
    """The reason for the result at a seat group."""

    SEATED = "seated"
    KEPT = "kept"  # the child keeps the held seat
    PLACED_HIGHER = "placed higher"
    SIBLING_FIRST = "placed at a sibling's school, which was asked first"
    BELOW_HELD_SEAT = "below the held seat"
    EARLIER_GROUP = "seated in an earlier group"
    NOT_CONSIDERED = "not considered"
    NO_SEATS = "no seats"
    HOLDERS = "holders"
    RESERVE = "reserve"
    LATE = "late"
    EARLIER_DRAW = "earlier draw"  # the last child was drawn in an earlier round
    CLASS = "class"
    NUMBER = "number"
    POSITION = "position"
    TICKET = "ticket"
    AHEAD = "others ahead"  # more would describe the few children of a small group
    UNEXPLAINED = "unexplained"  # the outcome does not follow from the rules


class Joined(StrEnum):
    """The time at which a child joined the lottery, as far as it counts at a seat group."""

    ON_TIME = "on time"
    LATE = "late"
    LATER = "in a later round"


@dataclass(frozen=True, slots=True)
class AtGroup:
    """What happened at one seat group. `mine` is the standing of the child, `last` of the last child admitted.

    `filled` and `waiting` are None where they would describe a few other children.
    """

    name: str
    seats: int
    filled: int | None
    reserve: Reserve | None
    last: LastAdmitted | None
    waiting_place: int | None
    waiting: int | None
    decided: Decided
    mine: LastAdmitted | None = None
    joined: Joined = Joined.ON_TIME
    last_joined: Joined = Joined.ON_TIME
    because: Condition | None = None  # the condition of the child's class; None for `general`
    barred: Barred | None = None


@dataclass(frozen=True, slots=True)
class AtProgram:
    """What happened at one program. `choice` is None for a held seat that the family did not rank."""

    program: Program
    choice: int | None
    order: Order
    """The order of the numbers here. A main round compares them as drawn."""
    groups: tuple[AtGroup, ...]


def not_listed(at: AtProgram) -> bool:
    """Tell whether a program did not consider the child because the school's own list misses the child."""
    group = at.groups[0]
    return group.decided is Decided.NOT_CONSIDERED and group.barred is Barred.NOT_LISTED


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A choice on the submitted list that the round did not use.

    `given_up`: the family gave up a seat or a waitlist place there. Otherwise the program left the lottery.
    """

    program: str
    choice: int
    given_up: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """One child's result and the reasons, for each ranked program as submitted and for an unranked held seat.

    `choice` of the placement is the position in the list as submitted. `left_out` has the choices on this list that are
    not in the round.
    """

    applicant: str
    ranked: int
    placement: Placement | None
    programs: tuple[AtProgram, ...]
    left_out: tuple[LeftOut, ...] = ()

    def numbers(self) -> set[str]:
        """Return every lottery number in the explanation."""
        standings = (last for at in self.programs for group in at.groups for last in (group.mine, group.last))
        return {last.number for last in standings if last and last.number}

    def document(self) -> dict[str, Json]:
        """Return the facts as JSON."""
        placement = self.placement
        return {
            "applicant": self.applicant,
            "placement": {"program": placement.program, "group": placement.group, "choice": placement.choice}
            if placement
            else None,
            "programs": [_program_document(program) for program in self.programs],
            "left_out": [
                {"program": left.program, "choice": left.choice, "given_up": left.given_up} for left in self.left_out
            ],
        }


def _program_document(at: AtProgram) -> dict[str, Json]:
    return {
        "program": at.program.id,
        "school": at.program.school,
        "grade": at.program.grade,
        "choice": at.choice,
        "order": at.order,
        "eligible": condition_document(at.program.eligible),
        "groups": [_group_document(group) for group in at.groups],
    }


def _group_document(at: AtGroup) -> dict[str, Json]:
    return {
        "group": at.name,
        "seats": at.seats,
        "filled": at.filled,
        "reserved_for": condition_document(at.reserve.when) if at.reserve else None,
        "overflow": overflow_document(at.reserve.overflow) if at.reserve else None,
        "considered": at.barred is None,
        "not_considered_because": at.barred,
        "mine": last_document(at.mine),
        "class_because": condition_document(at.because) if at.because else None,
        "last": last_document(at.last),
        "waitlist": {"place": at.waiting_place, "of": at.waiting} if at.waiting_place else None,
        "decided": at.decided,
    }
