"""A small city, ready for its round: two schools, three partners' families, all of it over HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import httpx2

from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from lottery.market.canonical import Json
from people import Caller, Service
from rows import add_cycle, add_school

CYCLE = "/v1/cycles/2027"
MAIN = "/v1/rounds/2027-main"
CHILD: Mapping[str, Json] = {"given_name": "Ada", "family_name": "Example", "birth_date": "2022-03-01"}
DICE = "27182 81828 45904 52353 60287"


@dataclass(frozen=True, slots=True)
class City:
    """Who acts in it."""

    service: Service
    ann: Caller
    bea: Caller
    otto: Caller
    lincoln: Caller
    adams: Caller
    portal: Caller

    def tickets(self) -> dict[str, str]:
        """Return the children's tickets by their references."""
        listed = self.portal.get(f"{CYCLE}/applicants?limit=200").json()["data"]
        return {child["reference"]: child["ticket"] for child in listed}

    def close(self) -> None:
        """Let the deadline pass."""
        with transaction(self.service.sessions) as session:
            lock_cycle(session, "2027").cycle.deadline = clock(session)

    def freeze(self, round_: str = MAIN) -> httpx2.Response:
        """Freeze a round, dice at once."""
        return self.ann.post(f"{round_}/freeze", {"dice_in_minutes": 0})

    def match(self, round_: str = MAIN) -> None:
        """Draw a frozen round, and have it matched."""
        assert self.ann.post(f"{round_}/draw", {"dice": DICE}).status_code == 200
        assert self.ann.post(f"{round_}/match").status_code == 202
        self.service.run_job("match", round_.rpartition("/")[2])

    def run_main(self) -> None:
        """Run the main round from its making to its publishing."""
        self.close()
        assert self.ann.post(f"{CYCLE}/rounds", {"kind": "main"}).status_code == 201
        frozen = self.freeze()
        assert frozen.status_code == 200, frozen.text
        self.match()
        published = self.bea.post(f"{MAIN}/publish")
        assert published.status_code == 200, published.text

    def offers(self, reference: str) -> list[dict[str, object]]:
        """Return a child's offers, the newest first."""
        answer = self.portal.get(f"{CYCLE}/applicants/{reference}/offers")
        assert answer.status_code == 200, answer.text
        offers: list[dict[str, object]] = answer.json()["data"]
        return offers

    def answer(self, reference: str, how: str) -> httpx2.Response:
        """Answer a child's newest offer: `accept` or `decline`."""
        return self.portal.post(f"/v1/offers/{self.offers(reference)[0]['id']}/{how}")

    def seats(self) -> dict[str, str]:
        """Return who holds a seat where, by reference."""
        held: dict[str, str] = {}
        for reference in self.tickets():
            applicant = self.portal.get(f"{CYCLE}/applicants/{reference}")
            for offer in self.offers(reference) if applicant.status_code == 200 else []:
                if offer["status"] in ("open", "accepted"):
                    held[reference] = str(offer["program"])
        return held

    def run_backfill(self, seat: Json = None) -> str:
        """Run a backfill round, for one seat if one is named, from its making to its publishing; return its id."""
        made = self.ann.post(f"{CYCLE}/rounds", {"kind": "backfill", "seat": seat})
        assert made.status_code == 201, made.text
        name = str(made.json()["id"])
        path = f"/v1/rounds/{name}"
        frozen = self.freeze(path)
        assert frozen.status_code == 200, frozen.text
        dice: Json = {"dice": DICE} if frozen.json()["draws"] else {}
        assert self.ann.post(f"{path}/draw", dice).status_code == 200
        assert self.ann.post(f"{path}/match").status_code == 202
        self.service.run_job("match", name)
        published = self.bea.post(f"{path}/publish")
        assert published.status_code == 200, published.text
        return name

    def vacancies(self, program: str) -> list[dict[str, object]]:
        """Return a program's ledger, by number."""
        listed = self.otto.get(f"{CYCLE}/vacancies?program={program}&limit=200")
        assert listed.status_code == 200, listed.text
        ledger: list[dict[str, object]] = listed.json()["data"]
        return ledger


def make_city(service: Service, *, children: int = 12, lincoln: int = 3, adams: int = 4) -> City:
    """Make the city: two schools that take part, and children who rank Lincoln first, Adams second."""
    with transaction(service.sessions) as session:
        add_cycle(session)
        add_school(session, "lincoln", grades=["KG"])
        add_school(session, "adams", grades=["KG"])
    city = City(
        service,
        service.administrator("ann"),
        service.administrator("bea"),
        service.auditor("otto"),
        service.school_staff("lincoln"),
        service.school_staff("adams"),
        service.partner("city-portal"),
    )
    join(city.lincoln, "lincoln", lincoln)
    join(city.adams, "adams", adams)
    for number in range(children):
        apply(city.portal, f"child-{number:02}", ["lincoln-kg", "adams-kg"])
    return city


def join(school: Caller, name: str, seats: int) -> None:
    """Have a school take part with its kindergarten."""
    body: Json = {"status": "in", "agreement": "1", "grades": [{"grade": "KG", "seats": seats}]}
    answer = school.change(f"{CYCLE}/schools/{name}/participation", body)
    assert answer.status_code == 200, answer.text


def apply(partner: Caller, reference: str, programs: Sequence[str], **more: Json) -> httpx2.Response:
    """Bring a child, and submit its ranking unless it has no programs."""
    made = partner.put(f"{CYCLE}/applicants/{reference}", {"grade": "KG", "child": dict(CHILD), **more})
    assert made.status_code == 201, made.text
    if not programs:
        return made
    ranked = partner.put(f"{CYCLE}/applicants/{reference}/ranking", {"programs": list(programs)})
    assert ranked.status_code == 200, ranked.text
    return ranked


def a_day_later(service: Service) -> None:
    """Open the backfill window now."""
    with transaction(service.sessions) as session:
        cycle = lock_cycle(session, "2027").cycle
        now = clock(session)
        cycle.backfill_opens, cycle.backfill_until = now, now + timedelta(days=30)
