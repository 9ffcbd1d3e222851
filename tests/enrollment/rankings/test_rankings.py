"""Rankings: versions, drafts and deadlines, and the commitments to rankings in the log."""

import json
import uuid
from collections.abc import Sequence
from datetime import timedelta

import httpx2
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from enrollment.applicants.models import Applicant, Child
from enrollment.audit.models import LogEntry
from enrollment.cycles.locks import lock_cycle
from enrollment.database import clock, transaction
from enrollment.rankings.models import RankingVersion
from log_entries import entries
from lottery.market.canonical import Json
from lottery.transparency_log.commitments import keyed
from people import Service
from rounds_by_hand import CHILD, CYCLE, City, apply, make_city
from rows import add_school

PATH = f"{CYCLE}/applicants/child-00/ranking"


@pytest.fixture
def city(service: Service) -> City:
    return make_city(service, children=1)


def rank(city: City, programs: Sequence[str], **more: Json) -> httpx2.Response:
    return city.portal.put(PATH, {"programs": list(programs), **more}, "*")


def test_each_ranking_is_a_new_version_with_a_confirmation_number(city: City) -> None:
    second = rank(city, ["adams-kg"])
    assert (second.json()["version"], len(second.json()["confirmation"])) == (2, 10)
    versions = city.portal.get(f"{PATH}/versions").json()["data"]
    assert [(one["version"], one["programs"]) for one in versions] == [
        (2, ["adams-kg"]),
        (1, ["lincoln-kg", "adams-kg"]),
    ]
    assert len({one["confirmation"] for one in versions}) == 2
    first = city.portal.get(f"{PATH}/versions?limit=1").json()
    rest = city.portal.get(f"{PATH}/versions?cursor={first['next_cursor']}").json()
    assert ([one["version"] for one in rest["data"]], rest["next_cursor"]) == ([1], None)


def test_a_repeated_ranking_is_the_same_version(city: City) -> None:
    again = rank(city, ["lincoln-kg", "adams-kg"])
    assert again.json() == city.portal.get(PATH).json()
    assert len(entries(city.service, "ranking.put")) == 1


def test_a_change_of_a_ranking_names_its_version(city: City) -> None:
    assert city.portal.put(PATH, {"programs": ["adams-kg"]}).status_code == 428
    assert city.portal.put(PATH, {"programs": ["adams-kg"]}, '"9"').status_code == 412
    assert city.portal.put(PATH, {"programs": ["adams-kg"]}, '"1"').status_code == 200


def test_a_draft_does_not_replace_the_ranking_in_force(city: City) -> None:
    draft = rank(city, ["adams-kg"], draft=True).json()
    assert (draft["draft"], draft["version"], draft["confirmation"], draft["receipt"]) == (True, 2, None, None)
    assert len(entries(city.service, "ranking.put")) == 1
    with transaction(city.service.sessions) as session:
        assert session.scalars(select(Applicant.ranking_version)).one() == 1


def test_a_withdrawal_is_a_version_and_a_log_entry(city: City) -> None:
    gone = city.portal.delete(PATH, "*")
    assert (gone.status_code, gone.json()["withdrawn"], gone.json()["programs"]) == (200, True, [])
    assert len(entries(city.service, "ranking.withdraw")) == 1
    assert city.portal.delete(PATH, "*").status_code == 404


def test_a_refused_ranking_lists_all_faults_and_stores_nothing(city: City) -> None:
    with transaction(city.service.sessions) as session:
        add_school(session, "charter", operator="network")
        add_school(session, "high", operator="network", grades=["01"])
    programs = ["adams-kg", "nowhere-kg", "charter-kg", "high-01", "adams-kg"]
    refused = rank(city, programs)
    assert (refused.status_code, refused.json()["code"]) == (409, "ranking-refused")
    assert {fault["pointer"]: fault["code"] for fault in refused.json()["errors"]} == {
        "/programs/1": "unknown-program",
        "/programs/2": "not-taking-part",
        "/programs/3": "other-grade",
        "/programs/4": "repeated",
    }
    assert "nowhere-kg" in refused.json()["errors"][0]["detail"]
    checked = city.portal.post(f"{CYCLE}/applicants/child-00/validate", {"programs": programs}).json()
    assert (checked["usable"], checked["errors"]) == (False, refused.json()["errors"])
    assert city.portal.get(PATH).json()["version"] == 1


