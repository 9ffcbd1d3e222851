"""Walk the OpenAPI: every operation with a plausible request for each, on a small city whose round is published."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import httpx2
from sqlalchemy import text

from enrollment.access.inputs import RoleIn
from enrollment.database import Table, transaction
from lottery.market.canonical import Json
from people import Caller, Service
from rounds_by_hand import CYCLE, MAIN, City, a_day_later, apply, make_city
from rows import add_school

KEPT_APART = frozenset({"attempts", "given_answer", "security_event", "session_use"})
"""Tables that may change when somebody is refused: what is kept of Idempotency-Keys, denied acts, use of sessions."""

OWNED = frozenset(
    [
        "reference", "ticket", "claim", "school", "operator", "program", "change", "partner", "secret", "staff",
        "token", "offer", "factor", "preview",
    ]
)  # fmt: skip
"""Path parameters that name what is somebody's."""


RULES_ALONE: Mapping[str, Json] = {"rules": {"seats": {"match": 9}}}
RULES: Json = {**RULES_ALONE, "reason": "As our board decided"}
DECISION: Mapping[str, Json] = {"basis": "verified", "reason": "On our roll"}
BODIES: Mapping[str, Json] = {
    "PUT …/ranking": {"programs": ["adams-kg"]},
    "POST …/validate": {"programs": ["adams-kg"]},
    "POST …/claims": {"fact": "staff_child", "school": "adams"},
    "POST …/approve": {**DECISION, "reason": "Looked at"},
    "POST …/deny": DECISION,
    "POST …/preview": {"join": True, **RULES_ALONE},
    "POST …/refuse": {"reason": "Looked at"},
    "PUT …/participation": {"status": "in", "agreement": "1", "grades": [{"grade": "KG", "seats": 9}]},
    "PUT …/rules": RULES,
    "POST …/placements": {
        "cycle": "2027",
        "ticket": "0" * 32,
        "program": "adams-kg",
        "reason_code": "hardship",
        "document": "Form 12",
    },
    "PUT …/zones": {"zones": [], "reason": "Moved house"},
    "PUT …/grade": {"grade": "01", "reason": "Typed wrongly"},
}
"""What is sent, so that the request would do if it came from who may; elsewhere nothing."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the OpenAPI."""

    method: str
    path: str
    security: Mapping[str, Sequence[str]]
    """Scopes by the kind of caller."""

    @property
    def name(self) -> str:
        """Return how tests name it."""
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> frozenset[str]:
        """Return the names in its path."""
        return frozenset(part[1:-1] for part in self.path.replace(":", "/").split("/") if part.startswith("{"))


def operations(service: Service) -> Iterator[Operation]:
    """Yield every operation that the service documents."""
    for path, methods in service.app.openapi()["paths"].items():
        for method, operation in methods.items():
            security = {kind: scopes for one in operation.get("security", []) for kind, scopes in one.items()}
            yield Operation(method.upper(), path, security)


NAMES = {
    "cycle": "2027",
    "reference": "child-00",
    "school": "lincoln",
    "operator": "district",
    "program": "lincoln-kg",
    "partner": "city-portal",
}
"""What the parameters of paths name in a city made by hand."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A city in which everything that a path can name is there."""

    city: City
    names: Mapping[str, str]
    """By path parameter."""
    network: Caller
    """Another partner."""
    elsewhere: Caller
    """Staff of another operator."""

    def ask(self, caller: Caller, operation: Operation, **other: str) -> httpx2.Response:
        """Ask for an operation with names that are there, in a way that would do for who may."""
        path = operation.path
        for name in operation.parameters:
            path = path.replace(f"{{{name}}}", other.get(name, self.names[name]))
        body = BODIES.get(f"{operation.method} …/{operation.path.rpartition('/')[2]}", {})
        if any(kind in path for kind in ("rules-changes", "access-changes", "zones-changes")):
            body = {"reason": "Looked at"}
        match operation.method:
            case "GET":
                return caller.get(path)
            case "POST":
                return caller.post(path, body)
            case "PUT":
                return caller.put(path, body, "*")
            case _:
                return caller.delete(path, "*")

    def contents(self) -> dict[str, str]:
        """Return a digest of every table, but of those that are kept apart."""
        found = {}
        with transaction(self.city.service.sessions) as session:
            for table in Table.metadata.tables.keys() - KEPT_APART:
                rows = session.scalars(text(f"SELECT t::text FROM {table} t")).all()  # noqa: S608 - a name of the code
                found[table] = hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()
        return found


def make_whole(service: Service) -> Whole:
    """Make a city with a published round, a claim, a change that waits, a preview, a rehearsal, a token, a secret."""
    city = make_city(service, children=4)
    with transaction(service.sessions) as session:
        add_school(session, "charter", operator="network", grades=["KG"])
    network = service.partner("network")
    apply(network, "theirs", ["adams-kg"])
    claim = city.portal.post(f"{CYCLE}/applicants/child-00/claims", {"fact": "sibling", "school": "lincoln"}).json()
    rules: Json = {"rules": {"seats": {"match": 3}, "tie_break": "multiple"}, "reason": "As our board decided"}
    city.lincoln.change(f"{CYCLE}/programs/lincoln-kg/rules", rules)
    (change,) = city.ann.get(f"{CYCLE}/rules-changes").json()["data"]
    preview = city.lincoln.post(f"{CYCLE}/programs/lincoln-kg/rules/preview", RULES_ALONE).json()
    service.run_job("preview", preview["id"])
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    rehearsal = city.ann.post(f"{MAIN}/rehearse").json()
    service.run_job("rehearse", rehearsal["id"])
    city.freeze()
    city.match()
    assert city.bea.post(f"{MAIN}/publish").status_code == 200
    a_day_later(service)
    (offer,) = city.portal.get(f"{CYCLE}/applicants/child-00/offers").json()["data"]
    service.sequence()
    ticket = city.tickets()["child-01"]
    asked: Json = {
        "cycle": "2027",
        "ticket": ticket,
        "program": "lincoln-kg" if city.seats()["child-01"] == "adams-kg" else "adams-kg",
        "reason_code": "hardship",
        "document": "Form 12",
    }
    placement = city.ann.post("/v1/placements", asked).json()
    token = city.ann.post("/v1/tokens", {"name": "report", "scopes": ["records:read"], "days": 1}).json()
    secret = city.ann.post("/v1/partners/city-portal/secrets").json()
    factors = city.ann.get("/v1/second-factors").json()
    names = {
        **NAMES,
        "claim": str(claim["id"]),
        "offer": str(offer["id"]),
        "placement": str(placement["id"]),
        "preset": "massachusetts",
        "round": "2027-main",
        "rehearsal": str(rehearsal["id"]),
        "change": str(change["id"]),
        "preview": str(preview["id"]),
        "staff": "ann",
        "token": str(token["id"]),
        "secret": str(secret["id"]),
        "factor": str(factors["data"][0]["id"]),
        "ticket": city.tickets()["child-00"],
    }
    elsewhere = service.staff("network.office", RoleIn(role="operator", operator="network"))
    return Whole(city, names, network, elsewhere)


def scopes_of(operation: Operation, kind: str) -> frozenset[str]:
    """Return the scopes that an operation asks of a kind of caller."""
    return frozenset(operation.security.get(kind, ()))
