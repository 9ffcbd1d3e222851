"""Administrative placements: a reason, a document, two administrators, a log entry, a public count."""

from datetime import timedelta

import httpx2
import pytest

from backfill_by_hand import first_at
from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from log_entries import entries, ledger_lines
from lottery.market.canonical import Json
from people import Caller, Service
from rounds_by_hand import CYCLE, City, a_day_later, apply, make_city


@pytest.fixture
def city(service: Service) -> City:
    made = make_city(service)
    made.run_main()
    a_day_later(service)
    return made


def ask(city: City, reference: str, program: str, *, by: Caller | None = None, **more: Json) -> httpx2.Response:
    body: Json = {
        "cycle": "2027",
        "ticket": city.tickets()[reference],
        "program": program,
        "reason_code": "hardship",
        "document": "Form 12, binder 3",
        **more,
    }
    return (by or city.ann).post("/v1/placements", body)


def approve(city: City, asked: httpx2.Response, *, by: Caller | None = None) -> httpx2.Response:
    assert asked.status_code == 202, asked.text
    return (by or city.bea).post(f"/v1/placements/{asked.json()['id']}/approve", {"reason": "I checked the document"})


def unplaced(city: City) -> str:
    return next(reference for reference in sorted(city.tickets()) if reference not in city.seats())


def counts(city: City) -> dict[str, tuple[int, int]]:
    data = city.service.stranger().get(f"{CYCLE}/placements/counts").json()["data"]
    return {one["school"]: (one["placements"], one["beyond_seats"]) for one in data}


def test_an_administrative_placement_needs_two_administrators_and_is_counted_in_public(city: City) -> None:
    child = unplaced(city)
    asked = ask(city, child, "lincoln-kg", beyond_seats=True)
    assert child not in city.seats()
    assert approve(city, asked, by=city.ann).json()["code"] == "own-placement"
    approved = approve(city, asked)
    assert (approved.status_code, approved.json()["status"], approved.json()["decided_by"]) == (200, "approved", "bea")
    assert city.seats()[child] == "lincoln-kg"
    assert counts(city) == {"lincoln": (1, 1)}
    (vacancy,) = city.vacancies("lincoln-kg")
    assert (vacancy["opened_by"], vacancy["filled_class"]) == ("seats-added", "outside-the-lottery")
    assert vacancy["detail"] == "The school added this seat. Filled by a child who was placed outside the lottery."


def test_the_log_entry_of_a_placement_names_the_school_and_two_people_but_no_child(city: City) -> None:
    child = unplaced(city)
    approve(city, ask(city, child, "lincoln-kg", beyond_seats=True))
    (entry,) = entries(city.service, "seat.change")
    assert (entry["cause"], entry["code"], entry["school"]) == ("placement.outside_lottery", "hardship", "lincoln")
    assert (entry["asked"], entry["approved"]) == ("ann", "bea")
    assert "tag" not in entry
    assert city.tickets()[child] not in str(ledger_lines(city.service))


