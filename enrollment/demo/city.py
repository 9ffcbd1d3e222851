"""The invented city of the demo: schools, zones and families."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enrollment.demo.families import Family, families_of
from enrollment.demo.schools import ParticipatingSchool, operator_rules_of, school_of
from enrollment.demo.zone_map import zones_of
from lottery.generate.city import city_of_schools
from lottery.generate.programs import seats_of
from lottery.generate.rules import rules_of
from lottery.market.canonical import Json

SEED = 2027


@dataclass(frozen=True, slots=True)
class DemoCity:
    """The schools, families, zones and operators' rules of the demo."""

    schools: Sequence[ParticipatingSchool]
    families: Sequence[Family]
    zones: Mapping[str, object]
    operator_rules: Mapping[str, dict[str, Json]]


def make_city(*, schools: int, children: int) -> DemoCity:
    """Make a city with a number of schools and children. The same numbers always make the same city."""
    city = city_of_schools(SEED, schools)
    rules = rules_of(city, SEED, reserves=True, siblings=True)
    seats = seats_of(city, SEED, children)
    operator_rules = operator_rules_of(city, rules)
    demo_schools = [
        school_of(school, rule, seats, number, operator_rules)
        for number, (school, rule) in enumerate(zip(city.schools, rules, strict=True))
    ]
    families = list(families_of(city, rules, demo_schools, children, seed=SEED))
    return DemoCity(demo_schools, families, zones_of(city, rules), operator_rules)
