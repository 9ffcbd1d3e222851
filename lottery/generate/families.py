"""Invent the families of a city: households, homes, facts and rankings."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from heapq import nlargest
from itertools import count, product

from lottery.generate.applicants import Applying
from lottery.generate.city import APPLICANTS_BY_GRADE, BLOCKS, GRADES, City
from lottery.generate.dice import Dice, Weighted, key_of
from lottery.generate.programs import program_id
from lottery.generate.rules import Rules
from lottery.market.canonical import Json

MAX_CHOICES = 12
"""The most choices in a ranking, as in DC, unless a plan sets another number."""

_LIST_LENGTHS = Weighted(range(1, MAX_CHOICES + 1), (17, 14, 15, 12, 10, 8, 5, 4, 3, 3, 1, 8))
_CHILDREN = Weighted(range(1, 5), (81, 14, 4, 1))

# Percentages
_TWINS = 6  # of the next children of a household: they enter the grade of the first child
_TOGETHER = 40  # of the households with several children: they want one school
_LATE = 4
_SECOND_ADDRESS = 6
_HOMELESS_AMONG_POOR = 7
_SPECIAL_EDUCATION = 13
_SIBLING_ATTENDS = 14
_RANK_SIBLINGS_SCHOOL_FIRST = 85
_RANK_NEIGHBORHOOD_SCHOOL_FIRST = 20
_STAFF_CHILD = 1
_AS_THE_ELDER = 75  # of the schools that one child ranks: the next child of the household ranks them too
_CLOSE_TO_HOME = 75  # of the choices: they depend on distance, and the others on popularity in the whole city
_HOPE_FROM_OUTSIDE = 6  # of the choices of a school for its own zones only: they come from other zones
_NOT_IN_SCHOOL = {"PK3": 100, "PK4": 70, "KG": 45}  # of the entering children: they attend no school
_IN_A_NURSERY = 50
_FROM_ELSEWHERE = 8

_TRIES_FOR_A_CHOICE = 6

_DICE_OF_A_HOUSEHOLD = 8
"""One for the home, one for each of up to four children, and three unused ones."""

_BLOCKS_OF_A_SQUARE = 4
"""Blocks along a side of a square. All families in a square have the same distance to a school."""

_IN_SIGHT = 64
"""Schools that the families of a square may choose by distance."""

_FINENESS = 1 << 8

_FAR = {
    **dict.fromkeys(GRADES[: GRADES.index("06")], 1_100),
    **dict.fromkeys(("06", "07", "08"), 2_000),
    **dict.fromkeys(GRADES[GRADES.index("09") :], 4_000),
}
"""Meters at which a school keeps a quarter of its attraction."""

_NURSERIES = (
    "busy-bees",
    "first-steps",
    "happy-feet",
    "little-acorns",
    "little-stars",
    "rainbow-garden",
    "sunny-corner",
    "tiny-tides",
)


@dataclass(frozen=True, slots=True)
class Household:
    """The facts that the children of one home share."""

    id: str | None  # None where one child applies
    square: tuple[int, int]
    zones: list[str]
    flags: list[str]
    at: Mapping[int, list[str]]  # by school: the facts there
    siblings_school: int | None
    together: bool
    late: bool


class Families:
    """The applicants of a city, household by household."""

    def __init__(self, city: City, rules: Sequence[Rules], *, seed: int, longest: int, siblings: bool) -> None:
        self._city = city
        self._seed = seed
        self._longest = longest
        self._siblings = siblings
        grades = city.grades()
        self._grades = Weighted(grades, [APPLICANTS_BY_GRADE[grade] for grade in grades])
        self._programs = {
            grade: {n: program_id(school, grade) for n, school in enumerate(city.schools) if grade in school.grades}
            for grade in grades
        }
        self._only_for = {n: frozenset(rule.only_for) for n, rule in enumerate(rules) if rule.only_for}
        self._rings = _rings_by_block(city, rules)
        self._liked = {
            grade: Weighted(list(schools), [city.schools[n].popularity for n in schools])
            for grade, schools in self._programs.items()
        }
        self._around: dict[tuple[str, str], list[int]] = defaultdict(list)
        for number, (school, rule) in enumerate(zip(city.schools, rules, strict=True)):
            for zone, grade in product(rule.area if rule.favors_neighborhood else (), school.grades):
                self._around[zone, grade].append(number)
        self._near: dict[tuple[tuple[int, int], str], Weighted[int]] = {}

    def applicants(self, families: str, number: int, *, grades: AbstractSet[str]) -> Iterator[Applying]:
        """Yield the applicants, among `number` of these families, whose household has a child for `grades`."""
        key = key_of(self._seed, families)
        left = number
        for turn in count():
            if left <= 0:
                return
            dice = Dice(key, turn * _DICE_OF_A_HOUSEHOLD)
            wanted = self._wanted_grades(dice)
            if not grades.isdisjoint(wanted):
                household = self._household(dice, f"{families}-{turn}", wanted)
                elders: list[int] = []
                for place, grade in enumerate(wanted[:left], start=1):
                    child = Dice(key, turn * _DICE_OF_A_HOUSEHOLD + place)
                    ranked, applicant = self._applicant(child, household, grade, elders)
                    elders = elders or ranked
                    yield applicant
            left -= len(wanted)

    def _wanted_grades(self, dice: Dice) -> list[str]:
        """Return the grade of each applying child of a household. Only twins have the same grade."""
        grades = [self._grades.pick(dice)]
        for _ in range(_CHILDREN.pick(dice) - 1 if self._siblings else 0):
            twin = dice.percent(_TWINS)
            grade = grades[0] if twin else self._grades.pick(dice)
            if twin or grade not in grades:
                grades.append(grade)
        return grades

    def _household(self, dice: Dice, name: str, grades: Sequence[str]) -> Household:
        zones, zone_of = self._city.zones, self._city.zone_of
        block = self._city.homes.pick(dice)
        home = zones[zone_of[block]]
        blocks = [block, self._city.homes.pick(dice)] if dice.percent(_SECOND_ADDRESS) else [block]
        rings = {ring for address in blocks for ring in self._rings.get(address, ())}
        poor = dice.percent(home.low_income)
        flags = {
            "ell": dice.percent(home.learning_english),
            "frl": poor,
            "homeless": poor and dice.percent(_HOMELESS_AMONG_POOR),
        }
        square = (block // BLOCKS // _BLOCKS_OF_A_SQUARE, block % BLOCKS // _BLOCKS_OF_A_SQUARE)
        near = self._near_to(square, grades[0])
        siblings_school = near.pick(dice) if dice.percent(_SIBLING_ATTENDS) else None
        at = {} if siblings_school is None else {siblings_school: ["sibling"]}
        if dice.percent(_STAFF_CHILD):
            at.setdefault(near.pick(dice), []).append("staff_child")
        return Household(
            id=name if len(grades) > 1 else None,
            square=square,
            zones=[*sorted({zones[zone_of[address]].name for address in blocks}), *sorted(rings)],
            flags=[flag for flag, holds in flags.items() if holds],
            at=at,
            siblings_school=siblings_school,
            together=len(grades) > 1 and dice.percent(_TOGETHER),
            late=dice.percent(_LATE),
        )

    def _applicant(
        self, dice: Dice, household: Household, grade: str, elders: Sequence[int]
    ) -> tuple[list[int], Applying]:
        """Return the schools that a child ranks, and the applicant. `elders` has the schools that a sibling ranks."""
        ticket = dice.ticket()
        flags = [*household.flags, "sped"] if dice.percent(_SPECIAL_EDUCATION) else household.flags
        attends = self._present_school(dice, household, grade)
        wished = [school for school in elders if dice.percent(_AS_THE_ELDER)]
        around = self._around.get((household.zones[0], grade))
        if around and dice.percent(_RANK_NEIGHBORHOOD_SCHOOL_FIRST):
            wished.insert(0, dice.pick(around))
        if household.siblings_school is not None and dice.percent(_RANK_SIBLINGS_SCHOOL_FIRST):
            wished.insert(0, household.siblings_school)
        ranked = self._ranked_schools(dice, household, grade, wished)
        programs, schools = self._programs[grade], self._city.schools
        facts: dict[str, Json] = {
            "zones": household.zones,
            "flags": flags,
            "at": {schools[school].id: facts for school, facts in household.at.items()},
            "attends": attends,
            **({"household": household.id, "together": household.together} if self._siblings else {}),
            "late": household.late,
        }
        return ranked, Applying(ticket, grade, [programs[school] for school in ranked], facts)

    def _present_school(self, dice: Dice, household: Household, grade: str) -> str | None:
        """Return a school with the grade below, mostly a near one, or a nursery, or None."""
        if dice.percent(_NOT_IN_SCHOOL.get(grade, 0)):
            return dice.pick(_NURSERIES) if dice.percent(_IN_A_NURSERY) else None
        before = GRADES[GRADES.index(grade) - 1]
        if before not in self._programs or dice.percent(_FROM_ELSEWHERE):
            return None
        return self._city.schools[self._near_to(household.square, before).pick(dice)].id

    def _ranked_schools(self, dice: Dice, household: Household, grade: str, wished: Iterable[int]) -> list[int]:
        """Return the schools that a family ranks: first the wished schools, then others by their attraction.

        Each next choice is a school among those left, with a probability by attraction: popularity, and mostly distance
        too. This is a logit model of choice (Plackett & Luce).
        """
        offering = self._programs[grade]
        wanted = min(self._list_length(dice), len(offering))
        near, liked = self._near_to(household.square, grade), self._liked[grade]
        ranked = [school for school in dict.fromkeys(wished) if school in offering][:wanted]
        for _ in range(_TRIES_FOR_A_CHOICE * wanted):
            if len(ranked) == wanted:
                break
            school = (near if dice.percent(_CLOSE_TO_HOME) else liked).pick(dice)
            if school not in ranked and self._hopes_for(dice, household, school):
                ranked.append(school)
        return ranked or [near.pick(dice)]

    def _list_length(self, dice: Dice) -> int:
        length = _LIST_LENGTHS.pick(dice)
        if length == MAX_CHOICES < self._longest:
            return dice.between(MAX_CHOICES, self._longest)
        return min(length, self._longest)

    def _hopes_for(self, dice: Dice, household: Household, school: int) -> bool:
        zones = self._only_for.get(school)
        return zones is None or not zones.isdisjoint(household.zones) or dice.percent(_HOPE_FROM_OUTSIDE)

    def _near_to(self, square: tuple[int, int], grade: str) -> Weighted[int]:
        """Return the schools with the most attraction for the families of a square."""
        near = self._near.get((square, grade))
        if near is None:
            near = self._near[square, grade] = self._by_pull(square, grade)
        return near

    def _by_pull(self, square: tuple[int, int], grade: str) -> Weighted[int]:
        row, column = square
        y, x = ((2 * place + 1) * self._city.side * _BLOCKS_OF_A_SQUARE // (2 * BLOCKS) for place in (row, column))
        far = _FAR[grade] ** 2
        pulls = []
        for number in self._programs[grade]:
            school = self._city.schools[number]
            distance = (school.x - x) ** 2 + (school.y - y) ** 2
            pulls.append((school.popularity * _FINENESS * far**2 // (far + distance) ** 2 + 1, number))
        strongest = nlargest(_IN_SIGHT, pulls)
        return Weighted([number for _, number in strongest], [pull for pull, _ in strongest])


def _rings_by_block(city: City, rules: Sequence[Rules]) -> dict[int, list[str]]:
    """Return the rings of each block, for schools whose rules use their ring."""
    rings: dict[int, list[str]] = defaultdict(list)
    for school, rule in zip(city.schools, rules, strict=True):
        if school.ring in rule.zones():
            for block in city.blocks_around(school):
                rings[block].append(school.ring)
    return rings
