"""Rules over HTTP: each level sets its own, faulty rules are refused, and answers show the resolved rules."""

from collections.abc import Mapping
from threading import Barrier, Thread

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, select

from enrollment.audit.models import LogEntry
from enrollment.cycles.locks import lock_cycle
from enrollment.database import transaction
from enrollment.rules.in_force import Act, RulesCannotWork, rules_in_force, settle_cycle
from enrollment.rules.levels import lock_rules
from enrollment.zones.models import Zone
from lottery.market.canonical import Json
from people import PASSWORD, Caller, Service
from rows import add_school
from rules_spoken import (
    CYCLE,
    OPERATOR,
    PROGRAM,
    SCHOOL,
    SIBLING,
    STAFF,
    WHY,
    add_zone,
    city,
    class_names,
    faults,
    open_now,
    put,
    rules_put,
    say,
)

ADMINISTRATOR = Act(actor="staff:administrator", staff="ann", reason="New zones")


def test_a_programs_rules_are_shown_resolved_with_the_origin_of_each_part_and_in_words(service: Service) -> None:
    city(service)
    district, school = service.operator_staff("district", "dora"), service.school_staff("lincoln")
    put(district, OPERATOR, {"classes": [SIBLING], "backfill": {"order": "reverse"}})
    put(school, SCHOOL, {"neighborhood": {"rule": "priority", "zones": ["lincoln-area"], "before": "sibling"}})
    put(school, PROGRAM, {"seats": {"match": 24}})
    shown = service.stranger().get(PROGRAM).json()
    assert shown["came_from"] == {
        "seats": "program",
        "eligible": "default",
        "classes": "operator",
        "neighborhood": "school",
        "reserves": "default",
        "backfill": "operator",
    }
    assert shown["own"] == {"seats": {"match": 24}}
    assert shown["market"]["priorities"] == [
        {"name": "neighborhood", "when": {"zone_in": ["lincoln-area"]}},
        {"name": "sibling", "when": {"at_school": "sibling"}},
    ]
    assert shown["sentences"][0] == "There are 24 seats."
    assert shown["version"] == 4
    assert shown["missing"] == []


def test_the_sentences_are_in_the_readers_language(service: Service) -> None:
    city(service)
    sentences = {}
    for language in ("en", "es", "ar"):
        answer = service.stranger().get(PROGRAM, {"Accept-Language": language})
        assert answer.headers["Content-Language"] in (language, "en")
        sentences[language] = answer.json()["sentences"]
    assert all(sentences.values())


def test_everybody_reads_every_level_even_without_rules(service: Service) -> None:
    city(service)
    for path, level in ((OPERATOR, "operator"), (SCHOOL, "school")):
        answer = service.stranger().get(path)
        assert answer.json()["level"] == level
        assert (answer.json()["status"], answer.json()["rules"]) == ("nothing said", {})
        assert "ETag" not in answer.headers
    unseen = service.stranger().get(f"{CYCLE}/programs/charter-kg/rules").json()
    assert (unseen["version"], unseen["market"], unseen["missing"]) == (None, None, ["seats"])


def test_unknown_ids_are_not_found(service: Service) -> None:
    city(service)
    administrator = service.administrator()
    for path in (
        f"{CYCLE}/operators/none/rules",
        f"{CYCLE}/schools/none/rules",
        f"{CYCLE}/programs/none/rules",
        "/v1/cycles/1999/programs/lincoln-kg/rules",
    ):
        assert administrator.get(path).status_code == 404
        assert administrator.put(path, say({})).status_code == 404
    assert administrator.get(f"{CYCLE}/programs/none/rules/versions").status_code == 404
    assert administrator.get("/v1/cycles/1999/rules-changes").status_code == 404
    nowhere = "/v1/rules-changes/00000000-0000-4000-8000-000000000000"
    assert administrator.post(f"{nowhere}/approve", {"reason": WHY}).status_code == 404


