"""Generate invented markets as `lottery-market/1`: realistic cities, and flat markets for measurements.

The same plan always gives the same bytes, on every machine.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from lottery.generate.applicants import Applying, Invented
from lottery.generate.city import GRADES, city_of_programs, city_of_schools
from lottery.generate.dice import Dice, key_of
from lottery.generate.families import MAX_CHOICES as MAX_CITY_CHOICES
from lottery.generate.families import Families
from lottery.generate.flat import MAX_CHOICES as MAX_FLAT_CHOICES
from lottery.generate.flat import FlatMarket, equally_liked, zipf_liked
from lottery.generate.programs import program_id, programs_of, seats_of
from lottery.generate.rules import rules_of
from lottery.market.canonical import Json

MAIN_ROUND = "2027-main"
SUMMER_ROUND = "2027-summer"

FORMAT = "lottery-market/1"
_ALL_GRADES = frozenset(GRADES)
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")

_HOME = "h"
_NEW = "n"
"""Names of the families in the main round, and of the families who came later."""

# Percentages
_NOT_TESTED = 10  # of the children who rank a screened program: they are not on its list
_LEAVE_WITH_A_SEAT = 4  # of the placed children: they leave the city
_DECLINE = 4  # of the placed children: they give up their seat and stay
_LEAVE_WITHOUT_A_SEAT = 20
_RANK_ANEW = 25
_GIVE_UP_A_CHOICE = 50
_NEWCOMERS = 3
_NEWCOMERS_LATE = 85


class Shape(StrEnum):
    """The shape of a market: a city, or one grade with equally popular programs or with popularity by Zipf's law."""

    CITY = "city"
    UNIFORM = "uniform"
    SKEWED = "skewed"


@dataclass(frozen=True, slots=True)
class Plan:
    """The size and shape of a market. Exactly one of `programs` and `schools` has a value. Only a city has schools.

    `choices` is the length of the longest ranking. None means 12 in a city, as in DC, where most rankings are shorter,
    and 10 for every applicant of a flat market.
    """

    applicants: int
    programs: int | None
    schools: int | None
    choices: int | None
    shape: Shape
    reserves: bool
    siblings: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Generated:
    """A market in two parts: everything but the applicants, and the applicants one by one."""

    head: Mapping[str, Json]
    applicants: Iterator[Mapping[str, Json]]


class ImpossiblePlan(ValueError):
    """The plan is not possible. The message has the problem and the remedy."""


Applicants: TypeAlias = Callable[[AbstractSet[str]], Iterator[Applying]]
"""Returns the applicants of a round for some grades."""


def generate(plan: Plan) -> Generated:
    """Generate the market of a plan's main round.

    Raises:
        ImpossiblePlan: if the plan is not possible.
    """
    invented = _invent(plan)

    def applicants(grades: AbstractSet[str]) -> Iterator[Applying]:
        return invented.applicants(_HOME, plan.applicants, grades=grades)

    head = _head(invented, {"id": MAIN_ROUND, "kind": "main"}, _orders(invented, applicants, plan.seed))
    return Generated(head, (applying.document() for applying in applicants(_ALL_GRADES)))


