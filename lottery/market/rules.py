"""Define the rules of a school: conditions, priority classes, reserves, tie-break and backfill."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

OPEN = "open"
"""The seat group of every program for seats outside its reserves."""

GENERAL = "general"
"""The class of applicants outside a program's priority classes."""


class Facts(Protocol):
    """The settled facts of an applicant that a condition can read."""

    @property
    def zones(self) -> frozenset[str]:
        """The zones of all addresses."""

    @property
    def flags(self) -> frozenset[str]:
        """Facts about the applicant."""

    @property
    def at(self) -> Mapping[str, frozenset[str]]:
        """Facts about the applicant at one school, by school."""

    @property
    def attends(self) -> str | None:
        """The present school."""


class Condition(Protocol):
    """A fixed, typed test on an applicant's settled facts."""

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:
        """Return whether the applicant meets the condition at `school`.

        `siblings_at` has the schools where siblings were placed in this run.
        """


@dataclass(frozen=True, slots=True)
class Everyone:
    """Every applicant meets this condition."""

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Return true."""
        return True


@dataclass(frozen=True, slots=True)
class ZoneIn:
    """Applicants who live in one of the zones meet this condition."""

    zones: tuple[str, ...]

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Return whether the applicant lives in one of the zones."""
        return not facts.zones.isdisjoint(self.zones)


@dataclass(frozen=True, slots=True)
class Has:
    """Applicants with the flag meet this condition."""

    flag: str

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Return whether the applicant has the flag."""
        return self.flag in facts.flags


@dataclass(frozen=True, slots=True)
class AtSchool:
    """Applicants with the fact at the program's school meet this condition."""

    fact: str

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Return whether the applicant has the fact at the school."""
        return self.fact in facts.at.get(school, ())


@dataclass(frozen=True, slots=True)
class AttendsIn:
    """Applicants who attend one of the schools now meet this condition."""

    schools: tuple[str, ...]

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Return whether the applicant attends one of the schools."""
        return facts.attends in self.schools


