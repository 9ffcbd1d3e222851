"""Backfill rounds: the rule of each school, and the ledger of vacancies."""

from collections.abc import Mapping

import pytest
from sqlalchemy import update

from backfill_by_hand import first_at, say
from enrollment.database import transaction
from enrollment.directory.models import Offering
from log_entries import entries, ledger_lines
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, DICE, City, a_day_later, apply, make_city

BACKFILL = "/v1/rounds/2027-backfill-1"


@pytest.fixture
def city(service: Service) -> City:
    return make_city(service)


def run_main(city: City) -> None:
    city.run_main()
    a_day_later(city.service)


def states(city: City, program: str) -> list[tuple[object, object, object]]:
    return [(one["opened_by"], one["status"], one["why"]) for one in city.vacancies(program)]


def test_a_declined_seat_is_filled_and_so_is_the_seat_that_the_next_child_leaves(city: City) -> None:
    run_main(city)
    leaver, before = first_at(city, "lincoln-kg"), city.seats()
    city.answer(leaver, "decline")
    city.run_backfill()
    after = city.seats()
    assert sorted(after.values()) == ["adams-kg"] * 4 + ["lincoln-kg"] * 3
    (moved,) = [child for child in after if before.get(child) == "adams-kg" and after[child] == "lincoln-kg"]
    assert after[leaver] == "adams-kg"  # it ranks it second, and has the best number of those who wait there
    (lincoln,), (adams,) = city.vacancies("lincoln-kg"), city.vacancies("adams-kg")
    assert (lincoln["opened_by"], lincoln["status"], lincoln["filled_class"]) == ("declined", "filled", "general")
    assert (adams["opened_by"], adams["status"], adams["round"]) == ("moved", "filled", "2027-backfill-1")
    assert lincoln["detail"] == "A family declined this seat. Filled by a child without a priority."
    assert city.offers(moved)[1]["status"] == "replaced"
    assert city.offers(leaver)[0]["source"] == "backfill"


def test_no_child_loses_a_seat_that_the_family_did_not_give_up(city: City) -> None:
    run_main(city)
    before = city.seats()
    city.answer(first_at(city, "lincoln-kg"), "decline")
    for number in range(4):
        apply(city.portal, f"new-{number}", ["lincoln-kg", "adams-kg"])
    kept = {child: program for child, program in before.items() if child in city.seats()}
    city.run_backfill()
    after = city.seats()
    assert all(after[child] in ("lincoln-kg", program) for child, program in kept.items())


def test_a_child_who_accepted_a_seat_and_gets_a_higher_choice_keeps_the_acceptance(city: City) -> None:
    run_main(city)
    waiting = [child for child, program in city.seats().items() if program == "adams-kg"]
    for child in waiting:
        city.answer(child, "accept")
    city.answer(first_at(city, "lincoln-kg"), "decline")
    city.run_backfill()
    (moved,) = [child for child in waiting if city.seats()[child] == "lincoln-kg"]
    assert [offer["status"] for offer in city.offers(moved)] == ["accepted", "replaced"]


