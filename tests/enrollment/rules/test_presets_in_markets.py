"""Each preset does what it is named for, on a small market of its own."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enrollment.rules.backfill import WhyNot, for_backfill
from enrollment.rules.model import RankedInput, RulesInput, SeatsInput, resolve
from enrollment.rules.presets import (
    Preset,
    read_preset,
    settled_for,
)
from enrollment.rules.to_market import read_back
from lottery.market.canonical import Json
from lottery.market.rules import OPEN
from markets import seeds
from preset_markets import (
    OWN,
    SEED,
    SUMMER,
    Document,
    after,
    at,
    backfilled,
    child,
    drawn,
    free_seats,
    matched,
    program,
    rules_of,
    season,
)


def test_dc_one_number_counts_at_every_school() -> None:
    rules = rules_of("dc", "charter", seats=1)
    schools = ("lincoln", "adams")
    tickets = drawn(6)
    found = matched("dc", [program(rules, school) for school in schools], [child(one, *schools) for one in tickets])
    assert found.schools() == {tickets[0]: "lincoln", tickets[1]: "adams"}
    assert found.waitlist("lincoln") == tickets[1:]
    assert found.waitlist("adams") == tickets[2:]


@pytest.mark.parametrize(("variant", "first"), [("district-school", "in boundary"), ("charter", "better number")])
def test_dc_the_boundary_counts_at_a_district_school_and_not_at_a_charter(variant: str, first: str) -> None:
    better, worse = drawn(2)
    children = [child(better), child(worse, zones=[OWN])]
    found = matched("dc", [program(rules_of("dc", variant, seats=1))], children)
    assert set(found.schools()) == {worse if first == "in boundary" else better}


def test_dc_siblings_in_the_boundary_come_first_then_the_boundary_then_siblings_outside_it() -> None:
    nobody, offered, attending, inside, inside_offered, inside_attending, older = drawn(7)
    children = [
        child(nobody),
        child(offered, household="far"),
        child(attending, at=at("sibling")),
        child(inside, zones=[OWN]),
        child(inside_offered, zones=[OWN], household="near"),
        child(inside_attending, zones=[OWN], at=at("sibling")),
        *(child(f"{older}-{home}", grade="01", household=home) for home in ("far", "near")),
    ]
    rules = rules_of("dc", "district-school", seats=2)
    found = matched("dc", [program(rules_of("dc", "district-school", seats=1)), program(rules, grade="01")], children)
    assert set(found.schools()) == {inside_attending, f"{older}-far", f"{older}-near"}
    assert found.waitlist() == [inside_offered, inside, attending, offered, nobody]


def test_dc_from_kindergarten_on_the_lottery_is_for_children_outside_the_boundary() -> None:
    rules = rules_of("dc", "district-school-from-kindergarten", seats=1)
    inside, outside = drawn(2)
    found = matched("dc", [program(rules)], [child(inside, zones=[OWN]), child(outside)])
    assert set(found.schools()) == {outside}
    assert found.waitlist() == []


def test_dc_a_sibling_who_attends_comes_before_one_who_is_offered_a_seat_and_both_before_others() -> None:
    rules = rules_of("dc", "charter", seats=1)
    nobody, offered, attending, older = drawn(4)
    children = [
        child(nobody),
        child(offered, household="h"),
        child(attending, at=at("sibling")),
        child(older, grade="01", household="h"),
    ]
    found = matched("dc", [program(rules), program(rules, grade="01")], children)
    assert set(found.schools()) == {attending, older}
    assert found.waitlist() == [offered, nobody]


def test_dc_designated_seats_are_for_equitable_access_first_and_do_not_stay_empty() -> None:
    rules = rules_of("dc", "charter-designated-seats", seats=3, equitable_access=1)
    *others, last = drawn(6)
    claimed = matched("dc", [program(rules)], [*map(child, others), child(last, flags=["equitable-access"])])
    unclaimed = matched("dc", [program(rules)], [*map(child, others), child(last)])
    assert claimed.group("equitable-access") == {last}
    assert claimed.group(OPEN) == set(others[:2])
    assert set(unclaimed.schools()) == set(others[:3])


def test_dc_equitable_access_may_be_a_class_after_the_siblings_instead() -> None:
    rules = rules_of("dc", "charter-equitable-access-class", seats=1)
    other, equitable, sibling = drawn(3)
    children = [child(other), child(equitable, flags=["equitable-access"]), child(sibling, at=at("sibling"))]
    found = matched("dc", [program(rules)], children)
    assert set(found.schools()) == {sibling}
    assert found.waitlist() == [equitable, other]


def test_dc_a_late_sibling_comes_after_all_children_who_were_on_time() -> None:
    rules = rules_of("dc", "charter", seats=1)
    sibling, other = drawn(2)
    found = matched("dc", [program(rules)], [child(sibling, at=at("sibling"), late=True), child(other)])
    assert set(found.schools()) == {other}


def test_dc_a_child_at_a_lower_choice_waits_only_at_higher_choices_and_moves_up() -> None:
    rules = {school: rules_of("dc", "charter", seats=1) for school in ("lincoln", "adams")}
    first, second, third = drawn(3)
    children = [child(first, "lincoln", "adams"), child(second, "lincoln", "adams"), child(third, "adams", "lincoln")]
    main = matched("dc", [program(own, school) for school, own in rules.items()], children)
    assert main.schools() == {first: "lincoln", second: "adams"}
    assert main.waitlist("lincoln") == [second, third]
    assert main.waitlist("adams") == [third]
    there = after(main, children, gone=first)
    summer = matched("dc", backfilled(rules, main, there, on=SUMMER), there, kind="backfill")
    assert summer.schools() == {second: "lincoln", third: "adams"}


# ---- denver

ZONE = "enrollment-zone"
ZONE_SCHOOLS = ("lincoln", "adams", "grant")


@settings(deadline=None)
@given(seed=seeds(), rankings=st.lists(st.permutations(ZONE_SCHOOLS), min_size=6, max_size=6))
def test_denver_every_child_of_the_zone_has_a_seat_in_one_of_its_schools(
    seed: bytes, rankings: list[Sequence[str]]
) -> None:
    schools = [program(rules_of("denver", "zone-school", seats=2), school) for school in ZONE_SCHOOLS]
    own = [child(f"own-{place}", *ranking, zones=["city", ZONE]) for place, ranking in enumerate(rankings)]
    outside = [child(f"out-{place}", *ZONE_SCHOOLS, zones=["city"], flags=["frl"]) for place in range(6)]
    found = matched("denver", schools, [*own, *outside], seed=seed)
    assert set(found.schools()) == {str(one["id"]) for one in own}


@pytest.mark.parametrize(("variant", "zone"), [("zone-school", ZONE), ("boundary-school", OWN)])
def test_denver_siblings_come_first_in_the_boundary_and_in_each_class_outside_and_non_residents_last(
    variant: str, zone: str
) -> None:
    outsider, sibling_outside, resident, sibling, poor, poor_sibling, inside, poor_inside, inside_sibling = drawn(9)
    city: Json = ["city"]
    children = [
        child(outsider, flags=["frl"]),
        child(sibling_outside, at=at("sibling")),
        child(resident, zones=city),
        child(sibling, zones=city, at=at("sibling")),
        child(poor, zones=city, flags=["frl"]),
        child(poor_sibling, zones=city, flags=["frl"], at=at("sibling")),
        child(inside, zones=["city", zone]),
        child(poor_inside, zones=["city", zone], flags=["frl"]),
        child(inside_sibling, zones=["city", zone], at=at("sibling")),
    ]
    found = matched("denver", [program(rules_of("denver", variant, seats=1))], children)
    assert set(found.schools()) == {inside_sibling}
    assert found.waitlist() == [
        inside,
        poor_inside,
        poor_sibling,
        poor,
        sibling,
        resident,
        sibling_outside,
        outsider,
    ]


# ---- new orleans


def test_new_orleans_half_mile_then_zone_then_everybody_sit_in_seats_of_their_own() -> None:
    rules = rules_of("new-orleans", "open-enrollment-school", seats=8)
    tickets = drawn(14)
    far, zone, near = tickets[:4], tickets[4:10], tickets[10:]
    children = [
        *map(child, far),
        *(child(one, zones=[OWN]) for one in zone),
        *(child(one, zones=[OWN, "half-mile"]) for one in near),
    ]
    found = matched("new-orleans", [program(rules)], children)
    assert found.group("half-mile") == set(near[:2])
    assert found.group("zone") == set(zone[:4])
    assert found.group(OPEN) == set(far[:2])


@pytest.mark.parametrize("siblings", [2, 8])
def test_new_orleans_siblings_have_priority_at_all_seats(siblings: int) -> None:
    rules = rules_of("new-orleans", "open-enrollment-school", seats=8)
    tickets = drawn(10 + siblings)
    near, zone, last = tickets[:4], tickets[4:10], tickets[10:]
    children = [
        *(child(one, zones=[OWN, "half-mile"]) for one in near),
        *(child(one, zones=[OWN]) for one in zone),
        *(child(one, at=at("sibling")) for one in last),
    ]
    found = matched("new-orleans", [program(rules)], children)
    assert set(last) <= set(found.schools())
    assert len(found.schools()) == 8


@pytest.mark.parametrize("preset", ["new-orleans", "newark", "camden", "chile"])
def test_a_family_that_asks_for_it_has_its_children_at_one_school(preset: str) -> None:
    variant = read_preset(preset).variants[0].name
    rules = rules_of(preset, variant, seats=1)
    programs = [program(rules, "adams", "01"), program(rules), program(rules, "adams")]
    older = child("older", "adams", grade="01", household="h")
    younger = child("younger", "lincoln", "adams", household="h")
    apart = matched(preset, programs, [older, younger])
    together = matched(preset, programs, [older, {**younger, "together": True}])
    assert apart.schools() == {"older": "adams", "younger": "lincoln"}
    assert together.schools() == {"older": "adams", "younger": "adams"}


def test_new_orleans_seats_offered_beyond_the_enrollment_target_are_not_filled_again() -> None:
    seats = rules_of("new-orleans", "open-enrollment-school").seats
    assert seats is not None
    assert (seats.match, seats.to_enroll, seats.target_on(SUMMER)) == (40, 36, 36)


# ---- newark, camden


@pytest.mark.parametrize("preset", ["newark", "camden"])
def test_newark_and_camden_have_siblings_then_the_neighborhood_and_no_other_class(preset: str) -> None:
    rules = rules_of(preset, "school", seats=1)
    made = program(rules)
    assert [name["name"] for name in read_list(made["priorities"])] == ["sibling", "neighborhood"]
    assert made["reserves"] == []
    other, inside, sibling, offered, older = drawn(5)
    children = [
        child(other, flags=["frl"]),
        child(inside, zones=[OWN]),
        child(sibling, at=at("sibling")),
        child(offered, household="h"),
        child(older, household="h", grade="01"),
    ]
    found = matched(preset, [made, program(rules, grade="01")], children)
    assert set(found.schools()) == {sibling, older}
    assert found.waitlist() == [offered, inside, other]


def read_list(part: Json) -> list[Mapping[str, Json]]:
    assert isinstance(part, list)
    return part


# ---- chicago

CHICAGO = ("choice-program", "tier-program")


def chicago(variant: str, *, seats: int = 10, **reserved: int) -> RulesInput:
    return rules_of("chicago", variant, seats=seats, **reserved)


def without_tiers() -> RulesInput:
    """Return the rules of ten seats, two of which staff can have."""
    return chicago("choice-program", without_staff=8, staff=2)


def with_tiers() -> RulesInput:
    """Return the rules of ten seats: two for each tier, and two that staff can have."""
    return chicago("tier-program", tier_1=2, tier_2=2, tier_3=2, tier_4=2, staff=2)


def children_in_chicago(*roles: tuple[str, Document]) -> dict[str, Document]:
    """Return children by role; the first has the best lottery number."""
    return {role: {**child(ticket), **facts} for ticket, (role, facts) in zip(drawn(len(roles)), roles, strict=True)}


def several(role: str, number: int, **facts: Json) -> list[tuple[str, Document]]:
    return [(f"{role}-{place}", dict(facts)) for place in range(1, number + 1)]


def seated(rules: RulesInput, children: Mapping[str, Document]) -> set[str]:
    """Return the roles that have a seat."""
    found = matched("chicago", [program(rules)], list(children.values()))
    return {role for role, one in children.items() if one["id"] in found.schools()}


STAFF = several("staff", 10, at=at("staff_child"))


@pytest.mark.parametrize("rules", [without_tiers(), with_tiers()], ids=CHICAGO)
@pytest.mark.parametrize("others", [0, 3, 20])
def test_chicago_at_most_two_children_of_staff_have_a_seat(rules: RulesInput, others: int) -> None:
    children = children_in_chicago(*STAFF, *several("other", others))
    found = seated(rules, children)
    assert {role for role in found if role.startswith("staff")} == {"staff-1", "staff-2"}
    assert len(found) == 2 + min(others, 8)


@pytest.mark.parametrize("rules", [without_tiers(), with_tiers()], ids=CHICAGO)
def test_chicago_siblings_can_fill_all_seats(rules: RulesInput) -> None:
    children = children_in_chicago(*STAFF, *several("other", 9), *several("sibling", 11, at=at("sibling")))
    assert seated(rules, children) == {f"sibling-{place}" for place in range(1, 11)}


@pytest.mark.parametrize("rules", [without_tiers(), with_tiers()], ids=CHICAGO)
def test_chicago_a_child_counts_only_in_the_highest_class_that_the_child_meets(rules: RulesInput) -> None:
    both: Json = {"lincoln": ["sibling", "staff_child"]}
    near: Json = ["proximity"]
    children = children_in_chicago(
        *several("other", 3),
        *several("near-staff", 3, at=at("staff_child"), zones=near),
        *several("near", 4, zones=near),
        *several("sibling-staff", 3, at=both),
    )
    found = seated(rules, children)
    assert found >= {"sibling-staff-1", "sibling-staff-2", "sibling-staff-3", "near-1", "near-2", "near-3", "near-4"}
    assert {role for role in found if role.startswith("near-staff")} == {"near-staff-1", "near-staff-2"}
    assert len(found) == 10


def test_chicago_the_seats_of_tiers_are_even_and_go_to_other_tiers_if_a_tier_has_too_few_children() -> None:
    tiers = [several(f"tier-{tier}", 6, zones=[f"tier-{tier}"]) for tier in (4, 3, 2)]
    children = children_in_chicago(*(one for tier in tiers for one in tier), *several("tier-1", 1, zones=["tier-1"]))
    found = Counter(role.rpartition("-")[0] for role in seated(with_tiers(), children))
    assert found["tier-1"] == 1
    assert all(found[tier] >= 2 for tier in ("tier-2", "tier-3", "tier-4"))
    assert found.total() == 10


@pytest.mark.parametrize(
    ("declines", "follows"), [("sibling-2", "near-5"), ("staff-1", "staff-3"), ("near-3", "near-5")]
)
def test_chicago_a_declined_seat_goes_to_the_best_class_that_waits(declines: str, follows: str) -> None:
    children = children_in_chicago(
        *several("sibling", 4, at=at("sibling")),
        *several("staff", 3, at=at("staff_child")),
        *several("near", 5, zones=["proximity"]),
        *several("other", 2),
    )
    rules = without_tiers()
    main = matched("chicago", [program(rules)], list(children.values()))
    there = after(main, list(children.values()), gone=str(children[declines]["id"]))
    summer = matched("chicago", backfilled({"lincoln": rules}, main, there, on=SUMMER), there, kind="backfill")
    seats = {role for role, one in children.items() if one["id"] in summer.schools()}
    before = {role for role, one in children.items() if one["id"] in main.schools()}
    assert seats == before - {declines} | {follows}


# ---- new york city


@pytest.mark.parametrize("seats", [(3, 1), (1, 2)])
def test_nyc_a_screened_program_goes_by_its_own_list_within_each_kind_of_seat(seats: tuple[int, int]) -> None:
    general, special = seats
    first, second, third, unlisted, *with_needs = drawn(6)
    best_first = [*with_needs, third, first, second]
    rules = rules_of("nyc", "screened", seats=sum(seats), general_education=general, special_education=special)
    rules = rules.model_copy(update={"tie_break": RankedInput(ranked=best_first)})
    children = [
        *(child(one, grade="09") for one in (first, second, third, unlisted)),
        *(child(one, grade="09", flags=["sped"]) for one in with_needs),
    ]
    found = matched("nyc", [program(rules, grade="09")], children)
    assert found.group("general-education") == {third, first, second} if general == 3 else {third}
    assert found.group("special-education") == set(with_needs[:special])


@pytest.mark.parametrize("variant", ["screened", "open"])
def test_nyc_seats_of_one_kind_stay_empty_rather_than_go_to_the_other(variant: str) -> None:
    rules = rules_of("nyc", variant, seats=4, general_education=2, special_education=2)
    tickets = drawn(5)
    if variant == "screened":
        rules = rules.model_copy(update={"tie_break": RankedInput(ranked=tickets)})
    found = matched("nyc", [program(rules, grade="09")], [child(one, grade="09") for one in tickets])
    assert set(found.schools()) == set(tickets[:2])


@pytest.mark.parametrize(("declined", "free"), [(0, 0), (4, 0), (5, 1), (8, 4)])
def test_nyc_over_offers_are_not_refilled_but_further_declined_seats_are(declined: int, free: int) -> None:
    held = {"general-education": 27 - declined, "special-education": 7}
    assert free_seats(rules_of("nyc", "open"), on=SUMMER, held=held) == free


def test_nyc_takes_twelve_ranks() -> None:
    assert read_preset("nyc").cycle.most_ranks == 12


def why_not(rules: RulesInput, grade: str, *, on: date = SUMMER) -> WhyNot | None:
    return for_backfill(read_back(program(rules, grade=grade)), rules, on=on, held={}).why_not


def test_one_school_takes_no_new_pupils_after_grade_4_and_the_other_fills_every_grade() -> None:
    stops, fills = (rules_of("nyc-charter-no-backfill", name) for name in ("stops-after-grade-4", "fills-every-seat"))
    grades = read_preset("nyc-charter-no-backfill").cycle.grades
    assert [grade for grade in grades if why_not(stops, grade) is None] == ["KG", "01", "02", "03", "04"]
    assert {why_not(stops, grade) for grade in ("05", "06", "07", "08")} == {WhyNot.GRADE}
    assert {why_not(fills, grade) for grade in grades} == {None}


@pytest.mark.parametrize(("grade", "filled"), [("04", {"lincoln", "adams"}), ("05", {"adams"})])
def test_after_grade_4_one_schools_seat_stays_empty_and_the_others_is_filled(grade: str, filled: set[str]) -> None:
    preset = "nyc-charter-no-backfill"
    rules = {
        "lincoln": rules_of(preset, "stops-after-grade-4", seats=1),
        "adams": rules_of(preset, "fills-every-seat", seats=1),
    }
    tickets = drawn(4)
    children = [child(one, "lincoln", "adams", grade=grade) for one in tickets]
    main = matched(preset, [program(own, school, grade) for school, own in rules.items()], children)
    assert main.schools() == {tickets[0]: "lincoln", tickets[1]: "adams"}
    there = [one for one in after(main, children, gone=tickets[0]) if one["id"] != tickets[1]]
    summer = matched(preset, backfilled(rules, main, there, on=SUMMER), there, kind="backfill")
    assert set(summer.schools().values()) == filled


# ---- massachusetts


def massachusetts() -> RulesInput:
    settled = settled_for(read_preset("massachusetts"), season(date(2026, 5, 1))).variant("kindergarten-to-grade-7")
    return resolve(operator=None, school=None, program=settled.rules).rules


@pytest.mark.parametrize(
    ("deadline", "last"),
    [
        (date(2026, 5, 1), date(2027, 2, 15)),
        (date(2027, 1, 15), date(2028, 2, 15)),
        (date(2027, 2, 14), date(2028, 2, 15)),
        (date(2027, 3, 1), date(2028, 2, 15)),
        (date(2027, 9, 10), date(2029, 2, 15)),
    ],
)
def test_massachusetts_the_last_date_is_in_the_school_year_that_the_lottery_is_for(deadline: date, last: date) -> None:
    (variant,) = settled_for(read_preset("massachusetts"), season(deadline)).variants
    assert variant.rules.backfill is not None
    assert variant.rules.backfill.last_date == last


def test_massachusetts_fills_on_the_15th_of_february_and_not_on_the_16th() -> None:
    assert why_not(massachusetts(), "02", on=date(2027, 2, 15)) is None
    assert why_not(massachusetts(), "02", on=date(2027, 2, 16)) is WhyNot.DATE


def test_massachusetts_need_not_fill_the_last_half_of_the_grades_offered() -> None:
    grades = read_preset("massachusetts").cycle.grades
    filling = [grade for grade in grades if why_not(massachusetts(), grade, on=date(2026, 9, 1)) is None]
    assert filling == grades[: len(grades) // 2]
    assert why_not(massachusetts(), "04", on=date(2026, 9, 1)) is WhyNot.GRADE


@pytest.mark.parametrize(("on", "seated"), [(date(2027, 2, 15), 2), (date(2027, 2, 16), 1)])
def test_massachusetts_a_seat_that_opens_is_filled_from_the_waitlist_until_then(on: date, seated: int) -> None:
    rules = massachusetts().model_copy(update={"seats": SeatsInput(match=2)})
    tickets = drawn(4)
    children = [child(one) for one in tickets]
    main = matched("massachusetts", [program(rules)], children)
    there = after(main, children, gone=tickets[0])
    winter = matched("massachusetts", backfilled({"lincoln": rules}, main, there, on=on), there, kind="backfill")
    assert set(winter.schools()) == set(tickets[1 : 1 + seated])


@settings(deadline=None)
@given(seed=seeds(), numbers=st.integers(1, 4))
def test_turnaround_a_neighborhood_child_comes_first_with_any_lottery_number(seed: bytes, numbers: int) -> None:
    rules = rules_of("turnaround", "school", seats=4)
    *others, last = drawn(8, seed)
    own = [last, *others[::-1]][:numbers]
    children = [child(one, zones=[OWN]) if one in own else child(one, at=at("sibling")) for one in [*others, last]]
    found = matched("turnaround", [program(rules)], children, seed=seed)
    assert set(own) <= set(found.schools())
    assert len(found.schools()) == 4


@pytest.mark.parametrize(("variant", "placed"), [("before", False), ("after", True)])
def test_nashville_the_same_child_has_no_seat_before_and_a_seat_after(variant: str, placed: bool) -> None:  # noqa: FBT001
    outsider, *inside = drawn(3)
    children = [child(outsider, grade="05"), *(child(one, grade="05", zones=[OWN]) for one in inside)]
    found = matched("nashville", [program(rules_of("nashville", variant, seats=4), grade="05")], children)
    assert (outsider in found.schools()) == placed
    assert set(inside) <= set(found.schools())
    assert found.waitlist(grade="05") == []


# ---- boston's walk zones

WALK_SCHOOLS = ("lincoln", "adams", "grant", "madison")


BOSTON = ("no-reserve", "reserved-seats-first", "open-seats-first")


def boston(variant: str, seed: bytes = SEED) -> int:
    """Return how many of 160 seats go to children of the walk zone: 4 schools, and 80 children around each."""
    rules = rules_of("boston-walk-zone", variant)
    schools = [program(rules, school, zones=[f"{school}-walk"]) for school in WALK_SCHOOLS]
    children = [walking(place) for place in range(320)]
    home = {str(one["id"]): WALK_SCHOOLS[place % 4] for place, one in enumerate(children)}
    found = matched("boston-walk-zone", schools, children, seed=seed)
    assert len(found.schools()) == 160
    return sum(home[ticket] == school for ticket, school in found.schools().items())


def walking(place: int) -> Document:
    """Return a child who likes its own walk zone's school more than the others, or else has an order of its own."""
    ticket, home = f"child-{place}", WALK_SCHOOLS[place % 4]
    liked = hashlib.sha256(ticket.encode()).digest()[0]
    order = sorted(WALK_SCHOOLS, key=lambda school: hashlib.sha256(f"{ticket} {school}".encode()).digest())
    ranking = [home, *(school for school in order if school != home)] if liked < 108 else order
    return child(ticket, *ranking, zones=[f"{home}-walk"])


