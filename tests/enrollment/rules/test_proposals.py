"""Once a cycle is open, rules change by an administrator's approval; seats alone by the school's own act."""

from enrollment.cycles.locks import lock_cycle
from enrollment.database import transaction
from people import Service
from rules_spoken import (
    CYCLE,
    OPERATOR,
    PROGRAM,
    SCHOOL,
    SIBLING,
    STAFF,
    WHY,
    city,
    class_names,
    open_now,
    propose,
    put,
    rules_put,
    say,
)


def test_once_the_cycle_is_open_a_change_needs_a_reason_and_waits_for_an_administrator(service: Service) -> None:
    city(service)
    open_now(service)
    school, administrator = service.school_staff("lincoln"), service.administrator()
    without = put(school, PROGRAM, {"seats": {"match": 20}, "classes": [SIBLING]})
    assert (without.status_code, without.json()["code"]) == (409, "reason-needed")
    change = propose(school, PROGRAM, {"seats": {"match": 20}, "classes": [SIBLING]})
    waiting = service.stranger().get(PROGRAM).json()
    assert waiting["own"] == {"seats": {"match": 20}}
    assert (waiting["change"]["status"], waiting["change"]["reason"]) == ("proposed", WHY)
    assert class_names(service) == []
    listed = administrator.get(f"{CYCLE}/rules-changes").json()["data"]
    assert [(row["id"], row["level"], row["subject"]) for row in listed] == [(change, "program", "lincoln-kg")]
    approved = administrator.post(f"/v1/rules-changes/{change}/approve", {"reason": "Families were told"})
    assert (approved.status_code, approved.json()["status"]) == (200, "in force"), approved.text
    assert class_names(service) == ["sibling"]
    (entry,) = rules_put(service)
    assert {name: entry[name] for name in ("actor", "reason", "approved_by", "approval_reason")} == {
        "actor": "staff:school:lincoln",
        "reason": WHY,
        "approved_by": "staff:administrator",
        "approval_reason": "Families were told",
    }
    assert administrator.get(f"{CYCLE}/rules-changes").json()["data"] == []
    assert service.stranger().get(PROGRAM).json()["change"] is None


def test_an_operators_change_that_is_approved_reaches_its_programs(service: Service) -> None:
    city(service)
    open_now(service)
    change = propose(service.operator_staff("district", "dora"), OPERATOR, {"classes": [SIBLING]})
    service.administrator().post(f"/v1/rules-changes/{change}/approve", {"reason": WHY})
    assert class_names(service, "lincoln-kg") == class_names(service, "adams-kg") == ["sibling"]
    assert [entry["program"] for entry in rules_put(service)] == ["adams-kg", "lincoln-kg"]


def test_a_refused_change_leaves_the_earlier_rules_and_shows_its_reason_until_the_next(service: Service) -> None:
    city(service)
    open_now(service)
    school, administrator = service.school_staff("lincoln"), service.administrator()
    change = propose(school, SCHOOL, {"classes": [SIBLING]})
    refused = administrator.post(f"/v1/rules-changes/{change}/refuse", {"reason": "Families have ranked"})
    assert (refused.status_code, refused.json()["status"]) == (200, "refused")
    shown = school.get(SCHOOL).json()
    assert (shown["status"], shown["rules"]) == ("nothing said", {})
    assert shown["change"]["decision_reason"] == "Families have ranked"
    assert rules_put(service) == []
    assert propose(school, SCHOOL, {"classes": [STAFF]}) != change


def test_nobody_approves_their_own_change(service: Service) -> None:
    city(service)
    open_now(service)
    ann, bob = service.administrator("ann"), service.administrator("bob")
    change = propose(ann, SCHOOL, {"classes": [SIBLING]})
    own = ann.post(f"/v1/rules-changes/{change}/approve", {"reason": WHY})
    assert (own.status_code, own.json()["code"]) == (409, "own-proposal")
    assert class_names(service) == []
    assert bob.post(f"/v1/rules-changes/{change}/approve", {"reason": WHY}).status_code == 200


def test_a_change_is_decided_on_once(service: Service) -> None:
    city(service)
    open_now(service)
    administrator = service.administrator()
    change = propose(service.school_staff("lincoln"), SCHOOL, {"classes": [SIBLING]})
    decide = f"/v1/rules-changes/{change}"
    first = administrator.post(f"{decide}/approve", {"reason": WHY}, key="once")
    assert administrator.post(f"{decide}/approve", {"reason": WHY}, key="once").json() == first.json()
    for verb in ("approve", "refuse"):
        again = administrator.post(f"{decide}/{verb}", {"reason": WHY})
        assert (again.status_code, again.json()["code"]) == (409, "change-decided")


