"""The invented city of the demo: its schools with what each says of its rules, its zones on a map, its families."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import cos, radians

import shapely

from lottery.generate.applicants import Applying
from lottery.generate.city import BLOCKS, GRADES, HALF_MILE, City, School, Sector, city_of_schools
from lottery.generate.dice import Dice, key_of
from lottery.generate.families import MAX_CHOICES, Families
from lottery.generate.programs import condition_of, fills, program_id, seats_of
from lottery.generate.rules import Neighborhood, ReserveRule, Rules, rules_of
from lottery.market.canonical import Json

SEED = 2027
VINTAGE = "2026-08"
SCHOOL_FACTS = ("sibling", "staff_child")
CHILD_FACTS = ("ell", "frl", "homeless", "sped")

DISTRICT, NETWORK, ALONE = "district", "north-star", "stand-alone"
OPERATORS: Mapping[str, str] = {
    DISTRICT: "City school district",
    NETWORK: "North Star charter schools",
    ALONE: "Stand-alone charter schools",
}

STAYS_OUT = 9
"""Every ninth school does not take part."""

CORNER = (-77.10, 38.82)
METERS_A_DEGREE = 111_320

GIVEN_NAMES = (
    "Ada",
    "Amal",
    "Ben",
    "Carmen",
    "Dina",
    "Eli",
    "Fatima",
    "Grace",
    "Hugo",
    "Ines",
    "Jonas",
    "Karim",
    "Lena",
)
FAMILY_NAMES = (
    "Alder",
    "Birch",
    "Cedar",
    "Elm",
    "Fir",
    "Hazel",
    "Juniper",
    "Laurel",
    "Maple",
    "Oak",
    "Rowan",
    "Willow",
)
LANGUAGES = ("en", "en", "en", "es", "ar")


@dataclass(frozen=True, slots=True)
class ParticipatingSchool:
    """A school as the demo has it act."""

    id: str
    operator: str
    body: Mapping[str, object]
    programs: Sequence[dict[str, Json]]
    seats: Mapping[str, int]
    """By grade."""
    rules: dict[str, Json]
    takes_part: bool
    screened: bool


@dataclass(frozen=True, slots=True)
class Family:
    """A child's application as its partner sends it."""

    number: int
    body: Mapping[str, object]
    ranking: Sequence[str]
    claims: Sequence[tuple[str, str | None]]
    """Facts that a school which the family ranks looks at: the fact, and the school where it holds, if at one."""
    late: bool

    @property
    def reference(self) -> str:
        """Return the partner's own id of it."""
        return f"family-{self.number:05}"


@dataclass(frozen=True, slots=True)
class Invented:
    """The city of the demo."""

    schools: Sequence[ParticipatingSchool]
    families: Sequence[Family]
    zones: Mapping[str, object]
    operator_rules: Mapping[str, dict[str, Json]]


def invent(*, schools: int, children: int) -> Invented:
    """Invent a city of so many schools and children."""
    city = city_of_schools(SEED, schools)
    rules = rules_of(city, SEED, reserves=True, siblings=True)
    seats = seats_of(city, SEED, children)
    operator_rules = _operator_rules(city, rules)
    taking = [
        _participating_school(school, rule, seats, number, operator_rules)
        for number, (school, rule) in enumerate(zip(city.schools, rules, strict=True))
    ]
    return Invented(taking, list(_families(city, rules, taking, children)), _zones(city, rules), operator_rules)


def _operator_of(school: School) -> str:
    if school.sector is Sector.DISTRICT:
        return DISTRICT
    return NETWORK if school.operator.startswith("network-") else ALONE


def _operator_rules(city: City, rules: Sequence[Rules]) -> dict[str, dict[str, Json]]:
    """Return what each operator says for all its schools: its own classes, and how it backfills."""
    said: dict[str, dict[str, Json]] = {}
    for school, rule in zip(city.schools, rules, strict=True):
        said.setdefault(_operator_of(school), {"classes": _classes(rule.customs.classes, rule)})
    return said


