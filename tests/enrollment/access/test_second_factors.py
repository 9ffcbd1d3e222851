"""Second factors and proofs of presence: authenticator apps, passkeys, recovery codes."""

from collections.abc import Mapping
from threading import Barrier, Thread

import pyotp
import pytest
from sqlalchemy import select, text, update

from authenticators import PRESENT, Authenticator
from enrollment.access.inputs import RoleIn
from enrollment.access.models import AuthenticatorApp, StaffToken
from enrollment.access.one_time_codes import ALPHABET
from enrollment.access.second_factors import unseal
from enrollment.database import clock, transaction
from lottery.market.canonical import Json
from people import APP_SECRET, PASSWORD, Caller, Service
from rounds_by_hand import CYCLE, MAIN, make_city

FACTORS = "/v1/second-factors"


def new_administrator(service: Service, name: str = "ann") -> Caller:
    """Return an administrator without a second factor, as an account is before its first sign-in, with a session."""
    service.administrator(name)
    with transaction(service.sessions) as session:
        session.execute(text("DELETE FROM authenticator_app WHERE staff_id = :name"), {"name": name})
    opened = service.stranger().sign_in(name)
    assert opened.json()["needs"] == "second-factor-setup"
    return service.with_token(opened.json()["token"])


def now(service: Service) -> int:
    with transaction(service.sessions) as session:
        return int(clock(session).timestamp())


def forget_presence(service: Service) -> None:
    """Let the last proof of presence be of long ago."""
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE staff_token SET proved_at = proved_at - interval '1 hour'"))


