"""What holds of every match, said of markets that Hypothesis draws; `oracle` reads the specification a second time."""

import hashlib
import hmac
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lottery
import oracle
from lottery.engines import Engine
from lottery.market.canonical import Json, canonical_line
from markets import (
    EARLIER_SEEDS,
    MAIN,
    TICKETS,
    backfill_after,
    backfill_markets,
    in_any_order,
    main_markets,
    plain_markets,
    seeds,
)
from match_examples import examples
from oracle import Applicant, Market, Place, Program, Round, Standing


def all_markets() -> st.SearchStrategy[Json]:
    return st.one_of(main_markets(), backfill_markets())


def earlier(market: Json) -> dict[str, bytes]:
    return {name: seed for name, seed in EARLIER_SEEDS.items() if name != read(market)["round"]["id"]}


def matched(market: Json, seed: bytes) -> lottery.Outcome:
    """Match by the reference, which is sooner done on markets so small; that both give the same is tested below."""
    return lottery.match_market(lottery.read_market(market), seed=seed, seeds=earlier(market), engine=Engine.REFERENCE)


def document_of(outcome: lottery.Outcome) -> dict[str, Json]:
    return cast("dict[str, Json]", json.loads(outcome.to_bytes()))


def read(market: Json) -> Market:
    return cast("Market", market)


def judge(market: Json, seed: bytes) -> Round:
    return Round(oracle.written_out(market), seed, earlier(market))


def array(document: Mapping[str, Json], key: str) -> Sequence[Mapping[str, Json]]:
    return cast("Sequence[Mapping[str, Json]]", document[key])


def placed_in(document: Mapping[str, Json]) -> dict[str, Place]:
    placements = cast("Sequence[Mapping[str, str]]", document["placements"])
    return {each["applicant"]: Place(each["program"], each["group"]) for each in placements}


def changed(market: Json, applicant: Applicant, ranking: Sequence[str]) -> Json:
    """The market in which one applicant submits another ranking."""
    told = read(market)
    applicants = [
        {**each, "ranking": list(ranking)} if each["id"] == applicant["id"] else each for each in told["applicants"]
    ]
    return cast("Json", {**told, "applicants": applicants})


def seats_of(this: Round) -> dict[Place, int]:
    return {
        Place(program["id"], group): seats
        for program in this.market["programs"]
        for group, seats in this.seats(program).items()
    }


def wishes_of(this: Round, placed: Mapping[str, Place]) -> dict[str, dict[Place, Standing]]:
    """What everybody wishes, best first, and how they stand there, judged by what was placed before their grade."""
    wishes: dict[str, dict[Place, Standing]] = {}
    for grade in this.grades():
        sibling_schools = this.sibling_schools({ticket: placed[ticket] for ticket in wishes if ticket in placed})
        wishes |= {applicant["id"]: this.wishes(applicant, sibling_schools) for applicant in this.applicants(grade)}
    return wishes


def preferred(
    wishes: Mapping[str, Mapping[Place, Standing]], placed: Mapping[str, Place]
) -> Iterator[tuple[str, Place, Standing]]:
    """Everybody, with each seat group that they are considered at and prefer to where they ended."""
    for ticket, places in wishes.items():
        for place, standing in places.items():
            if placed.get(ticket) == place:
                break
            yield ticket, place, standing


# ---- the same as a second reading of the specification


def same_as_the_oracle(market: Json, seed: bytes, earlier_seeds: Mapping[str, bytes]) -> None:
    parsed = lottery.read_market(market)
    assert parsed.digest() == oracle.digest(market)
    expected = {
        "format": "lottery-outcome/1",
        "market": oracle.digest(market),
        "seed": seed.hex(),
        **oracle.outcome(market, seed=seed, seeds=earlier_seeds),
    }
    for engine in Engine:
        outcome = lottery.match_market(parsed, seed=seed, seeds=earlier_seeds, engine=engine)
        assert document_of(outcome) == expected, engine
        assert json.loads(canonical_line(outcome.document())) == document_of(outcome)


@examples(600)
@given(main_markets(), seeds())
def test_a_main_round_is_the_match_on_expanded_rankings(market: Json, seed: bytes) -> None:
    same_as_the_oracle(market, seed, earlier(market))


@examples(600)
@given(backfill_markets(), seeds())
def test_a_backfill_round_is_the_match_on_expanded_rankings(market: Json, seed: bytes) -> None:
    same_as_the_oracle(market, seed, earlier(market))


@examples(400)
@given(main_markets(), seeds(), seeds(), st.data())
def test_a_backfill_round_after_a_main_round_is_the_match_on_expanded_rankings(
    market: Json, first: bytes, second: bytes, data: st.DataObject
) -> None:
    after = data.draw(backfill_after(market, document_of(matched(market, first))))
    same_as_the_oracle(after, second, {**EARLIER_SEEDS, MAIN: first})


