"""One story: a school takes part, a family ranks the school, and a claim is approved."""

from enrollment.database import transaction
from enrollment.demo.__main__ import OPEN_PAGES
from people import Service
from rounds_by_hand import make_city
from rows import add_cycle, add_school

CHILD = {"given_name": "Ada", "family_name": "Example", "birth_date": "2022-03-01"}


def test_a_school_joins_in_three_requests_and_a_family_ranks_the_school(service: Service) -> None:
    with transaction(service.sessions) as session:
        add_cycle(session)
        add_school(session, "lincoln", grades=["KG"])
    school = service.school_staff("lincoln")
    path = "/v1/cycles/2027/schools/lincoln/participation"
    seen = school.get(path)
    assert seen.status_code == 200, seen.text
    joined = school.put(
        path, {"status": "in", "agreement": "1", "grades": [{"grade": "KG", "seats": 3}]}, seen.headers["ETag"]
    )
    assert joined.status_code == 200, joined.text
    rules = school.get("/v1/cycles/2027/programs/lincoln-kg/rules").json()
    assert rules["version"] == 1, rules
    assert rules["sentences"][0] == "There are 3 seats."
    partner = service.partner()
    application = "/v1/cycles/2027/applicants/a1"
    made = partner.put(application, {"grade": "KG", "child": CHILD, "sis_id": "s1"})
    assert made.status_code == 201, made.text
    ranked = partner.put(f"{application}/ranking", {"programs": ["lincoln-kg"]})
    assert ranked.status_code == 200, ranked.text
    assert ranked.json()["version"] == 1
    again = partner.put(f"{application}/ranking", {"programs": []}, ranked.headers["ETag"])
    assert again.json()["errors"][0]["code"] == "empty", again.text
    claim = partner.post(f"{application}/claims", {"fact": "sibling", "school": "lincoln"})
    assert claim.status_code == 201, claim.text
    approved = school.post(f"/v1/claims/{claim.json()['id']}/approve", {"basis": "verified", "reason": "on our roll"})
    assert approved.status_code == 200, approved.text
    assert partner.delete(application, made.headers["ETag"]).status_code == 204
    back = partner.put(application, {"grade": "KG", "child": CHILD, "sis_id": "s1"})
    assert back.json()["ticket"] == made.json()["ticket"], back.text
    other = service.partner("network").put(
        "/v1/cycles/2027/applicants/z", {"grade": "KG", "child": CHILD, "sis_id": "s1"}
    )
    assert other.json()["code"] == "same-child-twice", other.text


def test_the_pages_that_the_demo_shows_to_everybody_are_open(service: Service) -> None:
    make_city(service, children=2).run_main()
    assert {page: service.stranger().get(page).status_code for page in OPEN_PAGES} == dict.fromkeys(OPEN_PAGES, 200)
