"""The operators and schools of the demo's city, with their rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from enrollment.demo.zone_map import degrees
from lottery.generate.city import City, School, Sector
from lottery.generate.programs import condition_of, fills, overflow_of, program_id
from lottery.generate.rules import Neighborhood, ReserveRule, Rules
from lottery.market.canonical import Json
from lottery.market.rules import OPEN

DISTRICT, NETWORK, ALONE = "district", "north-star", "stand-alone"
OPERATORS: Mapping[str, str] = {
    DISTRICT: "City school district",
    NETWORK: "North Star charter schools",
    ALONE: "Stand-alone charter schools",
}

MAX_PERCENT = 100

MAX_RAISED = 50
"""The largest percentage of a reserve other than the neighborhood's."""

STAYS_OUT = 9
"""Every ninth school does not take part."""


@dataclass(frozen=True, slots=True)
class ParticipatingSchool:
    """A school of the demo: its directory entry, its programs, and its rules."""

    id: str
    operator: str
    body: Mapping[str, object]
    programs: Sequence[dict[str, Json]]
    seats: Mapping[str, int]
    """The number of seats by grade."""
    rules: dict[str, Json]
    takes_part: bool
    screened: bool


def _operator_of(school: School) -> str:
    if school.sector is Sector.DISTRICT:
        return DISTRICT
    return NETWORK if school.operator.startswith("network-") else ALONE


def operator_rules_of(city: City, rules: Sequence[Rules]) -> dict[str, dict[str, Json]]:
    """Return the rules that each operator sets for all its schools."""
    operator_rules: dict[str, dict[str, Json]] = {}
    for school, rule in zip(city.schools, rules, strict=True):
        operator_rules.setdefault(_operator_of(school), {"classes": _classes(rule.customs.classes, rule)})
    return operator_rules


def school_of(
    school: School,
    rule: Rules,
    seats: Mapping[str, int],
    number: int,
    operator_rules: Mapping[str, dict[str, Json]],
) -> ParticipatingSchool:
    """Return a school of the demo. Its own rules leave out what it inherits from its operator."""
    operator = _operator_of(school)
    longitude, latitude = degrees(school.x, school.y)
    inherited = operator_rules[operator]
    smallest = min(filter(None, (seats[program_id(school, grade)] for grade in school.grades)), default=1)
    rules = _rules(school, with_seats_in_reserves(rule, smallest))
    own = {name: part for name, part in rules.items() if inherited.get(name) != part}
    return ParticipatingSchool(
        id=school.id,
        operator=operator,
        body={
            "id": school.id,
            "operator": operator,
            "name": school.id.replace("-", " ").title(),
            "sector": school.sector.value,
            "nces_id": f"11{number:010}",
            "point": {"longitude": longitude, "latitude": latitude},
        },
        programs=[
            {
                "id": program_id(school, grade),
                "school": school.id,
                "grade": grade,
                "name": f"{school.id.replace('-', ' ').title()}, {grade}",
            }
            for grade in school.grades
        ],
        seats={grade: seats[program_id(school, grade)] for grade in school.grades},
        rules=own,
        takes_part=number % STAYS_OUT != STAYS_OUT - 1,
        screened=school.screened,
    )


def with_seats_in_reserves(rule: Rules, smallest: int) -> Rules:
    """Raise the percentages of reserves until each has a seat in the smallest grade, or leave reserves out.

    A rounded percentage of a few seats is no seat.
    """
    least = -(-MAX_PERCENT // smallest)
    percents: dict[str, int] = {}
    for reserve in sorted(rule.reserves, key=lambda reserve: reserve.name != "neighborhood"):
        percent = max(reserve.percent, least)
        most = MAX_PERCENT if reserve.name == "neighborhood" else MAX_RAISED
        if percent <= most and percent + sum(percents.values()) <= MAX_PERCENT:
            percents[reserve.name] = percent
    kept = [replace(one, percent=percents[one.name]) for one in rule.reserves if one.name in percents]
    names = {OPEN, *percents}
    return replace(rule, reserves=tuple(kept), precedence=tuple(name for name in rule.precedence if name in names))


def _rules(school: School, rule: Rules) -> dict[str, Json]:
    """Return a school's rules in the form of the API."""
    reserves = [_reserve(reserve, rule) for reserve in rule.reserves if reserve.name != "neighborhood"]
    order: dict[str, Json] = {"precedence": list(rule.precedence)} if reserves else {}
    tie_break: dict[str, Json] = {"tie_break": rule.customs.tie_break} if rule.customs.tie_break else {}
    return {
        "classes": _classes(rule.classes, rule),
        "neighborhood": _neighborhood(rule),
        "reserves": reserves,
        "backfill": _backfill(school, rule),
        **order,
        **tie_break,
    }


def _classes(names: Sequence[str], rule: Rules) -> list[Json]:
    return [{"name": name, "when": condition_of(name, rule)} for name in _class_names(names, rule)]


def _class_names(names: Sequence[str], rule: Rules) -> list[str]:
    """Return the classes that a school of the demo has: none that no child can be in."""
    left_out = {"neighborhood"} if rule.feeders else {"neighborhood", "feeder"}
    if "low-income" in names and "equitable-access" in names[: names.index("low-income")]:
        left_out.add("low-income")  # all of these children have equitable access
    return [name for name in names if name not in left_out]


def _neighborhood(rule: Rules) -> dict[str, Json]:
    zones: dict[str, Json] = {"zones": list(rule.area)}
    match rule.neighborhood:
        case Neighborhood.NONE:
            return {"rule": "none"}
        case Neighborhood.PRIORITY:
            own = _class_names(rule.classes, rule)
            lower = [name for name in rule.classes[rule.classes.index("neighborhood") :] if name in own]
            return {"rule": "priority", **zones, **({"before": lower[0]} if lower else {})}
        case Neighborhood.GUARANTEE:
            return {"rule": "guarantee", **zones, "when_more_than_seats": "will-not-raise"}
        case Neighborhood.ONLY:
            return {"rule": "only", **zones}
        case _:
            percent = next(reserve.percent for reserve in rule.reserves if reserve.name == "neighborhood")
            first = "open" if rule.neighborhood is Neighborhood.OPEN_FIRST else "reserved"
            return {"rule": "reserve", **zones, "percent": percent, "filled": f"{first}-seats-first"}


def _reserve(reserve: ReserveRule, rule: Rules) -> dict[str, Json]:
    own: dict[str, Json] = {} if reserve.priorities is None else {"classes": _classes(reserve.priorities, rule)}
    return {
        "name": reserve.name,
        "percent": reserve.percent,
        "when": {"zone_in": list(reserve.zones)} if reserve.zones else condition_of(reserve.name, rule),
        "overflow": overflow_of(reserve, rule),
        **own,
    }


def _backfill(school: School, rule: Rules) -> dict[str, Json]:
    filling = [grade for grade in school.grades if fills(rule.customs.backfill, school, grade)]
    if not filling:
        return {"never": True}
    some: dict[str, Json] = {} if filling == list(school.grades) else {"grades": filling}
    return {"order": rule.customs.order, "vacated_reserved_seats": rule.customs.vacated, **some}