@pytest.mark.parametrize(
    ("backfill", "why"),
    [
        ({"never": True}, "never"),
        ({"grades": ["01"]}, "grade"),
        ({"last_date": "2020-02-15"}, "date"),
        ({"last_date": "2199-02-15", "last_date_by_grade": {"KG": "2020-02-15"}}, "date"),
    ],
)
def test_a_school_that_fills_no_later_seats_leaves_the_seat_empty_and_the_ledger_says_why(
    city: City, backfill: Mapping[str, Json], why: str
) -> None:
    say(city, "lincoln", backfill=dict(backfill))
    run_main(city)
    leaver, before = first_at(city, "lincoln-kg"), city.seats()
    city.answer(leaver, "decline")
    city.run_backfill()
    assert city.seats() == {child: program for child, program in before.items() if child != leaver}
    assert states(city, "lincoln-kg") == [("declined", "left-empty", why)]
    version = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/rules").json()["version"]
    (vacancy,) = city.vacancies("lincoln-kg")
    assert vacancy["rules_version"] == version
    assert f"version {version} of the school's rules" in str(vacancy["detail"])
    assert (vacancy["school"], vacancy["rule_of"]) == ("lincoln", "program:lincoln-kg")
    counts = city.otto.get(f"{CYCLE}/vacancies/counts").json()["data"]
    assert {one["school"]: one["by_why"] for one in counts} == {"lincoln": {why: 1}}
    rules = city.service.stranger().get(f"{BACKFILL}/rules").json()["data"]
    assert {one["program"]: one["why_not"] for one in rules} == {"adams-kg": None, "lincoln-kg": why}
    found = city.ann.get(f"{CYCLE}/readiness?kind=backfill").json()["findings"]
    assert f"does-not-fill-{why}" in {one["code"] for one in found}


