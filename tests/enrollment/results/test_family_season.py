"""A season, after each step of which everything that families read about their children agrees."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from family_texts import all_texts_agree
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CHILD, CYCLE, City, a_day_later, apply
from screened_city import PROGRAMS, make_screened_city


@pytest.fixture
def city(service: Service) -> City:
    return make_screened_city(service)


class Season:
    """Acts of families, schools and administrators, on children chosen by a seed."""

    def __init__(self, city: City, seed: int) -> None:
        self.city = city
        self._chance = random.Random(seed)  # noqa: S311 - to choose acts
        self._new = 0

    def check(self) -> None:
        """Let the service's loops run, and hold all texts against each other."""
        self.city.service.sequence()
        self.city.service.sequence()
        assert all_texts_agree(self.city) > 5

    def some(self, status: str) -> str | None:
        """Return a child with an offer of a status, if any."""
        query = (
            "SELECT a.reference FROM offer o JOIN applicant a ON a.child_id = o.child_id "
            "WHERE o.status = :status AND a.withdrawn_at IS NULL ORDER BY a.reference"
        )
        with transaction(self.city.service.sessions) as session:
            found = list(session.scalars(text(query), {"status": status}))
        return self._chance.choice(found) if found else None

    def accept(self) -> None:
        if child := self.some("open"):
            assert self.city.answer(child, "accept").status_code == 200

    def decline(self) -> None:
        if child := self.some(self._chance.choice(["open", "accepted"])):
            assert self.city.answer(child, "decline").status_code == 200

    def expire(self) -> None:
        if child := self.some("open"):
            offer = self.city.offers(child)[0]["id"]
            with transaction(self.city.service.sessions) as session:
                session.execute(text("UPDATE offer SET answer_by = clock_timestamp() WHERE id = :id"), {"id": offer})

    def place_outside(self) -> None:
        references = sorted(self.city.tickets())
        child = self._chance.choice(references)
        body: Json = {
            "cycle": "2027",
            "ticket": self.city.tickets()[child],
            "program": self._chance.choice(PROGRAMS),
            "reason_code": "safety",
            "document": "Court file 12-77",
            "beyond_seats": True,
        }
        asked = self.city.ann.post("/v1/placements", body)
        if asked.status_code == 201:
            approved = self.city.bea.post(f"/v1/placements/{asked.json()['id']}/approve", {"reason": "Looked at"})
            assert approved.status_code == 200, approved.text

    def withdraw(self) -> None:
        if child := self.some("accepted"):
            path = f"{CYCLE}/applicants/{child}"
            assert self.city.portal.delete(path, self.city.portal.get(path).headers["ETag"]).status_code == 204
            if self._chance.random() < 0.5:
                assert self.city.portal.put(path, {"grade": "KG", "child": dict(CHILD)}).status_code == 200
                ranked = self.city.portal.put(f"{path}/ranking", {"programs": ["adams-kg", "lincoln-kg"]}, "*")
                assert ranked.status_code == 200, ranked.text

    def rank_anew(self) -> None:
        child = self._chance.choice(sorted(self.city.tickets()))
        programs = self._chance.sample(PROGRAMS, self._chance.randint(1, 3))
        self.city.portal.put(f"{CYCLE}/applicants/{child}/ranking", {"programs": list(programs)}, "*")

    def apply_late(self) -> None:
        self._new += 1
        apply(self.city.portal, f"new-{self._new:02}", ["lincoln-kg", "adams-kg"])

    def run_backfill(self) -> None:
        self.city.run_backfill()

    def acts(self) -> list[Callable[[], None]]:
        """Return the acts of a season, in an order of the seed."""
        acts = [self.accept, self.accept, self.decline, self.decline, self.expire, self.place_outside, self.withdraw]
        acts += [self.rank_anew, self.apply_late, self.run_backfill, self.run_backfill]
        self._chance.shuffle(acts)
        return [self.accept, self.decline, self.run_backfill, *acts, self.run_backfill]


@pytest.mark.parametrize("seed", [4])
def test_after_each_step_of_a_season_all_that_a_family_reads_agrees(city: City, seed: int) -> None:
    season = Season(city, seed)
    with transaction(city.service.sessions) as session:
        cycle = lock_cycle(session, "2027").cycle
        cycle.deadline, cycle.late_until = clock(session), clock(session) + timedelta(hours=1)
    apply(city.portal, "late-00", ["lincoln-kg"])
    assert city.portal.get(f"{CYCLE}/applicants/late-00/ranking").json()["late"] is True
    with transaction(city.service.sessions) as session:
        cycle = lock_cycle(session, "2027").cycle
        cycle.deadline = clock(session)
        cycle.late_until = None
    assert city.portal.get(f"{CYCLE}/applicants/late-00/ranking").json()["late"] is False
    city.run_main()
    a_day_later(city.service)
    season.check()
    for act in season.acts():
        act()
        season.check()