# ---- what is promised to everybody


@examples(150)
@given(all_markets(), seeds())
def test_everybody_is_told_once_and_sits_only_where_they_are_considered_and_there_is_a_seat(
    market: Json, seed: bytes
) -> None:
    document = document_of(matched(market, seed))
    this, placed = judge(market, seed), placed_in(document)
    told = [*(cast("str", each["applicant"]) for each in array(document, "placements"))]
    told += cast("list[str]", document["unplaced"])
    assert sorted(told) == sorted(applicant["id"] for applicant in read(market)["applicants"])
    seats, wishes = seats_of(this), wishes_of(this, placed)
    assert all(count <= seats[place] for place, count in Counter(placed.values()).items())
    assert all(place in wishes[ticket] for ticket, place in placed.items())
    in_all = Counter(place.program for place in placed.values())
    assert all(in_all[program["id"]] <= program["seats"] for program in read(market)["programs"])


@examples(150)
@given(all_markets(), seeds())
def test_choices_are_counted_in_the_ranking_as_submitted(market: Json, seed: bytes) -> None:
    document = document_of(matched(market, seed))
    applicants = {applicant["id"]: applicant for applicant in read(market)["applicants"]}
    for placement in array(document, "placements"):
        applicant = applicants[cast("str", placement["applicant"])]
        choice, held = cast("int | None", placement["choice"]), applicant.get("holds")
        if choice is not None:
            assert applicant["ranking"][choice - 1] == placement["program"]
        else:
            assert placement["program"] not in applicant["ranking"]
            assert held is not None
            assert (held["program"], held.get("group", "open")) == (placement["program"], placement["group"])


@examples(200)
@given(all_markets(), seeds())
def test_no_seat_that_somebody_prefers_stays_empty(market: Json, seed: bytes) -> None:
    this, placed = judge(market, seed), placed_in(document_of(matched(market, seed)))
    seats, filled = seats_of(this), Counter(placed.values())
    wasted = [
        (ticket, place)
        for ticket, place, _ in preferred(wishes_of(this, placed), placed)
        if filled[place] < seats[place]
    ]
    assert wasted == []


@examples(200)
@given(all_markets(), seeds())
def test_nobody_sits_where_somebody_with_a_better_standing_would_rather_be(market: Json, seed: bytes) -> None:
    this, placed = judge(market, seed), placed_in(document_of(matched(market, seed)))
    wishes = wishes_of(this, placed)
    envy = [
        (ticket, place, seated)
        for ticket, place, standing in preferred(wishes, placed)
        for seated, seat in placed.items()
        if seat == place and standing < wishes[seated][place]
    ]
    assert envy == []


@examples(150)
@given(all_markets(), seeds())
def test_waitlists_are_exactly_those_who_prefer_the_program_in_order_of_standing(market: Json, seed: bytes) -> None:
    document = document_of(matched(market, seed))
    this, placed = judge(market, seed), placed_in(document)
    waiting: dict[Place, list[tuple[Standing, str]]] = {}
    for ticket, place, standing in preferred(wishes_of(this, placed), placed):
        if ticket not in placed or placed[ticket].program != place.program:
            waiting.setdefault(place, []).append((standing, ticket))
    assert {
        Place(cast("str", each["program"]), cast("str", each["group"])): each["applicants"]
        for each in array(document, "waitlists")
    } == {place: [ticket for _, ticket in sorted(line)] for place, line in waiting.items()}


@examples(200)
@given(all_markets(), seeds())
def test_a_holder_ends_in_the_held_seat_or_higher(market: Json, seed: bytes) -> None:
    placed = placed_in(document_of(matched(market, seed)))
    for applicant in read(market)["applicants"]:
        held = applicant.get("holds")
        if held is not None:
            program = placed[applicant["id"]].program
            ranking = [*applicant["ranking"], held["program"]]
            assert ranking.index(program) <= ranking.index(held["program"])
            if program == held["program"]:
                assert placed[applicant["id"]].group == held.get("group", "open")


# ---- nothing but the market and the seed


@examples(200)
@given(all_markets(), seeds(), st.data())
def test_the_order_in_which_a_market_is_written_changes_no_byte(market: Json, seed: bytes, data: st.DataObject) -> None:
    turned = data.draw(in_any_order(market))
    assert matched(turned, seed).to_bytes() == matched(market, seed).to_bytes()


@examples(100)
@given(all_markets(), seeds())
def test_writing_the_defaults_out_changes_no_byte(market: Json, seed: bytes) -> None:
    told = cast("Json", oracle.written_out(market))
    assert matched(told, seed).to_bytes() == matched(market, seed).to_bytes()