def test_the_ledger_names_the_operator_whose_rule_a_school_inherits(city: City) -> None:
    office = city.service.operator_staff("district")
    rules: Json = {"rules": {"backfill": {"never": True}}, "reason": "As our board decided"}
    assert office.put(f"{CYCLE}/operators/district/rules", rules).status_code in (200, 202)
    for change in city.ann.get(f"{CYCLE}/rules-changes").json()["data"]:
        city.ann.post(f"/v1/rules-changes/{change['id']}/approve", {"reason": "Looked at"})
    run_main(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    city.run_backfill()
    path = f"{CYCLE}/programs/lincoln-kg/vacancies?status=left-empty"
    (vacancy,) = city.lincoln.get(path).json()["data"]
    assert (vacancy["why"], vacancy["rule_of"]) == ("never", "operator:district")
    (line,) = [line for line in ledger_lines(city.service) if line["state"] == "left-empty"]
    assert line["rule_of"] == "operator:district"


def test_entry_grades_fill_seats_even_if_other_grades_do_not(city: City) -> None:
    say(city, "lincoln", backfill={"grades": [], "entry_grades": ["KG"]})
    run_main(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    city.run_backfill()
    assert states(city, "lincoln-kg") == [("declined", "filled", None)]


def test_a_round_fills_no_more_seats_than_the_limit_of_the_school(city: City) -> None:
    say(city, "lincoln", backfill={"at_most": 1})
    run_main(city)
    for _ in range(2):
        city.answer(first_at(city, "lincoln-kg"), "decline")
    city.run_backfill()
    assert states(city, "lincoln-kg") == [("declined", "filled", None), ("declined", "left-empty", "limit")]
    city.run_backfill()
    assert states(city, "lincoln-kg") == [("declined", "filled", None)] * 2


def test_a_seat_without_waiting_children_stays_empty_for_now(service: Service) -> None:
    city = make_city(service, children=2)
    run_main(city)
    assert states(city, "lincoln-kg") == [("not-filled", "open", None)]
    city.run_backfill()
    assert states(city, "lincoln-kg") == [("not-filled", "left-empty", "nobody-waiting")]
    count = len(ledger_lines(service))
    city.run_backfill()
    assert len(ledger_lines(service)) == count
    apply(city.portal, "newcomer", ["lincoln-kg"])
    city.run_backfill()
    assert states(city, "lincoln-kg") == [("not-filled", "filled", None)]


def test_over_offers_are_not_filled_again_but_other_seats_are(city: City) -> None:
    say(city, "lincoln", seats={"match": 3, "enrollment": 2, "over_offer": 1})
    run_main(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    city.run_backfill()
    assert states(city, "lincoln-kg") == [("declined", "removed", "over-offered")]
    city.answer(first_at(city, "lincoln-kg"), "decline")
    city.run_backfill()
    assert states(city, "lincoln-kg")[1:] == [("declined", "filled", None)]


def test_no_seat_is_filled_while_more_children_than_the_target_have_seats(city: City) -> None:
    say(city, "lincoln", seats={"match": 3, "enrollment": 1, "over_offer": 2})
    run_main(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    city.run_backfill()
    rules = city.service.stranger().get(f"{BACKFILL}/rules").json()["data"]
    assert {one["program"]: one["why_not"] for one in rules}["lincoln-kg"] is None  # it would tell how many have a seat
    found = city.ann.get(f"{CYCLE}/readiness?kind=backfill").json()["findings"]
    assert "does-not-fill-over-target" in {one["code"] for one in found}
    assert list(city.seats().values()).count("lincoln-kg") == 2


def test_a_later_target_adds_seats_from_its_first_day(city: City) -> None:
    later: Json = [
        {"name": "round-2", "begins": "2020-05-01", "seats": 4},
        {"name": "count-day", "begins": "2199-10-01", "seats": 9},
    ]
    say(city, "lincoln", seats={"match": 3, "later": later})
    run_main(city)
    city.run_backfill()
    assert states(city, "lincoln-kg") == [("seats-added", "filled", None)]
    assert list(city.seats().values()).count("lincoln-kg") == 4


def reserve_for_ell(city: City, *, overflow: Json = "closed", more: int = 0, **backfill: Json) -> list[str]:
    """Have Lincoln reserve one of its seats for English learners, of whom there is one, who then gives it up.

    `more` other children give up their seats too. Return the groups that the backfill round filled.
    """
    reserve: Json = [{"name": "ell", "seats": 1, "when": {"has": "ell"}, "overflow": overflow}]
    say(city, "lincoln", reserves=reserve, backfill=dict(backfill))
    made = city.portal.post(f"{CYCLE}/applicants/child-00/claims", {"fact": "ell", "school": None}).json()
    city.ann.post(f"/v1/claims/{made['id']}/approve", {"basis": "verified", "reason": "On the roll"})
    run_main(city)
    assert city.offers("child-00")[0]["group"] == "ell"
    city.answer("child-00", "decline")
    for _ in range(more):
        city.answer(first_at(city, "lincoln-kg"), "decline")
    city.run_backfill()
    return [str(one["filled_group"]) for one in city.vacancies("lincoln-kg")]


def test_a_vacated_reserved_seat_stays_reserved_if_the_school_keeps_reserves(city: City) -> None:
    assert reserve_for_ell(city, vacated_reserved_seats="keep") == ["None"]
    assert states(city, "lincoln-kg") == [("declined", "left-empty", "nobody-waiting")]


def test_a_vacated_reserved_seat_is_open_to_all_if_the_school_releases_reserves(city: City) -> None:
    assert reserve_for_ell(city, vacated_reserved_seats="release") == ["open"]


@pytest.mark.parametrize(
    ("to", "filled"), [({"has": "frl"}, "None"), ({"not": {"has": "frl"}}, "ell")], ids=["others", "those waiting"]
)
def test_a_vacated_reserved_seat_goes_to_those_whom_the_reserve_leaves_seats_to(
    city: City, to: Json, filled: str
) -> None:
    assert reserve_for_ell(city, overflow={"to": to}) == [filled]


@pytest.mark.parametrize(
    ("to", "filled"), [({"has": "frl"}, "open"), ({"not": {"has": "frl"}}, "ell")], ids=["others", "those waiting"]
)
def test_a_reserve_uses_up_a_limit_only_for_children_whom_it_leaves_seats_to(city: City, to: Json, filled: str) -> None:
    assert sorted(reserve_for_ell(city, overflow={"to": to}, more=1, at_most=1)) == sorted(["None", filled])


def test_a_round_without_new_children_needs_no_dice_and_refuses_dice(city: City) -> None:
    run_main(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    city.ann.post(f"{CYCLE}/rounds", {"kind": "backfill"})
    assert city.freeze(BACKFILL).json()["draws"] is False
    (_, freeze) = entries(city.service, "round.freeze")
    assert freeze["randomness"]["dice"] is False  # type: ignore[call-overload, index]
    refused = city.ann.post(f"{BACKFILL}/draw", {"dice": DICE})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "no-dice-needed")
    assert city.ann.post(f"{BACKFILL}/draw", {}).status_code == 200


def test_a_round_with_a_newcomer_draws_and_asks_for_dice(city: City) -> None:
    run_main(city)
    apply(city.portal, "newcomer", ["lincoln-kg"])
    city.ann.post(f"{CYCLE}/rounds", {"kind": "backfill"})
    assert city.freeze(BACKFILL).json()["draws"] is True
    refused = city.ann.post(f"{BACKFILL}/draw", {})
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "dice-missing")


def test_a_fresh_order_draws_new_numbers_for_all_children(city: City) -> None:
    say(city, "lincoln", backfill={"order": "fresh"})
    run_main(city)
    city.answer(first_at(city, "lincoln-kg"), "decline")
    city.ann.post(f"{CYCLE}/rounds", {"kind": "backfill"})
    assert city.freeze(BACKFILL).json()["draws"] is True


def test_a_round_for_one_seat_leaves_the_other_seats_alone(city: City) -> None:
    run_main(city)
    for _ in range(2):
        city.answer(first_at(city, "lincoln-kg"), "decline")
    city.run_backfill({"program": "lincoln-kg", "vacancy": 2})
    assert [one["status"] for one in city.vacancies("lincoln-kg")].count("filled") == 1
    assert list(city.seats().values()).count("lincoln-kg") == 2
    rules = city.service.stranger().get(f"{BACKFILL}/rules").json()["data"]
    assert {one["program"]: one["why_not"] for one in rules} == {"adams-kg": "other-seat", "lincoln-kg": None}
    assert city.service.stranger().get(BACKFILL).json()["seat"] == {"program": "lincoln-kg", "vacancy": 2}


def test_a_round_for_a_seat_that_is_not_free_is_refused(city: City) -> None:
    run_main(city)
    seat: Json = {"program": "lincoln-kg", "vacancy": 1}
    refused = city.ann.post(f"{CYCLE}/rounds", {"kind": "backfill", "seat": seat})
    assert (refused.status_code, refused.json()["code"]) == (409, "seat-not-free")


def test_a_child_keeps_the_seat_of_a_reserve_that_the_rules_no_longer_have(city: City) -> None:
    reserve: Json = [{"name": "ell", "seats": 1, "when": {"has": "ell"}}]
    say(city, "lincoln", reserves=reserve)
    run_main(city)
    before = city.seats()
    say(city, "lincoln", reserves=[])
    city.run_backfill()
    assert city.seats() == before
    assert {str(city.offers(child)[0]["group"]) for child in before} == {"open"}


def test_a_match_that_takes_a_seat_from_a_child_is_not_published(city: City) -> None:
    run_main(city)
    leaver = first_at(city, "lincoln-kg")
    with transaction(city.service.sessions) as session:
        # As if somebody had taken the program out behind the service's back.
        session.execute(update(Offering).where(Offering.program_id == "lincoln-kg").values(status="out"))
    city.ann.post(f"{CYCLE}/rounds", {"kind": "backfill"})
    frozen = city.freeze(BACKFILL)
    assert frozen.status_code == 200, frozen.text
    city.ann.post(f"{BACKFILL}/draw", {"dice": DICE} if frozen.json()["draws"] else {})
    city.ann.post(f"{BACKFILL}/match")
    city.service.run_job("match", "2027-backfill-1")
    refused = city.bea.post(f"{BACKFILL}/publish")
    assert (refused.status_code, refused.json()["code"]) == (409, "gate-closed")
    assert "held-seats-kept" in {fault["code"] for fault in refused.json()["errors"]}
    assert city.seats()[leaver] == "lincoln-kg"
