"""The families of the demo's city, with their applications, rankings and claims."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from enrollment.applicants.inputs import OUTSIDE
from enrollment.demo.schools import ParticipatingSchool
from enrollment.demo.zone_map import degrees
from lottery.generate.applicants import Applying
from lottery.generate.city import GRADES, City
from lottery.generate.dice import Dice, key_of
from lottery.generate.families import MAX_CHOICES, Families
from lottery.generate.rules import Rules
from lottery.market.canonical import Json

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
class Family:
    """A child's application, as the partner sends the application."""

    number: int
    body: Mapping[str, object]
    ranking: Sequence[str]
    claims: Sequence[tuple[str, str | None]]
    """Facts that a ranked school's rules use. Each has the school where the fact holds, or None for every school."""
    late: bool

    @property
    def reference(self) -> str:
        """Return the partner's own id of the application."""
        return f"family-{self.number:05}"


def families_of(
    city: City, rules: Sequence[Rules], schools: Sequence[ParticipatingSchool], children: int, *, seed: int
) -> Iterator[Family]:
    """Yield the families of the city's children."""
    invented = Families(city, rules, seed=seed, longest=MAX_CHOICES, siblings=True)
    homes = _Homes(city, rules)
    offered = {str(program["id"]) for school in schools if school.takes_part for program in school.programs}
    used_facts = {school.id: _facts_of(rule) for school, rule in zip(city.schools, rules, strict=True)}
    school_of = {str(program["id"]): school.id for school in schools for program in school.programs}
    for number, applying in enumerate(invented.applicants("h", children, grades=frozenset(GRADES))):
        ranking = [program for program in applying.ranking if program in offered]
        ranked_schools = [school_of[program] for program in ranking]
        yield Family(
            number=number,
            body=_application(number, applying, homes, seed),
            ranking=ranking,
            claims=list(_claims(applying, ranked_schools, used_facts)),
            late=bool(applying.facts["late"]),
        )


def _facts_of(rule: Rules) -> frozenset[str]:
    """Return the facts that a school's rules use."""
    names = {*rule.classes, *(one.name for one in rule.reserves)}
    facts = {"low-income": {"frl"}, "english-learner": {"ell"}, "equitable-access": {"frl", "homeless"}}
    return frozenset().union(*(facts.get(name, set()) for name in names)) | {"sibling", "staff_child"}


def _claims(
    applying: Applying, ranked: Sequence[str], used_facts: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, str | None]]:
    at = applying.facts["at"]
    flags = applying.facts["flags"]
    for school, facts in at.items() if isinstance(at, dict) else ():
        if school in ranked:
            yield from ((fact, school) for fact in facts)
    for flag in flags if isinstance(flags, list) else ():
        if any(flag in used_facts[school] for school in ranked):
            yield str(flag), None


def _application(number: int, applying: Applying, homes: "_Homes", seed: int) -> dict[str, object]:
    dice = Dice(key_of(seed, "who", number))
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
        "attends": homes.present_school(applying.facts["attends"]),
        "guardians": [{"name": f"{dice.pick(GIVEN_NAMES)} {name}", "email": f"family{number}@example.org"}],
        "addresses": homes.addresses(applying.facts["zones"], dice),
        "language": dice.pick(LANGUAGES),
        "sis_id": f"sis-{number:06}",
        **together,
    }


class _Homes:
    """Finds homes in given zones, and names present schools."""

    def __init__(self, city: City, rules: Sequence[Rules]) -> None:
        self._city = city
        self._schools = frozenset(school.id for school in city.schools)
        looked_at = {zone for rule in rules for zone in rule.zones()}
        zones: list[set[str]] = [{city.zones[zone].name} for zone in city.zone_of]
        for school in city.schools:
            for block in city.blocks_around(school) if school.ring in looked_at else ():
                zones[block].add(school.ring)
        self._blocks: dict[frozenset[str], list[int]] = {}
        for block, its_zones in enumerate(zones):
            self._blocks.setdefault(frozenset(its_zones), []).append(block)

    def present_school(self, attends: Json) -> str | None:
        """Return a child's present school as an application names it: a nursery is no school of the directory."""
        if attends is None:
            return None
        return str(attends) if attends in self._schools else f"{OUTSIDE}{attends}"

    def addresses(self, wanted: Json, dice: Dice) -> list[object]:
        """Return one address in all of the zones, or two addresses that cover the zones together."""
        zones = frozenset(map(str, wanted)) if isinstance(wanted, list) else frozenset()
        if zones in self._blocks:
            return [self._address(self._blocks[zones], dice)]
        parts = [part for part in self._blocks if part <= zones]
        first = max(parts, key=lambda part: (len(part), sorted(part)))
        second = max(parts, key=lambda part: (len(part - first), len(part), sorted(part)))
        return [self._address(self._blocks[part], dice) for part in (first, second)]

    def _address(self, blocks: Sequence[int], dice: Dice) -> dict[str, object]:
        longitude, latitude = degrees(*self._city.middle_of(dice.pick(blocks)))
        return {
            "text": f"{dice.between(1, 999)} {dice.pick(FAMILY_NAMES)} Street",
            "point": {"longitude": longitude, "latitude": latitude},
        }
