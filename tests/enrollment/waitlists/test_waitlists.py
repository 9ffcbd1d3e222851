"""Live waitlists: a child's place, the moves, and their reasons."""

from collections.abc import Mapping
from typing import cast

import pytest

from backfill_by_hand import first_at, say
from enrollment.cycles.locks import lock_cycle
from enrollment.database import transaction
from lottery.market.canonical import Json
from people import Caller, Service
from rounds_by_hand import CYCLE, City, a_day_later, apply, make_city
from rows import add_school

SIBLING: Json = [{"name": "sibling", "when": {"at_school": "sibling"}}]

Shown = Mapping[str, object]


@pytest.fixture
def city(service: Service) -> City:
    made = make_city(service)
    say(made, "lincoln", classes=SIBLING)
    made.run_main()
    a_day_later(service)
    service.sequence()
    return made


def waiting(city: City, program: str) -> list[str]:
    """Return who waits at a program, in order, by reference."""
    return waiting_at(city, city.lincoln if program == "lincoln-kg" else city.adams, program)


def history(city: City, reference: str, program: str) -> list[Shown]:
    city.service.sequence()
    answer = city.portal.get(f"{CYCLE}/applicants/{reference}/waitlists/history")
    assert answer.status_code == 200, answer.text
    return [move for move in answer.json()["data"] if move["program"] == program]


def reasons(move: Shown) -> list[tuple[object, object]]:
    return [(reason["code"], reason["children"]) for reason in cast("list[Shown]", move["reasons"])]


def approve_sibling(city: City, reference: str) -> None:
    claim: Json = {"fact": "sibling", "school": "lincoln"}
    made = city.portal.post(f"{CYCLE}/applicants/{reference}/claims", claim).json()
    approved = city.lincoln.post(f"/v1/claims/{made['id']}/approve", {"basis": "verified", "reason": "On our roll"})
    assert approved.status_code == 200, approved.text


def test_a_live_waitlist_begins_in_the_order_of_the_main_round(city: City) -> None:
    left = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/waitlist?round=2027-main").json()["waiting"]
    now = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/waitlist").json()
    assert (now["round"], len(now["waiting"])) == (None, 9)
    assert [(one["ticket"], one["place"]) for one in now["waiting"]] == [(one["ticket"], one["place"]) for one in left]
    assert {one["priority_class"] for one in now["waiting"]} == {"general"}
    assert all(history(city, child, "lincoln-kg") == [] for child in waiting(city, "lincoln-kg"))


def test_an_approved_claim_moves_a_child_up_and_the_others_read_why(city: City) -> None:
    order = waiting(city, "lincoln-kg")
    third, last = order[2], order[-1]
    approve_sibling(city, last)
    assert waiting(city, "lincoln-kg") == [last, *order[:-1]]
    (own,) = history(city, last, "lincoln-kg")
    assert (own["was"], own["became"], reasons(own)) == (9, 1, [("own-priority", 1)])
    (other,) = history(city, third, "lincoln-kg")
    assert (other["was"], other["became"], reasons(other)) == (3, 4, [("priority", 1)])
    detail = str(other["detail"])
    assert detail.startswith("On ")
    assert detail.endswith(", your child moved from number 3 to number 4 on the waitlist of lincoln KG.")
    (reason,) = cast("list[Shown]", other["reasons"])
    assert reason["detail"] == "1 child now has sibling priority and is ahead of your child."


