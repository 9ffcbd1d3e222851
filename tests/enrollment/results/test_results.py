"""The results of a published round for partners, schools, auditors and the public."""

import hashlib
import json
from pathlib import Path

import pytest

import lottery
from log_entries import entries
from lottery.cli.main import main
from lottery.explain.explainer import Explainer, Extract
from lottery.explain.small_groups import without_small_groups
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import seed_of
from people import Service
from rounds_by_hand import CYCLE, DICE, MAIN, City, a_day_later, apply, make_city


@pytest.fixture
def city(service: Service) -> City:
    """Return a city in which one child has an approved sibling at Lincoln, and its main round is published."""
    city = make_city(service)
    rules: Json = {
        "rules": {
            "seats": {"match": 3},
            "classes": [{"name": "sibling", "when": {"at_school": "sibling"}}],
            "backfill": {"order": "waitlist"},
        },
        "reason": "As every year",
    }
    proposed = city.lincoln.change(f"{CYCLE}/programs/lincoln-kg/rules", rules)
    assert proposed.status_code in (200, 202), proposed.text
    for change in city.ann.get(f"{CYCLE}/rules-changes").json()["data"]:
        answer = city.ann.post(f"/v1/rules-changes/{change['id']}/approve", {"reason": "Looked at"})
        assert answer.status_code == 200, answer.text
    claim = city.portal.post(f"{CYCLE}/applicants/child-05/claims", {"fact": "sibling", "school": "lincoln"})
    decided = city.lincoln.post(f"/v1/claims/{claim.json()['id']}/approve", {"basis": "verified", "reason": "On roll"})
    assert decided.status_code == 200, decided.text
    return city