def test_a_ranking_cannot_be_longer_than_the_limit_of_the_cycle(city: City) -> None:
    with transaction(city.service.sessions) as session:
        lock_cycle(session, "2027").cycle.most_ranks = 1
    assert rank(city, ["adams-kg", "lincoln-kg"]).json()["errors"][0]["code"] == "too-many"


def test_a_check_stores_nothing_and_needs_no_idempotency_key(city: City) -> None:
    answer = city.portal.post(f"{CYCLE}/applicants/child-00/validate", {"programs": ["adams-kg"]})
    assert answer.json() == {"usable": True, "errors": []}
    assert city.portal.get(PATH).json()["version"] == 1


def test_applicants_who_ranked_a_withdrawn_program_get_a_warning(city: City) -> None:
    left: Json = {"status": "out", "reason": "The building is not ready"}
    assert city.adams.change(f"{CYCLE}/schools/adams/participation", left).status_code == 200
    warning = {"program": "adams-kg", "code": "program-withdrawn", "reason": "The building is not ready"}
    assert city.portal.get(PATH).json()["warnings"] == [warning]
    warned = city.portal.get(f"{CYCLE}/warnings").json()["data"]
    assert warned == [{"reference": "child-00", "warnings": [warning]}]
    assert city.service.partner("network").get(f"{CYCLE}/warnings").json()["data"] == []


def test_the_warnings_of_an_applicant_stay_on_one_page(city: City) -> None:
    # child-00 has one warning and each other child has two, so warning 200 is the first of a child's two.
    rank(city, ["adams-kg"])
    both: Json = {"programs": ["lincoln-kg", "adams-kg"]}
    child: Json = {"grade": "KG", "child": CHILD}
    rows: list[Json] = [
        {"cycle": "2027", "reference": f"child-{number:03}", "applicant": child, "ranking": both}
        for number in range(100, 200)
    ]
    done = city.portal.post("/v1/applicants:batch", {"rows": rows}).json()["rows"]
    assert all(row["done"] for row in done)
    for school, name in ((city.lincoln, "lincoln"), (city.adams, "adams")):
        left = school.change(f"{CYCLE}/schools/{name}/participation", {"status": "out", "reason": "No building"})
        assert left.status_code == 200, left.text
    listed = city.portal.get(f"{CYCLE}/warnings?limit=100").json()
    assert [len(one["warnings"]) for one in listed["data"]] == [1, *[2] * 99]
    after = city.portal.get(f"{CYCLE}/warnings?cursor={listed['next_cursor']}").json()
    assert [one["reference"] for one in after["data"]] == ["child-199"]


def test_the_ranking_in_force_can_be_repeated_after_a_program_left(city: City) -> None:
    city.adams.change(f"{CYCLE}/schools/adams/participation", {"status": "out", "reason": "No building"})
    assert rank(city, ["lincoln-kg", "adams-kg"]).json()["version"] == 1
    assert rank(city, ["adams-kg"]).json()["errors"][0]["code"] == "not-taking-part"


def move(city: City, **by: timedelta) -> None:
    """Set times of the cycle, counted from now by the database's clock."""
    with transaction(city.service.sessions) as session:
        cycle = lock_cycle(session, "2027").cycle
        now = clock(session)
        for name, delta in by.items():
            setattr(cycle, name, now + delta)


MINUTE = timedelta(minutes=1)


def test_a_ranking_after_the_deadline_is_late_and_after_the_late_window_refused(city: City) -> None:
    move(city, deadline=-MINUTE, late_until=MINUTE)
    assert rank(city, ["adams-kg"]).json()["late"] is True
    move(city, deadline=-2 * MINUTE, late_until=-MINUTE)
    assert rank(city, ["lincoln-kg"]).json()["code"] == "cycle-closed"
    assert city.portal.get(PATH).json()["programs"] == ["adams-kg"]


def test_a_ranking_repeated_after_the_deadline_stays_on_time(city: City) -> None:
    move(city, deadline=timedelta(0), late_until=MINUTE)
    again = rank(city, ["lincoln-kg", "adams-kg"]).json()
    assert (again["version"], again["late"]) == (1, False)


def test_rankings_before_the_opening_are_refused(city: City) -> None:
    move(city, opens_at=MINUTE, deadline=2 * MINUTE)
    assert rank(city, ["adams-kg"]).json()["code"] == "cycle-not-open-yet"


