"""The two-person rule: invitations, access changes, and who can be the second person."""

from collections.abc import Mapping
from threading import Barrier, Thread

import httpx2
import pyotp
import pytest
from sqlalchemy import text, update

from enrollment.access.access_changes import reset_from_command_line
from enrollment.access.accounts import administrators, make_first_administrator
from enrollment.access.models import Invitation, StaffAccount
from enrollment.database import clock, transaction
from enrollment.problems import Problem
from lottery.market.canonical import Json
from people import PASSWORD, Caller, Service
from rounds_by_hand import CYCLE, MAIN, City, make_city

CHANGES, ACCEPT = "/v1/access-changes", "/v1/invitations/accept"
CARLA: Mapping[str, Json] = {
    "what": "make",
    "staff": "carla",
    "name": "Carla",
    "roles": [{"role": "administrator"}],
    "reason": "Carla joins the office",
}
DORA: Mapping[str, Json] = {"id": "dora", "name": "Dora", "roles": [{"role": "auditor"}]}
AGREED: Json = {"reason": "She called me"}
NEW_PASSWORD = "seven unrelated llamas sing"  # noqa: S105 - of tests only


def ask(caller: Caller, body: Mapping[str, Json]) -> dict[str, str]:
    answer = caller.post(CHANGES, dict(body))
    assert answer.status_code == 202, answer.text
    told: dict[str, str] = answer.json()
    return told


def approve(caller: Caller, change: Mapping[str, str]) -> httpx2.Response:
    return caller.post(f"{CHANGES}/{change['id']}/approve", AGREED)


def reset_of(staff: str) -> Mapping[str, Json]:
    return {"what": "reset", "staff": staff, "reason": "The phone was lost"}


def roles_of(staff: str, *roles: str) -> Mapping[str, Json]:
    return {"what": "roles", "staff": staff, "roles": [{"role": role} for role in roles], "reason": "Other work"}


def accept(service: Service, staff: str, first: str | None, second: str | None = None) -> httpx2.Response:
    body: dict[str, Json] = {"id": staff, "invitation_code": first or "", "password": NEW_PASSWORD}
    return service.stranger().post(ACCEPT, body if second is None else {**body, "second_code": second})


def take_up(service: Service, staff: str, asked: Mapping[str, str], approved: httpx2.Response) -> Caller:
    """Take an account up as its owner, set up a second factor, and return the session."""
    assert approved.status_code == 200, approved.text
    accepted = accept(service, staff, asked["invitation_code"], approved.json()["invitation_code"])
    assert accepted.status_code == 204, accepted.text
    owner = service.with_token(service.stranger().sign_in(staff, NEW_PASSWORD).json()["token"])
    secret = owner.post("/v1/second-factors/totp").json()["secret"]
    with transaction(service.sessions) as session:
        code = pyotp.TOTP(secret).at(int(clock(session).timestamp()))
    assert owner.post("/v1/second-factors/totp/confirm", {"code": code}).status_code == 200
    return owner


def test_an_account_starts_with_a_code_and_only_the_owner_has_its_password(service: Service) -> None:
    ann = service.administrator()
    with_password: Json = {**DORA, "password": PASSWORD}
    assert ann.post("/v1/staff", with_password).status_code == 422
    made = ann.post("/v1/staff", dict(DORA)).json()
    assert made["confirmed_at"] is None
    assert service.stranger().sign_in("dora", "").status_code == 422
    assert service.stranger().sign_in("dora", PASSWORD).status_code == 401
    code = made["invitation_code"]
    weak = service.stranger().post(ACCEPT, {"id": "dora", "invitation_code": code, "password": "password1234"})
    assert weak.json()["errors"][0]["code"] == "password-guessable"
    assert accept(service, "otto", code).json()["code"] == "invitation-refused"
    assert accept(service, "dora", code[:-1]).json()["code"] == "invitation-refused"
    assert accept(service, "dora", code.lower().replace("-", " ")).status_code == 204
    assert accept(service, "dora", code).json()["code"] == "invitation-refused"
    assert service.stranger().sign_in("dora", NEW_PASSWORD).status_code == 201


def test_a_code_expires_and_a_new_code_replaces_it(service: Service) -> None:
    ann = service.administrator()
    first = ann.post("/v1/staff", dict(DORA)).json()["invitation_code"]
    second = ann.post("/v1/staff/dora/invitation").json()
    assert accept(service, "dora", first).status_code == 401
    with transaction(service.sessions) as session:
        session.execute(update(Invitation).values(expires_at=clock(session)))
    assert accept(service, "dora", second["invitation_code"]).status_code == 401
    third = ann.post("/v1/staff/dora/invitation").json()
    assert accept(service, "dora", third["invitation_code"]).status_code == 204
    again = ann.post("/v1/staff/dora/invitation")
    assert (again.status_code, again.json()["code"]) == (409, "second-administrator-needed")