def test_only_administrators_decide_and_only_administrators_and_auditors_list_pending_changes(service: Service) -> None:
    city(service)
    open_now(service)
    change = propose(service.school_staff("lincoln"), SCHOOL, {"classes": [SIBLING]})
    others = [service.school_staff("lincoln", "lou"), service.operator_staff("district", "dora"), service.partner()]
    for caller in [*others, service.auditor()]:
        for verb in ("approve", "refuse"):
            assert caller.post(f"/v1/rules-changes/{change}/{verb}", {"reason": WHY}).status_code == 403
    for caller in others:
        assert caller.get(f"{CYCLE}/rules-changes").status_code == 403
    assert service.auditor("ada").get(f"{CYCLE}/rules-changes").status_code == 200
    assert service.administrator().post(f"/v1/rules-changes/{change}/approve", {"reason": ""}).status_code == 422


def test_one_change_of_a_level_waits_at_a_time(service: Service) -> None:
    city(service)
    open_now(service)
    school = service.school_staff("lincoln")
    propose(school, SCHOOL, {"classes": [SIBLING]})
    second = put(school, SCHOOL, {"classes": [STAFF]}, WHY)
    assert (second.status_code, second.json()["code"]) == (409, "proposal-waiting")
    assert put(school, PROGRAM, {"seats": {"match": 20}, "classes": []}, WHY).status_code == 202


def test_a_decision_makes_an_older_version_of_the_rules_stale(service: Service) -> None:
    city(service)
    open_now(service)
    school = service.school_staff("lincoln")
    change = propose(school, SCHOOL, {"classes": [SIBLING]})
    tag = school.get(SCHOOL).headers["ETag"]
    service.administrator().post(f"/v1/rules-changes/{change}/approve", {"reason": WHY})
    assert school.put(SCHOOL, say({"classes": [STAFF]}, WHY), tag).status_code == 412


def test_a_programs_seats_alone_change_at_once_until_the_freeze(service: Service) -> None:
    city(service)
    open_now(service)
    school = service.school_staff("lincoln")
    assert put(school, PROGRAM, {"seats": {"match": 25}}).json()["code"] == "reason-needed"
    assert put(school, PROGRAM, {"seats": {"match": 25}}, WHY).status_code == 200
    assert rules_put(service)[0]["reason"] == WHY
    assert put(school, SCHOOL, {"seats": {"match": 30}}, WHY).status_code == 202
    with transaction(service.sessions) as session:
        lock_cycle(session, "2027").cycle.main_round = "main-1"
    assert put(school, PROGRAM, {"seats": {"match": 26}}, WHY).status_code == 202
    assert school.get(PROGRAM).json()["market"]["seats"] == 25


def test_newer_seats_stay_when_an_older_change_is_approved(service: Service) -> None:
    city(service)
    open_now(service)
    school = service.school_staff("lincoln")
    change = propose(school, PROGRAM, {"seats": {"match": 20}, "classes": [SIBLING]})
    assert put(school, PROGRAM, {"seats": {"match": 27}}, WHY).status_code == 200
    service.administrator().post(f"/v1/rules-changes/{change}/approve", {"reason": WHY})
    shown = school.get(PROGRAM).json()
    assert (shown["market"]["seats"], class_names(service)) == (27, ["sibling"])
    assert shown["own"]["seats"] == {"match": 27}


def test_a_change_with_faults_since_its_proposal_is_not_approved(service: Service) -> None:
    city(service)
    open_now(service)
    school = service.school_staff("lincoln")
    change = propose(school, SCHOOL, {"reserves": [{"name": "ell", "seats": 15, "when": {"has": "ell"}}]})
    put(school, PROGRAM, {"seats": {"match": 14}}, WHY)
    answer = service.administrator().post(f"/v1/rules-changes/{change}/approve", {"reason": WHY})
    assert answer.json()["code"] == "rules-cannot-work"
    assert school.get(SCHOOL).json()["change"]["status"] == "proposed"


def test_during_a_round_nobody_saves_or_decides_on_rules(service: Service) -> None:
    city(service)
    open_now(service)
    school = service.school_staff("lincoln")
    change = propose(school, SCHOOL, {"classes": [SIBLING]})
    with transaction(service.sessions) as session:
        lock_cycle(session, "2027").cycle.running_round = "main-1"
    assert put(school, PROGRAM, {"seats": {"match": 30}}, WHY).json()["code"] == "round-running"
    answer = service.administrator().post(f"/v1/rules-changes/{change}/approve", {"reason": WHY})
    assert answer.json()["code"] == "round-running"