def test_a_child_moves_from_3_to_4_because_a_child_with_sibling_priority_applied(service: Service) -> None:
    city = make_city(service)
    with transaction(service.sessions) as session:
        lock_cycle(session, "2027").cycle.late = "within"
    say(city, "lincoln", classes=SIBLING)
    city.run_main()
    a_day_later(service)
    third = waiting(city, "lincoln-kg")[2]
    apply(city.portal, "newcomer", ["lincoln-kg"])
    city.service.sequence()
    approve_sibling(city, "newcomer")
    assert waiting(city, "lincoln-kg")[0] == "newcomer"
    places = city.portal.get(f"{CYCLE}/applicants/newcomer/waitlists").json()["places"]
    assert [(place["place"], place["drawn"]) for place in places] == [(1, False)]
    (move,) = history(city, third, "lincoln-kg")
    assert (move["was"], move["became"], str(move["detail"]).partition(", your ")[2]) == (
        3,
        4,
        "child moved from number 3 to number 4 on the waitlist of lincoln KG.",
    )


def test_a_late_child_is_behind_all_children_on_time_if_the_city_decides_so(city: City) -> None:
    order = waiting(city, "lincoln-kg")
    apply(city.portal, "newcomer", ["lincoln-kg"])
    approve_sibling(city, "newcomer")
    assert waiting(city, "lincoln-kg") == [*order, "newcomer"]


def test_a_child_who_ranks_again_with_a_priority_comes_before_the_others(city: City) -> None:
    first, *rest = waiting(city, "lincoln-kg")
    path = f"{CYCLE}/applicants/{first}/ranking"
    city.portal.change(path, {"programs": ["adams-kg"]})
    assert waiting(city, "lincoln-kg") == rest
    approve_sibling(city, first)
    city.portal.change(path, {"programs": ["lincoln-kg"]})
    fourth = rest[3]
    came, left = history(city, fourth, "lincoln-kg")
    assert waiting(city, "lincoln-kg") == [first, *rest]
    assert (left["was"], left["became"], reasons(left)) == (5, 4, [("left", 1)])
    assert (came["was"], came["became"], reasons(came)) == (4, 5, [("applied", 1)])
    (reason,) = cast("list[Shown]", came["reasons"])
    assert reason["detail"] == "1 child with sibling priority joined this waitlist ahead of your child."


def test_a_family_leaves_a_waitlist_and_the_history_keeps_the_place(city: City) -> None:
    second, third = waiting(city, "lincoln-kg")[1:3]
    path = f"{CYCLE}/applicants/{second}"
    assert city.portal.delete(f"{path}/waitlists/lincoln-kg").status_code == 204
    assert second not in waiting(city, "lincoln-kg")
    assert city.portal.get(f"{path}/ranking").json()["programs"] == ["adams-kg"]
    (own,) = history(city, second, "lincoln-kg")
    assert (own["was"], own["became"], reasons(own)) == (2, None, [("own-left", 1)])
    (other,) = history(city, third, "lincoln-kg")
    assert (other["was"], other["became"], reasons(other)) == (3, 2, [("left", 1)])
    assert city.portal.delete(f"{path}/waitlists/lincoln-kg").status_code == 404


def test_leaving_a_waitlist_does_not_give_up_a_held_seat(city: City) -> None:
    child = first_at(city, "lincoln-kg")
    assert city.portal.delete(f"{CYCLE}/applicants/{child}/waitlists/lincoln-kg").status_code == 404
    assert city.seats()[child] == "lincoln-kg"


def test_a_withdrawn_child_leaves_the_waitlist_and_the_children_behind_move_up(city: City) -> None:
    first, second = waiting(city, "lincoln-kg")[:2]
    path = f"{CYCLE}/applicants/{first}"
    assert city.portal.delete(path, city.portal.get(path).headers["ETag"]).status_code == 204
    assert waiting(city, "lincoln-kg")[0] == second
    assert reasons(history(city, second, "lincoln-kg")[0]) == [("withdrawn", 1)]