@examples(50)
@given(all_markets(), seeds())
def test_a_second_run_gives_the_same_bytes(market: Json, seed: bytes) -> None:
    parsed = lottery.read_market(market)
    first, second = (lottery.match_market(parsed, seed=seed, seeds=earlier(market)) for _ in range(2))
    assert first.to_bytes() == second.to_bytes() == matched(market, seed).to_bytes()


CASE = Path(__file__).parents[1] / "cases" / "everything_backfill_round.json"
IN_ANOTHER_PROCESS = """
import json, pathlib, sys
import lottery
case = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
seeds = {name: bytes.fromhex(seed) for name, seed in case["seeds"].items()}
outcome = lottery.match_market(lottery.read_market(case["market"]), seed=bytes.fromhex(case["seed"]), seeds=seeds)
sys.stdout.buffer.write(outcome.to_bytes())
"""


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242", "random"])
def test_another_process_with_another_hash_seed_gives_the_same_bytes(hash_seed: str) -> None:
    case = json.loads(CASE.read_text(encoding="utf-8"))
    earlier_seeds = {name: bytes.fromhex(seed) for name, seed in case["seeds"].items()}
    here = lottery.match_market(
        lottery.read_market(case["market"]), seed=bytes.fromhex(case["seed"]), seeds=earlier_seeds
    )
    there = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, str(CASE)],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert there.stdout == here.to_bytes()


def lottery_number(market: Market, program: Program, applicant: Applicant, seed: bytes) -> str:
    """The number as compared, by section 5 alone: from the seed, the ticket and the rules, and from nobody else."""
    policy, order = market.get("policy", {}), "waitlist"
    if market["round"]["kind"] == "backfill":
        order = program.get("backfill", {}).get("order", "waitlist")
    drawn_in = applicant.get("drawn_in", market["round"]["id"])
    key = seed if order == "fresh" or drawn_in == market["round"]["id"] else EARLIER_SEEDS[drawn_in]
    scope = "*" if (program.get("tie_break") or policy.get("tie_break", "single")) == "single" else program["id"]
    household = applicant.get("household") if policy.get("twins", "separate") == "share" else None
    subject = applicant["id"] if household is None else f"{household}/{applicant['grade']}"
    message = f"enroll-lottery/v1/lottery\0{scope}\0{subject}".encode()
    number = hmac.digest(key, message, hashlib.sha256)
    return bytes(byte ^ 0xFF for byte in number).hex() if order == "reverse" else number.hex()


@examples(200)
@given(plain_markets(most_applicants=10), seeds(), st.data())
def test_nobody_s_number_hangs_on_who_else_is_there(market: Json, seed: bytes, data: st.DataObject) -> None:
    told = read(market)
    stay = data.draw(st.permutations(told["applicants"]))[: data.draw(st.integers(0, len(told["applicants"])))]
    fewer = cast("Json", {**told, "applicants": stay})
    programs = {program["id"]: program for program in told["programs"]}
    for present, document in (
        (told["applicants"], document_of(matched(market, seed))),
        (stay, document_of(matched(fewer, seed))),
    ):
        placed = placed_in(document)
        for cutoff in array(document, "cutoffs"):
            last = cast("Mapping[str, Json] | None", cutoff["last"])
            place = Place(cast("str", cutoff["program"]), cast("str", cutoff["group"]))
            if last is not None and "number" in last:
                seated = [applicant for applicant in present if placed.get(applicant["id"]) == place]
                assert last["number"] in [lottery_number(told, programs[place.program], each, seed) for each in seated]


@examples(100)
@given(st.lists(st.sampled_from(TICKETS), min_size=1, unique=True), st.sampled_from(("single", "multiple")), seeds())
def test_a_crowd_stands_in_the_order_of_the_numbers_that_each_has_alone(
    tickets: list[str], tie_break: str, seed: bytes
) -> None:
    def one_seat(*present: str) -> Mapping[str, Json]:
        market: Json = {
            "format": "lottery-market/1",
            "round": {"id": MAIN, "kind": "main"},
            "policy": {"tie_break": tie_break},
            "programs": [{"id": "oak", "school": "oak", "grade": "KG", "seats": 1}],
            "applicants": [{"id": ticket, "grade": "KG", "ranking": ["oak"]} for ticket in present],
        }
        return document_of(matched(market, seed))

    def last_number(document: Mapping[str, Json]) -> Json:
        return cast("Mapping[str, Json]", array(document, "cutoffs")[0]["last"])["number"]

    alone = {ticket: cast("str", last_number(one_seat(ticket))) for ticket in tickets}
    crowd = one_seat(*tickets)
    first, *others = sorted(tickets, key=lambda ticket: alone[ticket])
    assert placed_in(crowd) == {first: Place("oak", "open")}
    assert last_number(crowd) == alone[first]
    assert [each["applicants"] for each in array(crowd, "waitlists")] == ([others] if others else [])