def test_programs_without_rules_of_their_own_inherit_the_operators_rules(service: Service) -> None:
    city(service)
    district = service.operator_staff("district", "dora")
    put(service.school_staff("adams"), f"{CYCLE}/schools/adams/rules", {"classes": [STAFF]})
    assert put(district, OPERATOR, {"classes": [SIBLING, STAFF]}, WHY).status_code == 200
    assert class_names(service, "lincoln-kg") == ["sibling", "staff"]
    assert class_names(service, "adams-kg") == ["staff"]
    logged = [(entry["program"], entry["version"], entry["actor"], entry.get("reason")) for entry in rules_put(service)]
    assert logged == [
        ("adams-kg", 2, "staff:school:adams", None),
        ("lincoln-kg", 2, "staff:operator:district", WHY),
    ]


def test_saving_the_same_rules_makes_no_new_version_of_any_program(service: Service) -> None:
    city(service)
    put(service.school_staff("lincoln"), SCHOOL, {"classes": []})
    assert rules_put(service) == []


def test_the_log_has_the_rules_in_full_and_their_version_has_its_leaf(service: Service) -> None:
    city(service)
    put(service.school_staff("lincoln"), PROGRAM, {"seats": {"match": 20}, "classes": [SIBLING]})
    (entry,) = rules_put(service)
    shown = service.stranger().get(PROGRAM).json()
    assert (entry["market"], entry["rules"]) == (shown["market"], shown["rules"])
    newest, first = service.stranger().get(f"{PROGRAM}/versions").json()["data"]
    assert (newest["version"], newest["market"], newest["actor"]) == (2, shown["market"], "staff:school:lincoln")
    assert newest["came_from"]["classes"] == "program"
    assert first["version"] == 1
    with transaction(service.sessions) as session:
        leaf = session.scalars(select(LogEntry.leaf_hash).order_by(LogEntry.id.desc()).limit(1)).one()
    assert newest["leaf_hash"] == leaf.hex()


