"""A school takes part by grade, under the agreement in force, and may leave until the freeze of the main round."""

import json
from collections.abc import Mapping
from datetime import timedelta
from threading import Barrier, Thread

import httpx2
import pytest
from sqlalchemy import select, text

from enrollment.audit.models import LogEntry
from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from enrollment.directory.models import Program
from enrollment.rules.in_force import rules_in_force
from lottery.market.canonical import Json
from people import Service
from rows import add_cycle, add_school

PATH = "/v1/cycles/2027/schools/lincoln/participation"
KG: Mapping[str, Json] = {"grade": "KG", "seats": 40}


def city(service: Service, *, opened: bool = True) -> None:
    """Put a cycle into the tables, with Lincoln (KG, 01) and Adams (KG) of the district, and a charter."""
    with transaction(service.sessions) as session:
        cycle = add_cycle(session)
        if not opened:
            cycle.opens_at = clock(session) + timedelta(hours=1)
        add_school(session, "lincoln", grades=["KG", "01"])
        add_school(session, "adams")
        add_school(session, "charter", operator="network")


def freeze(service: Service) -> None:
    """Have the cycle's main round frozen and published."""
    with transaction(service.sessions) as session:
        lock_cycle(session, "2027").cycle.main_round = "main-1"


def say_in(*grades: Mapping[str, Json], **more: Json) -> dict[str, Json]:
    """Return a body that takes part with grades."""
    return {"status": "in", "agreement": "1", "grades": list(grades), **more}


def by_grade(answer: httpx2.Response) -> dict[str, dict[str, Json]]:
    """Return an answer's grades by name."""
    assert answer.status_code == 200, answer.text
    return {grade["grade"]: grade for grade in answer.json()["grades"]}


def entries(service: Service) -> list[dict[str, Json]]:
    """Return what the log has of schools, oldest first."""
    with transaction(service.sessions) as session:
        types = ("participation.set", "rules.put")
        query = select(LogEntry.body).where(LogEntry.type.in_(types)).order_by(LogEntry.id)
        return [json.loads(body) for body in session.scalars(query)]


def faults(answer: httpx2.Response) -> set[tuple[str, str]]:
    """Return the places and codes of a refusal's faults."""
    assert answer.status_code == 409, answer.text
    return {(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]}