def test_children_move_up_after_a_backfill_round_placed_a_child_ahead(city: City) -> None:
    order = waiting(city, "lincoln-kg")
    city.answer(first_at(city, "lincoln-kg"), "decline")
    city.run_backfill()
    assert waiting(city, "lincoln-kg") == order[1:]
    (placed,) = history(city, order[0], "lincoln-kg")
    assert (placed["was"], placed["became"], reasons(placed)) == (1, None, [("own-placed", 1)])
    (behind,) = history(city, order[1], "lincoln-kg")
    assert (behind["was"], behind["became"], reasons(behind)) == (2, 1, [("placed", 1)])
    notices = city.portal.get(f"{CYCLE}/notices?limit=200").json()["data"]
    moved = {one["about"]["reference"]: one["about"]["became"] for one in notices if one["event"] == "waitlist.moved"}
    assert moved[order[1]] == 1


def test_a_child_who_gives_up_a_seat_waits_again_at_lower_choices(city: City) -> None:
    order = waiting(city, "adams-kg")
    child = first_at(city, "lincoln-kg")
    city.answer(child, "decline")
    now = waiting(city, "adams-kg")
    assert set(now) == {*order, child}
    (own,) = history(city, child, "adams-kg")
    assert reasons(own) == [("own-returned", 1)]
    behind = now[now.index(child) + 1]
    assert reasons(history(city, behind, "adams-kg")[0]) == [("returned", 1)]


def test_a_new_child_has_a_number_after_the_draw(city: City) -> None:
    apply(city.portal, "newcomer", ["lincoln-kg"])
    city.service.sequence()
    city.run_backfill()
    city.service.sequence()
    places = city.portal.get(f"{CYCLE}/applicants/newcomer/waitlists").json()["places"]
    assert [place["drawn"] for place in places] == [True]


def test_a_placed_sibling_gives_a_child_priority(service: Service) -> None:
    city = make_city(service)
    with transaction(service.sessions) as session:
        add_school(session, "wilson", grades=["KG", "01"])
    office = service.school_staff("wilson")
    seats: Json = [{"grade": "KG", "seats": 1}, {"grade": "01", "seats": 1}]
    path = f"{CYCLE}/schools/wilson/participation"
    assert office.change(path, {"status": "in", "agreement": "1", "grades": seats}).status_code == 200
    rules = f"{CYCLE}/schools/wilson/rules"
    offered: Json = {"classes": [{"name": "sibling-offered", "when": {"sibling_placed": True}}]}
    office.put(rules, {"rules": offered, "reason": "Brothers and sisters together"})
    (change,) = city.ann.get(f"{CYCLE}/rules-changes").json()["data"]
    city.ann.post(f"/v1/rules-changes/{change['id']}/approve", {"reason": "Looked at"})
    for number in range(4):
        apply(city.portal, f"small-{number}", ["wilson-kg"], household=f"h-{number}")
        apply(city.portal, f"big-{number}", ["wilson-01"], household=f"h-{number}", grade="01")
    city.run_main()
    a_day_later(service)
    last = waiting_at(city, office, "wilson-kg")[-1]
    older = last.replace("small", "big")
    body: Json = {
        "cycle": "2027",
        "ticket": city.tickets()[older],
        "program": "wilson-01",
        "reason_code": "hardship",
        "document": "Form 12",
        "beyond_seats": True,
    }
    asked = city.ann.post("/v1/placements", body).json()
    assert city.bea.post(f"/v1/placements/{asked['id']}/approve", {"reason": "Seen"}).status_code == 200
    assert waiting_at(city, office, "wilson-kg")[0] == last
    assert reasons(history(city, last, "wilson-kg")[0]) == [("own-priority", 1)]


def waiting_at(city: City, office: Caller, program: str) -> list[str]:
    city.service.sequence()
    names = {ticket: reference for reference, ticket in city.tickets().items()}
    listed = office.get(f"{CYCLE}/programs/{program}/waitlist").json()["waiting"]
    return [names[one["ticket"]] for one in listed]


def test_another_partner_reads_no_history(city: City) -> None:
    network = city.service.partner("network")
    assert network.get(f"{CYCLE}/applicants/child-00/waitlists/history").status_code == 404
    assert network.delete(f"{CYCLE}/applicants/child-00/waitlists/lincoln-kg").status_code == 404
