"""The operators and schools of the demo's city, with their rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enrollment.demo.zone_map import degrees
from lottery.generate.city import City, School, Sector
from lottery.generate.programs import condition_of, fills, overflow_of, program_id
from lottery.generate.rules import Neighborhood, ReserveRule, Rules
from lottery.market.canonical import Json

DISTRICT, NETWORK, ALONE = "district", "north-star", "stand-alone"
OPERATORS: Mapping[str, str] = {
    DISTRICT: "City school district",
    NETWORK: "North Star charter schools",
    ALONE: "Stand-alone charter schools",
}

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
    own = {name: part for name, part in _rules(school, rule).items() if inherited.get(name) != part}
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
    return [
        {"name": name, "when": condition_of(name, rule)}
        for name in names
        if name != "neighborhood" and (name != "feeder" or rule.feeders)
    ]


def _neighborhood(rule: Rules) -> dict[str, Json]:
    zones: dict[str, Json] = {"zones": list(rule.area)}
    match rule.neighborhood:
        case Neighborhood.NONE:
            return {"rule": "none"}
        case Neighborhood.PRIORITY:
            after = rule.classes[rule.classes.index("neighborhood") + 1 :]
            lower = [name for name in after if name != "feeder" or rule.feeders]
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
