"""Conditions name the school's own zones, and a guarantee keeps the order of classes inside and outside them."""

import json
from collections.abc import Mapping
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from enrollment.database import transaction
from enrollment.rules.model import RulesInput, resolve
from enrollment.rules.sentences import rules_in_words
from enrollment.rules.to_market import ProgramContext, program_document, read_back
from lottery.market.canonical import Json
from lottery.market.rules import Facts, Program, Reserve
from people import Service
from rules_spoken import CYCLE, OPERATOR, PROGRAM, SIBLING, add_zone, city, faults, put

OWN: Mapping[str, Json] = {"own_zone": True}
NEAR_SIBLING: Mapping[str, Json] = {"name": "near-sibling", "when": {"all": [OWN, {"at_school": "sibling"}]}}
NEAR: Mapping[str, Json] = {"name": "near", "when": OWN}
PLACE = ProgramContext("lincoln-KG", "lincoln", "KG", ["Z1", "Z2"])


def resolved(**parts: Json) -> RulesInput:
    """Return resolved rules with one seat."""
    said = RulesInput.model_validate({"seats": {"match": 1}, **parts})
    return resolve(operator=None, school=None, program=said).rules


def test_an_operator_says_for_all_its_schools_at_once_that_siblings_in_the_boundary_come_first(
    service: Service,
) -> None:
    city(service)
    with transaction(service.sessions) as session:
        add_zone(session, "adams-area", "adams", None)
        add_zone(session, "upper-area", "lincoln", ["01"])
    answer = put(service.operator_staff("district", "dora"), OPERATOR, {"classes": [NEAR_SIBLING, NEAR, SIBLING]})
    assert answer.status_code == 200, answer.text
    for school in ("lincoln", "adams"):
        shown = service.stranger().get(f"{CYCLE}/programs/{school}-kg/rules").json()
        zone = {"zone_in": [f"{school}-area"]}
        assert shown["market"]["priorities"] == [
            {"name": "near-sibling", "when": {"all": [zone, {"at_school": "sibling"}]}},
            {"name": "near", "when": zone},
            SIBLING,
        ]
        assert shown["rules"]["classes"][1] == NEAR
        assert f"Priority 2, “near”: a child who lives in zone {school}-area." in shown["sentences"]


def test_own_zones_stand_wherever_a_condition_stands() -> None:
    nested: Json = {"any": [{"not": {"all": [OWN]}}, {"has": "ell"}]}
    reserve: Json = {"name": "far", "seats": 1, "when": nested, "classes": [NEAR], "overflow": {"to": OWN}}
    made = json.dumps(program_document(resolved(eligible=nested, classes=[NEAR], reserves=[reserve]), PLACE))
    assert "own_zone" not in made
    assert made.count('{"zone_in": ["Z1", "Z2"]}') == 5


def test_a_school_without_zones_cannot_name_its_own(service: Service) -> None:
    city(service)
    district = service.operator_staff("district", "dora")
    answer = put(district, OPERATOR, {"classes": [NEAR_SIBLING], "eligible": {"not": {"any": [OWN]}}})
    assert faults(answer) == {
        ("/rules", "cannot-work-at"),
        ("/rules/eligible/not/any/0/own_zone", "no-zones"),
        ("/rules/classes/0/when/all/0/own_zone", "no-zones"),
    }
    assert any("adams-kg" in fault["detail"] for fault in answer.json()["errors"])