def _participating_school(
    school: School,
    rule: Rules,
    seats: Mapping[str, int],
    number: int,
    operator_rules: Mapping[str, dict[str, Json]],
) -> ParticipatingSchool:
    operator = _operator_of(school)
    longitude, latitude = _degrees(school.x, school.y)
    said = {name: part for name, part in _said(school, rule).items() if operator_rules[operator].get(name) != part}
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
        rules=said,
        takes_part=number % STAYS_OUT != STAYS_OUT - 1,
        screened=school.screened,
    )


def _said(school: School, rule: Rules) -> dict[str, Json]:
    """Return a school's rules as the school says them."""
    reserves = [_reserve(one, rule) for one in rule.reserves if one.name != "neighborhood"]
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
            said = [name for name in after if name != "feeder" or rule.feeders]
            return {"rule": "priority", **zones, **({"before": said[0]} if said else {})}
        case Neighborhood.GUARANTEE:
            return {"rule": "guarantee", **zones, "when_more_than_seats": "will-not-raise"}
        case Neighborhood.ONLY:
            return {"rule": "only", **zones}
        case _:
            percent = next(one.percent for one in rule.reserves if one.name == "neighborhood")
            first = "open" if rule.neighborhood is Neighborhood.OPEN_FIRST else "reserved"
            return {"rule": "reserve", **zones, "percent": percent, "filled": f"{first}-seats-first"}


def _reserve(one: ReserveRule, rule: Rules) -> dict[str, Json]:
    own: dict[str, Json] = {} if one.priorities is None else {"classes": _classes(one.priorities, rule)}
    return {
        "name": one.name,
        "percent": one.percent,
        "when": {"zone_in": list(one.zones)} if one.zones else condition_of(one.name, rule),
        "overflow": "closed" if one.closed else "open",
        **own,
    }


def _backfill(school: School, rule: Rules) -> dict[str, Json]:
    filling = [grade for grade in school.grades if fills(rule.customs.backfill, school, grade)]
    if not filling:
        return {"never": True}
    some: dict[str, Json] = {} if filling == list(school.grades) else {"grades": filling}
    return {"order": rule.customs.order, "vacated_reserved_seats": rule.customs.vacated, **some}


def _degrees(x: float, y: float) -> tuple[float, float]:
    longitude, latitude = CORNER
    return (
        round(longitude + x / (METERS_A_DEGREE * cos(radians(latitude))), 6),
        round(latitude + y / METERS_A_DEGREE, 6),
    )


def _zones(city: City, rules: Sequence[Rules]) -> dict[str, object]:
    """Return the city's zones as GeoJSON: neighborhoods of blocks, and the half mile around some schools."""
    size = city.side / BLOCKS
    blocks: dict[int, list[shapely.Geometry]] = {}
    for block, zone in enumerate(city.zone_of):
        row, column = divmod(block, BLOCKS)
        square = shapely.box(column * size, row * size, (column + 1) * size, (row + 1) * size)
        blocks.setdefault(zone, []).append(square)
    features = [_feature(city.zones[zone].name, shapely.union_all(squares)) for zone, squares in sorted(blocks.items())]
    looked_at = {zone for rule in rules for zone in rule.zones()}
    features += [
        _feature(school.ring, shapely.Point(school.x, school.y).buffer(HALF_MILE, quad_segs=16))
        for school in city.schools
        if school.ring in looked_at
    ]
    return {"type": "FeatureCollection", "features": features}


def _feature(name: str, shape: shapely.Geometry) -> dict[str, object]:
    polygons = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    rings = [
        [[list(_degrees(x, y)) for x, y in ring.coords] for ring in (polygon.exterior, *polygon.interiors)]
        for polygon in polygons
    ]
    return {
        "type": "Feature",
        "properties": {"zone": name, "name": name, "vintage": VINTAGE},
        "geometry": {"type": "MultiPolygon", "coordinates": rings},
    }


