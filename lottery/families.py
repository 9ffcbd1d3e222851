"""The families of an invented city: households, homes, facts, and what they rank."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import count

from lottery.canonical import Json
from lottery.city import APPLICANTS_BY_GRADE, BLOCKS, GRADES, HALF_MILE, City
from lottery.city_programs import program_id
from lottery.city_rules import Rules
from lottery.dice import Dice, Weighted, key_of

LONGEST_LIST = 12
"""Ranks that families may use unless a plan says otherwise, as in DC."""

_LIST_LENGTHS = Weighted(range(1, LONGEST_LIST + 1), (17, 14, 15, 12, 10, 8, 5, 4, 3, 3, 1, 8))
_CHILDREN = Weighted(range(1, 5), (81, 14, 4, 1))

# Of a hundred households or children, how many ...
_TWINS = 6  # next children are of the same grade as the first
_TOGETHER = 40  # households want their children at one school
_LATE = 4
_SECOND_ADDRESS = 6
_HOMELESS_AMONG_POOR = 7
_SPECIAL_EDUCATION = 13
_SIBLING_ATTENDS = 14
_RANK_IT_FIRST = 85  # of those, the sibling's school
_STAFF_CHILD = 1
_AS_THE_ELDER = 75  # schools of a sibling's ranking are ranked again
_CLOSE_TO_HOME = 65  # choices look at the distance; the others at what is liked in the whole city
_HOPE_THOUGH_OUTSIDE = 6  # choices of a school that considers its zone only stand though the home is outside
_FROM_ELSEWHERE = 8
_NOT_IN_SCHOOL = {"PK3": 100, "PK4": 70, "KG": 45}  # before these grades; of whom half are in some nursery
_TRIES_FOR_A_CHOICE = 6

_SQUARES = 16
"""Squares along a side of the city; families of one square see the schools at the same distances."""

_IN_SIGHT = 64
"""Schools that the families of a square may rank for their distance."""

_STEEPNESS = 1 << 8
_FAR = {grade: 1_300 for grade in GRADES} | {"06": 2_300, "07": 2_300, "08": 2_300} | {g: 4_000 for g in GRADES[11:]}
"""Meters at which a school has a quarter of its pull left."""

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
    """What the children of one home share."""

    id: str | None  # None where one child applies
    block: int
    zones: list[str]
    flags: list[str]
    at: Mapping[int, list[str]]  # by school: facts there
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
        self._near: dict[tuple[int, str], Weighted[int]] = {}

    def applicants(self, whose: str, number: int, *, grades: Collection[str] = GRADES) -> Iterator[dict[str, Json]]:
        """Yield the applicants among the first `number` of `whose` families that have a child for one of `grades`."""
        homes, children = key_of(self._seed, whose, "household"), key_of(self._seed, whose, "child")
        left = number
        for turn in count():
            if left <= 0:
                return
            dice = Dice(homes, turn)
            wanted = self._wanted_grades(dice)
            if not set(wanted).isdisjoint(grades):
                household = self._household(dice, f"{whose}-{turn}", wanted)
                for place, child in enumerate(self._children(household, wanted[:left], children, turn)):