def test_each_row_of_a_batch_is_stored_or_refused_separately(city: City) -> None:
    child: Json = {"grade": "KG", "child": CHILD}
    rows: list[Json] = [
        {"cycle": "2027", "reference": "b1", "applicant": child, "ranking": {"programs": ["adams-kg"]}},
        {"cycle": "2027", "reference": "b2", "applicant": child, "ranking": {"programs": ["nowhere-kg"]}},
        {"cycle": "2027", "reference": "b3", "ranking": {"programs": ["adams-kg"]}},
        {"cycle": "2027", "reference": "b4", "applicant": child},
    ]
    shown = city.portal.post("/v1/applicants:batch", {"rows": rows}).json()["rows"]
    assert [(row["reference"], row["done"], row["code"]) for row in shown] == [
        ("b1", True, None),
        ("b2", False, "ranking-refused"),
        ("b3", False, "not-found"),
        ("b4", True, None),
    ]
    assert shown[1]["errors"][0]["pointer"] == "/rows/1/ranking/programs/0"
    # A refused row stores nothing.
    assert city.portal.get(f"{CYCLE}/applicants/b2").status_code == 404


def test_a_malformed_row_of_a_batch_is_refused_and_the_others_are_stored(city: City) -> None:
    child: Json = {"grade": "KG", "child": CHILD}
    rows: list[Json] = [
        {"cycle": "2027", "reference": "b1", "applicant": {**child, "sis": "x"} if isinstance(child, dict) else None},
        {"cycle": "2027", "reference": "b2", "applicant": child, "ranking": {"programs": ["adams-kg"]}},
        {"cycle": "2027", "reference": "b 3", "ranking": {"programs": [7]}},
        "no row",
        {"cycle": "2027", "reference": "b5", "applicant": {"grade": "09", "child": CHILD}},
    ]
    answer = city.portal.post("/v1/applicants:batch", {"rows": rows})
    assert answer.status_code == 200, answer.text
    shown = answer.json()["rows"]
    assert [(row["reference"], row["done"], row["status"]) for row in shown] == [
        ("b1", False, 422),
        ("b2", True, 200),
        ("", False, 422),
        ("", False, 422),
        ("b5", False, 409),
    ]
    assert [{fault["pointer"] for fault in row["errors"]} for row in shown] == [
        {"/rows/0/applicant/sis"},
        set(),
        {"/rows/2/reference", "/rows/2/ranking/programs/0"},
        {"/rows/3"},
        {"/rows/4/applicant/grade"},
    ]
    assert city.portal.get(f"{CYCLE}/applicants/b2/ranking").json()["programs"] == ["adams-kg"]
    only_bad = city.portal.post("/v1/applicants:batch", {"rows": ["no row"]})
    assert [row["code"] for row in only_bad.json()["rows"]] == ["malformed-body"]


def test_a_repeated_batch_gets_the_first_answer(city: City) -> None:
    rows: list[Json] = [{"cycle": "2027", "reference": "b1", "ranking": {"programs": ["adams-kg"]}}]
    first = city.portal.post("/v1/applicants:batch", {"rows": rows}, key="k-1")
    again = city.portal.post("/v1/applicants:batch", {"rows": rows}, key="k-1")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.json()) == (first.status_code, first.json())


