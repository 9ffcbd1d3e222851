"""Offers: made when a round is published, answered by families, expired by the database's clock."""

from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from enrollment.seats.models import Offer, SeatChange
from log_entries import entries
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, MAIN, City, a_day_later, apply, make_city


@pytest.fixture
def city(service: Service) -> City:
    return make_city(service)


def placed_first(city: City, program: str) -> str:
    return next(reference for reference, its in sorted(city.seats().items()) if its == program)


def let_expire(city: City, reference: str) -> None:
    """Let the deadline of an offer pass."""
    offer = city.offers(reference)[0]["id"]
    with transaction(city.service.sessions) as session:
        session.execute(update(Offer).where(Offer.id == offer).values(answer_by=clock(session) - timedelta(seconds=1)))


def set_silence(city: City, silence: str) -> None:
    """Set what silence means in the cycle."""
    with transaction(city.service.sessions) as session:
        lock_cycle(session, "2027").cycle.silence = silence


def ranking_of(city: City, reference: str) -> list[str]:
    programs: list[str] = city.portal.get(f"{CYCLE}/applicants/{reference}/ranking").json()["programs"]
    return programs


def test_publishing_a_round_offers_each_seat_once_and_notifies_the_partner(city: City) -> None:
    city.run_main()
    seats = city.seats()
    assert sorted(seats.values()) == ["adams-kg"] * 4 + ["lincoln-kg"] * 3
    (offer,) = city.offers(placed_first(city, "lincoln-kg"))
    assert (offer["status"], offer["source"], offer["round"], offer["choice"]) == ("open", "main", "2027-main", 1)
    assert offer["if_silent"] == "decline"
    assert str(offer["answer_by"]).endswith(":00Z")
    city.service.sequence()
    notices = city.portal.get(f"{CYCLE}/notices?limit=200").json()["data"]
    events = [notice["event"] for notice in notices]
    assert (events.count("results.published"), events.count("offer.made")) == (1, 7)


def test_a_child_who_accepts_stays_on_the_waitlists_for_higher_choices(city: City) -> None:
    city.run_main()
    child = placed_first(city, "adams-kg")
    before = city.portal.get(f"{CYCLE}/applicants/{child}/waitlists").json()["places"]
    accepted = city.answer(child, "accept")
    assert (accepted.status_code, accepted.json()["status"]) == (200, "accepted")
    detail = accepted.json()["detail"]
    assert detail.startswith("You accepted the seat at adams KG on ")
    assert detail.endswith("Your child stays on the waitlists for higher choices.")
    assert before
    assert city.portal.get(f"{CYCLE}/applicants/{child}/waitlists").json()["places"] == before
    assert city.answer(child, "accept").json()["status"] == "accepted"
    assert [change["cause"] for change in entries(city.service, "seat.change")] == ["offer.accept"]


def test_declining_removes_the_program_and_keeps_the_other_waitlists(city: City) -> None:
    city.run_main()
    child = placed_first(city, "adams-kg")
    declined = city.answer(child, "decline")
    assert (declined.status_code, declined.json()["status"]) == (200, "declined")
    assert child not in city.seats()
    assert ranking_of(city, child) == ["lincoln-kg"]
    (opened,) = city.vacancies("adams-kg")
    assert (opened["opened_by"], opened["status"], opened["group"]) == ("declined", "open", "open")
    again = city.answer(child, "decline")
    assert (again.status_code, again.json()["code"]) == (409, "offer-answered")


def test_an_accepted_seat_can_be_declined_later(city: City) -> None:
    city.run_main()
    child = placed_first(city, "lincoln-kg")
    city.answer(child, "accept")
    assert city.answer(child, "decline").json()["status"] == "declined"
    assert ranking_of(city, child) == ["adams-kg"]


def test_silence_declines_if_the_cycle_says_so(city: City) -> None:
    city.run_main()
    child = placed_first(city, "lincoln-kg")
    let_expire(city, child)
    refused = city.answer(child, "accept")
    assert (refused.status_code, refused.json()["code"]) == (409, "offer-ran-out")
    city.service.sequence()
    assert city.offers(child)[0]["status"] == "expired"
    assert [one["opened_by"] for one in city.vacancies("lincoln-kg")] == ["expired"]
    (change,) = entries(city.service, "seat.change")
    assert (change["cause"], change["code"], change["actor"]) == ("offer.expire", "silence-declines", "service")
    city.service.sequence()
    assert len(entries(city.service, "seat.change")) == 1


def test_silence_accepts_if_the_cycle_says_so(city: City) -> None:
    set_silence(city, "accept")
    city.run_main()
    child = placed_first(city, "lincoln-kg")
    let_expire(city, child)
    city.service.sequence()
    assert city.offers(child)[0]["status"] == "accepted"
    assert city.vacancies("lincoln-kg") == []
    (change,) = entries(city.service, "seat.change")
    assert change["code"] == "silence-accepts"