def test_boston_half_the_seats_for_the_walk_zone_do_little_if_they_are_filled_first() -> None:
    assert [boston(variant) for variant in BOSTON] == [81, 85, 128]


@pytest.mark.parametrize("number", range(12))
def test_boston_open_seats_first_gives_the_walk_zone_clearly_more_in_every_draw(number: int) -> None:
    without, reserved_first, open_first = (boston(variant, bytes([number]) * 32) for variant in BOSTON)
    assert without <= reserved_first < open_first
    assert 5 * (reserved_first - without) < open_first - without


# ---- chile


def test_chile_each_program_has_its_own_lottery_numbers() -> None:
    rules = rules_of("chile", "school", seats=1)
    schools = ("lincoln", "adams")
    tickets = drawn(8)
    found = matched("chile", [program(rules, school) for school in schools], [child(one, *schools) for one in tickets])
    by_school = {school: drawn(8, scope=f"{school}-KG") for school in schools}
    assert by_school["lincoln"] != by_school["adams"]
    for school in schools:
        waiting = found.waitlist(school)
        assert waiting == [one for one in by_school[school] if one in waiting]
        assert len(waiting) > 5


def test_chile_fifteen_in_a_hundred_seats_are_for_low_income_families_first() -> None:
    rules = rules_of("chile", "school", seats=20)
    tickets = drawn(40, scope="lincoln-KG")
    children = [*(child(one) for one in tickets[:30]), *(child(one, flags=["frl"]) for one in tickets[30:])]
    found = matched("chile", [program(rules)], children)
    assert found.group("low-income") == set(tickets[30:33])
    assert found.group(OPEN) == set(tickets[:17])