# ---- truth is best, within a round and without siblings


def rank_of(true_ranking: Sequence[str], place: Place | None) -> int:
    """How good a place is by a true ranking: 0 is best, no place is worse than all ranked, any other worse still."""
    if place is None:
        return len(true_ranking)
    return true_ranking.index(place.program) if place.program in true_ranking else len(true_ranking) + 1


def reports(programs: Sequence[str], *, most: int) -> Iterator[tuple[str, ...]]:
    """Every ranking of up to so many programs."""
    return itertools.chain.from_iterable(itertools.permutations(programs, length) for length in range(most + 1))


@examples(120)
@given(plain_markets(), seeds())
def test_no_other_ranking_gets_anybody_a_better_place(market: Json, seed: bytes) -> None:
    this, honest = judge(market, seed), placed_in(document_of(matched(market, seed)))
    programs = [program["id"] for program in this.market["programs"]]
    for applicant in this.market["applicants"]:
        true_ranking = this.ranking(applicant, {})
        for ranking in reports(programs, most=4):
            gamed = placed_in(document_of(matched(changed(market, applicant, ranking), seed)))
            ticket = applicant["id"]
            assert rank_of(true_ranking, honest.get(ticket)) <= rank_of(true_ranking, gamed.get(ticket)), (
                ticket,
                ranking,
            )


def matchings(wishes: Mapping[str, Sequence[Place]], seats: Mapping[Place, int]) -> Iterator[dict[str, Place]]:
    """Every way to give applicants a wished seat or none."""
    for choice in itertools.product(*((*places, None) for places in wishes.values())):
        matching = {ticket: place for ticket, place in zip(wishes, choice, strict=True) if place is not None}
        if all(count <= seats[place] for place, count in Counter(matching.values()).items()):
            yield matching


def is_stable(
    matching: Mapping[str, Place], wishes: Mapping[str, Mapping[Place, Standing]], seats: Mapping[Place, int]
) -> bool:
    for _, place, standing in preferred(wishes, matching):
        seated = [wishes[other][place] for other, seat in matching.items() if seat == place]
        if len(seated) < seats[place] or any(standing < other for other in seated):
            return False
    return True


@examples(150)
@given(plain_markets(most_programs=3, most_applicants=4), seeds())
def test_no_stable_matching_is_better_for_anybody(market: Json, seed: bytes) -> None:
    this, engine = judge(market, seed), placed_in(document_of(matched(market, seed)))
    seats, wishes = seats_of(this), wishes_of(this, {})
    order = {ticket: list(places) for ticket, places in wishes.items()}
    stable = [each for each in matchings(order, seats) if is_stable(each, wishes, seats)]
    assert engine in stable
    for ticket, places in order.items():
        best = min(places.index(each[ticket]) if ticket in each else len(places) for each in stable)
        assert (places.index(engine[ticket]) if ticket in engine else len(places)) == best


@st.composite
def drawn_by_hand(draw: st.DrawFn) -> Json:
    """A plain market in which every program has its own list of everybody, so that one place in it can be changed."""
    told = read(draw(plain_markets(most_applicants=8)))
    tickets = [applicant["id"] for applicant in told["applicants"]]
    programs = [{**program, "tie_break": {"ranked": draw(st.permutations(tickets))}} for program in told["programs"]]
    return cast("Json", {**told, "programs": programs})


def moved_up(program: Program, ticket: str) -> Program:
    ranked = list(cast("Mapping[str, list[str]]", program["tie_break"])["ranked"])
    place = ranked.index(ticket)
    ranked.insert(max(place - 1, 0), ranked.pop(place))
    return {**program, "tie_break": {"ranked": ranked}}


@examples(200)
@given(drawn_by_hand(), seeds(), st.data())
def test_a_better_number_never_gives_a_worse_place(market: Json, seed: bytes, data: st.DataObject) -> None:
    told, before = read(market), placed_in(document_of(matched(market, seed)))
    kinder = data.draw(st.lists(st.sampled_from(told["programs"]), min_size=1, unique_by=lambda each: each["id"]))
    names = [program["id"] for program in kinder]
    for applicant in told["applicants"]:
        ticket = applicant["id"]
        programs = [moved_up(each, ticket) if each["id"] in names else each for each in told["programs"]]
        after = placed_in(document_of(matched(cast("Json", {**told, "programs": programs}), seed)))
        true_ranking = judge(market, seed).ranking(oracle.applicant_written_out(applicant, ""), {})
        assert rank_of(true_ranking, after.get(ticket)) <= rank_of(true_ranking, before.get(ticket)), ticket
