"""The rules that a school sets: conditions, priority classes, reserves, tie-break, backfill."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

OPEN = "open"
"""The seat group that every program has, for whatever its reserves leave."""

GENERAL = "general"
"""The class of everybody who is in none of a program's priority classes."""


class Facts(Protocol):
    """What a condition may look at: an applicant's settled facts."""

    @property
    def zones(self) -> frozenset[str]:
        """Zones of all addresses."""

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
    """A closed, typed test on an applicant's settled facts."""

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:
        """Say whether the test is met at `school`; `siblings_at` are schools where siblings were placed in this run."""


@dataclass(frozen=True, slots=True)
class Everyone:
    """Is met by everybody."""

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Say yes."""
        return True


@dataclass(frozen=True, slots=True)
class ZoneIn:
    """Is met by who lives in one of the zones."""

    zones: tuple[str, ...]

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Look for a zone that both have."""
        return not facts.zones.isdisjoint(self.zones)


@dataclass(frozen=True, slots=True)
class Has:
    """Is met by who has the flag."""

    flag: str

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Look among the flags."""
        return self.flag in facts.flags


@dataclass(frozen=True, slots=True)
class AtSchool:
    """Is met by who has the fact at this program's school."""

    fact: str

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Look among the facts at the school."""
        return self.fact in facts.at.get(school, ())


@dataclass(frozen=True, slots=True)
class AttendsIn:
    """Is met by who attends one of the schools at present."""

    schools: tuple[str, ...]

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Look for the present school."""
        return facts.attends in self.schools


@dataclass(frozen=True, slots=True)
class SiblingPlaced:
    """Is met when a sibling was placed at this school in a grade matched earlier in this run."""

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:  # noqa: ARG002
        """Look for this school among the siblings' new ones."""
        return school in siblings_at


@dataclass(frozen=True, slots=True)
class AllOf:
    """Is met when every part is; an empty one always is."""

    parts: tuple[Condition, ...]

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:
        """Ask every part."""
        return all(part.holds(facts, school, siblings_at) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Is met when some part is; an empty one never is."""

    parts: tuple[Condition, ...]

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:
        """Ask the parts until one says yes."""
        return any(part.holds(facts, school, siblings_at) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """Is met when its part is not."""

    part: Condition

    def holds(self, facts: Facts, school: str, siblings_at: Collection[str]) -> bool:
        """Ask the part and turn the answer round."""
        return not self.part.holds(facts, school, siblings_at)


EVERYONE = Everyone()


def depends_on_siblings(condition: Condition) -> bool:
    """Say whether `sibling_placed` stands anywhere in the condition."""
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
    """Say whether some zone stands anywhere in the condition."""
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
    """A named condition. Who meets an earlier class of a list stands before who does not."""

    name: str
    when: Condition


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a program's seats in whole percent, rounded down."""

    percent: int


@dataclass(frozen=True, slots=True)
class Reserve:
    """Seats for which those who meet a condition come first (overflow open) or alone (closed)."""

    name: str
    size: int | Share
    when: Condition
    closed: bool
    priorities: tuple[PriorityClass, ...]

    def seats_of(self, program_seats: int) -> int:
        """Return how many of a program's seats the reserve takes, as written."""
        return program_seats * self.size.percent // 100 if isinstance(self.size, Share) else self.size


class TieBreak(StrEnum):
    """One lottery number per applicant, or one per applicant and program."""

    SINGLE = "single"
    MULTIPLE = "multiple"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A screened school's own order of applicants, best first, instead of lottery numbers."""

    tickets: tuple[str, ...]


class Order(StrEnum):
    """Which numbers a backfill round goes by: the earlier draw's, the same highest first, or a new draw's."""

    WAITLIST = "waitlist"
    REVERSE = "reverse"
    FRESH = "fresh"


class VacatedReserves(StrEnum):
    """Whether a reserve's seats that nobody holds stay in the reserve or go to `open`."""

    KEEP = "keep"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class BackfillRule:
    """What a program does in a backfill round."""

    fills: bool = True
    order: Order = Order.WAITLIST
    vacated_reserves: VacatedReserves = VacatedReserves.KEEP


ProgramTieBreak: TypeAlias = TieBreak | Ranked | None
"""A program's own tie-break; None is the policy's."""


@dataclass(frozen=True, slots=True)
class Program:
    """One school's seats at one grade, and the school's rules for them."""

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
        """Return the reserve of that name, or None at `open`."""
        return next((reserve for reserve in self.reserves if reserve.name == group), None)

    def classes_at(self, group: str) -> tuple[str, ...]:
        """Return the names of the classes at a seat group, best first, `general` last."""
        reserve = self.reserve(group)
        priorities = reserve.priorities if reserve else self.priorities
        return (*(priority.name for priority in priorities), GENERAL)

    def seats_as_written(self) -> dict[str, int]:
        """Return each seat group's seats, in precedence order; `open` has what the reserves leave."""
        reserved = {reserve.name: reserve.seats_of(self.seats) for reserve in self.reserves}
        return {group: reserved.get(group, self.seats - sum(reserved.values())) for group in self.precedence}

    def conditions(self) -> Iterator[Condition]:
        """Yield every condition of the program's rules."""
        yield self.eligible
        for priority in self.priorities:
            yield priority.when
        for reserve in self.reserves:
            yield reserve.when
            for priority in reserve.priorities:
                yield priority.when