def test_chile_siblings_come_before_low_income_children_at_all_seats() -> None:
    rules = rules_of("chile", "school", seats=20)
    tickets = drawn(40, scope="lincoln-KG")
    children = [
        *(child(one, flags=["frl"]) for one in tickets[:20]),
        *(child(one, at=at("sibling")) for one in tickets[20:]),
    ]
    assert set(matched("chile", [program(rules)], children).schools()) == set(tickets[20:])


def test_chile_grades_are_matched_oldest_first_so_that_a_younger_sibling_follows() -> None:
    rules = rules_of("chile", "school", seats=1)
    other, younger = drawn(2, scope="lincoln-KG")
    children = [child(other), child(younger, household="h"), child("older", grade="08", household="h")]
    found = matched("chile", [program(rules), program(rules, grade="08")], children)
    assert set(found.schools()) == {younger, "older"}


@settings(deadline=None)
@given(seed=seeds(), ranking=st.permutations(["lincoln", "adams", "grant"]))
def test_chile_a_child_with_a_seat_never_ends_lower(seed: bytes, ranking: Sequence[str]) -> None:
    rules = rules_of("chile", "school", seats=1)
    holder = child("holder", *ranking, holds={"program": "adams-KG", "group": OPEN})
    others = [child(f"other-{place}", "adams", "lincoln", "grant", at=at("sibling", "adams")) for place in range(4)]
    found = matched("chile", [program(rules, school) for school in ranking], [holder, *others], seed=seed)
    assert ranking.index(found.schools()["holder"]) <= ranking.index("adams")


