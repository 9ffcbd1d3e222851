"""A result says what the round gave and what holds now, and what changes after it changes everywhere."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from family_texts import Answer, all_texts_agree
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, MAIN, City, a_day_later, apply, make_city
from screened_city import make_screened_city

NO_SEAT = "Your child has no seat now."


@pytest.fixture
def city(service: Service) -> City:
    """Return a city in which two children wait, and the main round is published."""
    city = make_city(service, children=6, lincoln=2, adams=2)
    city.run_main()
    a_day_later(service)
    return city


def result_of(city: City, reference: str, query: str = "") -> Answer:
    answer = city.portal.get(f"{CYCLE}/applicants/{reference}/result{query}")
    assert answer.status_code == 200, answer.text
    found: Answer = answer.json()
    return found


def holders(city: City, program: str) -> list[str]:
    return [reference for reference, its in sorted(city.seats().items()) if its == program]


def notices(city: City, event: str) -> list[Mapping[str, Json]]:
    city.service.sequence()
    return [
        one["about"] for one in city.portal.get(f"{CYCLE}/notices?limit=200").json()["data"] if one["event"] == event
    ]


def set_cycle(city: City, **by: timedelta | None) -> None:
    """Set times of the cycle, counted from now by the database's clock."""
    with transaction(city.service.sessions) as session:
        cycle, now = lock_cycle(session, "2027").cycle, clock(session)
        for name, delta in by.items():
            setattr(cycle, name, None if delta is None else now + delta)


def change_cycle(city: City, **changes: Json) -> None:
    """Change a cycle's settings as an administrator."""
    cycle = city.ann.get(CYCLE).json()
    shown = ("id", "phase", "main_round", "running_round", "zones_vintage")
    body = {name: value for name, value in cycle.items() if name not in shown}
    changed = city.ann.change(CYCLE, {**body, **changes, "reason": "Snow closed the schools"})
    assert changed.status_code == 200, changed.text


def test_after_a_decline_the_result_says_what_the_round_gave_and_that_there_is_no_seat(city: City) -> None:
    child = holders(city, "lincoln-kg")[0]
    city.answer(child, "decline")
    result = result_of(city, child)
    assert result["placement"]["program"] == "lincoln-kg"
    assert (result["placement_status"], result["now"]["status"], result["now"]["seat"]) == (
        "declined",
        "declined",
        None,
    )
    assert "In this round, your child got a seat at lincoln KG." in result["round_detail"]
    assert "You declined the seat at lincoln KG on " in result["now"]["detail"]
    assert NO_SEAT in result["now"]["detail"]


def test_a_choice_keeps_its_number_after_the_family_gave_up_the_choice_before(city: City) -> None:
    child = holders(city, "lincoln-kg")[0]
    city.answer(child, "decline")
    for other in holders(city, "adams-kg"):
        city.answer(other, "decline")
    city.run_backfill()
    result = result_of(city, child)
    assert (result["placement"]["program"], result["placement"]["choice"]) == ("adams-kg", 2)
    explained = city.portal.get(f"{CYCLE}/applicants/{child}/explanation").json()
    assert explained["facts"]["left_out"] == [{"program": "lincoln-kg", "choice": 1, "given_up": True}]
    lines = "\n".join(explained["lines"])
    assert "This was choice 2 of 2 on your list." in lines
    assert "because your family gave up a seat or a waitlist place there." in lines
    assert "left the lottery" not in lines
    (offer,) = (one for one in city.offers(child) if one["program"] == "adams-kg")
    assert offer["choice"] == 2


def test_after_an_offer_expired_the_result_says_so(city: City) -> None:
    child = holders(city, "lincoln-kg")[0]
    with transaction(city.service.sessions) as session:
        session.execute(text("UPDATE offer SET answer_by = clock_timestamp()"))
    soon = result_of(city, child)["now"]
    assert (soon["status"], soon["seat"]["needs_answer"]) == ("offered", False)
    assert "Your child will soon lose the seat at lincoln KG." in soon["detail"]
    city.service.sequence()
    now = result_of(city, child)["now"]
    assert (now["status"], now["seat"]) == ("expired", None)
    assert ", so your child lost the seat at lincoln KG. Your child has no seat now." in now["detail"]