def test_one_administrator_cannot_make_another_or_reopen_or_reset_an_account(service: Service) -> None:
    ann = service.administrator("ann")
    service.administrator("bea")
    made = ann.post("/v1/staff", {"id": "carla", "name": "Carla", "roles": [{"role": "administrator"}]})
    assert (made.status_code, made.json()["code"]) == (409, "second-administrator-needed")
    assert ann.post("/v1/staff", dict(DORA)).status_code == 201
    give: Json = {"name": "Dora", "roles": [{"role": "administrator"}], "active": True}
    take: Json = {"name": "Bea", "roles": [{"role": "auditor"}], "active": True}
    close: Json = {"name": "Bea", "roles": [{"role": "administrator"}], "active": False}
    for staff, body in (("dora", give), ("bea", take), ("bea", close)):
        assert ann.change(f"/v1/staff/{staff}", body).json()["code"] == "second-administrator-needed"
    closed: Json = {"name": "Dora", "roles": DORA["roles"], "active": False}
    opened: Json = {"name": "Dora", "roles": DORA["roles"], "active": True}
    assert ann.change("/v1/staff/dora", closed).status_code == 200
    assert ann.change("/v1/staff/dora", opened).json()["code"] == "second-administrator-needed"
    assert ann.change("/v1/staff/dora", {**dict(opened), "password": NEW_PASSWORD}).status_code == 422  # type: ignore[arg-type]  # an object
    assert ann.post("/v1/staff/bea/invitation").json()["code"] == "second-administrator-needed"


def test_the_requester_cannot_approve_and_each_administrator_has_one_part_of_the_code(service: Service) -> None:
    ann, bea = service.administrator("ann"), service.administrator("bea")
    asked = ask(ann, CARLA)
    assert approve(ann, asked).json()["code"] == "own-access-change"
    approved = approve(bea, asked)
    first, second = asked["invitation_code"], approved.json()["invitation_code"]
    assert first != second
    for parts in ((first, None), (second, None), (first, first), (second, second), (second, first)):
        assert accept(service, "carla", *parts).status_code == 401
    carla = take_up(service, "carla", asked, approved)
    assert carla.get("/v1/staff").status_code == 200
    listed = bea.get(f"{CHANGES}?status=approved").json()["data"]
    assert [(row["asked_by"], row["decided_by"], row["invitation_code"]) for row in listed] == [("ann", "bea", None)]


def test_an_administrator_cannot_approve_through_an_account_made_alone(service: Service) -> None:
    """Ann has the password of a school's account that she made; it is no administrator's before its owner has it."""
    ann, bea = service.administrator("ann"), service.administrator("bea")
    code = ann.post("/v1/staff", dict(DORA)).json()["invitation_code"]
    assert accept(service, "dora", code).status_code == 204
    mine = service.with_token(service.stranger().sign_in("dora", NEW_PASSWORD).json()["token"])
    asked = ask(ann, roles_of("dora", "administrator"))
    approved = approve(bea, asked)
    assert approved.status_code == 200
    assert mine.get("/v1/tokens").status_code == 401
    assert service.stranger().sign_in("dora", NEW_PASSWORD).status_code == 401
    assert accept(service, "dora", asked["invitation_code"]).status_code == 401
    assert take_up(service, "dora", asked, approved).get("/v1/staff").status_code == 200


def matched(city: City) -> None:
    city.close()
    assert city.ann.post(f"{CYCLE}/rounds", {"kind": "main"}).status_code == 201
    assert city.freeze().status_code == 200
    city.match()


def test_a_new_administrator_publishes_and_voids_nothing_that_began_before(service: Service) -> None:
    city = make_city(service, children=2)
    matched(city)
    assert city.ann.post(f"{MAIN}/void", {"reason": "A doubt"}).status_code == 202
    asked = ask(city.ann, CARLA)
    carla = take_up(service, "carla", asked, approve(city.bea, asked))
    publishing = carla.post(f"{MAIN}/publish")
    assert (publishing.status_code, publishing.json()["code"]) == (409, "account-confirmed-later")
    assert carla.post(f"{MAIN}/void", {"reason": "Me too"}).json()["code"] == "account-confirmed-later"
    assert city.bea.post(f"{MAIN}/publish").status_code == 200


def test_a_reset_administrator_publishes_nothing_that_began_before(service: Service) -> None:
    city = make_city(service, children=2)
    matched(city)
    carla = service.administrator("carla")
    asked = ask(city.ann, reset_of("bea"))
    approved = approve(carla, asked)
    assert city.bea.get("/v1/staff").status_code == 401
    bea = take_up(service, "bea", asked, approved)
    assert bea.post(f"{MAIN}/publish").json()["code"] == "account-confirmed-later"
    assert carla.post(f"{MAIN}/publish").status_code == 200


