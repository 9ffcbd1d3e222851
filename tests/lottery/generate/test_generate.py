"""Invented markets are the same bytes everywhere, and as the format has them."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lottery
from cities import FLAT, SMALL, document, households, large, market, names, outcome_of, sha256
from lottery.generate.city import GRADES
from lottery.generate.generate import ImpossiblePlan, Plan, Shape, generate, generate_summer
from lottery.market.canonical import Json
from oracle import Market

ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
SMALL_SHA256 = "2cfd6cdc7b3693bcdb1497bdceb6b0d3342f00cc67245aa0d4fa387e06150121"
UNIFORM_SHA256 = "bbc9fb29e87d1c234d8223e79a879f261fa110dc909122c4cd854f5c8a97be11"
SKEWED_SHA256 = "4f2d2871eb144f0867800b1e5365c83f7702b9778c016f5985c19e8829082cfe"


# ---- always the same


def test_the_same_plan_gives_the_same_bytes() -> None:
    assert sha256(generate(SMALL)) == sha256(generate(SMALL))


def test_a_small_city_is_what_it_has_always_been() -> None:
    assert sha256(generate(SMALL)) == SMALL_SHA256


@pytest.mark.parametrize(("shape", "expected"), [(Shape.UNIFORM, UNIFORM_SHA256), (Shape.SKEWED, SKEWED_SHA256)])
def test_a_flat_market_is_what_it_has_always_been(shape: Shape, expected: str) -> None:
    assert sha256(generate(replace(FLAT, applicants=40, shape=shape))) == expected


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_with_other_hashes_gives_the_same_bytes(hash_seed: str) -> None:
    program = (
        "import sys; from lottery.generate.generate import *; from lottery.market.canonical import canonical_line;"
        "made = generate(Plan(40, None, 12, None, Shape.CITY, True, True, 2027));"
        "sys.stdout.write(canonical_line({**made.head, 'applicants': list(made.applicants)}))"
    )
    made = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        check=True,
    )
    assert hashlib.sha256(made.stdout).hexdigest() == SMALL_SHA256


def test_another_seed_gives_another_city() -> None:
    assert sha256(generate(SMALL)) != sha256(generate(replace(SMALL, seed=2028)))


def test_more_families_change_nothing_about_those_who_are_there() -> None:
    more = market(replace(SMALL, applicants=80))
    assert more["applicants"][:40] == market(SMALL)["applicants"]


def test_more_families_change_no_rule_of_a_school() -> None:
    def rules(made: Market) -> list[dict[str, Json]]:
        changing = ("seats", "tie_break", "reserves")
        programs = cast("list[dict[str, Json]]", made["programs"])
        return [{key: value for key, value in each.items() if key not in changing} for each in programs]

    assert rules(market(replace(SMALL, applicants=80))) == rules(market(SMALL))


# ---- as the format has them


def plans() -> st.SearchStrategy[Plan]:
    common = {
        "applicants": st.integers(1, 40),
        "choices": st.none() | st.integers(1, 20),
        "reserves": st.booleans(),
        "siblings": st.booleans(),
        "seed": st.integers(),
    }
    counted = st.builds(Plan, programs=st.integers(1, 30), schools=st.none(), shape=st.sampled_from(Shape), **common)
    of_schools = st.builds(Plan, programs=st.none(), schools=st.integers(1, 12), shape=st.just(Shape.CITY), **common)
    return counted | of_schools


def faults_of_programs(made: Market) -> Iterator[str]:
    for program in made["programs"]:
        reserves = program.get("reserves", [])
        seats = [each["seats"] if "seats" in each else program["seats"] * each["percent"] // 100 for each in reserves]
        groups = ["open", *(each["name"] for each in reserves)]
        if sum(seats) > program["seats"]:
            yield f"{program['id']} reserves more seats than it has"
        if any(("seats" in each) == ("percent" in each) for each in reserves):
            yield f"{program['id']} has a reserve without one size"
        if sorted(program.get("precedence", groups)) != sorted(groups) or len(set(groups)) < len(groups):
            yield f"{program['id']} does not name each group once"
        if len(set(names(program))) < len(names(program)) or "general" in names(program):
            yield f"{program['id']} has two classes of one name"
        if not all(map(ID.fullmatch, [program["id"], program["school"], *groups, *names(program)])):
            yield f"{program['id']} has a name that is no id"


def faults_of_applicants(made: Market) -> Iterator[str]:
    grade_of = {program["id"]: program["grade"] for program in made["programs"]}
    for applicant in made["applicants"]:
        if not re.fullmatch(r"[0-9a-f]{32}", applicant["id"]):
            yield f"{applicant['id']} does not look like a ticket"
        if len(set(applicant["ranking"])) < len(applicant["ranking"]):
            yield f"{applicant['id']} ranks a program twice"
        if not applicant["ranking"]:
            yield f"{applicant['id']} ranks nothing"
        if any(grade_of.get(program) != applicant["grade"] for program in applicant["ranking"]):
            yield f"{applicant['id']} ranks a program of another grade"
        if applicant["grade"] not in made["policy"]["grade_order"]:
            yield f"{applicant['id']} is of a grade that is never matched"


@settings(deadline=None)
@given(plan=plans())
def test_every_program_is_as_the_format_wants_it(plan: Plan) -> None:
    assert list(faults_of_programs(market(plan))) == []


@settings(deadline=None)
@given(plan=plans())
def test_every_applicant_is_as_the_format_wants_it(plan: Plan) -> None:
    assert list(faults_of_applicants(market(plan))) == []


@settings(deadline=None)
@given(plan=plans())
def test_every_plan_gives_a_market_that_is_read_without_fault(plan: Plan) -> None:
    assert len(lottery.read_market(document(generate(plan))).applicants) == plan.applicants


@settings(deadline=None, max_examples=50)
@given(plan=plans())
def test_every_outcome_leads_to_a_summer_that_is_read_without_fault(plan: Plan) -> None:
    outcome = outcome_of(document(generate(plan)))
    assert lottery.read_market(document(generate_summer(plan, outcome))).is_backfill


@settings(deadline=None)
@given(plan=plans())
def test_nobody_ranks_more_programs_than_the_plan_allows(plan: Plan) -> None:
    longest = plan.choices or 12
    assert max(len(applicant["ranking"]) for applicant in market(plan)["applicants"]) <= longest


@settings(deadline=None)
@given(plan=plans().filter(lambda plan: plan.programs is not None))
def test_there_are_as_many_programs_as_were_asked_for(plan: Plan) -> None:
    assert len(market(plan)["programs"]) == plan.programs


@pytest.mark.parametrize("schools", [1, 2, 25])
def test_there_are_as_many_schools_as_were_asked_for(schools: int) -> None:
    assert len({program["school"] for program in market(replace(SMALL, schools=schools))["programs"]}) == schools


@pytest.mark.parametrize("shape", Shape)
def test_one_applicant_and_one_program_make_a_market(shape: Shape) -> None:
    plan = replace(SMALL, applicants=1, schools=None, programs=1, shape=shape)
    assert [applicant["ranking"] for applicant in market(plan)["applicants"]] == [[market(plan)["programs"][0]["id"]]]


def test_grades_are_matched_from_the_highest_down() -> None:
    order = large()["policy"]["grade_order"]
    assert order == sorted(order, key=GRADES.index, reverse=True)


def test_tickets_are_never_given_twice() -> None:
    tickets = [applicant["id"] for applicant in large()["applicants"]]
    assert len(set(tickets)) == len(tickets)


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        (replace(SMALL, applicants=0), "applicants is 0; give 1 or more"),
        (replace(SMALL, applicants=-3), "applicants is -3; give 1 or more"),
        (replace(SMALL, schools=0), "schools is 0; give 1 or more"),
        (replace(FLAT, programs=0), "programs is 0; give 1 or more"),
        (replace(SMALL, choices=0), "choices is 0; give 1 or more"),
        (replace(SMALL, programs=5), "programs and schools both set the size of the city; give one of them"),
        (replace(SMALL, schools=None), "the size of the market is missing; give programs or schools"),
        (replace(FLAT, programs=None), "the size of the market is missing; give programs"),
        (replace(FLAT, schools=9), "a uniform market has no schools; give programs instead or choose the shape city"),
    ],
)
def test_an_impossible_plan_is_refused_with_what_to_do(plan: Plan, complaint: str) -> None:
    with pytest.raises(ImpossiblePlan, match=f"^{re.escape(complaint)}$"):
        generate(plan)


# ---- flat markets


def test_a_flat_market_has_seats_for_nine_in_ten() -> None:
    assert sum(program["seats"] for program in market(FLAT)["programs"]) == 1_800


def test_a_flat_market_spreads_its_seats_evenly() -> None:
    assert {program["seats"] for program in market(replace(FLAT, programs=7))["programs"]} == {257, 258}


@pytest.mark.parametrize("shape", [Shape.UNIFORM, Shape.SKEWED])
def test_everybody_in_a_flat_market_ranks_ten_programs(shape: Shape) -> None:
    assert {len(applicant["ranking"]) for applicant in market(replace(FLAT, shape=shape))["applicants"]} == {10}


def test_more_choices_than_programs_rank_every_program() -> None:
    plan = replace(FLAT, programs=3, choices=8)
    assert all(sorted(each["ranking"]) == ["p1", "p2", "p3"] for each in market(plan)["applicants"])


def first_choices(plan: Plan) -> list[int]:
    firsts = Counter(applicant["ranking"][0] for applicant in market(plan)["applicants"])
    return [times for _, times in firsts.most_common()]


def test_programs_of_a_uniform_market_are_equally_liked() -> None:
    firsts = first_choices(FLAT)
    assert firsts[0] < 2 * 2_000 / 40


def test_programs_of_a_skewed_market_are_liked_by_zipfs_law() -> None:
    firsts = first_choices(replace(FLAT, shape=Shape.SKEWED))
    assert 1.5 < firsts[0] / firsts[1] < 2.5


def test_every_applicant_of_a_flat_market_is_in_one_of_four_classes() -> None:
    flags = Counter(tuple(applicant["flags"]) for applicant in market(FLAT)["applicants"])
    assert {flag for (flag,) in flags} == {"c0", "c1", "c2", "c3"}
    assert min(flags.values()) > 400


def test_a_flat_market_with_siblings_has_twins() -> None:
    assert {len(members) for members in households(market(FLAT))} == {2}


def test_a_flat_market_with_reserves_has_some_before_and_some_behind_open_seats() -> None:
    firsts = {each["precedence"][0] for each in market(FLAT)["programs"] if each["reserves"]}
    assert firsts == {"open", "c2", "c3"}


def test_applicants_are_made_only_when_asked_for() -> None:
    generated = generate(replace(FLAT, applicants=2**50))
    assert next(generated.applicants)["grade"] == "KG"
