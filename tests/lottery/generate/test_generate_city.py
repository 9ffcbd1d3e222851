"""Invented cities look like cities: their schools, their families, and what a match gives them."""

import re
from collections import Counter, defaultdict
from dataclasses import replace
from math import isqrt
from statistics import mean
from typing import cast

import pytest

from cities import FLAT, LARGE, SMALL, document, households, large, large_outcome, market, names, placements, share
from lottery.generate.city import GRADES, Sector, city_of_schools
from lottery.generate.generate import Shape, generate
from lottery.generate.rules import rules_of
from lottery.market.canonical import Json, canonical_line
from oracle import Program

# ---- schools like a city's


def conditions(program: Program) -> list[Json]:
    return [each["when"] for each in (*program["priorities"], *program["reserves"])]


def precedence_of_neighborhood_reserves() -> list[list[str]]:
    found = [program["precedence"] for program in large()["programs"]]
    return [[group for group in groups if group in {"open", "neighborhood"}] for groups in found]


def backfill_rules() -> dict[str, list[tuple[bool, str, str]]]:
    rules = defaultdict(list)
    for program in large()["programs"]:
        rule = program["backfill"]
        rules[program["school"]].append((rule["fills"], rule["order"], rule["vacated_reserves"]))
    return rules


def test_some_neighborhoods_have_a_class_behind_another() -> None:
    assert any("neighborhood" in names(program)[1:] for program in large()["programs"])


def test_some_neighborhoods_come_first_in_every_group() -> None:
    assert any(names(program)[:1] == ["neighborhood"] and not program["reserves"] for program in large()["programs"])


def test_some_neighborhoods_have_a_reserve_behind_the_open_seats() -> None:
    assert ["open", "neighborhood"] in precedence_of_neighborhood_reserves()


def test_some_neighborhoods_have_a_reserve_before_the_open_seats() -> None:
    assert ["neighborhood", "open"] in precedence_of_neighborhood_reserves()


def test_some_schools_are_for_their_neighborhood_only() -> None:
    assert any("zone_in" in program.get("eligible", {}) for program in large()["programs"])


def test_some_schools_do_not_ask_where_a_child_lives() -> None:
    assert any("zone_in" not in str(program) for program in large()["programs"])


def test_some_reserves_are_closed_to_others() -> None:
    overflows = Counter(str(reserve["overflow"]) for program in large()["programs"] for reserve in program["reserves"])
    assert overflows["open"] > overflows["closed"] > 0


def test_some_reserves_leave_their_seats_to_siblings() -> None:
    rules = rules_of(city_of_schools(2027, 250), 2027, reserves=True, siblings=True)
    overflows = Counter(reserve.overflow for rule in rules for reserve in rule.reserves)
    assert overflows["closed"] > overflows["sibling"] > 0


@pytest.mark.parametrize(
    "name", ["sibling", "sibling-offered", "staff", "feeder", "low-income", "english-learner", "equitable-access"]
)
def test_every_class_is_some_schools(name: str) -> None:
    assert any(name in names(program) for program in large()["programs"])


def test_schools_order_their_classes_in_many_ways() -> None:
    assert len({tuple(names(program)) for program in large()["programs"]}) > 20


@pytest.mark.parametrize("order", ["waitlist", "reverse", "fresh"])
@pytest.mark.parametrize("vacated", ["keep", "release"])
def test_every_kind_of_backfill_rule_is_some_schools(order: str, vacated: str) -> None:
    assert any((True, order, vacated) in rules for rules in backfill_rules().values())


def test_some_schools_backfill_no_grade() -> None:
    assert any(not any(fills for fills, _, _ in rules) for rules in backfill_rules().values())


def test_some_schools_backfill_their_lower_grades_only() -> None:
    filled = [[fills for fills, _, _ in rules] for rules in backfill_rules().values()]
    assert any(fills[0] and not fills[-1] for fills in filled)


