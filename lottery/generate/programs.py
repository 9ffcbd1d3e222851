"""Generate the programs of an invented city in the form of `lottery-market/1`, and their seats."""

from collections.abc import Iterator, Mapping

from lottery.generate.city import APPLICANTS_BY_GRADE, GRADES, City, School
from lottery.generate.dice import Dice, key_of
from lottery.generate.rules import Backfill, ReserveRule, Rules
from lottery.market.canonical import Json

_SEATS_FOR_A_HUNDRED = 78
"""Seats for a hundred applicants of a grade. About 75 of them are matched, as in DC."""

_FIRST_GRADE_WEIGHT = 100
_ENTRY_WEIGHTS = {"PK4": 50, "KG": 60, "06": 45, "09": 60}
_LATER_GRADE_WEIGHT = 15

_WAITLIST_ONLY_AMONG = 10
"""Programs of a grade above which some programs have only a waitlist and no seats."""

_CONDITIONS: Mapping[str, Mapping[str, Json]] = {
    "sibling": {"at_school": "sibling"},
    "sibling-offered": {"sibling_placed": True},
    "staff": {"at_school": "staff_child"},
    "low-income": {"has": "frl"},
    "equitable-access": {"any": [{"has": "frl"}, {"has": "homeless"}]},
    "english-learner": {"has": "ell"},
    "new-families": {"not": {"at_school": "sibling"}},
}


def programs_of(school: School, rules: Rules, seats: Mapping[str, int]) -> Iterator[dict[str, Json]]:
    """Yield the programs of a school, youngest grade first, without the lists of screened programs."""
    for place, grade in enumerate(school.grades):
        program = program_id(school, grade)
        classes = rules.classes if place == 0 else tuple(name for name in rules.classes if name != "feeder")
        yield {
            "id": program,
            "school": school.id,
            "grade": grade,
            "seats": seats[program],
            **({"eligible": {"zone_in": list(rules.only_for)}} if rules.only_for else {}),
            "priorities": [_priority(name, rules) for name in classes],
            "reserves": [_reserve(reserve, rules, seats[program]) for reserve in rules.reserves],
            "precedence": list(rules.precedence),
            "tie_break": rules.customs.tie_break,
            "backfill": {
                "fills": fills(rules.customs.backfill, school, grade),
                "order": rules.customs.order,
                "vacated_reserves": rules.customs.vacated,
            },
        }


def program_id(school: School, grade: str) -> str:
    """Return the id of a school's program for a grade."""
    return f"{school.id}-{grade.lower()}"


def seats_of(city: City, seed: int, applicants: int) -> dict[str, int]:
    """Divide each grade's seats among its programs, by size of school and most where schools begin."""
    offered = city.grades()
    everybody = sum(APPLICANTS_BY_GRADE[grade] for grade in offered)
    seats: dict[str, int] = {}
    for grade in offered:
        dice = Dice(key_of(seed, "seats", grade))
        schools = [school for school in city.schools if grade in school.grades]
        some_have_none = len(schools) > _WAITLIST_ONLY_AMONG and grade not in _ENTRY_WEIGHTS
        weights = [
            0 if school.grades[0] != grade and dice.percent(4) and some_have_none else _weight(school, grade)
            for school in schools
        ]
        total = applicants * APPLICANTS_BY_GRADE[grade] * _SEATS_FOR_A_HUNDRED // (100 * everybody)
        below = given = 0
        for school, weight in zip(schools, weights, strict=True):
            below += weight
            share = total * below // (sum(weights) or 1) - given
            given += share
            seats[program_id(school, grade)] = max(share, 1 if weight else 0)
    return seats


def _weight(school: School, grade: str) -> int:
    if school.grades[0] == grade:
        return school.size * _FIRST_GRADE_WEIGHT
    return school.size * _ENTRY_WEIGHTS.get(grade, _LATER_GRADE_WEIGHT)


def fills(backfill: Backfill, school: School, grade: str) -> bool:
    """Return whether a school fills a grade's seats after the main round."""
    match backfill:
        case Backfill.ALL:
            return True
        case Backfill.NONE:
            return False
        case Backfill.UP_TO_04:
            return GRADES.index(grade) <= GRADES.index("04")
        case Backfill.FIRST_HALF:
            return 2 * school.grades.index(grade) < len(school.grades)


def _reserve(reserve: ReserveRule, rules: Rules, seats: int) -> dict[str, Json]:
    return {
        "name": reserve.name,
        **({"seats": seats * reserve.percent // 100} if reserve.in_seats else {"percent": reserve.percent}),
        "when": {"zone_in": list(reserve.zones)} if reserve.zones else _CONDITIONS[reserve.name],
        "overflow": overflow_of(reserve, rules),
        **(
            {}
            if reserve.priorities is None
            else {"priorities": [_priority(name, rules) for name in reserve.priorities]}
        ),
    }


def overflow_of(reserve: ReserveRule, rules: Rules) -> Json:
    """Return who else can have the seats that a reserve's own children leave."""
    if reserve.overflow in {"open", "closed"}:
        return reserve.overflow
    return {"to": condition_of(reserve.overflow, rules)}


def _priority(name: str, rules: Rules) -> dict[str, Json]:
    return {"name": name, "when": condition_of(name, rules)}


def condition_of(name: str, rules: Rules) -> Mapping[str, Json]:
    """Return the condition of a priority class or a reserve."""
    match name:
        case "neighborhood":
            return {"zone_in": list(rules.area)}
        case "feeder":
            return {"attends_in": list(rules.feeders)}
        case _:
            return _CONDITIONS[name]
