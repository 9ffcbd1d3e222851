"""Generate the rules of an invented city's schools, which differ by operator and by school."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from lottery.generate.city import GRADES, City, School, Sector
from lottery.generate.dice import Dice, key_of

_FEEDERS = 3


class Neighborhood(StrEnum):
    """A school's rule for its neighborhood."""

    NONE = "none"
    PRIORITY = "priority"
    OPEN_FIRST = "reserve, open seats first"
    RESERVED_FIRST = "reserve, reserved seats first"
    GUARANTEE = "guarantee"
    ONLY = "only"


class Backfill(StrEnum):
    """The grades of a school that fill seats after the main round."""

    ALL = "all"
    NONE = "none"
    UP_TO_04 = "up to grade 04"
    FIRST_HALF = "first half of the grades"


_IN_A_RESERVE = (Neighborhood.OPEN_FIRST, Neighborhood.RESERVED_FIRST)

# Rules repeat in a cycle, so that small cities have all of them. No cycle is as long as the cycle of spans.
_NEIGHBORHOODS = {
    Sector.DISTRICT: (
        Neighborhood.PRIORITY,
        Neighborhood.OPEN_FIRST,
        Neighborhood.GUARANTEE,
        Neighborhood.PRIORITY,
        Neighborhood.RESERVED_FIRST,
        Neighborhood.ONLY,
        Neighborhood.PRIORITY,
        Neighborhood.OPEN_FIRST,
        Neighborhood.NONE,
        Neighborhood.GUARANTEE,
        Neighborhood.PRIORITY,
    ),
    Sector.CHARTER: (
        Neighborhood.NONE,
        Neighborhood.NONE,
        Neighborhood.PRIORITY,
        Neighborhood.NONE,
        Neighborhood.NONE,
        Neighborhood.GUARANTEE,
        Neighborhood.NONE,
        Neighborhood.NONE,
        Neighborhood.OPEN_FIRST,
        Neighborhood.NONE,
        Neighborhood.NONE,
        Neighborhood.ONLY,
        Neighborhood.NONE,
    ),
}
_BACKFILLS = (
    Backfill.ALL,
    Backfill.ALL,
    Backfill.ALL,
    Backfill.FIRST_HALF,
    Backfill.UP_TO_04,
    Backfill.ALL,
    Backfill.NONE,
)
_ORDERS = ("waitlist", "waitlist", "reverse", "waitlist", "fresh")
_VACATED = ("keep", "release", "keep")


@dataclass(frozen=True, slots=True)
class Customs:
    """An operator's rules for its schools."""

    classes: tuple[str, ...]
    backfill: Backfill
    order: str
    vacated: str
    tie_break: str | None


@dataclass(frozen=True, slots=True)
class ReserveRule:
    """A reserve of every program, in percent of its seats. The name tells its condition."""

    name: str
    percent: int
    zones: tuple[str, ...]  # zones of its condition
    overflow: str  # open, closed, or the class of the other children who can have what is left
    in_seats: bool  # written as a number of seats
    priorities: tuple[str, ...] | None  # its own classes, or None for the program's classes


@dataclass(frozen=True, slots=True)
class Rules:
    """One school's rules for all its programs."""

    neighborhood: Neighborhood
    area: tuple[str, ...]
    classes: tuple[str, ...]
    feeders: tuple[str, ...]
    reserves: tuple[ReserveRule, ...]
    precedence: tuple[str, ...]
    customs: Customs

    @property
    def only_for(self) -> tuple[str, ...] | None:
        """Return the only zones whose applicants are considered, or None."""
        return self.area if self.neighborhood is Neighborhood.ONLY else None

    @property
    def favors_neighborhood(self) -> bool:
        """Return whether families in the area have an advantage."""
        return self.neighborhood is not Neighborhood.NONE

    def zones(self) -> frozenset[str]:
        """Return every zone in the rules."""
        return frozenset(self.area).union(*(reserve.zones for reserve in self.reserves))


def rules_of(city: City, seed: int, *, reserves: bool, siblings: bool) -> list[Rules]:
    """Return every school's rules. Without `reserves`, a neighborhood reserve becomes a priority class."""
    return [
        _rules(city, school, number, seed, reserves=reserves, siblings=siblings)
        for number, school in enumerate(city.schools)
    ]


