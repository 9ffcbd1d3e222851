"""Before the cycle opens: who may act, the calendar, the map, the directory, and what schools say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from enrollment.demo.api_client import App, Person
from enrollment.demo.city import (
    ALONE,
    CHILD_FACTS,
    DISTRICT,
    NETWORK,
    OPERATORS,
    SCHOOL_FACTS,
    Invented,
    ParticipatingSchool,
)
from enrollment.demo.terminal import Teller
from lottery.generate.city import GRADES
from lottery.market.canonical import Json

CYCLE = "/v1/cycles/2027"
PASSWORD = "for the demo only"  # noqa: S105 - it guards nothing
PARTNERS: Mapping[str, str] = {
    "city-portal": "City portal",
    "north-star-site": "North Star's own site",
    "parents-union": "Parents' union",
}
SCOPES = ["catalog:read", "applications:read", "applications:write", "results:read", "offers:write"]
OWN_OFFICES = 12
"""So many schools have an office of their own that acts here; for the others their operator acts."""

AGREEMENT = """\
A school that takes part offers its seats in one lottery under its own rules, which are public from the day the cycle
opens. It may leave until the freeze, and says why. It gives its seats to the children that the round places there."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who acts in the demo, and with what they sign in."""

    ann: Person
    bea: Person
    otto: Person
    operators: Mapping[str, Person]
    offices: Mapping[str, Person]
    partners: Mapping[str, Person]
    secrets: Mapping[str, str]

    def of(self, school: ParticipatingSchool) -> Person:
        """Return who acts for a school: its own office, or its operator's."""
        return self.offices.get(school.id) or self.operators[school.operator]


def sign_in(address: str, name: str) -> Person:
    """Sign a member of the staff in."""
    token = Person(address).post("/v1/sessions", {"id": name, "password": PASSWORD})["token"]
    return Person(address, str(token))


def sign_in_administrator(address: str, name: str) -> Person:
    """Sign an administrator in for the first time, and set up an authenticator app."""
    new = sign_in(address, name)
    app = App(str(new.post("/v1/second-factors/totp")["secret"]))
    new.app = app
    new.post("/v1/second-factors/totp/confirm", {"code": app.code()})
    return new


def sign_in_invited(address: str, name: str, code: str) -> Person:
    """Take an invitation up as the owner of the account, and sign in."""
    accepted = {"id": name, "invitation_code": code, "password": PASSWORD}
    Person(address).post("/v1/invitations/accept", accepted)
    return sign_in(address, name)


def make_cast(address: str, city: Invented, tell: Teller) -> Cast:
    """Have an administrator make everybody else's account, after the directory they belong to."""
    ann, bea = sign_in_administrator(address, "ann"), sign_in_administrator(address, "bea")
    for operator, name in OPERATORS.items():
        ann.post("/v1/operators", {"id": operator, "name": name})
    with tell.bar("Directory: schools", len(city.schools)) as step:
        for school in city.schools:
            ann.post("/v1/schools", school.body)
            for program in school.programs:
                ann.post("/v1/programs", program)
            step()
    with_office = _with_office(city)
    roles: dict[str, list[Json]] = {
        "otto": [{"role": "auditor"}],
        **{f"{operator}.office": [{"role": "operator", "operator": operator}] for operator in OPERATORS},
        **{f"{school.id}.office": [{"role": "school", "school": school.id}] for school in with_office},
    }
    with tell.bar("Accounts: auditor, operators, schools", len(roles)) as step:
        people: dict[str, Person] = {}
        for name, its_roles in roles.items():
            made = ann.post("/v1/staff", {"id": name, "name": name, "roles": its_roles})
            people[name] = sign_in_invited(address, name, str(made["invitation_code"]))
            step()
    secrets = {}
    for partner, name in PARTNERS.items():
        ann.post("/v1/partners", {"id": partner, "name": name, "scopes": SCOPES})
        secrets[partner] = str(ann.post(f"/v1/partners/{partner}/secrets")["secret"])
    return Cast(
        ann=ann,
        bea=bea,
        otto=people["otto"],
        operators={operator: people[f"{operator}.office"] for operator in OPERATORS},
        offices={school.id: people[f"{school.id}.office"] for school in with_office},
        partners={name: Person(address, Person(address).token_for(name, secret)) for name, secret in secrets.items()},
        secrets=secrets,
    )


def _with_office(city: Invented) -> Sequence[ParticipatingSchool]:
    """Return schools with an office of their own: those that choose by a list, and some of each operator."""
    taking = [school for school in city.schools if school.takes_part]
    screened = [school for school in taking if school.screened][:2]
    some = [
        school
        for operator in (DISTRICT, NETWORK, ALONE)
        for school in [one for one in taking if one.operator == operator and not one.screened][: OWN_OFFICES // 3]
    ]
    return [*screened, *some]


def make_cycle(ann: Person, *, most_ranks: int) -> dict[str, Json]:
    """Make the cycle, far enough ahead for the schools to say their rules before it opens."""
    now = datetime.now(UTC)
    body: dict[str, Json] = {
        "name": "School year 2027-28",
        "grades": list(GRADES),
        "opens_at": (now + timedelta(days=1)).isoformat(),
        "deadline": (now + timedelta(days=2)).isoformat(),
        "late_until": (now + timedelta(days=3)).isoformat(),
        "results_at": (now + timedelta(days=4)).isoformat(),
        "backfill_opens": (now + timedelta(days=5)).isoformat(),
        "backfill_until": (now + timedelta(days=200)).isoformat(),
        "sibling_order": list(reversed(GRADES)),
        "most_ranks": most_ranks,
        "school_facts": list(SCHOOL_FACTS),
        "child_facts": list(CHILD_FACTS),
        "agreement_version": "2027-1",
        "agreement": AGREEMENT,
    }
    ann.post("/v1/cycles", {"id": "2027", **body})
    return body


def bring_in_zones(ann: Person, city: Invented, tell: Teller) -> None:
    """Bring in the map: a dry run, then in earnest."""
    path = f"{CYCLE}/imports/zones"
    report = ann.post(path, city.zones)
    done = ann.post(f"{path}?apply=true", city.zones)
    tell.line(
        f"Zones: {done['zones']} brought in from GeoJSON, after a dry run with {len(_list(report, 'faults'))} faults."
    )


def have_schools_take_part(cast: Cast, city: Invented, tell: Teller) -> None:
    """Have operators say what they say for all their schools, and every school that wants to opt in with its rules."""
    for operator, rules in city.operator_rules.items():
        cast.operators[operator].put(f"{CYCLE}/operators/{operator}/rules", {"rules": rules})
    taking = [school for school in city.schools if school.takes_part]
    with tell.bar("Schools opt in and set their rules", len(taking)) as step:
        for school in taking:
            who = cast.of(school)
            grades: list[Json] = [{"grade": grade, "seats": seats} for grade, seats in school.seats.items()]
            who.change(
                f"{CYCLE}/schools/{school.id}/participation",
                {"status": "in", "agreement": "2027-1", "grades": grades},
            )
            who.put(f"{CYCLE}/schools/{school.id}/rules", {"rules": school.rules})
            step()
    out = len(city.schools) - len(taking)
    tell.line(f"{len(taking)} schools take part, {out} do not and stay in the directory, marked so.")


def _list(answer: Mapping[str, Json], name: str) -> Sequence[Json]:
    part = answer[name]
    return part if isinstance(part, list) else []
