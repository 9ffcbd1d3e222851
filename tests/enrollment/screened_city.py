"""A small city with a screened school, whose own list misses most of the children who rank it."""

from enrollment.database import transaction
from lottery.market.canonical import Json
from people import Service
from rounds_by_hand import CYCLE, City, apply, join, make_city
from rows import add_school

PROGRAMS = ("lincoln-kg", "adams-kg", "exam-kg")


def make_screened_city(service: Service) -> City:
    """Return a city with a screened school, whose list misses most of the children who rank it."""
    city = make_city(service, children=5, lincoln=2, adams=2)
    with transaction(service.sessions) as session:
        add_school(session, "exam")
    exam = service.school_staff("exam")
    join(exam, "exam", 1)
    for number in range(4):
        apply(city.portal, f"exam-{number:02}", ["exam-kg", "lincoln-kg"] if number % 2 else ["exam-kg"])
    tickets = city.tickets()
    rules: Json = {"seats": {"match": 1}, "tie_break": {"ranked": [tickets["exam-01"], tickets["exam-02"]]}}
    path = f"{CYCLE}/programs/exam-kg/rules"
    assert exam.change(path, {"rules": rules, "reason": "Our own list"}).status_code in (200, 202)
    for change in city.ann.get(f"{CYCLE}/rules-changes").json()["data"]:
        approved = city.ann.post(f"/v1/rules-changes/{change['id']}/approve", {"reason": "Looked at"})
        assert approved.status_code == 200, approved.text
    return city