def test_the_versions_are_read_in_pages_newest_first(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    for seats in (21, 22):
        put(school, PROGRAM, {"seats": {"match": seats}})
    page = service.stranger().get(f"{PROGRAM}/versions?limit=2")
    assert [row["version"] for row in page.json()["data"]] == [3, 2]
    rest = service.stranger().get(f"{PROGRAM}/versions?cursor={page.json()['next_cursor']}").json()
    assert [row["version"] for row in rest["data"]] == [1]
    assert rest["next_cursor"] is None


def test_faulty_rules_are_refused_with_every_fault_and_the_earlier_rules_stay(
    service: Service,
) -> None:
    city(service)
    school = service.school_staff("lincoln")
    answer = put(
        school,
        PROGRAM,
        {
            "seats": {"match": 20},
            "eligible": {"all": [{"zone_in": ["lincoln-area", "atlantis"]}, {"attends_in": ["nowhere"]}]},
            "classes": [SIBLING, SIBLING],
            "reserves": [{"name": "open", "seats": 3, "when": {"has": "wealth"}}],
            "neighborhood": {"rule": "only", "zones": ["atlantis"]},
            "backfill": {"entry_grades": ["12"]},
        },
    )
    assert faults(answer) == {
        ("/rules/eligible/all/0/zone_in/1", "unknown-zone"),
        ("/rules/eligible/all/1/attends_in/0", "unknown-school"),
        ("/rules/classes/1/name", "named-twice"),
        ("/rules/reserves/0/name", "name-taken"),
        ("/rules/reserves/0/when/has", "unknown-fact"),
        ("/rules/neighborhood/zones/0", "unknown-zone"),
        ("/rules/backfill/entry_grades", "unknown-grade"),
    }
    again = put(
        school,
        PROGRAM,
        {
            "seats": {"match": 20},
            "reserves": [{"name": "ell", "seats": 21, "when": {"has": "ell"}}],
            "precedence": ["ell", "ell", "frl"],
            "neighborhood": {"rule": "priority", "before": "sibling"},
        },
    )
    assert faults(again) == {
        ("/rules/reserves", "reserves-over-seats"),
        ("/rules/precedence/1", "named-twice"),
        ("/rules/precedence/2", "unknown-group"),
        ("/rules/precedence", "group-missing"),
        ("/rules/neighborhood/before", "unknown-class"),
    }
    assert rules_put(service) == []
    assert school.get(PROGRAM).json()["own"] == {"seats": {"match": 20}}


def test_an_operators_rules_are_checked_at_every_program_under_it(service: Service) -> None:
    city(service)
    district = service.operator_staff("district", "dora")
    answer = put(district, OPERATOR, {"neighborhood": {"rule": "guarantee"}})
    assert faults(answer) == {("/rules", "cannot-work-at"), ("/rules/neighborhood/zones", "no-zones")}
    named = [fault["detail"] for fault in answer.json()["errors"] if fault["code"] == "cannot-work-at"]
    assert [name for name in ("adams-kg", "lincoln-01", "lincoln-kg") if any(name in detail for detail in named)] == [
        "adams-kg",
        "lincoln-01",
    ]


def test_programs_that_left_or_have_no_grade_of_the_cycle_do_not_block_rules(service: Service) -> None:
    city(service)
    with transaction(service.sessions) as session:
        add_school(session, "high", grades=["12"])
    district = service.operator_staff("district", "dora")
    district.change(f"{CYCLE}/schools/adams/participation", {"status": "out"})
    district.change(f"{CYCLE}/schools/lincoln/participation", {"status": "out", "grades": [{"grade": "01"}]})
    assert put(district, OPERATOR, {"neighborhood": {"rule": "guarantee"}}).status_code == 200
    back = district.change(f"{CYCLE}/schools/adams/participation", {"status": "in", "agreement": "1"})
    assert faults(back) == {("", "cannot-work-at"), ("", "no-zones")}


def test_a_fault_in_a_part_of_another_level_points_to_the_whole_body(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    put(school, SCHOOL, {"reserves": [{"name": "ell", "seats": 10, "when": {"has": "ell"}}]})
    assert faults(put(school, PROGRAM, {"seats": {"match": 9}})) == {("/rules", "reserves-over-seats")}


def test_a_program_that_takes_part_does_not_lose_its_seats(service: Service) -> None:
    city(service)
    kept = put(service.school_staff("lincoln"), PROGRAM, {})
    assert (kept.status_code, kept.json()["own"]) == (200, {"seats": {"match": 20}})


@pytest.mark.parametrize(
    "rules",
    [
        {"unknown": 1},
        {"seats": 20},
        {"seats": {"match": "20"}},
        {"seats": {"match": 2**31}},
        {"classes": [{"name": "a b", "when": {"everyone": True}}]},
        {"neighborhood": {"rule": "lottery"}},
        {"neighborhood": {"rule": "reserve", "percent": 50}},
        {"reserves": [{"name": "ell", "when": {"has": "ell"}}]},
        {"backfill": {"last_date": "soon"}},
        {"tie_break": "coin"},
    ],
)
def test_a_malformed_body_is_refused(service: Service, rules: Mapping[str, Json]) -> None:
    city(service)
    answer = put(service.school_staff("lincoln"), PROGRAM, rules)
    assert answer.status_code == 422, answer.text
    assert all(fault["pointer"].startswith("/rules/") for fault in answer.json()["errors"])


@pytest.mark.parametrize("depth", [20, 70, 5_000])
def test_a_condition_nested_too_deeply_is_refused(service: Service, depth: int) -> None:
    city(service)
    service.school_staff("lincoln")
    anybody = TestClient(service.app, raise_server_exceptions=False)
    token = anybody.post("/v1/sessions", json={"id": "lincoln.office", "password": PASSWORD}).json()["token"]
    nested = '{"not":' * depth + '{"everyone":true}' + "}" * depth
    body = ('{"rules":{"seats":{"match":20},"eligible":' + nested + "}}").encode()
    headers = {"Authorization": f"Bearer {token}", "If-Match": "*", "Content-Type": "application/json"}
    answer = anybody.put(PROGRAM, content=body, headers=headers)
    assert answer.status_code in (409, 422), answer.text
    assert answer.json()["errors"]


def test_strangers_to_a_level_find_nothing_with_any_body(service: Service) -> None:
    city(service)
    lincoln, adams = service.school_staff("lincoln"), service.school_staff("adams")
    network, auditor = service.operator_staff("network"), service.auditor()
    outside = [(adams, SCHOOL), (adams, PROGRAM), (lincoln, OPERATOR), (network, OPERATOR), (network, PROGRAM)]
    for caller, path in [*outside, (auditor, PROGRAM), (auditor, SCHOOL), (auditor, OPERATOR)]:
        for body in (say({}), {"nothing": "of it"}):
            assert caller.put(path, body).status_code == 404
    for path in (OPERATOR, SCHOOL, PROGRAM):
        assert service.stranger().put(path, say({})).status_code == 401
        assert service.with_token("unknown").put(path, say({})).status_code == 401


def test_a_partner_sets_no_rules(service: Service) -> None:
    city(service)
    partner = service.partner()
    for path in (OPERATOR, SCHOOL, PROGRAM):
        assert partner.put(path, say({})).status_code == 403


def test_an_operators_staff_and_administrators_act_for_its_schools_and_programs(service: Service) -> None:
    city(service)
    for caller in (service.operator_staff("district", "dora"), service.administrator()):
        assert put(caller, SCHOOL, {"classes": [SIBLING]}).status_code == 200
        assert put(caller, PROGRAM, {"seats": {"match": 25}}).status_code == 200
    assert put(service.administrator("bob"), OPERATOR, {}).status_code == 200
    assert [entry["actor"] for entry in rules_put(service)] == ["staff:operator:district"] * 2


def test_an_if_match_for_rules_that_do_not_exist_yet_is_told_to_send_none(service: Service) -> None:
    city(service)
    answer = service.school_staff("lincoln").put(SCHOOL, say({}), "*")
    assert (answer.status_code, answer.json()["code"]) == (412, "version-stale")
    assert "If the record does not exist yet, send no If-Match." in answer.json()["detail"]


def test_a_fact_in_a_cycle_without_facts_is_answered_with_what_is_missing(service: Service) -> None:
    city(service)
    with transaction(service.sessions) as session:
        lock_cycle(session, "2027").cycle.child_facts = []
    refused = put(service.school_staff("lincoln"), SCHOOL, {"eligible": {"has": "ell"}}).json()
    missing = [fault for fault in refused["errors"] if fault["code"] == "unknown-fact"]
    assert [fault["detail"] for fault in missing] == [
        "names a fact, but this cycle has no facts of this kind; ask an administrator to add the fact"
    ]


def test_a_change_names_the_version_that_it_changes(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    assert school.put(SCHOOL, say({}), '"1"').status_code == 412
    assert school.put(SCHOOL, say({"classes": []})).status_code == 200
    assert school.put(SCHOOL, say({})).status_code == 428
    tag = school.get(SCHOOL).headers["ETag"]
    assert school.put(SCHOOL, say({"classes": [SIBLING]}), tag).status_code == 200
    assert school.put(SCHOOL, say({"classes": [STAFF]}), tag).status_code == 412
    assert class_names(service) == ["sibling"]


def test_of_two_changes_of_the_same_version_at_once_one_is_refused(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    tag = school.get(PROGRAM).headers["ETag"]
    start, answers = Barrier(2), []

    def save(seats: int) -> None:
        start.wait()
        answers.append(school.put(PROGRAM, say({"seats": {"match": seats}}), tag).status_code)

    threads = [Thread(target=save, args=(seats,)) for seats in (30, 31)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 412]


def test_two_levels_saved_at_once_are_both_in_force(service: Service) -> None:
    city(service)
    district, school = service.operator_staff("district", "dora"), service.school_staff("lincoln")
    start, answers = Barrier(2), []

    def save(caller: Caller, path: str, rules: Mapping[str, Json]) -> None:
        start.wait()
        answers.append(put(caller, path, rules).status_code)

    threads = [
        Thread(target=save, args=(district, OPERATOR, {"classes": [SIBLING]})),
        Thread(target=save, args=(school, SCHOOL, {"eligible": {"has": "ell"}})),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = service.stranger().get(PROGRAM).json()
    assert answers == [200, 200]
    assert shown["version"] == 3
    with transaction(service.sessions) as session:
        (found,) = (rules for rules in rules_in_force(session, "2027") if rules.program == "lincoln-kg")
    assert found.market == shown["market"]


def test_changed_zones_update_the_rules_that_depend_on_them(service: Service) -> None:
    city(service)
    put(service.school_staff("lincoln"), PROGRAM, {"seats": {"match": 20}, "neighborhood": {"rule": "only"}})
    with transaction(service.sessions) as session:
        cycle_now = lock_cycle(session, "2027")
        lock_rules(session, "2027")
        add_zone(session, "lincoln-annex", "lincoln", None)
        settle_cycle(session, cycle_now.cycle, ADMINISTRATOR)
    newest = rules_put(service)[-1]
    assert (newest["program"], newest["version"], newest["reason"]) == ("lincoln-kg", 3, "New zones")
    assert service.stranger().get(PROGRAM).json()["market"]["eligible"] == {
        "zone_in": ["lincoln-annex", "lincoln-area"]
    }


def test_zones_that_rules_need_cannot_be_removed(service: Service) -> None:
    city(service)
    put(service.school_staff("lincoln"), PROGRAM, {"seats": {"match": 20}, "neighborhood": {"rule": "only"}})
    with transaction(service.sessions) as session:
        cycle_now = lock_cycle(session, "2027")
        session.execute(delete(Zone))
        with pytest.raises(RulesCannotWork):
            settle_cycle(session, cycle_now.cycle, ADMINISTRATOR)


@pytest.mark.parametrize("opened", [False, True])
def test_a_program_that_takes_part_can_say_one_part_only_and_keeps_its_committed_seats(
    service: Service, *, opened: bool
) -> None:
    city(service)
    if opened:
        open_now(service)
    school, ann = service.school_staff("lincoln"), service.administrator()
    parts: Mapping[str, Json] = {
        "backfill": {"entry_grades": ["KG"]},
        "classes": [dict(SIBLING)],
        "eligible": {"everyone": True},
        "neighborhood": {"rule": "only"},
        "reserves": [{"name": "staff", "percent": 10, "when": {"at_school": "staff_child"}}],
        "tie_break": "multiple",
        "precedence": ["open"],
    }
    for part, said in parts.items():
        answer = put(school, PROGRAM, {part: said}, WHY)
        assert answer.status_code == (202 if opened else 200), (part, answer.text)
        if opened:
            change = answer.json()["change"]["id"]
            assert ann.post(f"/v1/rules-changes/{change}/approve", {"reason": WHY}).status_code == 200
        shown = school.get(PROGRAM).json()
        assert shown["own"].keys() == {part, "seats"}
        assert shown["rules"]["seats"] == {"match": 20}
        assert shown["missing"] == []


def test_seats_of_the_school_replace_committed_seats_that_a_program_leaves_out(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    assert put(school, SCHOOL, {"seats": {"match": 30}}).status_code == 200
    shown = put(school, PROGRAM, {"tie_break": "multiple"}).json()
    assert (shown["own"], shown["rules"]["seats"], shown["came_from"]["seats"]) == (
        {"tie_break": "multiple"},
        {"match": 30},
        "school",
    )
