"""A wrong placement of a published round is mended by administrative placements, which are counted in public."""

import httpx2

from enrollment.database import transaction
from enrollment.rounds.models import Round
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, MAIN, City, make_city

ROUND = "2027-main"


def ask(city: City, reference: str, **more: Json) -> httpx2.Response:
    """Request a placement at Lincoln, as the first administrator."""
    body: dict[str, Json] = {
        "cycle": "2027",
        "ticket": city.tickets()[reference],
        "program": "lincoln-kg",
        "reason_code": "round-error",
        "document": "Minutes of April 2, item 4",
        "beyond_seats": True,
        "mends_round": ROUND,
    }
    return city.ann.post("/v1/placements", {**body, **more})


def test_placements_that_mend_a_round_name_it_and_are_counted_and_the_round_stays_as_published(
    service: Service,
) -> None:
    city = make_city(service, children=9, lincoln=2, adams=2)
    children = sorted(city.tickets())
    early = ask(city, children[0])
    assert (early.status_code, early.json()["code"]) == (404, "round-not-found")
    city.run_main()
    published = service.stranger().get(f"{MAIN}/report").json()
    outcome = digest(city)
    unplaced = [child for child in children if child not in city.seats()]
    for wrong in (
        ask(city, unplaced[0], mends_round=None),
        ask(city, unplaced[0], reason_code="hardship"),
    ):
        assert (wrong.status_code, wrong.json()["code"]) == (422, "round-to-mend-needed"), wrong.text
        assert wrong.json()["errors"][0]["pointer"] == "/mends_round"
    assert ask(city, unplaced[0], mends_round="2027-other").json()["code"] == "round-not-found"
    for number, child in enumerate(unplaced[:2], start=1):
        asked = ask(city, child)
        assert (asked.status_code, asked.json()["mending"]) == (202, number - 1), asked.text
        approved = city.bea.post(f"/v1/placements/{asked.json()['id']}/approve", {"reason": "Compared with the list"})
        assert (approved.json()["mends_round"], approved.json()["mending"]) == (ROUND, number), approved.text
        assert city.seats()[child] == "lincoln-kg"
    counts = service.stranger().get(f"{CYCLE}/placements/counts").json()
    assert counts["by_round"] == {ROUND: 2}
    assert counts["by_reason"] == {"round-error": 2}
    listed = city.otto.get(f"{CYCLE}/placements").json()["data"]
    assert {(one["mends_round"], one["mending"]) for one in listed} == {(ROUND, 2)}
    assert service.stranger().get(f"{MAIN}/report").json() == published
    assert digest(city) == outcome
    void = city.ann.post(f"{MAIN}/void", {"reason": "Two children were placed wrongly"})
    assert (void.status_code, void.json()["code"]) == (409, "other-state")


def digest(city: City) -> str | None:
    """Return the digest of the published outcome."""
    with transaction(city.service.sessions) as session:
        return session.get_one(Round, ROUND).outcome_digest
