"""Invent a city: neighborhoods in a plane, and schools of a district, of charter networks, and single charters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count, islice
from math import isqrt

from lottery.generate.dice import Dice, Weighted, key_of

GRADES = ("PK3", "PK4", "KG", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12")
"""Youngest first."""

APPLICANTS_BY_GRADE = {
    "PK3": 240,
    "PK4": 140,
    "KG": 110,
    "01": 50,
    "02": 42,
    "03": 38,
    "04": 34,
    "05": 52,
    "06": 96,
    "07": 32,
    "08": 24,
    "09": 98,
    "10": 26,
    "11": 12,
    "12": 6,
}
"""Applicants of each grade, per thousand, where every grade is offered. Most apply where schools begin."""

BLOCKS = 64
"""Blocks along a side of the city. A home is a block, and its families live in the middle."""

HALF_MILE = 805
"""Meters from a school to the edge of its ring."""

_SIDE_FOR_A_SCHOOL = 1_100
_SMALLEST_SIDE = 3_200
_SCHOOLS_FOR_A_ZONE = 5
_MAX_ZONES = 99
_SCHOOLS_FOR_A_NETWORK = 18
_ZONES_AROUND_A_SCHOOL = 2


def _words(*lines: str) -> tuple[str, ...]:
    return tuple(" ".join(lines).split())


_TREES = _words(
    "alder ash aspen beech birch buckeye cedar cherry chestnut cottonwood cypress dogwood elm fir hawthorn hazel",
    "hemlock hickory holly juniper larch laurel linden locust magnolia maple oak pine poplar redbud rowan spruce",
    "sycamore tupelo walnut willow",
)
_LANDS = _words(
    "bay bend bluff bridge brook creek crossing dale falls field ford garden glen green grove harbor heights hill",
    "island lake landing meadow mill park point ridge spring terrace valley view woods",
)
_NETWORKS = _words(
    "aurora beacon bridge compass cornerstone horizon keystone lantern meridian north-star pathway pioneer polaris",
    "prospect rise river-city sail summit threshold union venture vista",
)
_SCHOLARS = _words(
    "banneker bell-burnell blackwell bolden bose carson carver curie du-bois franklin galileo goodall hamilton hopper",
    "jemison johnson just lovelace mendel mitchell noether ochoa ramanujan rubin sagan tharp turing vaughan wu",
)
_KINDS = ("academy", "collegiate", "day-school", "montessori", "prep", "workshop")


class Sector(StrEnum):
    """The kind of operator of a school."""

    DISTRICT = "district"
    CHARTER = "charter"


class Band(StrEnum):
    """The ages that a school serves."""

    ELEMENTARY = "elementary"
    MIDDLE = "middle"
    HIGH = "high"
    WHOLE = "whole"


# Nine schools in twenty are charters. Spans repeat in a cycle, so that small cities have some of each.
_SECTORS = tuple(Sector.CHARTER if letter == "c" else Sector.DISTRICT for letter in "dcddcdcdcddcdcdcddcd")
_SPANS: dict[Sector, tuple[tuple[Band, str, str], ...]] = {
    Sector.DISTRICT: (
        (Band.ELEMENTARY, "PK3", "05"),
        (Band.ELEMENTARY, "PK3", "05"),
        (Band.MIDDLE, "06", "08"),
        (Band.ELEMENTARY, "PK4", "05"),
        (Band.HIGH, "09", "12"),
        (Band.ELEMENTARY, "PK3", "05"),
        (Band.WHOLE, "PK3", "08"),
        (Band.ELEMENTARY, "KG", "05"),
        (Band.MIDDLE, "06", "08"),
        (Band.ELEMENTARY, "PK3", "05"),
        (Band.HIGH, "09", "12"),
        (Band.WHOLE, "06", "12"),
    ),
    Sector.CHARTER: (
        (Band.ELEMENTARY, "PK3", "04"),
        (Band.WHOLE, "PK3", "08"),
        (Band.MIDDLE, "05", "08"),
        (Band.ELEMENTARY, "PK3", "05"),
        (Band.HIGH, "09", "12"),
        (Band.ELEMENTARY, "KG", "04"),
        (Band.WHOLE, "06", "12"),
        (Band.ELEMENTARY, "PK3", "05"),
        (Band.MIDDLE, "06", "08"),
        (Band.WHOLE, "PK3", "12"),
    ),
}

_TURNS_TO_SCREENED, _SCREENED_TURNS = 24, (8, 10)
_TURNS_TO_ALONE, _ALONE_TURNS = 10, (2, 5, 9)  # charters outside any network


@dataclass(frozen=True, slots=True)
class Zone:
    """A neighborhood: the blocks nearest to its center. Shares are percentages of its families."""

    name: str
    x: int
    y: int
    density: int
    low_income: int
    learning_english: int


@dataclass(frozen=True, slots=True)
class School:
    """A school: its operator, place, grades and popularity."""

    id: str
    operator: str
    sector: Sector
    turn: int  # the number of earlier schools in the sector
    band: Band
    grades: tuple[str, ...]
    x: int
    y: int
    zones: tuple[str, ...]  # the attendance area, if the rules have one
    popularity: int
    size: int
    screened: bool

    @property
    def ring(self) -> str:
        """Return the name of the zone within half a mile of the school."""
        return f"ring:{self.id}"


@dataclass(frozen=True, slots=True)
class City:
    """Zones and schools in a square of `side` meters. `homes` picks a block by its number of homes."""

    side: int
    zones: tuple[Zone, ...]
    schools: tuple[School, ...]
    zone_of: tuple[int, ...]  # by block: the index of the zone
    homes: Weighted[int]

    def middle_of(self, block: int) -> tuple[int, int]:
        """Return the point in the middle of a block."""
        return _middle_of(block, self.side)

    def blocks_around(self, school: School) -> list[int]:
        """Return the blocks whose middle is within half a mile of the school."""
        reach = HALF_MILE * BLOCKS // self.side + 1
        row, column = (place * BLOCKS // self.side for place in (school.y, school.x))
        near = [
            r * BLOCKS + c
            for r in range(max(0, row - reach), min(BLOCKS, row + reach + 1))
            for c in range(max(0, column - reach), min(BLOCKS, column + reach + 1))
        ]
        return [block for block in near if _square(self.middle_of(block), (school.x, school.y)) <= HALF_MILE**2]

    def grades(self) -> tuple[str, ...]:
        """Return the grades that at least one school offers, youngest first."""
        offered = {grade for school in self.schools for grade in school.grades}
        return tuple(grade for grade in GRADES if grade in offered)


@dataclass(frozen=True, slots=True)
class _Span:
    """The grades of a school without a place or a name yet."""

    sector: Sector
    turn: int
    band: Band
    grades: tuple[str, ...]


def city_of_schools(seed: int, schools: int) -> City:
    """Invent a city with this number of schools."""
    return _city(seed, list(islice(_spans(), schools)))


def city_of_programs(seed: int, programs: int) -> City:
    """Invent a city with this number of programs. The last school may have fewer grades."""
    spans = []
    for span in _spans():
        grades = span.grades[:programs]
        spans.append(_Span(span.sector, span.turn, span.band, grades))
        programs -= len(grades)
        if not programs:
            break
    return _city(seed, spans)


def _spans() -> Iterator[_Span]:
    turns = dict.fromkeys(Sector, 0)
    for number in count():
        sector = _SECTORS[number % len(_SECTORS)]
        turn = turns[sector]
        band, first, last = _SPANS[sector][turn % len(_SPANS[sector])]
        yield _Span(sector, turn, band, GRADES[GRADES.index(first) : GRADES.index(last) + 1])
        turns[sector] += 1


def _city(seed: int, spans: Sequence[_Span]) -> City:
    side = max(_SMALLEST_SIDE, _SIDE_FOR_A_SCHOOL * isqrt(len(spans)))
    zones = _zones(seed, side, min(_MAX_ZONES, len(spans) // _SCHOOLS_FOR_A_ZONE + 1))
    zone_of = tuple(_nearest(zones, _middle_of(block, side)) for block in range(BLOCKS * BLOCKS))
    homes = Weighted(range(BLOCKS * BLOCKS), (zones[zone].density for zone in zone_of))
    places = [homes.pick(Dice(key_of(seed, "school", number))) for number in range(len(spans))]
    points = [_middle_of(block, side) for block in places]
    areas = _areas(spans, points, zones)
    names: dict[str, int] = {}
    schools = tuple(
        _school(
            Dice(key_of(seed, "character", number)),
            span,
            networks=len(spans) // _SCHOOLS_FOR_A_NETWORK + 1,
            point=points[number],
            zones=tuple(areas[number]),
            names=names,
        )
        for number, span in enumerate(spans)
    )
    return City(side, zones, schools, zone_of, homes)


def _middle_of(block: int, side: int) -> tuple[int, int]:
    row, column = divmod(block, BLOCKS)
    return (2 * column + 1) * side // (2 * BLOCKS), (2 * row + 1) * side // (2 * BLOCKS)


def _zones(seed: int, side: int, number: int) -> tuple[Zone, ...]:
    zones = []
    for turn in range(number):
        dice = Dice(key_of(seed, "zone", turn))
        low_income = dice.between(8, 92)
        zones.append(
            Zone(
                name=f"Z{turn + 1:02}",
                x=dice.below(side),
                y=dice.below(side),
                density=dice.between(1, 9),
                low_income=low_income,
                learning_english=dice.between(2, 8 + low_income // 2),
            )
        )
    return tuple(zones)


def _nearest(zones: Sequence[Zone], point: tuple[int, int]) -> int:
    x, y = point
    return min(range(len(zones)), key=lambda turn: (zones[turn].x - x) ** 2 + (zones[turn].y - y) ** 2)


def _areas(spans: Sequence[_Span], points: Sequence[tuple[int, int]], zones: Sequence[Zone]) -> list[list[str]]:
    """Return each school's neighborhood.

    Every school has the two nearest zones. Each zone also belongs to the nearest district school of each band.
    """
    areas = []
    for point in points:
        nearest = sorted((_square(point, (zone.x, zone.y)), zone.name) for zone in zones)
        areas.append({name for _, name in nearest[:_ZONES_AROUND_A_SCHOOL]})
    for band in (Band.ELEMENTARY, Band.MIDDLE, Band.HIGH):
        of_band = [n for n, span in enumerate(spans) if span.sector is Sector.DISTRICT and span.band is band]
        for zone in zones if of_band else ():
            nearest_school = min((_square(points[n], (zone.x, zone.y)), n) for n in of_band)[1]
            areas[nearest_school].add(zone.name)
    return [sorted(area) for area in areas]


def _square(point: tuple[int, int], other: tuple[int, int]) -> int:
    return (point[0] - other[0]) ** 2 + (point[1] - other[1]) ** 2


def _school(
    dice: Dice, span: _Span, *, networks: int, point: tuple[int, int], zones: tuple[str, ...], names: dict[str, int]
) -> School:
    operator, name = _name(dice, span, networks)
    names[name] = names.get(name, 0) + 1
    screened = _is_screened(span)
    popularity = 60_000 // (25 + dice.below(1_000)) * (2 if screened else 1)
    return School(
        id=name if names[name] == 1 else f"{name}-{names[name]}",
        operator=operator,
        sector=span.sector,
        turn=span.turn,
        band=span.band,
        grades=span.grades,
        x=point[0],
        y=point[1],
        zones=zones,
        popularity=popularity,
        size=dice.between(16, 36) + 3 * isqrt(popularity),
        screened=screened,
    )


def _is_screened(span: _Span) -> bool:
    """Return whether a school is screened: every fourth high school and middle school of the district."""
    return span.sector is Sector.DISTRICT and span.turn % _TURNS_TO_SCREENED in _SCREENED_TURNS


def _name(dice: Dice, span: _Span, networks: int) -> tuple[str, str]:
    """Return the operator and a name for the school. Another school may have the same name."""
    if span.sector is Sector.DISTRICT:
        return Sector.DISTRICT.value, f"{dice.pick(_TREES)}-{dice.pick(_LANDS)}"
    if span.turn % _TURNS_TO_ALONE in _ALONE_TURNS:
        name = f"{dice.pick(_SCHOLARS)}-{dice.pick(_KINDS)}"
        return f"{name}-{span.turn}", name
    network = dice.below(networks)
    word = _NETWORKS[network % len(_NETWORKS)]
    return f"network-{network}", f"{word}-{dice.pick(_TREES)}"