def test_some_programs_draw_numbers_of_their_own() -> None:
    assert any(program["tie_break"] == "multiple" for program in large()["programs"])


def test_screened_programs_order_some_of_those_who_rank_them() -> None:
    rankers = defaultdict(set)
    for applicant in large()["applicants"]:
        for program_id in applicant["ranking"]:
            rankers[program_id].add(applicant["id"])
    screened = [(program["id"], program["tie_break"]) for program in large()["programs"]]
    orders = {program_id: set(order["ranked"]) for program_id, order in screened if isinstance(order, dict)}
    assert orders
    assert all(order < rankers[program_id] for program_id, order in orders.items() if len(order) > 20)


def test_about_nine_schools_in_twenty_are_charters() -> None:
    schools = city_of_schools(LARGE.seed, 60).schools
    assert 24 <= sum(school.sector is Sector.CHARTER for school in schools) <= 30


def test_without_reserves_the_neighborhood_gets_a_class_instead() -> None:
    before, after = large()["programs"], market(replace(LARGE, reserves=False))["programs"]
    reserved = [any(each["name"] == "neighborhood" for each in program["reserves"]) for program in before]
    assert all("neighborhood" in names(program) for program, had in zip(after, reserved, strict=True) if had)


@pytest.mark.parametrize("shape", Shape)
def test_without_reserves_there_are_none(shape: Shape) -> None:
    plan = replace(SMALL if shape is Shape.CITY else FLAT, shape=shape, reserves=False)
    assert not any(program.get("reserves") for program in market(plan)["programs"])


@pytest.mark.parametrize("shape", Shape)
def test_without_siblings_nothing_is_said_of_any(shape: Shape) -> None:
    plan = replace(LARGE if shape is Shape.CITY else FLAT, shape=shape, siblings=False)
    assert not re.search(r"household|together|sibling_placed", canonical_line(document(generate(plan))))


# ---- families like a city's


def test_lists_have_up_to_twelve_ranks() -> None:
    assert {len(applicant["ranking"]) for applicant in large()["applicants"]} == set(range(1, 13))


def test_lists_have_four_to_five_ranks_on_average() -> None:
    ranks = sum(len(applicant["ranking"]) for applicant in large()["applicants"])
    assert 3.5 <= ranks / len(large()["applicants"]) <= 5.5


def test_a_plan_with_more_choices_has_longer_lists() -> None:
    longest = max(len(applicant["ranking"]) for applicant in market(replace(LARGE, choices=20))["applicants"])
    assert 16 <= longest <= 20


def test_families_rank_near_schools_more_than_far_ones() -> None:
    city = city_of_schools(LARGE.seed, 60)
    zones = {zone.name: zone for zone in city.zones}
    schools = {school.id: school for school in city.schools}

    def distances(home: str, programs: list[str]) -> list[int]:
        found = [schools[program.rpartition("-")[0]] for program in programs]
        return [isqrt((school.x - zones[home].x) ** 2 + (school.y - zones[home].y) ** 2) for school in found]

    offered = defaultdict(list)
    for program in large()["programs"]:
        offered[program["grade"]].append(program["id"])
    ranked, all_offered = [], []
    for applicant in large()["applicants"]:
        ranked += distances(applicant["zones"][0], applicant["ranking"])
        all_offered += distances(applicant["zones"][0], offered[applicant["grade"]])
    assert mean(ranked) < 0.8 * mean(all_offered)