def test_after_a_placement_outside_the_lottery_the_result_names_the_seat_and_the_seat_lost(city: City) -> None:
    (child, *_), waiting = holders(city, "adams-kg"), min(city.tickets().keys() - city.seats().keys())
    for reference, program in ((child, "lincoln-kg"), (waiting, "adams-kg")):
        body: Json = {
            "cycle": "2027",
            "ticket": city.tickets()[reference],
            "program": program,
            "reason_code": "safety",
            "document": "Court file 12-77",
            "beyond_seats": True,
        }
        asked = city.ann.post("/v1/placements", body).json()
        assert city.bea.post(f"/v1/placements/{asked['id']}/approve", {"reason": "Looked at"}).status_code == 200
    moved, placed = result_of(city, child), result_of(city, waiting)
    assert (moved["placement"]["program"], moved["placement_status"]) == ("adams-kg", "replaced")
    assert (moved["now"]["seat"]["program"], moved["now"]["seat"]["replaces"]) == ("lincoln-kg", "adams-kg")
    assert "Your child no longer has the seat at adams KG." in moved["now"]["detail"]
    assert (placed["placement"], placed["now"]["seat"]["source"]) == (None, "outside")
    assert "your child got a seat at adams KG outside the lottery." in placed["now"]["detail"]
    assert NO_SEAT not in placed["detail"]
    (told,) = notices(city, "offer.moved")
    assert (told["program"], told["left_program"], told["status"], told["source"]) == (
        *("lincoln-kg", "adams-kg", "accepted", "outside"),
    )


def test_a_child_who_moves_up_hears_of_both_seats_at_once_and_keeps_an_acceptance(city: City) -> None:
    accepted, offered = holders(city, "adams-kg")
    city.answer(accepted, "accept")
    first, *_ = city.offers(accepted)
    for child in holders(city, "lincoln-kg"):
        city.answer(child, "decline")
    city.run_backfill()
    told = {one["reference"]: one for one in notices(city, "offer.moved")}
    assert told.keys() == {accepted, offered}
    assert told[accepted]["replaces"] == first["id"]
    assert (told[accepted]["status"], told[accepted]["answer_by"]) == ("accepted", None)
    assert (told[offered]["status"], told[offered]["answer_by"] is None) == ("open", False)
    for child in (accepted, offered):
        detail = result_of(city, child)["now"]["detail"]
        assert "your child moved up from adams KG to a seat at lincoln KG." in detail
        assert ("You do not need to answer." in detail) == (child == accepted)
        assert ("Please answer before " in detail) == (child == offered)
        before = result_of(city, child, "?round=2027-main")
        assert (before["placement"]["program"], before["placement_status"]) == ("adams-kg", "replaced")
    refused = city.portal.post(f"/v1/offers/{first['id']}/accept").json()
    (error,) = refused["errors"]
    assert (refused["code"], error["code"]) == ("offer-answered", "replaced")
    assert error["detail"].startswith("The child left the seat at adams KG for a seat at lincoln KG on ")


def test_a_deadline_moved_past_a_late_ranking_makes_the_ranking_on_time_everywhere(service: Service) -> None:
    city = make_city(service, children=3)
    set_cycle(city, deadline=timedelta(0), late_until=timedelta(hours=1))
    apply(city.portal, "late", ["lincoln-kg"])
    path = f"{CYCLE}/applicants/late/ranking"

    def lateness() -> list[bool]:
        ticket = city.tickets()["late"]
        preview = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/applicants").json()["applicants"]
        return [
            city.portal.get(path).json()["late"],
            city.portal.put(path, {"programs": ["lincoln-kg"]}, "*").json()["late"],
            *[one["late"] for one in city.portal.get(f"{path}/versions").json()["data"]],
            *[one["late"] for one in preview if one["ticket"] == ticket],
        ]

    assert lateness() == [True, True, True, True]
    later = (datetime.fromisoformat(city.ann.get(CYCLE).json()["deadline"]) + timedelta(hours=2)).isoformat()
    change_cycle(city, deadline=later, late_until=None)
    assert lateness() == [False, False, False, False]
    (told,) = notices(city, "deadline.moved")
    assert (told["what"], datetime.fromisoformat(str(told["to"]))) == ("deadline", datetime.fromisoformat(later))
    city.run_main()
    assert "late" not in "\n".join(city.portal.get(f"{CYCLE}/applicants/late/explanation").json()["lines"])