def test_a_child_has_no_result_before_the_round_is_published(city: City) -> None:
    for what in ("result", "waitlists", "explanation"):
        answer = city.portal.get(f"{CYCLE}/applicants/child-00/{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "results-not-published")
    city.close()
    city.ann.post(f"{CYCLE}/rounds", {"kind": "main"})
    city.freeze()
    city.match()
    assert city.portal.get(f"{CYCLE}/applicants/child-00/result").json()["code"] == "results-not-published"
    assert city.service.stranger().get(f"{MAIN}/cutoffs").json()["code"] == "results-not-published"


def test_a_school_previews_the_priority_classes_of_the_children_who_rank_it(city: City) -> None:
    listed = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/applicants").json()
    assert (listed["round"], listed["by_class"]) == (None, {"general": 11, "sibling": 1})
    ticket = city.tickets()["child-05"]
    (first,) = [one for one in listed["applicants"] if one["ticket"] == ticket]
    assert first["reason"] == "The child has a brother or sister at this school."
    assert city.adams.get(f"{CYCLE}/programs/lincoln-kg/applicants").status_code == 404


def test_a_partner_sees_results_places_and_reasons_of_its_own_applicants(city: City) -> None:
    city.run_main()
    result = city.portal.get(f"{CYCLE}/applicants/child-05/result").json()
    assert result["placement"] == {
        "program": "lincoln-kg",
        "program_name": "lincoln KG",
        "school": "lincoln",
        "school_name": "Lincoln",
        "group": "open",
        "choice": 1,
    }
    assert result["placement_status"] == "open"
    assert "In this round, your child got a seat at lincoln KG." in result["round_detail"]
    assert "Your child has been offered a seat at lincoln KG. Please answer before " in result["now"]["detail"]
    results = [city.portal.get(f"{CYCLE}/applicants/child-{number:02}/result").json() for number in range(12)]
    assert sum(one["placement"] is None for one in results) == 5
    out = next(one for one in results if one["placement"] is None)
    places = city.portal.get(f"{CYCLE}/applicants/{out['reference']}/waitlists").json()["places"]
    assert [place["program"] for place in places] == ["adams-kg", "lincoln-kg"]
    explanation = city.portal.get(f"{CYCLE}/applicants/{out['reference']}/explanation").json()
    assert explanation["lines"][2] == "Your child did not get a seat in this round."
    assert [program["program"] for program in explanation["facts"]["programs"]] == ["lincoln-kg", "adams-kg"]
    other = city.service.partner("network")
    assert other.get(f"{CYCLE}/applicants/child-05/result").status_code == 404


def test_an_explanation_equals_the_explanation_from_the_files_without_small_groups(city: City, tmp_path: Path) -> None:
    city.run_main()
    market, outcome, draw = download(city, tmp_path)
    for reference, ticket in city.tickets().items():
        explanation = city.portal.get(f"{CYCLE}/applicants/{reference}/explanation").json()
        extract = Extract.whole(lottery.load_market(market), lottery.load_outcome(outcome))
        told = without_small_groups(Explainer(extract).explain(ticket), large=(), waiting=())
        assert explanation["facts"] == json.loads(json.dumps(told.document()))
    assert json.loads(draw.read_bytes())["dice"] == DICE.replace(" ", "")


def download(city: City, folder: Path, round_: str = MAIN) -> tuple[Path, Path, Path]:
    """Download a round's files as an auditor."""
    paths = []
    for name in ("market", "outcome", "draw"):
        answer = city.otto.get(f"{round_}/{name}")
        assert answer.status_code == 200, answer.text
        path = folder / f"{name}.json"
        path.write_bytes(answer.content)
        paths.append(path)
    return paths[0], paths[1], paths[2]


def test_the_files_verify_and_match_again_to_the_same_bytes(city: City, tmp_path: Path) -> None:
    city.run_main()
    market, outcome, draw = download(city, tmp_path)
    assert main(["verify", str(market), str(outcome)]) == 0
    drawn = json.loads(draw.read_bytes())
    seed = seed_of(freeze_leaf=bytes.fromhex(drawn["freeze"]), dice=drawn["dice"])
    assert seed.hex() == drawn["seed"]
    again = tmp_path / "again.json"
    assert main(["match", str(market), "--seed", seed.hex(), "-o", str(again)]) == 0
    assert again.read_bytes() == outcome.read_bytes()
    reads = [(entry["file"], entry["reader"]) for entry in entries(city.service, "record.read")]
    assert reads == [("market.json", "otto"), ("outcome.json", "otto"), ("draw.json", "otto")]


def test_the_seed_follows_from_what_anybody_reads(city: City, tmp_path: Path) -> None:
    city.run_main()
    city.service.sequence()
    stranger = city.service.stranger()
    files = {"round.json": MAIN, "entries.json": "/v1/log/entries"}
    for name, path in files.items():
        (tmp_path / name).write_bytes(stranger.get(path).content)
    assert main(["check-seed", *(str(tmp_path / name) for name in files)]) == 0
    _, _, draw = download(city, tmp_path)
    assert main(["check-seed", str(draw), str(tmp_path / "entries.json")]) == 0


def test_the_log_the_round_and_the_downloads_have_one_digest_for_each_file(city: City, tmp_path: Path) -> None:
    city.run_main()
    (result,) = entries(city.service, "round.result")
    manifest = json.loads(json.dumps(result["manifest"]))
    market, outcome, draw = download(city, tmp_path)
    assert manifest == {path.name: sha256(path) for path in (market, outcome, draw)}
    shown = city.service.stranger().get(MAIN).json()
    assert (shown["market_digest"], shown["outcome_digest"]) == (sha256(market), sha256(outcome))


def sha256(path: Path) -> str:
    """Return a file's digest as the service writes it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_nobody_but_an_auditor_downloads_a_round(city: City) -> None:
    city.run_main()
    for caller in (city.ann, city.lincoln, city.portal):
        assert caller.get(f"{MAIN}/market").status_code == 403
    assert city.service.stranger().get(f"{MAIN}/market").status_code == 401


def test_a_school_sees_placed_and_waiting_children_with_class_and_reason(city: City) -> None:
    city.run_main()
    listed = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/applicants").json()
    assert listed["by_class"] == {"general": 2, "sibling": 1}
    assert {one["child"]["given_name"] for one in listed["applicants"]} == {"Ada"}
    waiting = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/waitlist").json()["waiting"]
    assert [one["place"] for one in waiting] == list(range(1, 10))
    assert {one["reason"] for one in waiting} == {"The child has no priority at this program."}
    assert city.adams.get(f"{CYCLE}/programs/lincoln-kg/waitlist").status_code == 404


def test_an_auditor_sees_no_names_and_the_log_records_each_read(city: City) -> None:
    city.run_main()
    listed = city.otto.get(f"{CYCLE}/programs/lincoln-kg/applicants").json()
    assert {one["child"] for one in listed["applicants"]} == {None}
    city.otto.get(f"{CYCLE}/programs/lincoln-kg/waitlist")
    assert [entry["what"] for entry in entries(city.service, "record.read")] == ["applicants", "waitlist"]


def test_the_public_sees_cutoffs_and_report_without_small_numbers(city: City) -> None:
    city.run_main()
    stranger = city.service.stranger()
    cutoffs = stranger.get(f"{MAIN}/cutoffs").json()["cutoffs"]
    assert [(one["program"], one["seats"], one["filled"], one["last"]) for one in cutoffs] == [
        ("adams-kg", 4, None, None),
        ("lincoln-kg", 3, None, None),
    ]
    report = stranger.get(f"{MAIN}/report").json()
    assert (report["applicants"], report["placed"], report["unplaced"], report["seats"]) == (12, None, None, 7)
    assert {one["applicants"] for one in report["by_choice"]} == {None}
    assert report["vacancies"] is None


def test_a_cutoff_of_a_large_group_has_four_digits(service: Service) -> None:
    city = make_city(service, children=24, lincoln=12, adams=0)
    city.run_main()
    stranger = service.stranger()
    (lincoln,) = [one for one in stranger.get(f"{MAIN}/cutoffs").json()["cutoffs"] if one["program"] == "lincoln-kg"]
    assert (lincoln["seats"], lincoln["last"]["priority_class"], len(lincoln["last"]["number"])) == (12, "general", 4)


def test_the_rules_in_force_are_public_in_market_form_and_in_sentences(city: City) -> None:
    city.run_main()
    rules = city.service.stranger().get(f"{MAIN}/rules").json()["data"]
    assert [one["program"] for one in rules] == ["adams-kg", "lincoln-kg"]
    assert rules[1]["market"]["seats"] == 3
    assert "Priority 1, “sibling”: a child who has a brother or sister at this school." in rules[1]["sentences"]


def test_a_backfill_round_fills_a_vacated_seat_and_includes_new_children(city: City, tmp_path: Path) -> None:
    city.run_main()
    tickets = city.tickets()
    placed = next(
        reference
        for reference in tickets
        if (city.portal.get(f"{CYCLE}/applicants/{reference}/result").json()["placement"] or {}).get("school")
        == "lincoln"
        and reference != "child-05"
    )
    a_day_later(city.service)
    etag = city.portal.get(f"{CYCLE}/applicants/{placed}").headers["ETag"]
    assert city.portal.delete(f"{CYCLE}/applicants/{placed}", etag).status_code == 204
    apply(city.portal, "newcomer", ["lincoln-kg"])
    made = city.ann.post(f"{CYCLE}/rounds", {"kind": "backfill"})
    backfill = f"/v1/rounds/{made.json()['id']}"
    assert made.json()["id"] == "2027-backfill-1"
    frozen = city.freeze(backfill)
    assert frozen.status_code == 200, frozen.text
    city.match(backfill)
    assert city.bea.post(f"{backfill}/publish").status_code == 200
    market, outcome, draw = download(city, tmp_path, backfill)
    main_seed = json.loads(draw.read_bytes())["seeds"]["2027-main"]
    assert main(["verify", str(market), str(outcome), "--seed-of", f"2027-main={main_seed}"]) == 0
    kept = [
        city.portal.get(f"{CYCLE}/applicants/{reference}/result").json() for reference in tickets if reference != placed
    ]
    assert sum(one["placement"] is not None for one in kept) == 7
    newcomer = city.portal.get(f"{CYCLE}/applicants/newcomer/result").json()
    assert (newcomer["round"], newcomer["placement"]) == ("2027-backfill-1", None)
    before = city.portal.get(f"{CYCLE}/applicants/newcomer/result?round=2027-main").json()
    assert before["excluded"] == "too-late"
    explanation = city.portal.get(f"{CYCLE}/applicants/newcomer/explanation").json()
    assert explanation["facts"]["programs"][0]["groups"][0]["waitlist"]["place"] == 9


def test_a_family_reads_results_and_refusals_in_its_own_language(city: City) -> None:
    path = f"{CYCLE}/applicants/child-05"
    refused = city.portal.get(f"{path}/result", {"Accept-Language": "es-MX, en;q=0.5"})
    assert (refused.json()["title"], refused.headers["Content-Language"]) == ("Resultados no publicados", "es")
    city.run_main()
    spanish = city.portal.get(f"{path}/explanation", {"Accept-Language": "es"}).json()
    assert (spanish["language"], spanish["direction"]) == ("es", "ltr")
    assert spanish["lines"][2] == "Su hijo o hija obtuvo un cupo en lincoln KG en esta ronda."
    arabic = city.portal.get(f"{path}/explanation", {"Accept-Language": "ar"}).json()
    assert (arabic["language"], arabic["direction"]) == ("ar", "rtl")
    rules = city.lincoln.get(f"{CYCLE}/programs/lincoln-kg/rules", {"Accept-Language": "es"}).json()
    assert rules["sentences"][0] == "Hay 3 cupos."