def test_an_administrator_without_a_second_factor_can_only_set_one_up(service: Service) -> None:
    ann = new_administrator(service)
    for refused in (ann.get("/v1/staff"), ann.get("/v1/tokens"), ann.post("/v1/operators", {"id": "x", "name": "X"})):
        assert (refused.status_code, refused.json()["code"]) == (403, "second-factor-missing")
    begun = ann.post(f"{FACTORS}/totp").json()
    assert begun["uri"].startswith("otpauth://totp/")
    assert ann.get("/v1/staff").status_code == 403
    wrong = ann.post(f"{FACTORS}/totp/confirm", {"code": "000000"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "second-factor-refused")
    confirmed = ann.post(f"{FACTORS}/totp/confirm", {"code": pyotp.TOTP(begun["secret"]).at(now(service))})
    assert len(set(confirmed.json()["recovery_codes"])) == 10
    assert ann.get("/v1/staff").status_code == 200
    assert ann.get(FACTORS).json()["recovery_codes_left"] == 10


def test_with_a_second_factor_the_password_alone_allows_nothing(service: Service) -> None:
    service.administrator()
    opened = service.stranger().sign_in("ann").json()
    half = service.with_token(opened["token"])
    assert opened["needs"] == "second-factor"
    assert half.get("/v1/staff").json()["code"] == "second-factor-needed"
    assert half.post(f"{FACTORS}/totp").json()["code"] == "presence-needed"
    assert half.post("/v1/presence", {"password": PASSWORD}).json()["code"] == "second-factor-refused"
    assert half.post("/v1/presence", {"code": service.code()}).status_code == 200
    assert half.get("/v1/staff").status_code == 200


def test_a_code_works_once_and_earlier_codes_no_longer_work(service: Service) -> None:
    service.administrator()
    stranger, code, former = service.stranger(), service.code(), service.code(later=-1)
    assert stranger.sign_in("ann", code=code).json()["needs"] is None
    again = stranger.sign_in("ann", code=code)
    assert (again.status_code, again.json()["code"]) == (403, "second-factor-refused")
    assert stranger.sign_in("ann", code=former).status_code == 403
    assert stranger.sign_in("ann", code=service.code(later=1)).status_code == 201
    assert stranger.sign_in("ann", code=service.code(later=9)).status_code == 403


def test_many_parallel_uses_of_one_code_admit_one(service: Service) -> None:
    service.administrator()
    halves = [service.with_token(service.stranger().sign_in("ann").json()["token"]) for _ in range(4)]
    code, together, codes = service.code(), Barrier(4), list[int]()

    def prove(half: Caller) -> None:
        together.wait()
        codes.append(half.post("/v1/presence", {"code": code}).status_code)

    threads = [Thread(target=prove, args=[half]) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 403, 403, 403]


def test_after_too_many_wrong_codes_the_right_code_is_refused_too(service: Service) -> None:
    ann = service.administrator()
    wrong = [ann.post("/v1/presence", {"code": "000000"}).status_code for _ in range(11)]
    assert wrong == [403] * 10 + [429]
    assert ann.post("/v1/presence", {"code": service.code()}).json()["code"] == "too-many-proofs"
    assert service.stranger().sign_in("ann", code=service.code()).status_code == 429
    assert service.administrator("bea").post("/v1/staff/ann/unlock").status_code == 204
    assert ann.post("/v1/presence", {"code": service.code()}).status_code == 200


def test_a_recovery_code_works_once_and_new_codes_replace_old_ones(service: Service) -> None:
    ann = service.administrator()
    codes = ann.post(f"{FACTORS}/recovery-codes").json()["recovery_codes"]
    assert all(len(ALPHABET) ** len(code.replace("-", "")) >= 2**112 for code in codes)
    half = service.with_token(service.stranger().sign_in("ann").json()["token"])
    typed = codes[0].replace("-", " ").lower()
    assert half.post("/v1/presence", {"recovery_code": typed}).status_code == 200
    assert half.post("/v1/presence", {"recovery_code": codes[0]}).status_code == 403
    assert half.get(FACTORS).json()["recovery_codes_left"] == 9
    assert half.post(f"{FACTORS}/recovery-codes").status_code == 201
    assert half.post("/v1/presence", {"recovery_code": codes[1]}).status_code == 403


def test_exactly_one_proof_must_be_sent(service: Service) -> None:
    ann = service.administrator()
    for body in ({}, {"code": "123456", "password": "both"}):
        assert ann.post("/v1/presence", body).json()["errors"][0]["code"] == "one-proof"


def test_staff_without_a_second_factor_prove_presence_by_password_and_may_add_one(service: Service) -> None:
    otto = service.auditor("otto")
    other = service.with_token(service.stranger().sign_in("otto").json()["token"])
    forget_presence(service)
    assert otto.post(f"{FACTORS}/totp").json()["code"] == "presence-needed"
    assert otto.post("/v1/presence", {"password": "wrong"}).status_code == 403
    assert otto.post("/v1/presence", {"password": PASSWORD}).status_code == 200
    secret = otto.post(f"{FACTORS}/totp").json()["secret"]
    assert otto.post(f"{FACTORS}/totp/confirm", {"code": pyotp.TOTP(secret).at(now(service))}).status_code == 200
    assert other.get("/v1/tokens").json()["code"] == "second-factor-needed"


def test_freeze_publish_void_and_changes_of_access_need_fresh_proof_and_reading_does_not(service: Service) -> None:
    city = make_city(service, children=2)
    city.close()
    assert city.ann.post(f"{CYCLE}/rounds", {"kind": "main"}).status_code == 201
    forget_presence(service)
    reason: Mapping[str, Json] = {"reason": "Only to try it out"}
    acts = [
        city.ann.post(f"{MAIN}/freeze", {"dice_in_minutes": 0}),
        city.bea.post(f"{MAIN}/publish"),
        city.ann.post(f"{MAIN}/void", dict(reason)),
        city.ann.post("/v1/access-changes", {"what": "reset", "staff": "otto", **reason}),
        city.ann.post("/v1/staff", {"id": "x", "name": "X", "roles": [{"role": "auditor"}]}),
        city.ann.post("/v1/staff/otto/unlock"),
        city.ann.post("/v1/partners/city-portal/secrets"),
        city.ann.post("/v1/tokens", {"name": "x", "scopes": ["records:read"], "days": 1}),
    ]
    assert [(act.status_code, act.json()["code"]) for act in acts] == [(403, "presence-needed")] * len(acts)
    assert "POST /v1/presence" in acts[0].json()["detail"]
    assert city.ann.get("/v1/staff").status_code == 200
    assert city.ann.post("/v1/presence", {"code": service.code()}).status_code == 200
    assert city.freeze().status_code == 200


def test_a_proof_replaces_the_session_token(service: Service) -> None:
    ann = service.administrator()
    former = service.with_token(ann.headers["Authorization"].removeprefix("Bearer "))
    listed = ann.get("/v1/tokens").json()["data"]
    assert ann.post("/v1/presence", {"code": service.code()}).status_code == 200
    assert former.get("/v1/tokens").status_code == 401
    assert former.post("/v1/presence", {"code": service.code(later=1)}).status_code == 401
    assert [row["id"] for row in ann.get("/v1/tokens").json()["data"]] == [row["id"] for row in listed]


def test_of_two_parallel_proofs_in_one_session_one_is_accepted(service: Service) -> None:
    token = service.administrator().headers["Authorization"].removeprefix("Bearer ")
    both = [service.with_token(token) for _ in range(2)]
    codes, together, told = [service.code(), service.code(later=1)], Barrier(2), list[int]()

    def prove(caller: Caller, code: str) -> None:
        together.wait()
        told.append(caller.post("/v1/presence", {"code": code}).status_code)

    threads = [Thread(target=prove, args=pair) for pair in zip(both, codes, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) in ([200, 401], [200, 403])
    assert sorted(caller.get("/v1/tokens").status_code for caller in both) == [200, 401]


def test_a_personal_token_never_does_what_needs_presence(service: Service) -> None:
    city = make_city(service, children=2)
    scopes = ["records:read", "rounds:run", "rounds:publish", "access:manage"]
    made = city.ann.post("/v1/tokens", {"name": "all", "scopes": scopes, "days": 1})
    token = service.with_token(made.json()["token"])
    city.close()
    assert token.post(f"{CYCLE}/rounds", {"kind": "main"}).status_code == 201
    assert token.post(f"{MAIN}/freeze", {"dice_in_minutes": 0}).json()["code"] == "presence-needed"
    assert token.post("/v1/presence", {"code": service.code()}).json()["code"] == "session-needed"


def test_a_personal_token_cannot_begin_an_act_of_two_people(service: Service) -> None:
    city = make_city(service, children=1)
    scopes = ["records:read", "rounds:run", "rounds:publish", "placements:write", "schools:write"]
    made = city.bea.post("/v1/tokens", {"name": "all", "scopes": scopes, "days": 1})
    token = service.with_token(made.json()["token"])
    rules: Json = {"rules": {"seats": {"match": 3}, "tie_break": "multiple"}, "reason": "As our board decided"}
    placement: Json = {
        "cycle": "2027",
        "ticket": city.tickets()["child-00"],
        "program": "adams-kg",
        "reason_code": "hardship",
        "document": "Form 12",
    }
    calendar: Json = {"every": "day", "first_at": "2199-01-01T02:00:00Z", "dice_in_minutes": 0}
    asked = [
        token.change(f"{CYCLE}/programs/lincoln-kg/rules", rules),
        token.post("/v1/placements", placement),
        token.post(f"{CYCLE}/round-calendar", calendar),
        token.post(f"{MAIN}/match"),
    ]
    assert [answer.json().get("code") for answer in asked] == ["presence-needed"] * len(asked)
    assert city.ann.get(f"{CYCLE}/rules-changes").json()["data"] == []


def test_the_last_second_factor_of_an_administrator_stays(service: Service) -> None:
    ann = service.administrator()
    (app,) = ann.get(FACTORS).json()["data"]
    assert ann.delete(f"{FACTORS}/{app['id']}").json()["code"] == "last-second-factor"
    add_passkey(ann, Authenticator())
    assert ann.delete(f"{FACTORS}/{app['id']}").status_code == 204
    (passkey,) = ann.get(FACTORS).json()["data"]
    assert (passkey["kind"], passkey["name"]) == ("passkey", "Blue key")
    assert ann.delete(f"{FACTORS}/{passkey['id']}").json()["code"] == "last-second-factor"


def test_an_app_secret_is_sealed_for_its_account(service: Service) -> None:
    service.administrator("ann")
    service.administrator("bea")
    with transaction(service.sessions) as session:
        sealed = dict(session.execute(select(AuthenticatorApp.staff_id, AuthenticatorApp.sealed)).all())
    assert unseal(sealed["ann"], staff_id="ann", settings=service.settings) == APP_SECRET
    assert unseal(sealed["ann"], staff_id="bea", settings=service.settings) is None
    assert APP_SECRET.encode() not in sealed["ann"]


def add_passkey(caller: Caller, key: Authenticator) -> None:
    options = caller.post(f"{FACTORS}/passkeys/options").json()
    made = caller.post(f"{FACTORS}/passkeys", {"name": "Blue key", "credential": key.make(options)})
    assert made.status_code == 201, made.text


def test_a_new_administrator_sets_up_a_passkey_and_signs_in_with_it(service: Service) -> None:
    ann, key = new_administrator(service), Authenticator()
    add_passkey(ann, key)
    assert ann.get("/v1/staff").status_code == 200
    opened = service.stranger().sign_in("ann").json()
    half = service.with_token(opened["token"])
    assert opened["needs"] == "second-factor"
    assert half.get("/v1/staff").status_code == 403
    options = half.post("/v1/presence/options").json()
    assert half.post("/v1/presence", {"passkey": key.use(options)}).status_code == 200
    assert half.get("/v1/staff").status_code == 200


@pytest.mark.parametrize("wrong", ["origin", "site", "challenge", "unverified", "signature", "bytes"])
def test_a_passkey_made_for_another_session_or_site_is_refused(service: Service, wrong: str) -> None:
    ann, key = new_administrator(service), Authenticator()
    options = ann.post(f"{FACTORS}/passkeys/options").json()
    if wrong == "challenge":
        options["challenge"] = "A" * 86
    if wrong == "unverified":
        key.flags = PRESENT
    made = key.make(
        options,
        origin="https://elsewhere.example" if wrong == "origin" else "http://127.0.0.1:8000",
        site="elsewhere.example" if wrong == "site" else "127.0.0.1",
    )
    if wrong in ("signature", "bytes"):
        made = {**made, "response": {"clientDataJSON": "e30", "attestationObject": "o2NmbXQ"}}
    refused = ann.post(f"{FACTORS}/passkeys", {"name": "Blue key", "credential": made})
    assert (refused.status_code, refused.json()["code"]) == (403, "second-factor-refused")
    assert ann.get(FACTORS).json()["data"] == []


@pytest.mark.parametrize("wrong", ["origin", "site", "challenge", "unverified", "other key", "bytes"])
def test_a_passkey_proof_from_another_session_site_or_key_is_refused(service: Service, wrong: str) -> None:
    ann, key = service.administrator(), Authenticator()
    add_passkey(ann, key)
    options = ann.post("/v1/presence/options").json()
    if wrong == "challenge":
        options["challenge"] = "A" * 86
    if wrong == "unverified":
        key.flags = PRESENT
    if wrong == "other key":
        key = Authenticator(id=key.id)
    proof = key.use(
        options,
        origin="https://elsewhere.example" if wrong == "origin" else "http://127.0.0.1:8000",
        site="elsewhere.example" if wrong == "site" else "127.0.0.1",
    )
    if wrong == "bytes":
        garbage = {"clientDataJSON": "AAAA", "authenticatorData": "AA", "signature": "AA"}
        proof = {**proof, "response": garbage}
    refused = ann.post("/v1/presence", {"passkey": proof})
    assert (refused.status_code, refused.json()["code"]) == (403, "second-factor-refused")


def test_a_passkey_proof_works_once_and_only_in_its_session(service: Service) -> None:
    ann, key = service.administrator(), Authenticator()
    add_passkey(ann, key)
    other = service.with_token(service.stranger().sign_in("ann").json()["token"])
    options = ann.post("/v1/presence/options").json()
    proof = key.use(options)
    assert other.post("/v1/presence", {"passkey": proof}).status_code == 403
    assert ann.post("/v1/presence", {"passkey": proof}).status_code == 200
    assert ann.post("/v1/presence", {"passkey": proof}).status_code == 403


def test_a_passkey_whose_counter_goes_back_is_refused_as_copied(service: Service) -> None:
    ann, key = service.administrator(), Authenticator()
    add_passkey(ann, key)
    assert ann.post("/v1/presence", {"passkey": key.use(ann.post("/v1/presence/options").json())}).status_code == 200
    key.count -= 1
    copied = key.use(ann.post("/v1/presence/options").json())
    assert ann.post("/v1/presence", {"passkey": copied}).status_code == 403


def test_a_passkey_challenge_expires(service: Service) -> None:
    ann, key = service.administrator(), Authenticator()
    add_passkey(ann, key)
    options = ann.post("/v1/presence/options").json()
    with transaction(service.sessions) as session:
        session.execute(text("UPDATE passkey_challenge SET expires_at = clock_timestamp()"))
    assert ann.post("/v1/presence", {"passkey": key.use(options)}).status_code == 403


def test_a_passkey_of_another_account_is_refused(service: Service) -> None:
    ann, bea, key = service.administrator("ann"), service.administrator("bea"), Authenticator()
    add_passkey(ann, key)
    proof = key.use(bea.post("/v1/presence/options").json())
    assert bea.post("/v1/presence", {"passkey": proof}).status_code == 403
    options = bea.post(f"{FACTORS}/passkeys/options").json()
    again = bea.post(f"{FACTORS}/passkeys", {"name": "Mine too", "credential": key.make(options)})
    assert (again.status_code, again.json()["code"]) == (409, "passkey-there")


def test_a_setting_requires_a_second_factor_from_all_staff(service: Service) -> None:
    otto = service.staff("otto", RoleIn(role="auditor"))
    service.app.state.settings = service.settings.model_copy(update={"second_factor": "staff"})
    assert otto.get("/v1/tokens").json()["code"] == "second-factor-missing"
    assert service.stranger().sign_in("otto").json()["needs"] == "second-factor-setup"


def test_an_administrator_of_before_second_factors_sets_one_up_with_password_or_new_sign_in(service: Service) -> None:
    ann = service.administrator()
    with transaction(service.sessions) as session:
        session.execute(text("DELETE FROM authenticator_app"))
        session.execute(update(StaffToken).values(proved_at=StaffToken.made_at))
    forget_presence(service)
    assert ann.get("/v1/staff").json()["code"] == "second-factor-missing"
    assert ann.post(f"{FACTORS}/totp").json()["code"] == "presence-needed"
    assert ann.post("/v1/presence", {"password": PASSWORD}).status_code == 200
    assert ann.get("/v1/staff").json()["code"] == "second-factor-missing"
    assert ann.post(f"{FACTORS}/totp").status_code == 201