def test_a_later_time_to_answer_holds_for_every_open_offer_and_families_are_reminded_again(service: Service) -> None:
    city = make_city(service, children=4, lincoln=2, adams=2)
    set_cycle(city, results_at=timedelta(seconds=1), answer_by=timedelta(hours=2), deadline=timedelta(0))
    city.run_main()
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE offer SET remind_at = clock_timestamp()"))
    assert len(notices(city, "offer.expiring")) == 4
    child = holders(city, "lincoln-kg")[0]
    city.answer(child, "accept")
    later = (datetime.fromisoformat(city.ann.get(CYCLE).json()["answer_by"]) + timedelta(days=3)).isoformat()
    change_cycle(city, answer_by=later)
    for reference in city.seats():
        (offer,) = city.offers(reference)
        assert (datetime.fromisoformat(str(offer["answer_by"])) == datetime.fromisoformat(later)) == (
            reference != child
        )
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE offer SET remind_at = clock_timestamp()"))
    assert len(notices(city, "offer.expiring")) == 4 + 3
    (told,) = notices(city, "deadline.moved")
    assert told["what"] == "answer_by"
    change_cycle(city, answer_by=(datetime.fromisoformat(later) - timedelta(days=1)).isoformat())
    other = next(reference for reference in city.seats() if reference != child)
    assert datetime.fromisoformat(str(city.offers(other)[0]["answer_by"])) == datetime.fromisoformat(later)


def test_a_screened_school_that_did_not_list_the_child_is_named_wherever_the_family_and_the_school_look(
    service: Service,
) -> None:
    city = make_screened_city(service)
    exam = service.school_staff("exam", name="exam-office")
    missed = city.tickets()["exam-00"]
    preview = exam.get(f"{CYCLE}/programs/exam-kg/applicants").json()["applicants"]
    (shown,) = [one for one in preview if one["ticket"] == missed]
    assert shown["meets"] is False
    assert shown["reason"] == "The school did not list this child, so the child cannot get a seat here."
    city.run_main()
    result = result_of(city, "exam-00")
    assert [one["program"] for one in result["not_listed"]] == ["exam-kg"]
    assert "The school did not list your child." in result["round_detail"]
    assert "Your child is not on a waitlist." in result["now"]["detail"]
    lines = "\n".join(city.portal.get(f"{CYCLE}/applicants/exam-00/explanation").json()["lines"])
    assert "The school did not list your child." in lines
    assert result_of(city, "exam-01")["not_listed"] == []
    service.sequence()
    assert all_texts_agree(city) == 9


def test_a_void_round_is_told_to_partners_and_changes_nothing_for_families(city: City) -> None:
    before = {reference: result_of(city, reference)["placement"] for reference in city.tickets()}
    assert city.ann.post(f"{CYCLE}/rounds", {"kind": "backfill"}).status_code == 201
    assert city.freeze("/v1/rounds/2027-backfill-1").status_code == 200
    for administrator in (city.ann, city.bea):
        voided = administrator.post("/v1/rounds/2027-backfill-1/void", {"reason": "The dice fell off the table"})
        assert voided.status_code in (200, 202), voided.text
    assert notices(city, "round.voided") == [{"round": "2027-backfill-1"}]
    assert {reference: result_of(city, reference)["placement"] for reference in city.tickets()} == before
    assert result_of(city, "child-00")["round"] == MAIN.rpartition("/")[2]
    assert all_texts_agree(city) == 6


def test_a_school_sees_what_became_of_the_seats_that_a_round_gave(city: City) -> None:
    accepted, declined = holders(city, "lincoln-kg")
    city.answer(accepted, "accept")
    city.answer(declined, "decline")
    listed = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/applicants").json()["applicants"]
    tickets = city.tickets()
    assert {one["ticket"]: one["seat_status"] for one in listed} == {
        tickets[accepted]: "accepted",
        tickets[declined]: "declined",
    }


def test_a_program_added_after_a_decline_is_not_explained_by_the_decline(city: City) -> None:
    child = holders(city, "adams-kg")[0]
    city.answer(child, "decline")
    city.service.sequence()
    path = f"{CYCLE}/applicants/{child}/ranking"
    assert city.portal.put(path, {"programs": ["lincoln-kg", "adams-kg"]}, "*").status_code == 200
    city.service.sequence()
    newest = city.portal.get(f"{CYCLE}/applicants/{child}/waitlists/history").json()["data"][0]
    assert (newest["program"], [one["code"] for one in newest["reasons"]]) == ("adams-kg", ["own-applied"])
    assert newest["detail"].startswith("On ")
    assert newest["detail"].endswith("on the waitlist of adams KG.")