def test_chile_a_ranking_may_be_of_any_length() -> None:
    rules = rules_of("chile", "school", seats=0)
    schools = [f"school-{place}" for place in range(100)]
    programs = [*(program(rules, school) for school in schools), program(rules_of("chile", "school", seats=1))]
    assert read_preset("chile").cycle.most_ranks is None
    assert matched("chile", programs, [child("ana", *schools, "lincoln")]).schools() == {"ana": "lincoln"}


# ---- indianapolis


def indianapolis() -> RulesInput:
    settled = settled_for(read_preset("indianapolis"), season(date(2027, 1, 31))).variant("school")
    return resolve(operator=None, school=None, program=settled.rules).rules


@pytest.mark.parametrize(
    ("on", "target"),
    [
        (date(2027, 4, 30), 56),
        (date(2027, 5, 1), 66),
        (date(2027, 7, 31), 66),
        (date(2027, 8, 1), 60),
    ],
)
def test_indianapolis_a_backfill_round_uses_the_target_of_its_day(on: date, target: int) -> None:
    rules = indianapolis()
    assert for_backfill(read_back(program(rules)), rules, on=on, held={OPEN: 40}).target == target
    assert free_seats(rules, on=on, held={OPEN: 40}) == target - 40


def test_later_targets_go_by_the_deadline_though_the_backfill_window_opens_after_the_first_of_them() -> None:
    cycle = season(date(2027, 1, 31), backfill_opens=datetime(2027, 5, 10, tzinfo=UTC))
    assert begins_of(settled_for(read_preset("indianapolis"), cycle)) == [date(2027, 5, 1), date(2027, 8, 1)]


