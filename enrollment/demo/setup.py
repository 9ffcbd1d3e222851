"""Before the cycle opens: accounts, the directory, the calendar, zones, and the schools' rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from enrollment.demo.api_client import AuthenticatorApp, Person
from enrollment.demo.city import DemoCity
from enrollment.demo.schools import ALONE, DISTRICT, NETWORK, OPERATORS, ParticipatingSchool
from enrollment.demo.terminal import Terminal
from lottery.generate.city import GRADES
from lottery.market.canonical import Json

CYCLE = "/v1/cycles/2027"
SCHOOL_FACTS = ("sibling", "staff_child")
CHILD_FACTS = ("ell", "frl", "homeless", "sped")
PASSWORD = "for the demo only"  # noqa: S105 - it protects nothing
PARTNERS: Mapping[str, str] = {
    "city-portal": "City portal",
    "north-star-site": "North Star's own site",
    "parents-union": "Parents' union",
}
SCOPES = ["catalog:read", "applications:read", "applications:write", "results:read", "offers:write"]
OWN_OFFICES = 12
"""The number of schools whose own office acts in the demo. For other schools, the operator acts."""

AGREEMENT = """\
A school that takes part offers its seats in one lottery under its own rules. The rules are public from the day the
cycle opens. The school may leave until the freeze, with a reason. It enrolls the children whom the round places."""


@dataclass(frozen=True, slots=True)
class People:
    """The participants of the demo."""

    ann: Person
    bea: Person
    otto: Person
    operators: Mapping[str, Person]
    offices: Mapping[str, Person]
    partners: Mapping[str, Person]
    secrets: Mapping[str, str]

    def of(self, school: ParticipatingSchool) -> Person:
        """Return the office that acts for a school: the school's own, or the operator's."""
        return self.offices.get(school.id) or self.operators[school.operator]


def sign_in(address: str, name: str) -> Person:
    """Sign in a staff member."""
    token = Person(address).post("/v1/sessions", {"id": name, "password": PASSWORD})["token"]
    return Person(address, str(token))


def sign_in_administrator(address: str, name: str) -> Person:
    """Sign an administrator in for the first time, and set up an authenticator app."""
    new = sign_in(address, name)
    app = AuthenticatorApp(str(new.post("/v1/second-factors/totp")["secret"]))
    new.app = app
    new.post("/v1/second-factors/totp/confirm", {"code": app.code()})
    return new


def sign_in_invited(address: str, name: str, code: str) -> Person:
    """Accept an invitation, and sign in."""
    accepted = {"id": name, "invitation_code": code, "password": PASSWORD}
    Person(address).post("/v1/invitations/accept", accepted)
    return sign_in(address, name)


def make_people(address: str, city: DemoCity, terminal: Terminal) -> People:
    """Sign in as the administrators, fill the directory, and make all other accounts."""
    ann, bea = sign_in_administrator(address, "ann"), sign_in_administrator(address, "bea")
    for operator, name in OPERATORS.items():
        ann.post("/v1/operators", {"id": operator, "name": name})
    with terminal.bar("Administrators add schools to the directory", len(city.schools)) as step:
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
    with terminal.bar("The auditor, operators and schools get accounts", len(roles)) as step:
        staff: dict[str, Person] = {}
        for name, its_roles in roles.items():
            made = ann.post("/v1/staff", {"id": name, "name": name, "roles": its_roles})
            staff[name] = sign_in_invited(address, name, str(made["invitation_code"]))
            step()
    secrets = {}
    for partner, name in PARTNERS.items():
        ann.post("/v1/partners", {"id": partner, "name": name, "scopes": SCOPES})
        secrets[partner] = str(ann.post(f"/v1/partners/{partner}/secrets")["secret"])
    return People(
        ann=ann,
        bea=bea,
        otto=staff["otto"],
        operators={operator: staff[f"{operator}.office"] for operator in OPERATORS},
        offices={school.id: staff[f"{school.id}.office"] for school in with_office},
        partners={name: Person(address, Person(address).token_for(name, secret)) for name, secret in secrets.items()},
        secrets=secrets,
    )


def _with_office(city: DemoCity) -> Sequence[ParticipatingSchool]:
    """Return schools with an office of their own: two screened schools, and some schools of each operator."""
    taking_part = [school for school in city.schools if school.takes_part]
    screened = [school for school in taking_part if school.screened][:2]
    some = [
        school
        for operator in (DISTRICT, NETWORK, ALONE)
        for school in [one for one in taking_part if one.operator == operator and not one.screened][: OWN_OFFICES // 3]
    ]
    return [*screened, *some]


def make_cycle(ann: Person, *, most_ranks: int) -> dict[str, Json]:
    """Make the cycle. It opens late enough for all schools to set their rules first."""
    now = datetime.now(UTC)
    body: dict[str, Json] = {
        "name": "School year 2027-28",
        "grades": list(GRADES),
        "time_zone": "America/New_York",
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


def import_zones(ann: Person, city: DemoCity, terminal: Terminal) -> None:
    """Import zones: first a dry run, then the import."""
    path = f"{CYCLE}/imports/zones"
    report = ann.post(path, city.zones)
    done = ann.post(f"{path}?apply=true", city.zones)
    terminal.line(
        f"An administrator imports {done['zones']} zones from GeoJSON, after a dry run that found "
        f"{len(_list(report, 'faults'))} faults."
    )


def join_schools(people: People, city: DemoCity, terminal: Terminal) -> None:
    """Set the operators' rules, and let each school that takes part opt in with its own rules."""
    for operator, rules in city.operator_rules.items():
        people.operators[operator].put(f"{CYCLE}/operators/{operator}/rules", {"rules": rules})
    taking_part = [school for school in city.schools if school.takes_part]
    with terminal.bar("Schools opt in and set their rules", len(taking_part)) as step:
        for school in taking_part:
            office = people.of(school)
            grades: list[Json] = [{"grade": grade, "seats": seats} for grade, seats in school.seats.items()]
            office.change(
                f"{CYCLE}/schools/{school.id}/participation",
                {"status": "in", "agreement": "2027-1", "grades": grades},
            )
            office.put(f"{CYCLE}/schools/{school.id}/rules", {"rules": school.rules})
            step()
    terminal.line(
        f"{len(taking_part)} of {len(city.schools)} schools take part. The directory shows that the others do not."
    )


def _list(answer: Mapping[str, Json], name: str) -> Sequence[Json]:
    part = answer[name]
    return part if isinstance(part, list) else []
