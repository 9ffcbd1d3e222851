"""An explanation says what decided, in facts that follow from the cutoffs, and in words of three languages."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lottery
from explained_markets import (
    EARLIER,
    everywhere,
    explainer,
    explainer_of_wrong_outcome,
    later_rounds,
    schools_that_left,
    seats_left,
    twins,
)
from lottery.explain.explainer import Explainer, Extract, UnfitOutcome, UnknownApplicant
from lottery.explain.facts import AtGroup, Decided
from lottery.explain.language import Language, languages
from lottery.explain.seat_groups import SCALE, Scale
from lottery.explain.sentences import explanation_in_words
from lottery.market.canonical import Json
from lottery.market.files import load_market
from lottery.market.model import Market
from lottery.match.lottery_numbers import lottery_number
from lottery.match.standing import Barred
from markets import EARLIER_SEEDS, backfill_markets, main_markets, seeds
from worked_examples import Document, matched

TOLD = Path(__file__).parent


def groups_of(explained: Explainer, market: Market) -> Iterator[AtGroup]:
    for applicant in market.applicants:
        for program in explained.explain(applicant.id).programs:
            yield from program.groups


def at(explained: Explainer, applicant: str, program: str) -> dict[str, Decided]:
    found = next(place for place in explained.explain(applicant).programs if place.program.id == program)
    return {group.name: group.decided for group in found.groups}


def lines(explained: Explainer, applicant: str, language: str = "en") -> str:
    return "\n".join(explanation_in_words(explained.explain(applicant), Language(language)))


def test_the_first_thing_in_which_the_last_one_admitted_stood_better_is_what_decided() -> None:
    explained = explainer(everywhere())

    assert at(explained, "cem", "oak-kg")["open"] is Decided.SEATED
    assert at(explained, "ben", "oak-kg") == {
        "near": Decided.RESERVE,
        "open": Decided.CLASS,
        "low-income": Decided.NOT_CONSIDERED,
    }
    assert at(explained, "ben", "elm-kg") == {"open": Decided.POSITION}
    assert at(explained, "new", "oak-kg")["near"] is Decided.LATE
    assert {at(explained, child, "oak-kg")["near"] for child in ("ada", "amy")} == {Decided.SEATED, Decided.NUMBER}


def test_a_seat_that_others_held_and_groups_of_the_same_school_are_told() -> None:
    explained = explainer(everywhere())

    assert at(explained, "new", "oak-kg")["low-income"] is Decided.HOLDERS
    assert at(explained, "cem", "oak-kg")["low-income"] is Decided.EARLIER_GROUP
    assert at(explained, "ben", "yew-kg") == {"open": Decided.NO_SEATS}
    assert at(explained, "ivo", "oak-kg")["low-income"] is Decided.KEPT
    assert at(explained, "hua", "ash-kg") == {"open": Decided.BELOW_HELD_SEAT}


def test_each_reason_not_to_be_considered_is_told() -> None:
    market = everywhere()

    assert {group.barred for group in groups_of(explainer(market), market)} == {None, *Barred}


def test_a_child_reads_who_can_have_the_seats_that_a_reserve_leaves() -> None:
    market = seats_left()
    explained = explainer(market)

    title = (
        "2 “staff” seats. A child who has a parent who works at this school comes first. "
        "After that, only a child who has a brother or sister at this school can get a seat."
    )
    assert title in lines(explained, "cal")
    assert "Our records show that your child does not meet either rule." in lines(explained, "cal")
    assert "Your child comes first for these seats." in lines(explained, "ann")
    assert "Your child does not come first, but can get a seat that is left." in lines(explained, "bea")
    assert "The last child got a seat that was left." in lines(explained, "cal")
    assert "All of these seats went to children who come first, so no seat was left." in lines(explained, "fin")
    document = json.dumps(explained.explain("cal").document())
    assert '"overflow": {"to": {"at_school": "sibling"}}' in document
    assert f'"not_considered_because": "{Barred.RESERVE_CLOSED}"' in document


def test_a_siblings_school_that_was_asked_first_is_no_refusal_of_the_others() -> None:
    explained = explainer(everywhere())

    assert set(at(explained, "jan", "oak-kg").values()) == {Decided.SIBLING_FIRST}
    assert "So the lottery first tried schools where a brother or sister got a seat." in lines(explained, "jan")
    assert "had no seat for your child" not in lines(explained, "jan")


def test_twins_with_one_number_are_told_that_their_tickets_decided() -> None:
    assert at(explainer(twins()), "ben", "oak") == {"open": Decided.TICKET}


def test_an_outcome_that_does_not_follow_from_the_rules_is_not_explained_away() -> None:
    explained = explainer_of_wrong_outcome(everywhere())

    assert at(explained, "jan", "ash-kg") == {"open": Decided.UNEXPLAINED}
    assert "This result does not follow from the rules." in lines(explained, "jan")


def test_a_child_reads_class_reason_number_last_one_and_waitlist_place() -> None:
    text = lines(explainer(everywhere()), "ben")

    assert "Choice 2: oak-kg (no seat)" in text
    assert "1 “near” seat. A child who lives in zone Z1 comes first." in text
    assert "Your child has no priority for these seats." in text
    assert "Your child's lottery number here is " in text
    assert "The last child who got one of these seats had “sibling” priority and had lottery number " in text
    assert "The last child had a higher priority than your child." in text
    assert "on the waitlist for these seats." in text


def test_a_child_drawn_later_reads_that_earlier_rounds_go_first() -> None:
    explained = explainer(later_rounds())

    assert at(explained, "new", "yew") == {"open": Decided.EARLIER_DRAW}
    assert "Children from earlier rounds go first." in lines(explained, "new")
    assert "Your child applied after the main round, so the application counts as late here." in lines(explained, "mia")
    assert "Your child's application counts as late here." in lines(explained, "lia")


def test_under_reverse_a_family_reads_the_number_as_drawn_and_the_number_that_counts() -> None:
    text = lines(explainer(later_rounds()), "cem")

    (told,) = re.findall(
        r"Your child's lottery number is ([\d,]+) of 1,000,000. In this round, this school turns the order around. In "
        r"the new order, your child's number is ([\d,]+). This number counts here. Lower numbers go first.",
        text,
    )
    drawn, counts = (int(number.replace(",", "")) for number in told)
    number = int(lottery_number(seed=EARLIER["r0"], scope="*", subject="cem").hex(), 16)
    assert drawn == number * 1_000_000 // 2**256 + 1
    assert drawn + counts == 1_000_001
    assert "had number " in text
    assert " in the new order." in text


def test_a_school_with_fresh_numbers_says_that_the_number_is_new() -> None:
    assert "This school drew new lottery numbers in this round. Your child's new number here is " in lines(
        explainer(later_rounds()), "ada"
    )


def test_numbers_that_a_family_reads_have_as_many_digits_as_tell_two_children_apart() -> None:
    market = load_market(TOLD / "told_number_collision.json")
    outcome = lottery.match_market(market, seed=b"Z" * 32)
    explained = Explainer(Extract.whole(market, outcome))
    (refused,) = outcome.unplaced
    text = lines(explained, refused)

    mine, last = re.search(r"here is ([\d,]+) of ", text), re.search(r"had lottery number ([\d,]+)", text)
    assert mine
    assert last
    assert mine[1][:6] == last[1][:6] == "801,49"
    assert int(last[1].replace(",", "")) < int(mine[1].replace(",", ""))
    assert "of 10,000,000." in text


@given(st.sets(st.integers(0, 2**256 - 1), max_size=6), st.integers(0, 2**256 - 1), st.integers(1, 250))
def test_different_numbers_read_differently_and_in_the_same_order(numbers: set[int], near: int, bits: int) -> None:
    numbers |= {near, near ^ (1 << bits - 1)}
    scale = Scale.telling_apart([f"{number:064x}" for number in numbers])
    told = [scale.read(f"{number:064x}") for number in sorted(numbers)]
    assert told == sorted(set(told))
    assert 1 <= told[0] <= told[-1] <= scale.top
    assert scale.top == SCALE or len({number * scale.top // 10 >> 256 for number in numbers}) < len(numbers)


def test_the_choice_that_a_family_reads_is_the_choice_on_the_list_as_submitted() -> None:
    for explanation, submitted in schools_that_left():
        text = "\n".join(explanation_in_words(explanation, Language("en")))
        if explanation.placement:
            assert explanation.placement.choice == 2
            assert f"This was choice 2 of {len(submitted)} on your list." in text
        assert "Choice 1: left (not in this round)" in text
        assert "This school left the lottery. So the lottery could not use this choice." in text
        assert [line for line in text.splitlines() if line.startswith("Choice ")] == [
            line for place in range(1, 4) for line in text.splitlines() if line.startswith(f"Choice {place}:")
        ]
        left = explanation.document()["left_out"]
        assert left == [
            {"program": name, "choice": place, "given_up": False}
            for place, name in enumerate(submitted, start=1)
            if name != "easy"
        ]


def test_a_child_who_leaves_an_unranked_seat_for_a_ranked_one_is_not_told_of_a_sibling() -> None:
    document = {
        "format": "lottery-market/1",
        "round": {"id": "r2", "kind": "backfill"},
        "programs": [{"id": name, "school": name, "grade": "KG", "seats": 1} for name in ("elm", "oak")],
        "applicants": [{"id": "ada", "grade": "KG", "ranking": ["oak"], "holds": {"program": "elm"}, "drawn_in": "r1"}],
    }
    explained = explainer(lottery.read_market(cast("Json", document)))

    assert at(explained, "ada", "elm") == {"open": Decided.PLACED_HIGHER}
    assert "brother or sister" not in lines(explained, "ada")


def test_the_json_has_the_facts_and_no_one_elses_ticket() -> None:
    market = everywhere()
    explained = explainer(market)

    for applicant in market.applicants:
        text = json.dumps(explained.explain(applicant.id).document())
        assert not any(f'"{other.id}"' in text for other in market.applicants if other is not applicant)


def test_an_unknown_ticket_and_an_outcome_of_another_market_are_refused_by_name() -> None:
    market, outcome, _ = matched("zero_capacity")
    other, _, _ = matched("matching_issue_67")

    with pytest.raises(UnknownApplicant, match="no applicant nobody"):
        Explainer(Extract.whole(market, outcome)).explain("nobody")
    with pytest.raises(UnfitOutcome, match="belongs to another market"):
        Explainer(Extract.whole(other, outcome))
    with pytest.raises(UnfitOutcome, match="different programs or applicants"):
        Explainer(Extract.whole(market, replace(outcome, cutoffs=())))
    with pytest.raises(UnfitOutcome, match="not hex"):
        Explainer(Extract.whole(market, replace(outcome, seed="seed")))


@settings(deadline=None, max_examples=100)
@given(main_markets() | backfill_markets(), seeds())
def test_every_right_outcome_is_explained_in_every_language(document: Json, seed: bytes) -> None:
    market = lottery.read_market(document)
    earlier = {round_id: its_seed for round_id, its_seed in EARLIER_SEEDS.items() if round_id != market.round.id}
    outcome = lottery.match_market(market, seed=seed, seeds=earlier)
    explained = Explainer(Extract.whole(market, outcome), seeds=earlier)
    given_seats = {placement.applicant: (placement.program, placement.group) for placement in outcome.placements}

    for applicant in market.applicants:
        explanation = explained.explain(applicant.id)
        decided = {
            (program.program.id, group.name): group.decided
            for program in explanation.programs
            for group in program.groups
        }
        seats = [seat for seat, decision in decided.items() if decision in {Decided.SEATED, Decided.KEPT}]
        assert seats == [given_seats[ticket] for ticket in [applicant.id] if ticket in given_seats]
        assert Decided.UNEXPLAINED not in decided.values()
        for language in languages():
            assert all("{" not in line for line in explanation_in_words(explanation, Language(language)))


def extract_of(market: Market, outcome: lottery.Outcome, ticket: str) -> Extract:
    """Take what explains one child: its programs, its household, and what the outcome says of them."""
    child = next(applicant for applicant in market.applicants if applicant.id == ticket)
    household = [other for other in market.applicants if other.household and other.household == child.household]
    members = {child.id: child, **{other.id: other for other in household}}
    placements = [placement for placement in outcome.placements if placement.applicant in members]
    held = [child.holds.program] if child.holds else []
    wanted = {*child.ranking, *held, *(placement.program for placement in placements)}
    part = replace(
        market,
        programs=tuple(program for program in market.programs if program.id in wanted),
        applicants=tuple(members.values()),
    )
    cutoffs = [cutoff for cutoff in outcome.cutoffs if cutoff.program in wanted]
    waitlists = Extract.whole(market, outcome).waitlists
    return Extract(part, bytes.fromhex(outcome.seed), placements, cutoffs, waitlists)


@settings(deadline=None, max_examples=60)
@given(main_markets() | backfill_markets(), seeds())
def test_a_few_rows_explain_a_child_as_the_whole_round_does(document: Document, seed: bytes) -> None:
    market = lottery.read_market(document)
    earlier = {round_id: its_seed for round_id, its_seed in EARLIER_SEEDS.items() if round_id != market.round.id}
    outcome = lottery.match_market(market, seed=seed, seeds=earlier)
    whole = Explainer(Extract.whole(market, outcome), seeds=earlier)
    for applicant in market.applicants:
        part = Explainer(extract_of(market, outcome, applicant.id), seeds=earlier)
        assert part.explain(applicant.id) == whole.explain(applicant.id)