def test_a_new_administrator_approves_no_placement_calendar_rules_or_access_that_was_asked_for_before(
    service: Service,
) -> None:
    city = make_city(service, children=3)
    change: Json = {"rules": {"seats": {"match": 3}, "tie_break": "multiple"}, "reason": "As our board decided"}
    assert city.lincoln.change(f"{CYCLE}/programs/lincoln-kg/rules", change).status_code == 202
    (rules,) = city.ann.get(f"{CYCLE}/rules-changes").json()["data"]
    placement: Json = {
        "cycle": "2027",
        "ticket": city.tickets()["child-00"],
        "program": "adams-kg",
        "reason_code": "hardship",
        "document": "Form 12",
    }
    placed = city.ann.post("/v1/placements", placement).json()
    calendar: Json = {"every": "day", "first_at": "2199-01-01T02:00:00Z", "dice_in_minutes": 0}
    assert city.ann.post(f"{CYCLE}/round-calendar", calendar).status_code == 201
    access = ask(city.ann, reset_of("otto"))
    asked = ask(city.ann, CARLA)
    carla = take_up(service, "carla", asked, approve(city.bea, asked))
    for path, body in (
        (f"/v1/rules-changes/{rules['id']}/approve", AGREED),
        (f"/v1/placements/{placed['id']}/approve", AGREED),
        (f"{CYCLE}/round-calendar/approve", None),
        (f"{CHANGES}/{access['id']}/approve", AGREED),
    ):
        assert carla.post(path, body).json()["code"] == "account-confirmed-later", path
        done = city.bea.post(path, body)
        assert done.status_code == 200, done.text


def test_the_sole_sponsor_of_a_school_account_cannot_approve_its_proposals(service: Service) -> None:
    city = make_city(service, children=1)
    body: Json = {"id": "office", "name": "Office", "roles": [{"role": "school", "school": "lincoln"}]}
    code = city.ann.post("/v1/staff", body).json()["invitation_code"]
    assert accept(service, "office", code).status_code == 204
    office = service.with_token(service.stranger().sign_in("office", NEW_PASSWORD).json()["token"])
    change: Json = {"rules": {"seats": {"match": 3}, "tie_break": "multiple"}, "reason": "As our board decided"}
    assert office.change(f"{CYCLE}/programs/lincoln-kg/rules", change).status_code == 202
    (waiting,) = city.ann.get(f"{CYCLE}/rules-changes").json()["data"]
    path = f"/v1/rules-changes/{waiting['id']}/approve"
    refused = city.ann.post(path, AGREED)
    assert (refused.status_code, refused.json()["code"]) == (409, "sponsor-cannot-approve")
    assert city.bea.post(path, AGREED).status_code == 200


def test_a_change_lapses_when_the_requester_loses_the_role_or_the_account_changes(service: Service) -> None:
    ann, bea, carla = (service.administrator(name) for name in ("ann", "bea", "carla"))
    service.auditor("otto")
    stale = ask(ann, reset_of("otto"))
    body: Json = {"name": "Otto again", "roles": [{"role": "auditor"}], "active": True}
    assert bea.change("/v1/staff/otto", body).status_code == 200
    assert approve(bea, stale).json()["code"] == "access-change-outdated"
    assert bea.post(f"{CHANGES}/{stale['id']}/refuse", AGREED).status_code == 200
    hers = ask(ann, reset_of("otto"))
    taken = ask(bea, roles_of("ann", "auditor"))
    assert approve(carla, taken).status_code == 200
    assert approve(carla, hers).json()["code"] == "access-change-outdated"
    assert ann.get("/v1/tokens").status_code == 401


def test_a_change_waits_seven_days_one_at_a_time_and_can_be_taken_back(service: Service) -> None:
    ann, bea = service.administrator("ann"), service.administrator("bea")
    first = ask(ann, CARLA)
    assert bea.post(CHANGES, dict(CARLA)).json()["code"] == "change-waiting"
    assert ann.post(f"{CHANGES}/{first['id']}/refuse", AGREED).json()["status"] == "refused"
    assert approve(bea, first).json()["code"] == "access-change-decided"
    second = ask(ann, CARLA)
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE access_change SET expires_at = clock_timestamp()"))
    assert approve(bea, second).json()["code"] == "access-change-decided"
    assert {row["id"] for row in bea.get(f"{CHANGES}?status=expired").json()["data"]} == {second["id"]}
    assert ask(ann, CARLA)["status"] == "asked"