def _families(
    city: City, rules: Sequence[Rules], taking: Sequence[ParticipatingSchool], children: int
) -> Iterator[Family]:
    invented = Families(city, rules, seed=SEED, longest=MAX_CHOICES, siblings=True)
    homes = _Homes(city, rules)
    offered = {str(program["id"]) for school in taking if school.takes_part for program in school.programs}
    looked_at = {school.id: _facts_of(rule) for school, rule in zip(city.schools, rules, strict=True)}
    school_of = {str(program["id"]): school.id for school in taking for program in school.programs}
    for number, applying in enumerate(invented.applicants("h", children, grades=frozenset(GRADES))):
        ranking = [program for program in applying.ranking if program in offered]
        ranked_schools = [school_of[program] for program in ranking]
        yield Family(
            number=number,
            body=_application(number, applying, homes),
            ranking=ranking,
            claims=list(_claims(applying, ranked_schools, looked_at)),
            late=bool(applying.facts["late"]),
        )


def _facts_of(rule: Rules) -> frozenset[str]:
    """Return the facts that a school's rules look at."""
    names = {*rule.classes, *(one.name for one in rule.reserves)}
    facts = {"low-income": {"frl"}, "english-learner": {"ell"}, "equitable-access": {"frl", "homeless"}}
    return frozenset().union(*(facts.get(name, set()) for name in names)) | {"sibling", "staff_child"}


def _claims(
    applying: Applying, ranked: Sequence[str], looked_at: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, str | None]]:
    at = applying.facts["at"]
    flags = applying.facts["flags"]
    for school, facts in at.items() if isinstance(at, dict) else ():
        if school in ranked:
            yield from ((fact, school) for fact in facts)
    for flag in flags if isinstance(flags, list) else ():
        if any(flag in looked_at[school] for school in ranked):
            yield str(flag), None


def _application(number: int, applying: Applying, homes: "_Homes") -> dict[str, object]:
    dice = Dice(key_of(SEED, "who", number))
    grade = applying.grade
    born = 2027 - 3 - GRADES.index(grade)
    name = dice.pick(FAMILY_NAMES)
    household = applying.facts.get("household")
    together: dict[str, Json] = (
        {"household": household, "together": applying.facts.get("together")} if household else {}
    )
    return {
        "grade": grade,
        "child": {
            "given_name": dice.pick(GIVEN_NAMES),
            "family_name": name,
            "birth_date": f"{born}-{dice.between(1, 8):02}-{dice.between(1, 28):02}",
        },
        "attends": applying.facts["attends"],
        "guardians": [{"name": f"{dice.pick(GIVEN_NAMES)} {name}", "email": f"family{number}@example.org"}],
        "addresses": homes.addresses(applying.facts["zones"], dice),
        "language": dice.pick(LANGUAGES),
        "sis_id": f"sis-{number:06}",
        **together,
    }


class _Homes:
    """Finds a home that lies in given zones."""

    def __init__(self, city: City, rules: Sequence[Rules]) -> None:
        self._city = city
        looked_at = {zone for rule in rules for zone in rule.zones()}
        zones: list[set[str]] = [{city.zones[zone].name} for zone in city.zone_of]
        for school in city.schools:
            for block in city.blocks_around(school) if school.ring in looked_at else ():
                zones[block].add(school.ring)
        self._blocks: dict[frozenset[str], list[int]] = {}
        for block, its_zones in enumerate(zones):
            self._blocks.setdefault(frozenset(its_zones), []).append(block)

    def addresses(self, wanted: Json, dice: Dice) -> list[object]:
        """Return one address in all of the zones, or two that have them together."""
        zones = frozenset(map(str, wanted)) if isinstance(wanted, list) else frozenset()
        if zones in self._blocks:
            return [self._address(self._blocks[zones], dice)]
        parts = [part for part in self._blocks if part <= zones]
        first = max(parts, key=lambda part: (len(part), sorted(part)))
        second = max(parts, key=lambda part: (len(part - first), len(part), sorted(part)))
        return [self._address(self._blocks[part], dice) for part in (first, second)]

    def _address(self, blocks: Sequence[int], dice: Dice) -> dict[str, object]:
        longitude, latitude = _degrees(*self._city.middle_of(dice.pick(blocks)))
        return {
            "text": f"{dice.between(1, 999)} {dice.pick(FAMILY_NAMES)} Street",
            "point": {"longitude": longitude, "latitude": latitude},
        }
