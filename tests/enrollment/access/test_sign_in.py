"""Signing in: limits that strangers cannot turn against the owner, passwords and sessions."""

from threading import Barrier, Thread

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, text, update

from enrollment.access.inputs import RoleIn
from enrollment.access.models import SessionUse, StaffAccount, StaffToken
from enrollment.access.passwords import HASHER, refuse_guessable
from enrollment.database import clock, transaction
from enrollment.problems import MalformedBody
from lottery.market.canonical import Json
from people import PASSWORD, Service
from rounds_by_hand import make_city

HOME, ELSEWHERE = "198.51.100.1", "203.0.113.66"


def office(service: Service) -> None:
    """Add an auditor's account, which needs no second factor."""
    service.auditor("otto")


def test_wrong_passwords_from_elsewhere_do_not_lock_the_owner_out(service: Service) -> None:
    office(service)
    stranger, owner = service.stranger_at(ELSEWHERE), service.stranger_at(HOME)
    answers = [stranger.sign_in("otto", "wrong") for _ in range(15)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 10
    assert int(answers[-1].headers["Retry-After"]) > 800
    assert stranger.sign_in("otto").status_code == 429
    assert owner.sign_in("otto").status_code == 201


def test_strangers_at_many_addresses_are_slowed_down_and_a_known_address_is_not(service: Service) -> None:
    office(service)
    owner = service.stranger_at(HOME)
    assert owner.sign_in("otto").status_code == 201
    codes = [service.stranger_at(f"203.0.113.{host}").sign_in("otto", "wrong").status_code for host in range(22)]
    assert codes == [401] * 20 + [429] * 2
    assert service.stranger_at("192.0.2.200").sign_in("otto").status_code == 429
    assert owner.sign_in("otto").status_code == 201


def test_a_known_device_admits_the_owner_from_the_address_of_the_attacker(service: Service) -> None:
    office(service)
    shared = service.stranger_at(HOME)
    device = shared.sign_in("otto").json()["device"]
    for _ in range(8):
        shared.sign_in("otto", "wrong")
    assert shared.sign_in("otto").status_code == 429
    assert shared.sign_in("otto", device="made up").status_code == 429
    again = shared.sign_in("otto", device=device)
    assert (again.status_code, again.json()["device"]) == (201, device)
    assert [shared.sign_in("otto", "wrong", device=device).status_code for _ in range(11)] == [401] * 10 + [429]


def test_another_administrator_unlocks_an_account_but_not_their_own(service: Service) -> None:
    office(service)
    ann, shared = service.administrator(), service.stranger_at(HOME)
    for _ in range(6):
        shared.sign_in("otto", "wrong")
    assert shared.sign_in("otto").status_code == 429
    assert ann.post("/v1/staff/otto/unlock").status_code == 204
    assert shared.sign_in("otto").status_code == 201
    assert ann.post("/v1/staff/ann/unlock").json()["code"] == "own-account"


def test_many_parallel_attempts_stay_within_the_limit(service: Service) -> None:
    office(service)
    stranger, together, codes = service.stranger_at(ELSEWHERE), Barrier(12), list[int]()

    def attempt() -> None:
        together.wait()
        codes.append(stranger.sign_in("otto", "wrong").status_code)

    threads = [Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [401] * 5 + [429] * 7


def test_an_unknown_name_gets_the_same_answer_as_a_known_one(service: Service) -> None:
    office(service)
    stranger = service.stranger_at(ELSEWHERE)
    known = [stranger.sign_in("otto", "wrong").json() for _ in range(6)]
    unknown = [stranger.sign_in("nobody", "wrong").json() for _ in range(6)]
    assert [answer["code"] for answer in known] == [answer["code"] for answer in unknown]


def test_an_outdated_hash_is_replaced_at_the_next_sign_in(service: Service) -> None:
    office(service)
    former = PasswordHasher().hash(PASSWORD)
    with transaction(service.sessions) as session:
        session.execute(update(StaffAccount).values(password=former))
    assert service.stranger().sign_in("otto").status_code == 201
    with transaction(service.sessions) as session:
        now = session.scalars(select(StaffAccount.password)).one()
    assert now is not None
    assert not HASHER.check_needs_rehash(now)
    assert "m=19456,t=2,p=1" in now
    assert service.stranger().sign_in("otto").status_code == 201


GUESSABLE = [
    "password1234",
    " " * 12,
    "aaaaaaaaaaaaaaaa",
    "abcdefghijklmnop",
    "123456789012",
    "qwertyuiopas",
    "passwordpassword",
    "lincoln.office",
    "lincoln.office12",
    "short",
    "z9" * 64,
    "x" * 129,
]


@pytest.mark.parametrize("password", GUESSABLE)
def test_a_guessable_password_is_refused(password: str) -> None:
    with pytest.raises(MalformedBody) as refused:
        refuse_guessable(password, account="lincoln.office", name="Lincoln school, office")
    assert [fault.pointer for fault in refused.value.faults] == ["/password"]


@pytest.mark.parametrize("password", ["washington-heights", "enrollmentlottery", "charterenrollment"])
def test_a_password_made_of_the_service_s_words_and_places_is_refused(password: str) -> None:
    with pytest.raises(MalformedBody):
        refuse_guessable(password, account="otto", name="Otto", places=["washington-heights"])


def test_the_id_of_a_school_with_staff_is_refused_as_a_password(service: Service) -> None:
    otto = make_city(service, children=0).otto
    weak = otto.post("/v1/password", {"password": PASSWORD, "new_password": "LincolnLincoln9"})
    assert [fault["code"] for fault in weak.json()["errors"]] == ["password-guessable"]


LONG = "seven grey herons read the timetable aloud while nobody waits for the last tram to the harbor tonight"


@pytest.mark.parametrize("password", ["an invented password", "correct horse battery staple", "vR7#kq0!mZ2p", LONG])
def test_a_strong_password_is_accepted(password: str) -> None:
    refuse_guessable(password, account="otto", name="Otto")


def test_owners_change_their_own_password_and_their_other_sessions_and_tokens_end(service: Service) -> None:
    here = service.auditor("otto")
    other = service.with_token(service.stranger().sign_in("otto").json()["token"])
    personal: Json = {"name": "report", "scopes": ["records:read"], "days": 9}
    token = service.with_token(here.post("/v1/tokens", personal).json()["token"])
    wrong = here.post("/v1/password", {"password": "not this one", "new_password": "another invented one"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "password-refused")
    weak = here.post("/v1/password", {"password": PASSWORD, "new_password": "password1234"})
    assert weak.json()["errors"][0]["pointer"] == "/new_password"
    changed = here.post("/v1/password", {"password": PASSWORD, "new_password": "another invented one"})
    assert changed.status_code == 204
    assert here.get("/v1/tokens").status_code == 200
    assert other.get("/v1/tokens").status_code == 401
    assert token.get("/v1/tokens").status_code == 401
    assert service.stranger().sign_in("otto").status_code == 401
    assert service.stranger().sign_in("otto", "another invented one").status_code == 201


def test_a_session_without_a_request_for_an_hour_ends_and_one_in_use_does_not(service: Service) -> None:
    otto, ada = service.auditor("otto"), service.auditor("ada")
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE session_use SET last_at = last_at - interval '50 minutes'"))
    assert otto.get("/v1/tokens").status_code == 200
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE session_use SET last_at = last_at - interval '20 minutes'"))
    assert otto.get("/v1/tokens").status_code == 200
    assert ada.get("/v1/tokens").status_code == 401


def test_owners_list_their_sessions_end_one_and_sign_out_everywhere(service: Service) -> None:
    here = service.auditor("otto")
    opened = [service.stranger().sign_in("otto").json() for _ in range(2)]
    there, elsewhere = [service.with_token(one["token"]) for one in opened]
    listed = {row["id"] for row in here.get("/v1/tokens").json()["data"]}
    assert {one["id"] for one in opened} < listed
    assert here.delete(f"/v1/tokens/{opened[0]['id']}").status_code == 204
    assert there.get("/v1/tokens").status_code == 401
    assert elsewhere.delete("/v1/sessions").status_code == 204
    assert [caller.get("/v1/tokens").status_code for caller in (here, elsewhere)] == [401, 401]


def test_a_personal_token_makes_no_token_and_ends_nothing_but_itself(service: Service) -> None:
    owner = service.auditor("otto")
    with transaction(service.sessions) as session:
        its_session = session.scalars(select(StaffToken.id).where(StaffToken.kind == "session")).one()
    asked: Json = {"name": "a day", "scopes": ["records:read"], "days": 1}
    made = owner.post("/v1/tokens", asked).json()
    token = service.with_token(made["token"])
    longer = token.post("/v1/tokens", {"name": "longer", "scopes": ["records:read"], "days": 366})
    assert (longer.status_code, longer.json()["code"]) == (403, "session-needed")
    ending = token.delete(f"/v1/tokens/{its_session}")
    assert (ending.status_code, ending.json()["code"]) == (403, "session-needed")
    for act in (token.delete("/v1/sessions"), token.post("/v1/password", {"password": PASSWORD, "new_password": "x"})):
        assert act.json()["code"] == "session-needed"
    assert owner.get("/v1/tokens").status_code == 200
    assert token.delete(f"/v1/tokens/{made['id']}").status_code == 204
    assert token.get("/v1/tokens").status_code == 401


def test_a_request_records_the_use_of_its_session_without_waiting(service: Service) -> None:
    otto = service.auditor("otto")
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE session_use SET last_at = last_at - interval '5 minutes'"))
    with transaction(service.sessions) as holding:
        holding.execute(select(SessionUse).with_for_update())
        assert otto.get("/v1/tokens").status_code == 200
    assert otto.get("/v1/tokens").status_code == 200
    with transaction(service.sessions) as session:
        last, now = session.scalars(select(SessionUse.last_at)).one(), clock(session)
    assert (now - last).total_seconds() < 60


def test_a_closed_account_cannot_sign_in_or_act(service: Service) -> None:
    ann = service.administrator()
    caller = service.staff("dora", RoleIn(role="auditor"))
    body: Json = {"name": "Dora", "roles": [{"role": "auditor"}], "active": False}
    assert ann.change("/v1/staff/dora", body).status_code == 200
    assert caller.get("/v1/tokens").status_code == 401
    assert service.stranger().sign_in("dora").status_code == 401