@pytest.mark.parametrize(
    "body",
    [
        {**CARLA, "name": None},
        {**CARLA, "roles": []},
        {"what": "reset", "staff": "bea", "name": "Bea", "reason": "Why"},
        {"what": "close", "staff": "bea", "roles": [{"role": "auditor"}], "reason": "Why"},
        {"what": "roles", "staff": "bea", "reason": "Why"},
        {"what": "reset", "staff": "bea", "reason": " "},
    ],
)
def test_an_access_change_takes_exactly_the_fields_it_needs(service: Service, body: Mapping[str, Json]) -> None:
    ann = service.administrator("ann")
    service.administrator("bea")
    assert ann.post(CHANGES, dict(body)).status_code == 422


def test_reopening_an_account_takes_two_people_and_a_new_code(service: Service) -> None:
    ann, bea = service.administrator("ann"), service.administrator("bea")
    service.auditor("otto")
    body: Json = {"name": "Otto", "roles": [{"role": "auditor"}], "active": False}
    assert ann.change("/v1/staff/otto", body).status_code == 200
    asked = ask(ann, reset_of("otto"))
    approved = approve(bea, asked)
    assert service.stranger().sign_in("otto").status_code == 401
    assert accept(service, "otto", asked["invitation_code"], approved.json()["invitation_code"]).status_code == 204
    assert service.stranger().sign_in("otto", NEW_PASSWORD).status_code == 201


def test_of_two_administrators_who_remove_each_other_in_parallel_one_stays(service: Service) -> None:
    for turn in range(6):
        names = (f"ann{turn}", f"bea{turn}")
        ann, bea = (service.administrator(name) for name in names)
        taken = [ask(ann, roles_of(names[1], "auditor")), ask(bea, roles_of(names[0], "auditor"))]
        close_others(service, names)
        together, codes = Barrier(2), list[int]()

        def agree(caller: Caller, change: Mapping[str, str], together: Barrier, codes: list[int]) -> None:
            together.wait()
            codes.append(approve(caller, change).status_code)

        pairs = zip((bea, ann), taken, strict=True)
        acts = [Thread(target=agree, args=(who, change, together, codes)) for who, change in pairs]
        for act in acts:
            act.start()
        for act in acts:
            act.join()
        assert min(codes) == 200
        assert max(codes) in (401, 403, 409)
        with transaction(service.sessions) as session:
            assert len(administrators(session)) == 1


def close_others(service: Service, names: tuple[str, ...]) -> None:
    with transaction(service.sessions) as session:
        session.execute(update(StaffAccount).where(StaffAccount.id.not_in(names)).values(active=False))


def test_the_last_administrator_cannot_be_closed(service: Service) -> None:
    ann, bea = service.administrator("ann"), service.administrator("bea")
    assert approve(bea, ask(ann, {"what": "close", "staff": "bea", "reason": "She leaves"})).status_code == 200
    asked = ask(ann, {"what": "close", "staff": "ann", "reason": "I leave too"})
    assert approve(ann, asked).json()["code"] == "own-access-change"
    assert bea.get("/v1/staff").status_code == 401


def test_the_command_line_makes_only_the_first_two_administrators(service: Service) -> None:
    for name in ("ann", "bea"):
        with transaction(service.sessions) as session:
            make_first_administrator(session, name, PASSWORD)
    with pytest.raises(Problem) as refused, transaction(service.sessions) as session:
        make_first_administrator(session, "carla", PASSWORD)
    assert refused.value.code() == "administrators-there"
    with pytest.raises(Problem), transaction(service.sessions) as session:
        make_first_administrator(session, "dora", "password1234")
    opened = service.stranger().sign_in("ann").json()
    assert opened["needs"] == "second-factor-setup"


def test_the_command_line_resets_an_account(service: Service) -> None:
    ann = service.administrator("ann")
    with transaction(service.sessions) as session:
        code = reset_from_command_line(session, "ann", settings=service.settings)
    assert ann.get("/v1/tokens").status_code == 401
    assert service.stranger().sign_in("ann").status_code == 401
    assert accept(service, "ann", code).status_code == 204
    assert service.stranger().sign_in("ann", NEW_PASSWORD).json()["needs"] == "second-factor-setup"


def test_changes_of_access_are_in_the_public_log_by_role_and_never_by_name(service: Service) -> None:
    ann, bea = service.administrator("ann"), service.administrator("bea")
    asked = ask(ann, CARLA)
    assert approve(bea, asked).status_code == 200
    assert ann.post("/v1/staff/bea/unlock").status_code == 204
    service.sequence()
    size = service.stranger().get("/v1/log/tree").json()["size"]
    entries = [row["entry"] for row in service.stranger().get(f"/v1/log/entries?start=0&end={size}").json()["entries"]]
    told = [entry for entry in entries if '"access.change"' in entry]
    assert len(told) == 2
    assert '"what":"made"' in told[0]
    assert '"roles_after":["administrator"]' in told[0]
    assert not [entry for entry in told if "carla" in entry.lower() or '"ann"' in entry or "office" in entry]