def generate_summer(plan: Plan, outcome: Mapping[str, Json], *, round_id: str = SUMMER_ROUND) -> Generated:
    """Generate the market of the backfill round after this outcome of the main round of the same plan.

    The caller must check, by the digest, that the outcome belongs to the main round's market.

    Raises:
        ImpossiblePlan: if the plan, the round's id or the outcome is not possible.
    """
    if round_id == MAIN_ROUND or not _ID.fullmatch(round_id):
        raise ImpossiblePlan(
            f"the backfill round cannot have the id {round_id!r}; "
            f"use 1 to 64 of the characters A-Z a-z 0-9 . _ : -, but not {MAIN_ROUND}"
        )
    invented = _invent(plan)
    seats = _seats_by_ticket(outcome)

    def applicants(grades: AbstractSet[str]) -> Iterator[Applying]:
        for applying in invented.applicants(_HOME, plan.applicants, grades=grades):
            yield from _after_main(applying, seats.get(applying.ticket), invented, plan.seed)
        for applying in invented.applicants(_NEW, (plan.applicants * _NEWCOMERS + 50) // 100, grades=grades):
            yield _newcomer(applying, round_id, plan.seed)

    round_ = {"id": round_id, "kind": "backfill", "earlier": [MAIN_ROUND]}
    head = _head(invented, round_, _orders(invented, applicants, plan.seed))
    return Generated(head, (applying.document() for applying in applicants(_ALL_GRADES)))


def _invent(plan: Plan) -> Invented:
    _refuse_impossible(plan)
    if plan.shape is Shape.CITY:
        return CityMarket(plan)
    programs = plan.programs or 1
    return FlatMarket(
        equally_liked(programs) if plan.shape is Shape.UNIFORM else zipf_liked(programs, plan.seed),
        applicants=plan.applicants,
        choices=plan.choices or MAX_FLAT_CHOICES,
        seed=plan.seed,
        reserves=plan.reserves,
        siblings=plan.siblings,
    )


def _refuse_impossible(plan: Plan) -> None:
    counts = {
        "applicants": plan.applicants,
        "programs": plan.programs,
        "schools": plan.schools,
        "choices": plan.choices,
    }
    for name, number in counts.items():
        if number is not None and number < 1:
            raise ImpossiblePlan(f"{name} is {number}; give 1 or more")
    if plan.schools is not None and plan.shape is not Shape.CITY:
        raise ImpossiblePlan(f"a {plan.shape} market has no schools; give programs instead or choose the shape city")
    if plan.programs is None and plan.schools is None:
        wanted = "programs or schools" if plan.shape is Shape.CITY else "programs"
        raise ImpossiblePlan(f"the size of the market is missing; give {wanted}")
    if plan.programs is not None and plan.schools is not None:
        raise ImpossiblePlan("programs and schools both set the size of the city; give one of them")


def _head(invented: Invented, round_: Mapping[str, Json], orders: Mapping[str, list[str]]) -> Mapping[str, Json]:
    return {
        "format": FORMAT,
        "round": round_,
        "policy": invented.policy,
        "programs": [
            program | {"tie_break": {"ranked": orders[str(program["id"])]}} if program["id"] in orders else program
            for program in invented.programs()
        ],
    }


def _orders(invented: Invented, applicants: Applicants, seed: int) -> dict[str, list[str]]:
    """Return each screened program's list of applicants who rank it and took its test, best first."""
    scores: dict[str, list[tuple[int, str]]] = {program: [] for program in invented.screened}
    grades = {grade for grade, programs in invented.offered.items() if not scores.keys().isdisjoint(programs)}
    for applying in applicants(grades) if grades else ():
        for program in filter(scores.__contains__, applying.ranking):
            tested = Dice(key_of(seed, "test", applying.ticket))
            if not tested.percent(_NOT_TESTED):
                own, at_program = tested.word(), Dice(key_of(seed, "test", applying.ticket, program)).word()
                scores[program].append((-3 * own - at_program, applying.ticket))
    return {program: [ticket for _, ticket in sorted(tested)] for program, tested in scores.items()}


def _seats_by_ticket(outcome: Mapping[str, Json]) -> dict[str, Mapping[str, Json]]:
    """Return each placed applicant's seat, in the form of `holds`."""
    seats: dict[str, Mapping[str, Json]] = {}
    placements = outcome.get("placements")
    for placement in placements if isinstance(placements, Sequence) else [None]:
        if not isinstance(placement, Mapping) or not placement.keys() >= {"applicant", "program", "group"}:
            raise ImpossiblePlan("the outcome has no valid placements; give a lottery-outcome/1 document")
        seats[str(placement["applicant"])] = {"program": placement["program"], "group": placement["group"]}
    return seats


def _after_main(
    applying: Applying, seat: Mapping[str, Json] | None, invented: Invented, seed: int
) -> Iterator[Applying]:
    """Yield an applicant of the main round in summer, unless the child left. The seat and the ranking may differ."""
    dice = Dice(key_of(seed, "summer", applying.ticket))
    fate = dice.below(100)
    if fate < (_LEAVE_WITHOUT_A_SEAT if seat is None else _LEAVE_WITH_A_SEAT):
        return
    declined = fate < _LEAVE_WITH_A_SEAT + _DECLINE
    ranking = applying.ranking
    if dice.percent(_RANK_ANEW):
        ranking = _ranked_anew(dice, ranking, invented.offered[applying.grade])
    facts = {**applying.facts, "holds": None if declined else seat, "drawn_in": MAIN_ROUND}
    yield applying._replace(ranking=ranking, facts=facts)


def _ranked_anew(dice: Dice, ranking: Sequence[str], offered: Sequence[str]) -> list[str]:
    """Return a ranking of at most the same length, with a new first choice and perhaps without another choice."""
    found = dice.pick(offered)
    others = [program for program in ranking if program != found]
    if others and dice.percent(_GIVE_UP_A_CHOICE):
        del others[dice.below(len(others))]
    return [found, *others][: max(1, len(ranking))]


def _newcomer(applying: Applying, round_id: str, seed: int) -> Applying:
    late = Dice(key_of(seed, "newcomer", applying.ticket)).percent(_NEWCOMERS_LATE)
    return applying._replace(facts={**applying.facts, "late": late, "holds": None, "drawn_in": round_id})


class CityMarket:
    """A city's schools with their rules and seats, and its families."""

    def __init__(self, plan: Plan) -> None:
        city = (
            city_of_schools(plan.seed, plan.schools)
            if plan.schools
            else city_of_programs(plan.seed, plan.programs or 1)
        )
        self._city = city
        self._rules = rules_of(city, plan.seed, reserves=plan.reserves, siblings=plan.siblings)
        self._seats = seats_of(city, plan.seed, plan.applicants)
        longest = plan.choices or MAX_CITY_CHOICES
        self._families = Families(city, self._rules, seed=plan.seed, longest=longest, siblings=plan.siblings)
        self.policy: Mapping[str, Json] = {
            "tie_break": "single",
            "late": "after",
            "grade_order": list(reversed(city.grades())),
            "twins": "share",
        }
        self.offered = {
            grade: [program_id(school, grade) for school in city.schools if grade in school.grades]
            for grade in city.grades()
        }
        self.screened = tuple(
            program_id(school, grade) for school in city.schools if school.screened for grade in school.grades
        )

    def programs(self) -> Iterator[dict[str, Json]]:
        """Yield the programs, school by school."""
        for number, rules in enumerate(self._rules):
            yield from programs_of(self._city.schools[number], rules, self._seats)

    def applicants(self, families: str, number: int, *, grades: AbstractSet[str]) -> Iterator[Applying]:
        """Yield the applicants for `grades` among `number` applicants of these families."""
        return self._families.applicants(families, number, grades=grades)