def test_the_best_liked_tenth_of_the_schools_has_more_than_twice_its_share_of_the_ranks() -> None:
    ranked = Counter(program for applicant in large()["applicants"] for program in applicant["ranking"])
    entry = sorted((ranked[each["id"]] for each in large()["programs"] if each["grade"] == "PK3"), reverse=True)
    best = entry[: len(entry) // 10]
    assert sum(best) / sum(entry) > 2 * len(best) / len(entry)


def test_most_children_enter_where_schools_begin() -> None:
    grades = Counter(applicant["grade"] for applicant in large()["applicants"])
    assert {grade for grade, _ in grades.most_common(5)} == {"PK3", "PK4", "KG", "06", "09"}


def test_poverty_clusters_by_zone() -> None:
    homes = defaultdict(list)
    for applicant in large()["applicants"]:
        homes[applicant["zones"][0]].append(applicant)
    shares = sorted(share(applicants, "frl") for applicants in homes.values())
    assert shares[-2] - shares[1] > 0.4


@pytest.mark.parametrize("flag", ["frl", "ell", "sped", "homeless"])
def test_every_flag_is_some_childrens(flag: str) -> None:
    assert 0 < share(large()["applicants"], flag) < 0.8


def test_some_children_have_two_neighborhoods() -> None:
    counts = Counter(sum(zone.startswith("Z") for zone in each["zones"]) for each in large()["applicants"])
    assert set(counts) == {1, 2}
    assert counts[2] < counts[1] / 10


def test_some_children_live_in_the_ring_of_a_school_that_asks_for_it() -> None:
    asked = set(re.findall(r"ring:[a-z0-9-]+", canonical_line(document(generate(LARGE)))))
    lived_in = {zone for each in large()["applicants"] for zone in each["zones"] if zone.startswith("ring:")}
    assert lived_in
    assert lived_in <= asked


@pytest.mark.parametrize(("fact", "least", "most"), [("sibling", 0.1, 0.2), ("staff_child", 0.003, 0.03)])
def test_facts_at_schools_are_as_frequent_as_in_life(fact: str, least: float, most: float) -> None:
    having = sum(any(fact in facts for facts in each["at"].values()) for each in large()["applicants"])
    assert least <= having / len(large()["applicants"]) <= most


def test_families_most_often_rank_first_where_a_sibling_attends() -> None:
    first = Counter(
        program.rpartition("-")[0] == school
        for applicant in large()["applicants"]
        for school, facts in applicant["at"].items()
        for program in applicant["ranking"][:1]
        if "sibling" in facts
    )
    assert first[True] > first[False]


def test_the_present_school_has_the_grade_before() -> None:
    programs = {program["id"] for program in large()["programs"]}
    for applicant in large()["applicants"]:
        before = GRADES[max(0, GRADES.index(applicant["grade"]) - 1)]
        if applicant["grade"] > "00" and applicant["grade"] < "13" and applicant["attends"]:
            assert f"{applicant['attends']}-{before.lower()}" in programs


def test_about_one_in_twenty_five_is_late() -> None:
    late = sum(applicant["late"] for applicant in large()["applicants"])
    assert 0.02 <= late / len(large()["applicants"]) <= 0.06


def test_households_have_up_to_four_children() -> None:
    assert {len(members) for members in households(large())} >= {2, 3}
    assert max(len(members) for members in households(large())) <= 4


def test_the_children_of_a_household_share_their_home() -> None:
    assert all(len({tuple(each["zones"]) for each in members}) == 1 for members in households(large()))


def test_some_children_are_twins_and_share_a_number() -> None:
    twins = [members for members in households(large()) if len({each["grade"] for each in members}) < len(members)]
    assert 0 < len(twins) < len(households(large())) / 5
    assert large()["policy"]["twins"] == "share"


def test_some_households_want_to_be_together() -> None:
    assert {members[0]["together"] for members in households(large())} == {True, False}


def test_only_who_has_siblings_can_want_to_be_together() -> None:
    assert not any(each["together"] for each in large()["applicants"] if each["household"] is None)


# ---- the match


def test_about_three_quarters_are_matched() -> None:
    assert 0.70 <= len(placements()) / 3_000 <= 0.80


def test_about_half_get_their_first_choice() -> None:
    first = [each for each in cast("list[dict[str, Json]]", large_outcome()["placements"]) if each["choice"] == 1]
    assert 0.45 <= len(first) / 3_000 <= 0.60