def test_a_school_that_joins_with_defaults_alone_is_ready_in_three_requests(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    before = school.get(PATH)
    agreement = before.json()["agreement"]
    joined = school.put(PATH, {**say_in(KG), "agreement": agreement}, before.headers["ETag"])
    rules = school.get("/v1/cycles/2027/programs/lincoln-kg/rules").json()
    assert joined.status_code == 200, joined.text
    assert (rules["version"], rules["missing"], rules["market"]["seats"]) == (1, [], 40)
    assert rules["came_from"]["seats"] == "program"
    assert rules["came_from"]["backfill"] == "default"
    with transaction(service.sessions) as session:
        (ready,) = rules_in_force(session, "2027")
    assert (ready.program, ready.version, ready.market) == ("lincoln-kg", 1, rules["market"])


def test_everybody_sees_the_agreement_and_each_schools_participation(service: Service) -> None:
    city(service)
    never = by_grade(service.stranger().get(PATH))
    assert {grade: shown["status"] for grade, shown in never.items()} == {"KG": "never asked", "01": "never asked"}
    service.school_staff("lincoln").change(PATH, say_in(KG))
    answer = service.stranger().get(PATH)
    shown = by_grade(answer)
    assert answer.json()["agreement_text"] == "Schools take part under their own rules."
    assert answer.json()["fixed_by"] is None
    assert (shown["KG"]["status"], shown["KG"]["seats"], shown["KG"]["agreement"]) == ("in", 40, "1")
    assert shown["KG"]["programs"] == ["lincoln-kg"]
    assert shown["01"]["status"] == "never asked"


def test_the_log_has_the_participation_before_the_rules_in_force(service: Service) -> None:
    city(service)
    service.school_staff("lincoln").change(PATH, say_in(KG))
    shown = service.stranger().get("/v1/cycles/2027/programs/lincoln-kg/rules").json()
    joined, rules = entries(service)
    assert str(joined.pop("at")) <= str(rules["at"])
    assert joined == {
        "v": 1,
        "type": "participation.set",
        "cycle": "2027",
        "actor": "staff:school:lincoln",
        "school": "lincoln",
        "grades": ["KG"],
        "status": "in",
        "agreement": "1",
    }
    assert (rules["type"], rules["program"], rules["version"]) == ("rules.put", "lincoln-kg", 1)
    assert (rules["market"], rules["rules"]) == (shown["market"], shown["rules"])


def test_left_out_grades_do_not_change_and_no_grades_means_all(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    school.change(PATH, say_in(KG))
    shown = by_grade(school.change(PATH, say_in({"grade": "01"})))
    assert (shown["KG"]["status"], shown["01"]["status"]) == ("in", "in")
    left = by_grade(school.change(PATH, {"status": "out", "reason": "The school closes"}))
    assert {shown["status"] for shown in left.values()} == {"out"}


def test_seats_are_not_needed_where_a_level_of_rules_has_them(service: Service) -> None:
    city(service, opened=False)
    rules = {"rules": {"seats": {"match": 22, "enrollment": 25}}}
    service.operator_staff("district").put("/v1/cycles/2027/operators/district/rules", rules)
    school = service.school_staff("lincoln")
    shown = by_grade(school.change(PATH, {"status": "in", "agreement": "1"}))
    assert (shown["KG"]["seats"], shown["01"]["seats"]) == (22, 22)
    own = by_grade(school.change(PATH, say_in({"grade": "KG", "seats": 20})))
    assert (own["KG"]["seats"], own["01"]["seats"]) == (20, 22)
    read = school.get("/v1/cycles/2027/programs/lincoln-kg/rules").json()
    assert read["own"] == {"seats": {"match": 20, "enrollment": 25}}
    same = school.change(PATH, say_in({"grade": "01", "seats": 22}))
    assert same.status_code == 200
    assert school.get("/v1/cycles/2027/programs/lincoln-01/rules").json()["own"] == {}


def test_a_school_without_seats_takes_part_and_its_rules_list_the_missing_part(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    shown = by_grade(school.change(PATH, say_in({"grade": "KG"})))
    rules = school.get("/v1/cycles/2027/programs/lincoln-kg/rules").json()
    assert (shown["KG"]["status"], shown["KG"]["seats"]) == ("in", None)
    assert (rules["missing"], rules["market"], rules["version"]) == (["seats"], None, None)


def test_another_version_of_the_agreement_is_refused_and_the_error_names_the_version_in_force(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    for agreement in ({"agreement": "0"}, {"agreement": None}):
        answer = school.change(PATH, {**say_in(KG), **agreement})
        assert (answer.status_code, answer.json()["code"]) == (409, "agreement-stale")
        assert "version 1" in answer.json()["detail"]
    assert entries(service) == []


def test_invalid_grades_are_refused_with_every_fault(service: Service) -> None:
    city(service)
    with transaction(service.sessions) as session:
        session.add(Program(id="lincoln-kg-dual", school_id="lincoln", grade="KG", track="dual", name="Dual"))
    answer = service.school_staff("lincoln").change(
        PATH, say_in(KG, {"grade": "12"}, {"grade": "02"}, {"grade": "01"}, {"grade": "01"})
    )
    assert answer.json()["code"] == "grades-refused"
    assert faults(answer) == {
        ("/grades/0/seats", "several-programs"),
        ("/grades/1/grade", "unknown-grade"),
        ("/grades/2/grade", "no-program"),
        ("/grades/4/grade", "named-twice"),
    }
    assert "set the seats in the rules of each program" in answer.json()["errors"][0]["detail"]


def test_a_school_without_a_program_at_any_grade_of_the_cycle_cannot_take_part(service: Service) -> None:
    city(service)
    with transaction(service.sessions) as session:
        add_school(session, "high", grades=["12"])
    path = "/v1/cycles/2027/schools/high/participation"
    answer = service.school_staff("high").change(path, {"status": "in", "agreement": "1"})
    assert faults(answer) == {("/grades", "no-programs")}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "perhaps"},
        {"status": "in", "agreement": 1},
        {"status": "in", "agreement": "1", "grades": []},
        {"status": "in", "agreement": "1", "grades": ["KG"]},
        {"status": "in", "agreement": "1", "grades": [{"grade": "KG", "seats": -1}]},
        {"status": "in", "agreement": "1", "grades": [{"grade": "K\0"}]},
        {"status": "in", "agreement": "1", "seats": 40},
        {"status": "out", "reason": "  "},
    ],
)
def test_a_malformed_body_is_refused(service: Service, body: Json) -> None:
    city(service)
    assert service.school_staff("lincoln").change(PATH, body).status_code == 422


def test_leaving_needs_a_reason_once_the_cycle_is_open_and_takes_no_seats(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    school.change(PATH, say_in(KG))
    out: dict[str, Json] = {"status": "out", "grades": [{"grade": "KG"}]}
    without = school.change(PATH, out)
    assert without.json()["code"] == "reason-needed"
    assert faults(without) == {("/reason", "reason-missing")}
    with_seats = school.change(PATH, {"status": "out", "grades": [KG], "reason": "The building is unsafe"})
    assert faults(with_seats) == {("/grades/0/seats", "seats-of-none")}
    left = by_grade(school.change(PATH, {**out, "reason": "The building is unsafe"}))
    assert (left["KG"]["status"], left["KG"]["reason"]) == ("out", "The building is unsafe")
    assert left["KG"]["seats"] is None
    assert entries(service)[-1]["reason"] == "The building is unsafe"


def test_before_the_opening_a_school_leaves_without_a_reason(service: Service) -> None:
    city(service, opened=False)
    school = service.school_staff("lincoln")
    school.change(PATH, say_in(KG))
    assert by_grade(school.change(PATH, {"status": "out"}))["KG"]["status"] == "out"


def test_a_school_that_left_stays_in_the_directory_marked_so_and_is_out_of_the_rules_in_force(
    service: Service,
) -> None:
    city(service)
    school = service.school_staff("lincoln")
    school.change(PATH, say_in(KG))
    school.change(PATH, {"status": "out", "reason": "The building is unsafe"})
    listed = service.stranger().get("/v1/cycles/2027/programs?school=lincoln&grade=KG").json()["data"]
    assert [(one["id"], one["takes_part"], one["reason"]) for one in listed] == [
        ("lincoln-kg", False, "The building is unsafe")
    ]
    with transaction(service.sessions) as session:
        assert rules_in_force(session, "2027") == []


def test_coming_back_with_the_same_rules_makes_no_new_version_of_them(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    school.change(PATH, say_in(KG))
    school.change(PATH, {"status": "out", "reason": "The building is unsafe"})
    back = by_grade(school.change(PATH, say_in(KG)))
    assert (back["KG"]["status"], back["KG"]["reason"], back["KG"]["seats"]) == ("in", None, 40)
    assert [entry["type"] for entry in entries(service)] == [
        "participation.set",
        "rules.put",
        "participation.set",
        "participation.set",
    ]


def test_after_the_freeze_of_the_main_round_nobody_joins_leaves_or_changes_seats(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    school.change(PATH, say_in(KG))
    freeze(service)
    for body in ({"status": "out", "reason": "The building is unsafe"}, say_in({"grade": "KG", "seats": 50})):
        assert school.change(PATH, body).json()["code"] == "main-round-frozen"
    assert school.get(PATH).json()["fixed_by"] == "main-1"
    assert by_grade(school.get(PATH))["KG"]["seats"] == 40


def test_while_a_round_runs_nothing_changes(service: Service) -> None:
    city(service)
    with transaction(service.sessions) as session:
        lock_cycle(session, "2027").cycle.running_round = "main-1"
    assert service.school_staff("lincoln").change(PATH, say_in(KG)).json()["code"] == "round-running"


def test_school_operator_and_administrator_act_for_a_school_and_the_log_names_the_role(
    service: Service,
) -> None:
    city(service)
    callers = [service.school_staff("lincoln"), service.operator_staff("district"), service.administrator()]
    for caller in callers:
        assert caller.change(PATH, say_in(KG)).status_code == 200
    actors = [entry["actor"] for entry in entries(service) if entry["type"] == "participation.set"]
    assert actors == ["staff:school:lincoln", "staff:operator:district", "staff:administrator"]


def test_other_staff_do_not_find_the_school_with_any_body(service: Service) -> None:
    city(service)
    tag = service.stranger().get(PATH).headers["ETag"]
    for caller in (service.school_staff("adams"), service.operator_staff("network"), service.auditor()):
        for body in (say_in(KG), {"nothing": "of it"}):
            assert caller.put(PATH, body, tag).status_code == 404
    assert service.partner().put(PATH, say_in(KG), tag).status_code == 403
    assert service.stranger().put(PATH, say_in(KG), tag).status_code == 401
    assert entries(service) == []


def test_unknown_ids_are_not_found(service: Service) -> None:
    city(service)
    administrator = service.administrator()
    assert administrator.get("/v1/cycles/2027/schools/none/participation").status_code == 404
    assert administrator.get("/v1/cycles/1999/schools/lincoln/participation").status_code == 404
    assert administrator.put("/v1/cycles/1999/schools/lincoln/participation", say_in(KG), '"0"').status_code == 404
    assert administrator.put("/v1/cycles/2027/schools/none/participation", say_in(KG), '"0"').status_code == 404


def test_a_change_names_the_version_that_it_changes(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    assert school.put(PATH, say_in(KG)).status_code == 428
    first = school.get(PATH).headers["ETag"]
    assert school.put(PATH, say_in(KG), first).status_code == 200
    assert school.put(PATH, say_in(KG), first).status_code == 412


def test_a_change_of_seats_by_rules_makes_an_older_version_stale(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    before = school.change(PATH, say_in(KG)).headers["ETag"]
    rules = "/v1/cycles/2027/programs/lincoln-kg/rules"
    assert school.change(rules, {"rules": {"seats": {"match": 45}}, "reason": "One more room"}).status_code == 200
    assert school.put(PATH, say_in(KG), before).status_code == 412
    assert by_grade(school.get(PATH))["KG"]["seats"] == 45


def test_too_few_seats_for_the_reserves_are_refused_and_nothing_is_stored(service: Service) -> None:
    city(service, opened=False)
    school = service.school_staff("lincoln")
    reserve: Json = {"name": "ell", "seats": 10, "when": {"has": "ell"}}
    school.put("/v1/cycles/2027/schools/lincoln/rules", {"rules": {"reserves": [reserve]}})
    answer = school.change(PATH, say_in({"grade": "01", "seats": 30}, {"grade": "KG", "seats": 8}))
    assert answer.json()["code"] == "rules-cannot-work"
    assert faults(answer) == {("/grades/1/seats", "reserves-over-seats")}
    assert entries(service) == []
    assert by_grade(school.get(PATH))["01"]["status"] == "never asked"


def test_faulty_inherited_rules_are_refused_and_the_error_names_the_program(service: Service) -> None:
    city(service, opened=False)
    service.operator_staff("district").put(
        "/v1/cycles/2027/operators/district/rules",
        {"rules": {"seats": {"match": 20}, "classes": [{"name": "sibling", "when": {"at_school": "sibling"}}]}},
    )
    with transaction(service.sessions) as session:
        lock_cycle(session, "2027").cycle.school_facts = []
    answer = service.school_staff("lincoln").change(PATH, say_in({"grade": "KG"}))
    assert {code for _, code in faults(answer)} == {"cannot-work-at", "unknown-fact"}
    assert "lincoln-kg" in answer.json()["errors"][0]["detail"]


def test_of_two_participation_changes_of_the_same_version_at_once_one_is_refused(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    tag = school.get(PATH).headers["ETag"]
    start, answers = Barrier(2), []

    def put(seats: int) -> None:
        start.wait()
        answers.append(school.put(PATH, say_in({"grade": "KG", "seats": seats}), tag).status_code)

    threads = [Thread(target=put, args=(seats,)) for seats in (30, 31)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 412]
    assert len([entry for entry in entries(service) if entry["type"] == "participation.set"]) == 1


def test_a_school_that_leaves_during_the_freeze_is_refused_after_it(service: Service) -> None:
    city(service)
    school = service.school_staff("lincoln")
    school.change(PATH, say_in(KG))
    answers = []

    def leave() -> None:
        answers.append(school.change(PATH, {"status": "out", "reason": "Too late"}))

    leaving = Thread(target=leave)
    with transaction(service.sessions) as freezing:
        cycle = lock_cycle(freezing, "2027").cycle
        leaving.start()
        while leaving.is_alive() and not anybody_waits(service):
            pass
        cycle.main_round = "main-1"
    leaving.join()
    assert answers[0].json()["code"] == "main-round-frozen"
    assert by_grade(school.get(PATH))["KG"]["status"] == "in"


def anybody_waits(service: Service) -> bool:
    """Say whether some transaction of this database waits for a lock."""
    with transaction(service.sessions) as session:
        waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        found: int = session.execute(waiting).scalar_one()
        return found > 0
