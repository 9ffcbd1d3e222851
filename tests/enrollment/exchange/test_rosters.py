"""A roster compared with a cycle's seats: children without an offer are listed, and seats without their child."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from enrollment.access.models import GivenAnswer
from enrollment.audit.models import LogEntry
from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from enrollment.directory.models import Program
from log_entries import entries
from lottery.market.canonical import Json
from people import Service
from roster_files import (
    CHILDREN,
    CSV_FAULTS,
    HEADER,
    NCES,
    ROWS,
    STATUSES,
    adds_up,
    answer_offer,
    bring,
    compared,
    contents,
    empty_seats,
    faults,
    let_run_out,
    listed,
    make_city_with_rolls,
    offer_of,
    package_11,
    packed,
    part,
    person,
    reasons,
    refused,
    rows,
    schools,
    send,
    set_statuses,
    ticket,
)
from rounds_by_hand import CYCLE, City, apply
from rows import add_school


@pytest.fixture
def city(service: Service) -> City:
    return make_city_with_rolls(service)


def test_every_child_without_an_offer_is_listed_with_the_reason(city: City) -> None:
    wanted = {f"s-{number}": "lincoln-kg" for number in range(1, 5)}
    bring(city, {**wanted, "s-5": None, "s-6": "adams-kg", "s-7": "lincoln-kg"})
    withdrawn = ticket(city, "s-4")
    city.run_main()
    answer_offer(city, "s-1", "accept")
    answer_offer(city, "s-2", "decline")
    answer_offer(city, "s-6", "accept")
    let_run_out(city, "s-3")
    path = f"{CYCLE}/applicants/ref-s-4"
    assert city.portal.delete(path, city.portal.get(path).headers["ETag"]).status_code == 204
    told = compared(city, rows(*(f"s-{number},lincoln,KG" for number in range(1, 9))))
    assert reasons(told) == {
        3: "declined",
        4: "expired",
        5: "withdrawn",
        6: "no-offer",
        7: "other-school",
        9: "no-application",
    }
    assert told["without_offer_by_reason"] == dict.fromkeys(sorted(map(str, reasons(told).values())), 1)
    by_line = {row["line"]: row for row in listed(told, "without_offer")}
    assert by_line[5]["ticket"] == withdrawn
    assert by_line[7] == {
        "file": "roster.csv",
        "line": 7,
        "school": "lincoln",
        "grade": "KG",
        "ticket": ticket(city, "s-6"),
        "reason": "other-school",
        "seat_at": "adams",
    }
    assert by_line[9]["ticket"] is None
    # s-1 accepted, s-7 has not answered yet: both hold a seat there.
    assert (told["rows"], told["children"], told["matched"]) == (8, 8, 2)
    assert told["schools"] == [
        {
            "school": "lincoln",
            "rows": 8,
            "matched": 2,
            "other_grade": 0,
            "without_offer": 6,
            "stayed": 0,
            "not_compared": 0,
            "seats_not_enrolled": 0,
        }
    ]


def test_a_child_who_withdrew_and_applied_again_is_without_the_former_seat(city: City) -> None:
    bring(city, {"s-1": "lincoln-kg"})
    city.run_main()
    path = f"{CYCLE}/applicants/ref-s-1"
    assert city.portal.delete(path, city.portal.get(path).headers["ETag"]).status_code == 204
    with transaction(city.service.sessions) as session:
        cycle = lock_cycle(session, "2027").cycle
        cycle.deadline = clock(session) + timedelta(days=1)
    apply(city.portal, "again", [], sis_id="s-1")
    assert reasons(compared(city, rows("s-1,lincoln,KG", "s-1,adams,KG"))) == {2: "withdrawn", 3: "no-offer"}


def test_an_administrative_placement_counts_as_a_seat(city: City) -> None:
    bring(city, {"s-1": None, "s-2": "adams-kg"})
    city.run_main()
    asked = city.ann.post(
        "/v1/placements",
        {
            "cycle": "2027",
            "ticket": ticket(city, "s-1"),
            "program": "adams-kg",
            "reason_code": "hardship",
            "document": "Form 12",
        },
    ).json()
    assert reasons(compared(city, rows("s-1,adams,KG"))) == {2: "no-offer"}
    approved = city.bea.post(f"/v1/placements/{asked['id']}/approve", {"reason": "Looked at"})
    assert approved.status_code == 200, approved.text
    assert compared(city, rows("s-1,adams,KG"))["matched"] == 1


def test_an_accepted_seat_without_its_child_is_listed_with_the_child_s_school(city: City) -> None:
    bring(city, {"s-1": "lincoln-kg", "s-2": "lincoln-kg", "s-3": "lincoln-kg", "s-4": "adams-kg"})
    apply(city.portal, "ref-none", ["lincoln-kg"])
    city.run_main()
    for sis_id in ("s-1", "s-2", "s-4", "none"):
        answer_offer(city, sis_id, "accept")
    told = compared(city, rows("x-1,lincoln,01", "s-2,adams,KG", "s-4,adams,KG"))
    empty = {row["ticket"]: (row["program"], row["reason"], row["enrolled_at"]) for row in empty_seats(told)}
    assert empty == {
        ticket(city, "s-1"): ("lincoln-kg", "not-on-roster", None),
        ticket(city, "s-2"): ("lincoln-kg", "elsewhere", "adams"),
        ticket(city, "none"): ("lincoln-kg", "no-sis-id", None),
    }
    assert [one["seats_not_enrolled"] for one in schools(told)] == [0, 3]
    # A school that is not on the roster has sent nothing yet.
    assert empty_seats(compared(city, rows("s-4,adams,KG"))) == []


def test_a_child_in_another_grade_than_the_seat_is_listed_with_both_grades(city: City) -> None:
    bring(city, {"s-1": "lincoln-kg"})
    city.run_main()
    answer_offer(city, "s-1", "accept")
    told = compared(city, rows("s-1,lincoln,03"))
    assert listed(told, "other_grade") == [
        {
            "file": "roster.csv",
            "line": 2,
            "school": "lincoln",
            "grade": "03",
            "ticket": ticket(city, "s-1"),
            "program": "lincoln-kg",
            "seat_grade": "KG",
        }
    ]
    assert (told["matched"], reasons(told), empty_seats(told)) == (0, {}, [])


def test_rows_that_need_no_offer_are_counted_and_not_listed(city: City) -> None:
    """A grade and a school that do not take part, a child who stayed, and a repeated row."""
    with transaction(city.service.sessions) as session:
        add_school(session, "charter", grades=["KG"])
    told = compared(
        city,
        rows(
            "a,lincoln,08,",
            "b,charter,KG,",
            "c,lincoln,KG,2024-08-20",
            "d,lincoln,KG,2026-01-10",
            "e,lincoln,KG,",
            "e,lincoln,KG,",
            "f,lincoln,KG,2018-08-20",
            "g,lincoln,KG,2099-08-20",
            header=f"{HEADER},enrolled_on",
        ),
    )
    assert told["not_compared"] == {
        "not_taking_part": 2,
        "grade_not_asked": 0,
        "stayed": 1,
        "repeated": 1,
        "ended": 0,
        "not_active": 0,
        "not_a_school": 0,
        "secondary_role": 0,
        "unreadable": 0,
    }
    assert reasons(told) == dict.fromkeys((5, 6, 8, 9), "no-application")
    assert [(day["line"], day["reason"]) for day in listed(told, "days_not_used")] == [
        (8, "before-school-years"),
        (9, "after-school-years"),
    ]
    assert (told["rows"], told["children"]) == (8, 7)


def test_a_child_who_stayed_but_holds_a_seat_elsewhere_is_listed(city: City) -> None:
    bring(city, {"s-1": "adams-kg"})
    city.run_main()
    told = compared(city, rows("s-1,lincoln,KG,2024-08-20", header=f"{HEADER},enrolled_on"))
    assert reasons(told) == {2: "other-school"}


def test_only_the_requested_grades_are_compared(city: City) -> None:
    bring(city, {"s-1": "lincoln-kg"})
    city.run_main()
    answer_offer(city, "s-1", "accept")
    raw = rows("s-1,lincoln,01", "x,lincoln,KG")
    told = compared(city, raw, query="?grade=KG")
    assert (len(listed(told, "other_grade")), reasons(told)) == (1, {3: "no-application"})
    told = compared(city, raw, query="?grade=02&grade=PK4")
    assert part(told, "not_compared", "grade_not_asked") == 2
    assert empty_seats(compared(city, rows("x,lincoln,KG"), query="?grade=02")) == []
    wrong = send(city.otto, city.service, raw, query="?grade=12")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "grade-not-in-cycle")


def test_pk_in_a_roster_means_any_prekindergarten_grade_of_the_city(city: City) -> None:
    with transaction(city.service.sessions) as session:
        session.add(Program(id="lincoln-pk4", school_id="lincoln", grade="PK4", name="Lincoln PK4"))
    body: Json = {"status": "in", "agreement": "1", "grades": [{"grade": "PK4", "seats": 9}]}
    joined = city.lincoln.change(f"{CYCLE}/schools/lincoln/participation", body)
    assert joined.status_code == 200, joined.text
    apply(city.portal, "ref-s-1", ["lincoln-pk4"], sis_id="s-1", grade="PK4")
    city.run_main()
    assert compared(city, rows("s-1,lincoln,PK"))["matched"] == 1
    assert compared(city, rows("s-1,lincoln,PK4"), query="?grade=PK4")["matched"] == 1
    assert compared(city, rows("s-1,lincoln,PK"), query="?grade=PK4")["matched"] == 1
    assert len(listed(compared(city, rows("s-1,lincoln,KG")), "other_grade")) == 1


def test_csv_is_accepted_in_the_forms_that_offices_write(city: City) -> None:
    """A BOM, Windows line ends, other columns in another order, quotation marks, empty rows, NCES ids."""
    bring(city, {"s-1": "lincoln-kg", "s-2": "lincoln-kg"})
    city.run_main()
    raw = (
        "\ufeffname, Grade ,school,sis_id\r\n"
        '"Example, Ada",KG,lincoln, s-1 \r\n'
        "\r\n"
        ",,,\r\n"
        f'"Example,\r\nBen",KG,{NCES},s-2\r\n'
        "Cyd,KG,lincoln,s-3"
    ).encode()
    told = compared(city, raw, kind="Text/CSV; charset=utf-8; header=present")
    assert (told["matched"], reasons(told)) == (2, {7: "no-application"})


def test_a_long_list_counts_the_rows_that_are_left_out(city: City) -> None:
    told = compared(city, rows(*(f"x{number},lincoln,KG" for number in range(10_003))))
    data = part(told, "without_offer", "data")
    assert isinstance(data, list)
    assert (len(data), part(told, "without_offer", "more")) == (10_000, 3)
    assert told["without_offer_by_reason"] == {"no-application": 10_003}


def test_a_csv_roster_with_a_fault_is_refused_with_its_line_and_column(city: City) -> None:
    for raw, wanted in CSV_FAULTS:
        assert refused(city, raw) == wanted, raw[:200]


def test_faults_are_listed_up_to_the_limit_and_the_rest_is_counted(city: City) -> None:
    answer = send(city.otto, city.service, rows(*(f"s-{number},lincoln,K" for number in range(300))))
    found = faults(answer)
    assert len(found) == 201
    assert found[""] == "more-faults"
    assert "100" in answer.json()["errors"][-1]["detail"]


def test_a_refused_roster_stores_nothing_and_leaves_its_key_unused(city: City) -> None:
    before = contents(city.service)
    assert send(city.otto, city.service, rows("s-1,lincoln,K"), key="one").status_code == 422
    assert contents(city.service) == before
    assert send(city.otto, city.service, rows("s-1,lincoln,KG"), key="one").status_code == 200


def test_a_body_of_another_kind_is_refused(city: City) -> None:
    for kind in ("application/json", "", "text/plain"):
        answer = send(city.otto, city.service, rows("s-1,lincoln,KG"), kind=kind)
        assert (answer.status_code, answer.json()["code"]) == (415, "unknown-roster-format")


def test_an_unknown_cycle_or_column_is_refused(city: City) -> None:
    raw = rows("s-1,lincoln,KG")
    headers = {**city.otto.headers, "Content-Type": "text/csv", "Idempotency-Key": "one"}
    missing = city.service.send("POST", "/v1/cycles/2031/rosters:reconcile", headers, raw)
    assert (missing.status_code, missing.json()["code"]) == (404, "cycle-not-found")
    assert send(city.otto, city.service, raw, query="?sis_id_in=username").status_code == 400


def test_only_administrators_and_auditors_compare_rosters(city: City) -> None:
    raw = rows("s-1,lincoln,KG")
    assert send(city.service.stranger(), city.service, raw).status_code == 401
    for caller in (city.lincoln, city.portal):
        assert send(caller, city.service, raw).status_code == 403
    for caller in (city.ann, city.otto):
        assert send(caller, city.service, raw).status_code == 200
    told = [(entry["actor"], entry["what"], entry["reader"]) for entry in entries(city.service, "record.read")]
    assert told == [("staff:administrator", "roster", "ann"), ("staff:auditor", "roster", "otto")]


def test_a_roster_leaves_nothing_but_its_entry_and_its_answer(city: City) -> None:
    bring(city, {"s-1": "lincoln-kg"})
    before = contents(city.service)
    answer = send(city.otto, city.service, rows("s-1,lincoln,KG", "s-2,lincoln,KG"), key="one")
    after = contents(city.service)
    assert {name for name, found in after.items() if found != before[name]} == {"log_entry", "given_answer"}
    again = send(city.otto, city.service, rows("s-1,lincoln,KG", "s-2,lincoln,KG"), key="one")
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (answer.json(), "true")
    assert contents(city.service) == after


def test_no_sis_id_and_no_name_is_in_an_answer_a_refusal_or_a_log(
    city: City, capfd: pytest.CaptureFixture[str]
) -> None:
    """This holds for a correct roster, and for a roster with values in the wrong columns."""
    bring(city, {"SIS4711": "lincoln-kg"})
    slipped = "Zebedee,SIS4712,Zebedee,1/2/Zebedee"
    header = f"{HEADER},enrolled_on"
    answers = [
        send(city.otto, city.service, raw, kind=kind).text
        for raw, kind in [
            (rows("SIS4711,lincoln,KG", "SIS4712,lincoln,KG"), "text/csv"),
            (rows(slipped, header=header), "text/csv"),
            (slipped.encode(), "text/csv"),
            (rows("SIS4711,lincoln,KG", "SIS4711,lincoln,01"), "text/csv"),
            (package_11(person("SIS4712"), person("SIS4713", grades="Zebedee")), "application/zip"),
            (package_11(person("SIS4712")), "application/zip"),
            (package_11(person("SIS4712"), **{"users.csv": slipped}), "application/zip"),
            (packed({"Zebedee/SIS4711.csv": slipped}), "application/zip"),
        ]
    ]
    with transaction(city.service.sessions) as session:
        answers += session.scalars(select(LogEntry.body))
        answers += session.scalars(select(GivenAnswer.body))
    output = capfd.readouterr()
    for told in (*answers, output.out, output.err):
        for secret in ("SIS4711", "SIS4712", "SIS4713", "Zebedee", "Ana", "Diaz"):
            assert secret not in told


def test_each_row_of_any_roster_counts_once(city: City) -> None:
    half = CHILDREN // 2
    bring(city, {f"s-{number}": "lincoln-kg" if number < half else "adams-kg" for number in range(CHILDREN)})
    with transaction(city.service.sessions) as session:
        add_school(session, "charter", grades=["KG"])
    city.run_main()
    tickets = city.tickets()
    offers = {f"s-{number}": offer_of(city, f"s-{number}") for number in range(CHILDREN)}

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(told=ROWS, statuses=st.lists(st.sampled_from(STATUSES), min_size=CHILDREN, max_size=CHILDREN))
    def check(told: list[tuple[int, str, str, str]], statuses: list[str]) -> None:
        seats = {
            tickets[f"ref-s-{number}"]: ("lincoln" if number < half else "adams", status)
            for number, status in enumerate(statuses)
        }
        set_statuses(city, {offers[f"s-{number}"]: status for number, status in enumerate(statuses)})
        raw = rows(*(f"s-{child},{school},{grade},{since}" for child, school, grade, since in told),
                   header=f"{HEADER},enrolled_on")  # fmt: skip
        adds_up(compared(city, raw), [(f"s-{child}", *rest) for child, *rest in told], seats, tickets)

    check()


def test_a_roster_may_be_longer_than_other_bodies(city: City) -> None:
    raw = rows(*(f"s-{number:0200},lincoln,08" for number in range(10_000)))
    assert compared(city, raw)["rows"] == 10_000