def test_a_family_is_reminded_once(city: City) -> None:
    city.run_main()
    child = placed_first(city, "lincoln-kg")
    with transaction(city.service.sessions) as session:
        session.execute(update(Offer).values(remind_at=clock(session) - timedelta(seconds=1)))
    city.answer(child, "accept")
    city.service.sequence()
    city.service.sequence()
    notices = city.portal.get(f"{CYCLE}/notices?limit=200").json()["data"]
    reminded = [notice["about"]["reference"] for notice in notices if notice["event"] == "offer.expiring"]
    assert len(reminded) == len(set(reminded)) == 6
    assert child not in reminded


def test_while_a_round_is_frozen_seats_can_be_accepted_but_not_declined(city: City) -> None:
    city.run_main()
    a_day_later(city.service)
    first, second = sorted(city.seats())[:2]
    city.ann.post(f"{CYCLE}/rounds", {"kind": "backfill"})
    assert city.freeze("/v1/rounds/2027-backfill-1").status_code == 200
    assert city.answer(first, "accept").status_code == 200
    refused = city.answer(second, "decline")
    assert (refused.status_code, refused.json()["code"]) == (409, "round-running")
    let_expire(city, second)
    city.service.sequence()
    assert city.offers(second)[0]["status"] == "open"


def withdraw(city: City, reference: str) -> httpx2.Response:
    path = f"{CYCLE}/applicants/{reference}"
    return city.portal.delete(path, city.portal.get(path).headers["ETag"])


def test_withdrawing_an_application_gives_up_the_seat_at_any_time(city: City) -> None:
    city.run_main()
    child = placed_first(city, "adams-kg")
    assert withdraw(city, child).status_code == 204
    assert [one["opened_by"] for one in city.vacancies("adams-kg")] == ["withdrawn"]
    (change,) = entries(city.service, "seat.change")
    assert change["cause"] == "withdraw"


def test_the_grade_cannot_change_while_the_child_holds_a_seat(city: City) -> None:
    city.run_main()
    a_day_later(city.service)
    child = placed_first(city, "adams-kg")
    path = f"{CYCLE}/applicants/{child}"
    ranking = f"{path}/ranking"
    city.portal.delete(ranking, city.portal.get(ranking).headers["ETag"])
    body: Json = {"grade": "01", "child": {"given_name": "Ada", "family_name": "Example", "birth_date": "2022-03-01"}}
    refused = city.portal.change(path, body)
    assert (refused.status_code, refused.json()["code"]) == (409, "grade-held-by-seat")
    city.answer(child, "decline")
    assert city.portal.change(path, body).status_code == 200


def test_another_partner_cannot_see_or_answer_an_offer(city: City) -> None:
    city.run_main()
    offer = city.offers(placed_first(city, "adams-kg"))[0]["id"]
    network = city.service.partner("network")
    assert network.post(f"/v1/offers/{offer}/accept").status_code == 404
    assert network.post(f"/v1/offers/{offer}/decline").status_code == 404


@pytest.mark.postgresql_errors("uq_offer_live")
def test_the_database_refuses_a_second_live_offer_of_a_child(city: City) -> None:
    city.run_main()
    with transaction(city.service.sessions) as session:
        offer = session.scalars(select(Offer).limit(1)).one()
        columns = {column.name: getattr(offer, column.name) for column in Offer.__table__.columns}
    with pytest.raises(IntegrityError, match="uq_offer_live"), transaction(city.service.sessions) as session:
        session.execute(insert(Offer).values({**columns, "id": "00000000-0000-4000-8000-000000000000"}))


@pytest.mark.postgresql_errors("what was frozen stays")
def test_the_database_refuses_to_change_or_delete_seat_changes(city: City) -> None:
    city.run_main()
    city.answer(placed_first(city, "adams-kg"), "accept")
    for statement in ("UPDATE seat_change SET was = 'none'", "DELETE FROM seat_change"):
        with pytest.raises(Exception, match="is refused"), transaction(city.service.sessions) as session:
            session.execute(text(statement))
    with transaction(city.service.sessions) as session:
        assert len(session.scalars(select(SeatChange)).all()) == 1


def test_a_late_child_waits_for_a_backfill_round(city: City) -> None:
    city.run_main()
    a_day_later(city.service)
    apply(city.portal, "newcomer", ["lincoln-kg", "adams-kg"])
    assert city.portal.get(f"{CYCLE}/applicants/newcomer/offers").json() == {"data": []}
    assert city.service.stranger().get(f"{MAIN}").json()["draws"] is True