def _rules(city: City, school: School, number: int, seed: int, *, reserves: bool, siblings: bool) -> Rules:
    dice = Dice(key_of(seed, "rules", number))
    customs = _customs(school, number, seed)
    neighborhood = _neighborhood(school, seed)
    if neighborhood in _IN_A_RESERVE and not reserves:
        neighborhood = Neighborhood.PRIORITY
    in_ring = school.sector is Sector.CHARTER and neighborhood in {Neighborhood.PRIORITY, *_IN_A_RESERVE}
    area = (school.ring,) if in_ring else school.zones
    classes = list(customs.classes)
    if dice.percent(30):  # the school's own order
        classes = dice.shuffled(classes)
    feeders = _feeders(city, school) if "feeder" in classes else ()
    left_out = {*(() if feeders else ("feeder",)), *(() if siblings else ("sibling-offered",))}
    classes = [name for name in classes if name not in left_out]
    if neighborhood is Neighborhood.GUARANTEE:
        classes.insert(0, "neighborhood")
    elif neighborhood is Neighborhood.PRIORITY:
        classes.insert(dice.pick((0, 1, len(classes))), "neighborhood")
    set_aside = _reserves(dice, school, neighborhood, area)
    if not reserves or neighborhood is Neighborhood.GUARANTEE:  # the neighborhood must be first in every group
        set_aside = []
    precedence = _precedence(dice, neighborhood, [reserve.name for reserve in set_aside])
    set_aside = [_left_to_siblings(dice, reserve) for reserve in set_aside]
    return Rules(neighborhood, area, tuple(classes), feeders, tuple(set_aside), precedence, customs)


def _neighborhood(school: School, seed: int) -> Neighborhood:
    if school.screened:
        return Neighborhood.NONE
    circle = _NEIGHBORHOODS[school.sector]
    start = Dice(key_of(seed, "neighborhood rules", school.sector)).below(len(circle))
    return circle[(school.turn + start) % len(circle)]


def _customs(school: School, number: int, seed: int) -> Customs:
    """Return the operator's rules. In the district, each school sets its own backfill rule."""
    dice = Dice(key_of(seed, "operator", school.operator))
    others = dice.shuffled(("staff", "low-income", "english-learner", "feeder", "equitable-access"))
    classes = others[: dice.between(1, 3)]
    classes.insert(0 if dice.percent(70) else 1, "sibling")
    if dice.percent(70):
        classes.insert(classes.index("sibling") + 1, "sibling-offered")
    if school.sector is Sector.DISTRICT:
        return Customs(
            classes=tuple(classes),
            backfill=_BACKFILLS[number % len(_BACKFILLS)],
            order=_ORDERS[number % len(_ORDERS)],
            vacated=_VACATED[number % len(_VACATED)],
            tie_break=None,
        )
    return Customs(
        classes=tuple(classes),
        backfill=dice.pick(_BACKFILLS),
        order=dice.pick(_ORDERS),
        vacated=dice.pick(_VACATED),
        tie_break=dice.pick(("multiple", "single", None, None, None, None, None, None)),
    )


def _feeders(city: City, school: School) -> tuple[str, ...]:
    """Return the operator's nearest schools that end in the grade below this school's first grade."""
    begins = GRADES.index(school.grades[0])
    ending = [
        ((other.x - school.x) ** 2 + (other.y - school.y) ** 2, other.id)
        for other in city.schools
        if GRADES.index(other.grades[-1]) + 1 == begins and other.operator == school.operator
    ]
    return tuple(name for _, name in sorted(ending)[:_FEEDERS])


def _reserves(dice: Dice, school: School, neighborhood: Neighborhood, area: tuple[str, ...]) -> list[ReserveRule]:
    """Return a school's reserves, which never exceed its seats."""
    set_aside = []
    if neighborhood in _IN_A_RESERVE:
        stacked = school.sector is Sector.DISTRICT and dice.percent(25)
        if stacked:
            set_aside.append(_reserve_rule(dice, "half-mile", 25, zones=(school.ring,)))
        percent = 25 if stacked else dice.pick((20, 30, 40, 50, 50, 60))
        set_aside.append(_reserve_rule(dice, "neighborhood", percent, zones=area))
    if dice.percent(22):
        set_aside.append(_reserve_rule(dice, "low-income", dice.pick((10, 15, 20))))
    if dice.percent(6):
        set_aside.append(_reserve_rule(dice, "english-learner", 10))
    if dice.percent(5):
        set_aside.append(_reserve_rule(dice, "new-families", 10))
    return set_aside


def _reserve_rule(dice: Dice, name: str, percent: int, *, zones: tuple[str, ...] = ()) -> ReserveRule:
    return ReserveRule(
        name=name,
        percent=percent,
        zones=zones,
        overflow="closed" if dice.percent(12) else "open",
        in_seats=dice.percent(20),
        priorities=dice.pick((None, None, (), ("sibling",))),
    )


def _left_to_siblings(dice: Dice, reserve: ReserveRule) -> ReserveRule:
    """Return a reserve that leaves its seats to siblings, in place of some closed reserves."""
    if reserve.overflow == "closed" and dice.percent(40):
        return replace(reserve, overflow="sibling")
    return reserve


def _precedence(dice: Dice, neighborhood: Neighborhood, reserves: Sequence[str]) -> tuple[str, ...]:
    """Return the order in which seat groups are filled. The rule decides the neighborhood's place."""
    order = dice.shuffled(reserves)
    if neighborhood is Neighborhood.OPEN_FIRST and "neighborhood" in order:
        order.insert(dice.below(order.index("neighborhood") + 1), "open")
    elif neighborhood is Neighborhood.RESERVED_FIRST and "neighborhood" in order:
        order.insert(dice.between(order.index("neighborhood") + 1, len(order)), "open")
    else:
        order.insert(dice.between(0, len(order)), "open")
    return tuple(order)