def test_a_repeated_claim_with_the_same_key_is_made_once(city: City) -> None:
    body: Json = {"fact": "sibling", "school": "lincoln"}
    path = f"{CYCLE}/applicants/child-00/claims"
    first = city.portal.post(path, body, key="k-1")
    again = city.portal.post(path, body, key="k-1")
    assert (again.status_code, again.json()) == (201, first.json())
    other = city.portal.post(path, {"fact": "ell"}, key="k-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    missing = city.portal.post_raw(path, b"{}", key=None)
    assert (missing.status_code, missing.json()["code"]) == (400, "idempotency-key-missing")


@pytest.mark.postgresql_errors("ERROR:  no")
def test_a_ranking_with_a_failed_commit_is_not_confirmed(city: City) -> None:
    with transaction(city.service.sessions) as session:
        # The trigger fires at the commit, after all decisions and writes.
        session.execute(
            text(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$"
            )
        )
        session.execute(
            text(
                "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON ranking_version DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    refused = rank(city, ["adams-kg"])
    assert (refused.status_code, refused.json()["code"]) == (409, "in-the-way")
    assert city.portal.get(PATH).json()["version"] == 1
    assert len(entries(city.service, "ranking.put")) == 1


def test_a_closed_partner_cannot_submit_with_its_old_token(city: City) -> None:
    partner = "/v1/partners/city-portal"
    body: Json = {"name": "City portal", "scopes": ["applications:read"], "active": True}
    assert city.ann.change(partner, body).status_code == 200
    assert rank(city, ["adams-kg"]).status_code == 403
    closed: Json = {"name": "City portal", "scopes": ["applications:read"], "active": False}
    assert city.ann.change(partner, closed).status_code == 200
    assert rank(city, ["adams-kg"]).status_code == 401


def test_the_chain_of_rankings_continues_at_another_partner(city: City) -> None:
    network = city.service.partner("network")
    apply(city.portal, "a1", ["adams-kg"], sis_id="s-1")
    assert city.portal.delete(f"{CYCLE}/applicants/a1", "*").status_code == 204
    apply(network, "b1", ["lincoln-kg"], sis_id="s-1")
    ticket = network.get(f"{CYCLE}/applicants/b1").json()["ticket"]
    with transaction(city.service.sessions) as session:
        rows = session.execute(select(LogEntry.body, LogEntry.leaf_hash).order_by(LogEntry.id)).all()
    chain = [(json.loads(body), leaf.hex()) for body, leaf in rows if ticket in body and '"type":"ranking.' in body]
    assert [entry["type"] for entry, _ in chain] == ["ranking.put", "ranking.withdraw", "ranking.put"]
    assert [entry["prev"] for entry, _ in chain] == [None, chain[0][1], chain[1][1]]


ACTS = st.sampled_from(["submit adams", "submit both", "draft", "withdraw", "leave"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(ACTS, min_size=1, max_size=7))
def test_the_tables_open_the_chain_of_rankings_of_each_child(city: City, acts: list[str]) -> None:
    reference = f"child-{uuid.uuid4()}"
    path = f"{CYCLE}/applicants/{reference}"
    expected: list[str] | None = None
    apply(city.portal, reference, [])
    for act in acts:
        match act:
            case "submit adams" | "submit both":
                programs = ["adams-kg"] if act == "submit adams" else ["lincoln-kg", "adams-kg"]
                assert submit(city, path, programs).status_code == 200
                expected = programs
            case "draft":
                submit(city, path, ["lincoln-kg"], draft=True)
            case "withdraw":
                status = city.portal.delete(f"{path}/ranking", "*").status_code
                assert status == (404 if expected is None else 200)
                expected = None
            case _:
                city.portal.delete(path, "*")
                assert city.portal.put(path, {"grade": "KG", "child": CHILD}).status_code == 200
                expected = None
    assert_tables_open_chain(city, reference, expected)


def submit(city: City, path: str, programs: list[str], *, draft: bool = False) -> httpx2.Response:
    """Send a ranking, as a change if the application already has a version."""
    body: Json = {"programs": programs, "draft": draft}
    there = city.portal.get(f"{path}/ranking").status_code == 200
    return city.portal.put(f"{path}/ranking", body, "*" if there else None)


def assert_tables_open_chain(city: City, reference: str, expected: list[str] | None) -> None:
    with transaction(city.service.sessions) as session:
        applicant = session.scalars(select(Applicant).where(Applicant.reference == reference)).one()
        child = session.get_one(Child, applicant.child_id)
        versions = session.scalars(
            select(RankingVersion).where(RankingVersion.applicant_id == applicant.id).order_by(RankingVersion.version)
        ).all()
        logged = [one for kind in ("ranking.put", "ranking.withdraw") for one in entries(city.service, kind)]
        by_leaf = dict(session.execute(select(LogEntry.leaf_hash, LogEntry.type)).all())
    mine = {int(str(one["version"])): one for one in logged if one["tag"] == child.tag.hex()}
    assert [version.version for version in versions] == list(range(1, len(versions) + 1))
    former: bytes | None = None
    for version in versions:
        if version.kind == "draft":
            assert version.leaf_hash is None
            assert version.version not in mine
            continue
        entry = mine.pop(version.version)
        assert entry["prev"] == (former.hex() if former else None)
        assert entry["commit"] == keyed(version.salt or b"", "ranking", rfc8785.dumps(version.programs)).hex()
        assert by_leaf[version.leaf_hash or b""] == f"ranking.{'put' if version.kind == 'submitted' else 'withdraw'}"
        former = version.leaf_hash
    assert not mine
    assert child.last_leaf == former
    in_force = next((one.programs for one in versions if one.version == applicant.ranking_version), None)
    assert in_force == expected