def begins_of(preset: Preset) -> list[date]:
    seats = preset.variant("school").rules.seats
    return [] if seats is None else [target.begins for target in seats.later or []]


def test_indianapolis_the_main_round_fills_the_first_target_and_count_day_has_its_own() -> None:
    seats = indianapolis().seats
    assert seats is not None
    assert (program(indianapolis())["seats"], seats.to_enroll) == (70, 56)


def test_later_targets_come_one_after_the_other_though_the_season_crosses_a_year() -> None:
    settled = settled_for(read_preset("indianapolis"), season(date(2026, 6, 1)))
    assert begins_of(settled) == [date(2027, 5, 1), date(2027, 8, 1)]


# ---- central falls


def test_central_falls_no_seat_crosses_towns() -> None:
    rules = rules_of("central-falls", "network-school", seats=8, **{f"town_{town}": 2 for town in "abcd"})
    towns = {"town-a": 5, "town-b": 1, "town-c": 3, "town-d": 0, "elsewhere": 4}
    living = [town for town, number in towns.items() for _ in range(number)]
    tickets = drawn(len(living))
    town_of = dict(zip(tickets, living[::-1], strict=True))  # the best numbers live elsewhere
    found = matched("central-falls", [program(rules)], [child(one, zones=[town]) for one, town in town_of.items()])
    assert Counter(town_of[ticket] for ticket in found.schools()) == {"town-a": 2, "town-b": 1, "town-c": 2}
    assert all(placement.group == town_of[placement.applicant] for placement in found.outcome.placements)


# ---- over HTTP
