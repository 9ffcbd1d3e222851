"""A wrong grade can be corrected before the freeze: of one application, of the cycle, and of a program."""

from enrollment.database import transaction
from enrollment.directory.models import Program
from log_entries import entries
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, apply, make_city

PRESENT = "/v1/cycles/2027/children"


def test_an_administrator_corrects_the_grade_of_an_application_and_the_ranking_becomes_a_draft(
    service: Service,
) -> None:
    city = make_city(service, children=2)
    ticket = city.tickets()["child-00"]
    path = f"{PRESENT}/{ticket}/grade"
    refused = city.ann.put(path, {"grade": "12", "reason": "Typed wrongly"})
    assert (refused.status_code, refused.json()["code"]) == (409, "grade-not-offered")
    assert refused.json()["errors"][0]["pointer"] == "/grade"
    nobody = city.ann.put(f"{PRESENT}/{'f' * 32}/grade", {"grade": "01", "reason": "Typed wrongly"})
    assert nobody.status_code == 404
    assert city.ann.put(path, {"grade": "01"}).status_code == 422
    assert city.lincoln.put(path, {"grade": "01", "reason": "Typed wrongly"}).status_code == 403
    city.close()  # the partner cannot correct it any more
    corrected = city.ann.put(path, {"grade": "01", "reason": "Typed wrongly"})
    assert corrected.status_code == 200, corrected.text
    assert corrected.json() == {"ticket": ticket, "grade": "01", "draft": 3, "programs": ["lincoln-kg", "adams-kg"]}
    child = city.portal.get(f"{CYCLE}/applicants/child-00").json()
    assert (child["grade"], child["ranking_version"]) == ("01", None)
    history = city.portal.get(f"{CYCLE}/applicants/child-00/ranking/versions").json()["data"]
    kinds = {one["version"]: (one["draft"], one["withdrawn"], one["programs"]) for one in history}
    assert kinds == {
        1: (False, False, ["lincoln-kg", "adams-kg"]),
        2: (False, True, []),
        3: (True, False, ["lincoln-kg", "adams-kg"]),
    }
    same = city.ann.put(path, {"grade": "01", "reason": "Typed wrongly"})
    assert (same.status_code, same.json()["draft"]) == (200, None)
    assert entries(service, "facts.set")[-1]["reason"] == "Typed wrongly"
    assert entries(service, "ranking.withdraw")[-1]["actor"] == "staff:administrator"
    service.sequence()
    told = [one for one in city.portal.get(f"{CYCLE}/notices").json()["data"] if one["event"] == "grade.corrected"]
    assert [one["about"] for one in told] == [{"reference": "child-00", "grade": "01", "draft": 3}]
    notes = city.ann.get(f"{CYCLE}/readiness").json()["findings"]
    assert "only-drafts" in {note["code"] for note in notes}
    city.run_main()  # the facts of the market are those of the log
    assert "child-00" not in city.seats()


def test_a_cycle_gains_grades_after_the_opening_and_loses_only_grades_that_nobody_uses(service: Service) -> None:
    city = make_city(service, children=1)
    apply(city.portal, "first", [], grade="01")

    def change(grades: list[Json]) -> tuple[int, list[tuple[str, str]]]:
        now = city.ann.get(CYCLE).json()
        answer = city.ann.change(CYCLE, {**now, "grades": grades, "reason": "The list of grades was wrong"})
        errors = answer.json().get("errors", [])
        return answer.status_code, [(error["pointer"], error["code"]) for error in errors]

    assert change(["PK4", "KG", "02"]) == (409, [("/grades", "grade-applied")])
    assert change(["PK4", "01", "02"]) == (409, [("/grades", "grade-offered")])
    assert change(["PK3", "KG", "01"]) == (200, [])
    assert city.ann.get(CYCLE).json()["grades"] == ["PK3", "KG", "01"]
    assert entries(service, "cycle.put")[-1]["reason"] == "The list of grades was wrong"
    city.run_main()
    assert change(["KG", "01"]) == (409, [("/grades", "main-round-frozen")])
    assert change(["PK3", "KG", "01", "03"]) == (200, [])


def test_a_program_with_a_wrong_grade_leaves_and_a_new_program_takes_its_place(service: Service) -> None:
    city = make_city(service, children=2)
    program = "/v1/programs/adams-kg"
    now = city.ann.get(program).json()
    wrong = city.ann.change(program, {**now, "grade": "01"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "program-offered")
    made = city.ann.post("/v1/programs", {"id": "adams-01", "school": "adams", "grade": "01", "name": "Adams, grade 1"})
    assert made.status_code == 201, made.text
    body: Json = {
        "agreement": "1",
        "grades": [
            {"grade": "KG", "status": "out", "reason": "The program is for grade 1"},
            {"grade": "01", "status": "in", "seats": 4},
        ],
    }
    changed = city.adams.change(f"{CYCLE}/schools/adams/participation", body)
    assert changed.status_code == 200, changed.text
    warned = city.portal.get(f"{CYCLE}/warnings").json()["data"]
    assert {one["reference"] for one in warned} == {"child-00", "child-01"}
    apply(city.portal, "first", ["adams-01"], grade="01")
    with transaction(service.sessions) as session:
        assert session.get_one(Program, "adams-01").grade == "01"
    city.run_main()
    assert city.seats()["first"] == "adams-01"