def test_own_zone_has_no_value_but_true(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    for operand in (False, None, ["lincoln-area"], {"own_zone": True}):
        answer = put(school, PROGRAM, {"seats": {"match": 9}, "eligible": {"not": {"own_zone": operand}}})
        assert faults(answer) == {("/rules/eligible/not/own_zone", "condition")}
    both = put(school, PROGRAM, {"seats": {"match": 9}, "eligible": {"own_zone": True, "has": "ell"}})
    assert faults(both) == {("/rules/eligible", "condition")}
    assert "own_zone" in both.json()["errors"][0]["detail"]


def test_a_guarantee_says_each_class_inside_and_outside_the_neighborhood() -> None:
    rules = resolved(
        classes=[SIBLING, {"name": "staff", "when": {"at_school": "staff"}}], neighborhood={"rule": "guarantee"}
    )
    said = rules_in_words(rules, read_back(program_document(rules, PLACE)), "en")
    near, sibling, staff = (
        "lives in zone Z1 or Z2",
        "has a brother or sister at this school",
        "has a parent who works at this school",
    )
    assert [line for line in said if line.startswith("Priority")] == [
        f"Priority 1, “sibling-in-neighborhood”: a child who {near} and {sibling}.",
        f"Priority 2, “staff-in-neighborhood”: a child who {near} and {staff}.",
        f"Priority 3, “neighborhood”: a child who {near}.",
        f"Priority 4, “sibling”: a child who {sibling}.",
        f"Priority 5, “staff”: a child who {staff}.",
    ]


def test_a_class_that_asks_for_the_neighborhood_is_not_repeated_by_a_guarantee() -> None:
    far: Json = {"name": "far", "when": {"all": [{"not": OWN}, {"has": "frl"}]}}
    rules = resolved(classes=[NEAR_SIBLING, far, NEAR, SIBLING], neighborhood={"rule": "guarantee"})
    names = [priority.name for priority in read_back(program_document(rules, PLACE)).priorities]
    assert names == ["near-sibling", "near", "far", "sibling"]


LEAVES = st.sampled_from(
    [OWN, {"not": OWN}, {"zone_in": ["Z2", "Z3"]}, {"has": "frl"}, {"has": "ell"}, {"at_school": "sibling"}]
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=4,
)
CLASSES = st.lists(CONDITIONS, max_size=4).map(
    lambda conditions: [{"name": f"c{place}", "when": when} for place, when in enumerate(conditions)]
)
SETS = st.frozensets
CHILDREN = st.builds(
    lambda zones, flags, facts: SimpleNamespace(zones=zones, flags=flags, at={"lincoln": facts}, attends=None),
    SETS(st.sampled_from(["Z1", "Z2", "Z3"])),
    SETS(st.sampled_from(["frl", "ell"])),
    SETS(st.just("sibling")),
)


def standing(child: Facts, program: Program, reserve: Reserve | None) -> tuple[bool, int]:
    """Return a child's place in a seat group, before lottery numbers: whether the child misses it, and the class."""
    classes = reserve.priorities if reserve else program.priorities
    met = (place for place, one in enumerate(classes) if one.when.holds(child, "lincoln", ()))
    return bool(reserve and not reserve.when.holds(child, "lincoln", ())), next(met, len(classes))


@given(classes=CLASSES, own=st.none() | CLASSES, children=st.tuples(CHILDREN, CHILDREN))
def test_under_a_guarantee_the_neighborhood_comes_first_in_every_group_and_classes_decide_in_it_and_outside(
    classes: list[Json], own: list[Json] | None, children: tuple[Facts, Facts]
) -> None:
    reserve: Json = {"name": "frl", "seats": 1, "when": {"has": "frl"}, **({} if own is None else {"classes": own})}
    parts: dict[str, Json] = {"classes": classes, "reserves": [reserve]}
    plain = read_back(program_document(resolved(**parts), PLACE))
    made = read_back(program_document(resolved(**parts, neighborhood={"rule": "guarantee"}), PLACE))

    def meant(child: Facts, group: str) -> tuple[bool, bool, int]:
        outside = child.zones.isdisjoint({"Z1", "Z2"})
        misses, place = standing(child, plain, plain.reserve(group))
        return outside, outside and misses, place

    first, second = children
    for group in ("frl", "open"):
        before = meant(first, group) < meant(second, group)
        after = standing(first, made, made.reserve(group)) < standing(second, made, made.reserve(group))
        assert before == after


def test_names_that_a_guarantee_makes_are_neither_too_long_nor_used_twice(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    long, taken = "s" * 49, "sibling-in-neighborhood"
    classes: list[Json] = [
        {"name": long, "when": {"at_school": "sibling"}},
        {"name": taken, "when": {"has": "ell"}},
        SIBLING,
    ]
    rules: dict[str, Json] = {"seats": {"match": 9}, "classes": classes}
    assert put(school, PROGRAM, rules).status_code == 200
    assert faults(put(school, PROGRAM, {**rules, "neighborhood": {"rule": "guarantee"}})) == {
        ("/rules/classes/0/name", "name-too-long"),
        ("/rules/classes/1/name", "name-taken"),
    }