def test_a_placement_takes_a_free_seat_first(city: City) -> None:
    child = unplaced(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    approve(city, ask(city, child, "lincoln-kg"))
    assert [(one["opened_by"], one["status"]) for one in city.vacancies("lincoln-kg")] == [("declined", "filled")]
    assert counts(city) == {"lincoln": (1, 0)}


def test_no_seat_is_added_unless_the_request_says_so(city: City) -> None:
    asked = ask(city, unplaced(city), "lincoln-kg")
    refused = approve(city, asked)
    assert (refused.status_code, refused.json()["code"]) == (409, "no-seat-free")
    assert counts(city) == {}
    assert entries(city.service, "seat.change") == []


def test_a_placed_child_s_former_seat_opens_in_the_ledger(city: City) -> None:
    child = first_at(city, "adams-kg")
    approve(city, ask(city, child, "lincoln-kg", beyond_seats=True))
    assert city.seats()[child] == "lincoln-kg"
    assert [one["status"] for one in city.offers(child)] == ["accepted", "replaced"]
    assert [(one["opened_by"], one["status"]) for one in city.vacancies("adams-kg")] == [("outside", "open")]


def freeze_transfers(city: City) -> None:
    with transaction(city.service.sessions) as session:
        cycle, now = lock_cycle(session, "2027").cycle, clock(session)
        cycle.transfers_frozen_from = now - timedelta(days=1)
        cycle.transfers_frozen_until = now + timedelta(days=1)


def test_while_transfers_are_frozen_only_a_hardship_moves_a_child(city: City) -> None:
    freeze_transfers(city)
    child = first_at(city, "adams-kg")
    for reason in ("transfer", "administrative-error", "special-education"):
        refused = ask(city, child, "lincoln-kg", reason_code=reason)
        assert (refused.status_code, refused.json()["code"]) == (409, "transfers-frozen"), reason
    for reason in ("hardship", "safety", "court-order"):
        asked = ask(city, child, "lincoln-kg", reason_code=reason)
        assert asked.status_code == 202, asked.text
        city.ann.post(f"/v1/placements/{asked.json()['id']}/refuse", {"reason": "Asked in error"})


def test_a_first_seat_is_not_a_transfer(city: City) -> None:
    freeze_transfers(city)
    asked = ask(city, unplaced(city), "lincoln-kg", reason_code="administrative-error", beyond_seats=True)
    assert approve(city, asked).status_code == 200


def test_a_refused_placement_lists_each_problem(city: City) -> None:
    child = first_at(city, "adams-kg")
    held = ask(city, child, "adams-kg")
    assert (held.status_code, held.json()["errors"][0]["code"]) == (409, "held-already")
    group = ask(city, child, "lincoln-kg", group="gifted")
    assert group.json()["errors"][0]["code"] == "unknown-group"
    unknown = ask(city, child, "nowhere-kg")
    assert unknown.json()["errors"][0]["code"] == "unknown-program"
    body: dict[str, Json] = {"cycle": "2027", "ticket": "f" * 32, "program": "adams-kg", "reason_code": "hardship"}
    ticket = city.ann.post("/v1/placements", {**body, "document": "Form 12"})
    assert ticket.json()["errors"][0]["code"] == "unknown-ticket"
    without = city.ann.post("/v1/placements", body)
    assert (without.status_code, without.json()["errors"][0]["pointer"]) == (422, "/document")
    blank = city.ann.post("/v1/placements", {**body, "document": "  "})
    assert (blank.status_code, blank.json()["errors"][0]["pointer"]) == (422, "/document")
    reasonless = city.ann.post("/v1/placements", {**body, "document": "Form 12", "reason_code": "a-friend"})
    assert (reasonless.status_code, reasonless.json()["errors"][0]["pointer"]) == (422, "/reason_code")


def test_a_child_has_at_most_one_waiting_placement(city: City) -> None:
    child = unplaced(city)
    assert ask(city, child, "lincoln-kg").status_code == 202
    assert ask(city, child, "adams-kg").json()["code"] == "placement-asked"


def test_a_placement_is_decided_only_once(city: City) -> None:
    asked = ask(city, unplaced(city), "lincoln-kg", beyond_seats=True)
    assert approve(city, asked).status_code == 200
    assert approve(city, asked).json()["code"] == "placement-decided"
    listed = city.otto.get(f"{CYCLE}/placements?status=approved").json()["data"]
    assert [(one["asked_by"], one["decided_by"], one["document"]) for one in listed] == [
        ("ann", "bea", "Form 12, binder 3")
    ]


def test_a_child_whose_application_was_withdrawn_is_not_placed(city: City) -> None:
    child = unplaced(city)
    asked = ask(city, child, "lincoln-kg", beyond_seats=True)
    path = f"{CYCLE}/applicants/{child}"
    city.portal.delete(path, city.portal.get(path).headers["ETag"])
    refused = approve(city, asked)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "withdrawn")


def test_a_placed_child_keeps_the_seat_in_later_rounds(city: City) -> None:
    child = unplaced(city)
    approve(city, ask(city, child, "lincoln-kg", beyond_seats=True))
    city.run_backfill()
    assert city.seats()[child] == "lincoln-kg"


def test_a_current_seat_is_secured_before_the_main_round_and_kept(service: Service) -> None:
    city = make_city(service)
    apply(city.portal, "pupil", ["lincoln-kg"])
    assert approve(city, ask(city, "pupil", "adams-kg", reason_code="present-seat")).status_code == 200
    city.run_main()
    assert city.seats()["pupil"] in ("lincoln-kg", "adams-kg")
    assert list(city.seats().values()).count("adams-kg") == 4


def test_children_with_secured_seats_keep_them_even_beyond_the_number_of_seats(service: Service) -> None:
    city = make_city(service, children=3, adams=1)
    for child in ("child-00", "child-01", "child-02"):
        path = f"{CYCLE}/applicants/{child}/ranking"
        city.portal.change(path, {"programs": ["adams-kg"]})
        assert approve(city, ask(city, child, "adams-kg", reason_code="present-seat")).status_code == 200
    city.run_main()
    assert list(city.seats().values()) == ["adams-kg"] * 3
    assert city.vacancies("adams-kg") == []


def test_only_administrators_request_placements(city: City) -> None:
    child = unplaced(city)
    for caller in (city.otto, city.lincoln, city.portal):
        assert ask(city, child, "lincoln-kg", by=caller).status_code == 403