@dataclass(frozen=True, slots=True)
class SiblingPlaced:
    """Applicants whose sibling was placed at the school earlier in this run meet this condition."""

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Return whether a sibling was placed at the school."""
        return school in siblings_at


@dataclass(frozen=True, slots=True)
class AllOf:
    """Applicants who meet every part meet this condition. Every applicant meets it where it has no parts."""

    parts: tuple[Condition, ...]

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:
        """Return whether the applicant meets every part."""
        return all(part.holds(facts, school, siblings_at) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Applicants who meet at least one part meet this condition. No applicant meets it where it has no parts."""

    parts: tuple[Condition, ...]

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:
        """Return whether the applicant meets at least one part."""
        return any(part.holds(facts, school, siblings_at) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """Applicants who do not meet the part meet this condition."""

    part: Condition

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:
        """Return whether the applicant does not meet the part."""
        return not self.part.holds(facts, school, siblings_at)


EVERYONE = Everyone()

NOBODY = AnyOf(())


def depends_on_siblings(condition: Condition) -> bool:
    """Return whether the condition contains `sibling_placed`."""
    match condition:
        case SiblingPlaced():
            return True
        case AllOf(parts) | AnyOf(parts):
            return any(depends_on_siblings(part) for part in parts)
        case Not(part):
            return depends_on_siblings(part)
        case _:
            return False


def depends_on_zones(condition: Condition) -> bool:
    """Return whether the condition contains `zone_in`."""
    match condition:
        case ZoneIn():
            return True
        case AllOf(parts) | AnyOf(parts):
            return any(depends_on_zones(part) for part in parts)
        case Not(part):
            return depends_on_zones(part)
        case _:
            return False


@dataclass(frozen=True, slots=True)
class PriorityClass:
    """A named condition. Applicants in an earlier class of a list come before all later classes."""

    name: str
    when: Condition


@dataclass(frozen=True, slots=True)
class Share:
    """A share of a program's seats in whole percent. The seats are rounded down."""

    percent: int


class Overflow(StrEnum):
    """Whether other applicants can get the seats that a reserve's own applicants leave: everyone, or nobody."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class OverflowTo:
    """Only other applicants who meet the condition can get the seats that a reserve's own applicants leave."""

    condition: Condition


ReserveOverflow: TypeAlias = Overflow | OverflowTo
"""A reserve's rule for the seats that its own applicants leave."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """Seats for applicants who meet a condition.

    Other applicants come after them, where the reserve's `overflow` lets them have a seat at all.
    """

    name: str
    size: int | Share
    when: Condition
    overflow: ReserveOverflow
    priorities: tuple[PriorityClass, ...]

    @property
    def others(self) -> Condition:
        """Return the condition of other applicants who can get seats that the reserve's own applicants leave."""
        match self.overflow:
            case OverflowTo(condition):
                return condition
            case Overflow.CLOSED:
                return NOBODY
            case _:
                return EVERYONE

    @property
    def admits(self) -> Condition:
        """Return the condition of all applicants who can get a seat here, in first or in second place."""
        return AnyOf((self.when, self.others))

    def seats_of(self, program_seats: int) -> int:
        """Return how many of a program's seats the reserve has, as written."""
        return program_seats * self.size.percent // 100 if isinstance(self.size, Share) else self.size


class TieBreak(StrEnum):
    """One lottery number per applicant (SINGLE), or one per applicant and program (MULTIPLE)."""

    SINGLE = "single"
    MULTIPLE = "multiple"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A screened school's list of applicants, best first, which replaces lottery numbers."""

    tickets: tuple[str, ...]


class Order(StrEnum):
    """The lottery numbers of a backfill round.

    WAITLIST: the numbers of the earlier draw. REVERSE: the same numbers, highest first. FRESH: the numbers of a new
    draw.
    """

    WAITLIST = "waitlist"
    REVERSE = "reverse"
    FRESH = "fresh"


class VacatedReserves(StrEnum):
    """Whether a reserve's seats without a holder stay in the reserve (KEEP) or go to `open` (RELEASE)."""

    KEEP = "keep"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class BackfillRule:
    """A program's rule for backfill rounds."""

    fills: bool = True
    order: Order = Order.WAITLIST
    vacated_reserves: VacatedReserves = VacatedReserves.KEEP


ProgramTieBreak: TypeAlias = TieBreak | Ranked | None
"""A program's own tie-break, or None for the policy's tie-break."""


@dataclass(frozen=True, slots=True)
class Program:
    """One school's seats in one grade, and their rules."""

    id: str
    school: str
    grade: str
    seats: int
    eligible: Condition
    priorities: tuple[PriorityClass, ...]
    reserves: tuple[Reserve, ...]
    precedence: tuple[str, ...]
    tie_break: ProgramTieBreak
    backfill: BackfillRule

    def reserve(self, group: str) -> Reserve | None:
        """Return the reserve of this name, or None for `open`."""
        return next((reserve for reserve in self.reserves if reserve.name == group), None)

    def classes_at(self, group: str) -> tuple[str, ...]:
        """Return the names of a seat group's classes, best first and `general` last."""
        reserve = self.reserve(group)
        priorities = reserve.priorities if reserve else self.priorities
        return (*(priority.name for priority in priorities), GENERAL)

    def seats_as_written(self) -> dict[str, int]:
        """Return each seat group's seats, in precedence order. `open` has the seats outside the reserves."""
        reserved = {reserve.name: reserve.seats_of(self.seats) for reserve in self.reserves}
        return {group: reserved.get(group, self.seats - sum(reserved.values())) for group in self.precedence}

    def conditions(self) -> Iterator[Condition]:
        """Yield every condition of the program's rules."""
        yield self.eligible
        for priority in self.priorities:
            yield priority.when
        for reserve in self.reserves:
            yield reserve.when
            if isinstance(reserve.overflow, OverflowTo):
                yield reserve.overflow.condition
            for priority in reserve.priorities:
                yield priority.when
