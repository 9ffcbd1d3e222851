"""The steps of a round: conditions, results, and access."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from enrollment.database import transaction
from enrollment.rounds.frozen_market import frozen_market
from enrollment.rounds.locks import read_round
from enrollment.rounds.match_job import store_if_right
from log_entries import entries
from lottery.engines import match_market
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, DICE, MAIN, City, apply, join, make_city


@pytest.fixture
def city(service: Service) -> City:
    return make_city(service)


def test_a_round_is_frozen_drawn_matched_and_published_by_a_second_administrator(city: City) -> None:
    city.close()
    made = city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    assert (made.status_code, made.json()["id"], made.json()["state"]) == (201, "2027-main", "open")
    frozen = city.freeze()
    assert (frozen.status_code, frozen.json()["state"]) == (200, "frozen"), frozen.text
    assert city.ann.post(f"{MAIN}/draw", {"dice": DICE}).json()["state"] == "drawn"
    requested = city.ann.post(f"{MAIN}/match")
    assert (requested.status_code, requested.json()["waiting"]) == (202, True)
    city.service.run_job("match", "2027-main")
    review = city.otto.get(f"{MAIN}/review").json()
    assert review["round"]["state"] == "matched"
    assert review["report"]["placed"] == 7
    assert {gate["problem"] for gate in review["gates"]} == {None}
    assert city.ann.post(f"{MAIN}/publish").json()["code"] == "second-person-needed"
    published = city.bea.post(f"{MAIN}/publish")
    assert published.json()["state"] == "published"
    assert city.service.stranger().get(MAIN).json() == published.json()


def test_the_log_has_an_entry_for_every_step(city: City) -> None:
    city.run_main()
    (freeze,), (draw,), (result,), (publish,) = (
        entries(city.service, f"round.{step}") for step in ("freeze", "draw", "result", "publish")
    )
    shown = city.ann.get(MAIN).json()
    assert freeze["applicants"] == 12
    assert freeze["excluded"] == []
    assert freeze["snapshot_root"] == shown["snapshot_root"]
    assert freeze["randomness"] == {"dice": True, "not_before": shown["dice_at"].replace("+00:00", "Z")}
    assert draw["freeze"] == shown["freeze"] == result["freeze"]
    assert draw["dice"] == DICE.replace(" ", "")
    assert result["seed"] == shown["seed"]
    assert result["engines"] == ["fast", "reference"]
    assert (publish["asked"], publish["approved"]) == ("ann", "bea")


def test_each_step_is_done_once_and_in_order(city: City) -> None:
    city.close()
    assert city.freeze().status_code == 404
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    assert city.ann.post(f"{CYCLE}/rounds", {"kind": "main"}).json()["code"] == "another-round"
    assert city.ann.post(f"{MAIN}/draw", {"dice": DICE}).json()["code"] == "other-state"
    assert city.freeze().status_code == 200
    assert city.freeze().json()["code"] == "other-state"
    assert city.ann.post(f"{MAIN}/match").json()["code"] == "other-state"
    assert city.bea.post(f"{MAIN}/publish").json()["code"] == "other-state"
    city.match()
    assert city.ann.post(f"{MAIN}/match").json()["code"] == "other-state"
    assert city.bea.post(f"{MAIN}/publish").status_code == 200
    assert city.bea.post(f"{MAIN}/publish").json()["code"] == "other-state"
    assert city.ann.post(f"{CYCLE}/rounds", {"kind": "main"}).json()["code"] == "another-round"


def test_an_outcome_is_neither_stored_nor_published_if_the_engines_differ(city: City) -> None:
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    city.freeze()
    city.ann.post(f"{MAIN}/draw", {"dice": DICE})
    with transaction(city.service.sessions) as session:
        round_ = read_round(session, "2027-main")
        market, seed = frozen_market(session, round_), round_.seed or b""
    right = match_market(market, seed=seed, engine="fast")
    one, other = right.waitlists[0], right.waitlists[0].applicants
    wrong = replace(right, waitlists=(replace(one, applicants=(*other[1:], other[0])), *right.waitlists[1:]))

    store_if_right(city.service.sessions, "2027-main", market, wrong, {})

    review = city.ann.get(f"{MAIN}/review").json()
    assert review["round"]["state"] == "drawn"
    assert "the reference gives other waitlists" in review["complaint"]
    assert city.bea.post(f"{MAIN}/publish").json()["code"] == "other-state"
    assert entries(city.service, "round.result") == []


def test_a_match_job_that_runs_twice_changes_nothing(city: City) -> None:
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    city.freeze()
    city.match()
    before = city.ann.get(f"{MAIN}/review").json()
    city.service.run_job("match", "2027-main")
    assert city.ann.get(f"{MAIN}/review").json() == before
    assert len(entries(city.service, "round.result")) == 1


def test_a_main_round_waits_for_the_deadline(city: City) -> None:
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    refused = city.freeze()
    assert (refused.status_code, refused.json()["code"]) == (409, "deadline-to-come")
    blocking = [one["code"] for one in city.ann.get(f"{CYCLE}/readiness").json()["findings"] if one["blocks"]]
    assert blocking == ["deadline-to-come"]


def test_dice_are_accepted_at_their_time_and_not_before(city: City) -> None:
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    city.ann.post(f"{MAIN}/freeze", {"dice_in_minutes": 60})
    assert city.ann.post(f"{MAIN}/draw", {"dice": DICE}).json()["code"] == "dice-to-come"


@pytest.mark.parametrize("dice", ["1234567890123456789", "12345 67890 12345 6789x", "6" * 1001])
def test_too_few_dice_and_other_characters_are_refused(city: City, dice: str) -> None:
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    city.freeze()
    refused = city.ann.post(f"{MAIN}/draw", {"dice": dice})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/dice")
    assert city.ann.get(MAIN).json()["state"] == "frozen"


def test_a_running_round_refuses_changes_of_what_the_match_reads(city: City) -> None:
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    city.freeze()
    ranking = f"{CYCLE}/applicants/child-00/ranking"
    etag = city.portal.get(ranking).headers["ETag"]
    assert city.portal.put(ranking, {"programs": ["adams-kg"]}, etag).json()["code"] == "round-running"
    participation = f"{CYCLE}/schools/lincoln/participation"
    assert city.lincoln.change(participation, {"status": "out", "reason": "We changed our mind"}).status_code == 409
    rules = f"{CYCLE}/programs/lincoln-kg/rules"
    assert city.lincoln.change(rules, {"rules": {"seats": {"match": 9}}, "reason": "More seats"}).status_code == 409


@pytest.mark.postgresql_errors("is refused")
def test_frozen_rows_cannot_be_changed_by_hand(city: City) -> None:
    city.run_main()
    for statement in (
        "UPDATE frozen_row SET line = line",
        "DELETE FROM frozen_program",
        "TRUNCATE exclusion",
        "DELETE FROM placement",
        "UPDATE waiting_place SET place = place + 1",
        "UPDATE cutoff SET filled = 0",
        "UPDATE round SET seed = NULL",
        "DELETE FROM round",
    ):
        with pytest.raises(DBAPIError, match="is refused"), transaction(city.service.sessions) as session:
            session.execute(text(statement))


def test_each_excluded_child_has_a_reason(city: City) -> None:
    apply(city.portal, "no-ranking", [])
    apply(city.portal, "gone", ["adams-kg"])
    etag = city.portal.get(f"{CYCLE}/applicants/gone").headers["ETag"]
    assert city.portal.delete(f"{CYCLE}/applicants/gone", etag).status_code == 204
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    city.freeze()
    (freeze,) = entries(city.service, "round.freeze")
    assert sorted(reason for _, reason in json.loads(json.dumps(freeze["excluded"]))) == ["no-ranking", "withdrawn"]
    assert city.ann.get(f"{MAIN}/review").json()["excluded"] == {"no-ranking": 1, "withdrawn": 1}


def test_a_school_that_left_and_children_who_ranked_only_it_are_not_in_the_market(city: City) -> None:
    apply(city.portal, "only-adams", ["adams-kg"])
    left = city.adams.change(
        f"{CYCLE}/schools/adams/participation", {"status": "out", "reason": "The building is not ready"}
    )
    assert left.status_code == 200, left.text
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    assert city.freeze().status_code == 200
    assert city.ann.get(f"{MAIN}/review").json()["excluded"] == {"ranked-only-withdrawn-programs": 1}


def test_a_family_reads_the_choice_on_its_list_as_submitted_when_a_school_left(service: Service) -> None:
    city = make_city(service, children=0, lincoln=3)
    for child in ("second-1", "second-2"):
        apply(city.portal, child, ["adams-kg", "lincoln-kg"])
    apply(city.portal, "first", ["lincoln-kg", "adams-kg"])
    out: Json = {"status": "out", "reason": "The building is not ready"}
    assert city.adams.change(f"{CYCLE}/schools/adams/participation", out).status_code == 200
    assert city.ann.post(f"{CYCLE}/rounds", {"kind": "main"}).status_code == 201
    requested = city.ann.post(f"{MAIN}/rehearse").json()
    city.service.run_job("rehearse", requested["id"])
    rehearsal = city.ann.get(f"{MAIN}/rehearsals/{requested['id']}").json()["totals"]
    city.close()
    assert city.freeze().status_code == 200
    city.match()
    report = city.ann.get(f"{MAIN}/review").json()["report"]
    for totals in (rehearsal, report):
        assert totals["by_choice"] == [{"choice": 1, "applicants": 1}, {"choice": 2, "applicants": 2}]
        assert [grade["first_choice"] for grade in totals["by_grade"] if grade["placed"]] == [1]
        assert [demand["first_choices"] for demand in totals["demand"]] == [1]
    assert city.bea.post(f"{MAIN}/publish").status_code == 200
    for child, choice in {"first": 1, "second-1": 2, "second-2": 2}.items():
        path = f"{CYCLE}/applicants/{child}"
        assert city.portal.get(f"{path}/result").json()["placement"]["choice"] == choice
        assert city.offers(child)[0]["choice"] == choice
        explained = city.portal.get(f"{path}/explanation").json()
        told = "This was your first choice." if choice == 1 else "This was choice 2 of 2 on your list."
        left = "One choice on your list was not in this round, because the school left the lottery."
        assert {told, left, f"Choice {3 - choice}: adams KG (not in this round)"} <= set(explained["lines"])
        assert explained["facts"]["placement"]["choice"] == choice
        assert explained["facts"]["left_out"] == [{"program": "adams-kg", "choice": 3 - choice, "given_up": False}]


def test_a_ranking_that_is_missing_in_the_log_stops_the_freeze(city: City) -> None:
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    with transaction(city.service.sessions) as session:
        session.execute(text("UPDATE child SET last_leaf = '\\x00' WHERE id = (SELECT id FROM child LIMIT 1)"))
    refused = city.freeze()
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "log-disagrees")
    assert city.ann.get(MAIN).json()["state"] == "open"


def test_two_administrators_void_a_round_and_a_second_attempt_follows(city: City) -> None:
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    assert city.ann.post(f"{MAIN}/void", {"reason": "A mistake in the dice"}).json()["code"] == "other-state"
    city.freeze()
    first = city.ann.post(f"{MAIN}/void", {"reason": "A school had the wrong zone"})
    assert (first.status_code, first.json()["round"]["state"]) == (202, "frozen")
    assert city.ann.post(f"{MAIN}/void", {"reason": "I say it again"}).json()["code"] == "second-person-needed"
    second = city.bea.post(f"{MAIN}/void", {"reason": "Seen, and so it is"})
    assert second.json()["round"]["state"] == "void"
    (entry,) = entries(city.service, "round.void")
    assert (entry["asked"], entry["approved"], entry["after_draw"]) == ("ann", "bea", True)
    again = city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    assert (again.json()["id"], again.json()["attempt"]) == ("2027-main.2", 2)
    assert city.freeze("/v1/rounds/2027-main.2").status_code == 200
    assert city.ann.get(MAIN).json()["state"] == "void"


def test_only_administrators_run_rounds_and_others_read_them(city: City) -> None:
    for caller in (city.lincoln, city.portal, city.otto):
        assert caller.post(f"{CYCLE}/rounds", {"kind": "main"}).status_code == 403
    city.run_main()
    for caller in (city.lincoln, city.portal):
        assert caller.get(f"{MAIN}/review").status_code == 403
        assert caller.get(f"{CYCLE}/readiness").status_code == 403
    assert city.service.stranger().get(f"{MAIN}/review").status_code == 401


def test_a_school_sees_its_own_totals_of_a_rehearsal(city: City) -> None:
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    requested = city.ann.post(f"{MAIN}/rehearse")
    assert (requested.status_code, requested.json()["state"]) == (202, "waiting")
    rehearsal = f"{MAIN}/rehearsals/{requested.json()['id']}"
    city.service.run_job("rehearse", requested.json()["id"])
    totals = city.ann.get(rehearsal).json()["totals"]
    assert (totals["placed"], totals["complaints"]) == (7, [])
    totals = city.lincoln.get(rehearsal).json()["totals"]
    assert [program["program"] for program in totals["demand"]] == ["lincoln-kg"]
    assert set(totals) == {"demand"}
    assert len(entries(city.service, "round.rehearsal")) == 1
    assert city.ann.get(MAIN).json()["state"] == "open"


def test_readiness_lists_what_does_not_count_yet(city: City) -> None:
    city.portal.post(f"{CYCLE}/applicants/child-00/claims", {"fact": "sibling", "school": "lincoln"})
    city.portal.put(f"{CYCLE}/applicants/drafter", {"grade": "KG", "child": {**_child()}})
    city.portal.put(f"{CYCLE}/applicants/drafter/ranking", {"programs": ["adams-kg"], "draft": True})
    city.close()
    readiness = city.ann.get(f"{CYCLE}/readiness").json()
    assert readiness["ready"] is True
    assert {one["code"]: one["number"] for one in readiness["findings"]} == {"pending-claims": 1, "only-drafts": 1}
    assert (readiness["applicants"], readiness["seats"], readiness["excluded"]) == (12, 7, {"no-ranking": 1})


def test_readiness_lists_a_guarantee_for_more_children_than_seats(service: Service) -> None:
    city = make_city(service, children=0)
    apply(city.portal, "one", ["lincoln-kg"])
    join(city.lincoln, "lincoln", 0)
    codes = {one["code"] for one in city.ann.get(f"{CYCLE}/readiness").json()["findings"]}
    assert "no-seats" in codes


def test_readiness_lists_rules_that_cannot_do_what_they_say(service: Service) -> None:
    city = make_city(service, children=0)
    apply(city.portal, "one", ["lincoln-kg"])
    reserve: Json = {"name": "ell", "percent": 10, "when": {"has": "ell"}}
    rules: Json = {"rules": {"seats": {"match": 3}, "reserves": [reserve]}, "reason": "A try"}
    proposed = city.lincoln.change(f"{CYCLE}/programs/lincoln-kg/rules", rules)
    assert proposed.status_code == 202, proposed.text
    city.ann.post(f"/v1/rules-changes/{proposed.json()['change']['id']}/approve", {"reason": "Seen"})
    findings = city.ann.get(f"{CYCLE}/readiness").json()["findings"]
    found = {(one["code"], one["about"], one["number"], one["blocks"]) for one in findings}
    assert ("reserve-without-seats", "lincoln-kg", 1, False) in found
    assert ("unknown-word", "lincoln-kg", 1, False) in found


def _child() -> dict[str, str]:
    return {"given_name": "Ben", "family_name": "Example", "birth_date": "2022-05-01"}
